"""What a graph computes from constants alone is computed once, here.

onnxscript does it. What it stores is no larger than what it replaces, or a few sizes and axes: a table that a
graph generates to keep its file small stays generated.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgebench.models.rewrites.base import Pass
from edgebench.models.rewrites.graph import only_reader

if TYPE_CHECKING:
    import onnx_ir as ir

_LARGEST_INPUT = 1 << 27  # numbers; the weights of any net are below
_FEW_BYTES = 64


def _apply(model: ir.Model) -> int:
    from onnx_ir.passes import common  # noqa: PLC0415
    from onnxscript import optimizer  # noqa: PLC0415

    before = model.graph.num_nodes()
    optimizer.fold_constants(
        model,
        input_size_limit=_LARGEST_INPUT,
        output_size_limit=_LARGEST_INPUT,
        should_fold=lambda node: None if _saves(node) else False,
    )
    common.IdentityEliminationPass()(model)
    common.CommonSubexpressionEliminationPass()(model)
    common.RemoveUnusedNodesPass()(model)
    common.DeduplicateInitializersPass()(model)
    return max(0, int(before - model.graph.num_nodes()))


def _saves(node: ir.Node) -> bool:
    """Whether the result is known to take no more bytes than the constants that it alone needs."""
    freed = sum(
        value.const_value.nbytes
        for value in set(node.inputs) - {None}
        if value.const_value is not None and only_reader(node, value)
    )
    total = 0
    for value in node.outputs:
        if value.shape is None or value.dtype is None or not all(isinstance(n, int) for n in value.shape):
            return False
        total += math.ceil(math.prod(value.shape) * value.dtype.itemsize)
    return bool(total <= max(freed, _FEW_BYTES))


PASS = Pass("fold_constants", "compute what depends on constants alone; join equal nodes", _apply)
