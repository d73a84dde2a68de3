"""Which operator of an int8 file replaces which of its parent.

By name where both files have names. Rewritten files have others, or none: then products and convolutions
are aligned in their order, as those of two versions of one text are, and other operators by their kind where
both files have equally many of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgebench.harness.explain.operators import Graph, Operator

_FACTOR = 2.0  # padding and splitting change the multiplications of an operator by less
_MOST = 3000  # operators that are aligned; an alignment takes the square of it


def partners(parent: Graph, child: Graph) -> dict[int, int]:
    """Number of an operator of ``child`` -> that of its counterpart in ``parent``.

    Conversions, and what one file has alone, have none.
    """
    found = _by_name(parent, child)
    taken = set(found.values())
    before = [o for o in parent.operators if o.macs and o.number not in taken]
    after = [o for o in child.operators if o.macs and o.number not in found]
    aligned = _aligned(before[:_MOST], after[:_MOST])
    if any(operator.macs and operator.number in found for operator in child.operators):
        return {**aligned, **found}
    return {**_by_kind(parent, child), **found, **aligned}


def _by_name(parent: Graph, child: Graph) -> dict[int, int]:
    """Operators of one name and kind. Quantizers append to both: MatMul ``a``, MatMulInteger ``a_quant``."""
    by_name = {operator.name: operator for operator in parent.operators if operator.named}
    found: dict[int, int] = {}
    for operator in child.operators:
        if not operator.named or operator.is_pair:
            continue
        names = (operator.name, operator.name.rpartition("_")[0])
        known = (by_name[name] for name in names if name in by_name)
        same = next((one for one in known if one.kind in operator.kind), None)
        if same is not None and same.number not in found.values():
            found[operator.number] = same.number
    return found


def _aligned(before: Sequence[Operator], after: Sequence[Operator]) -> dict[int, int]:
    """The alignment with the largest sum of likenesses (Needleman and Wunsch 1970), gaps for free."""
    score = np.zeros((len(before) + 1, len(after) + 1))
    for i, a in enumerate(before):
        for j, b in enumerate(after):
            score[i + 1, j + 1] = max(score[i, j + 1], score[i + 1, j], score[i, j] + _likeness(a, b))
    found: dict[int, int] = {}
    i, j = len(before), len(after)
    while i and j:
        likeness = _likeness(before[i - 1], after[j - 1])
        if likeness > 0 and score[i, j] == score[i - 1, j - 1] + likeness:
            i, j = i - 1, j - 1
            found[after[j].number] = before[i].number
        elif score[i, j] == score[i - 1, j]:
            i -= 1
        else:
            j -= 1
    return found


def _likeness(a: Operator, b: Operator) -> float:
    """1 for equal multiplications down to 0 for a factor of two; 0 for a convolution and a product."""
    if a.is_convolution != b.is_convolution or not a.macs or not b.macs:
        return 0.0
    return max(0.0, 1 - abs(math.log(a.macs / b.macs)) / math.log(_FACTOR))


def _by_kind(parent: Graph, child: Graph) -> dict[int, int]:
    """Operators without multiplications, of kinds of which both files have equally many, in their order."""
    kinds: tuple[dict[str, list[Operator]], ...] = ({}, {})
    for graph, own in zip((parent, child), kinds, strict=True):
        for operator in graph.operators:
            if not operator.macs and not operator.is_pair:
                own.setdefault(operator.kind, []).append(operator)
    return {
        b.number: a.number
        for kind, before in kinds[0].items()
        for a, b in zip(before, kinds[1].get(kind, ()), strict=False)
        if len(before) == len(kinds[1].get(kind, ()))
    }
