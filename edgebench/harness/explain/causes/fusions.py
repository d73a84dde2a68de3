"""GELU written with Erf: one kernel where the runtime fuses it, five and their conversions where it does not.

onnxruntime knows x (1 + erf(x / sqrt 2)) / 2 in two orders of its products, and only where all parts read
one tensor. Conversions to 8 bits are copied for every reader, so that the parts no longer do.
"""

from __future__ import annotations

from edgebench.harness.explain.causes.base import Case, Cause, listed
from edgebench.harness.explain.operators import Graph, Operator
from edgebench.harness.explain.side import Side, total_ns

GELU = ("Gelu", "BiasGelu")
_STEPS_AFTER = 3  # Erf, then Add, Mul, Mul
_SCALES = ("Div", "Mul")
_CHAIN = ("Add", "Div", "Erf", "Mul")
_SMALL = 0.01  # of the traced time


def gelu_in_parts(case: Case) -> Cause | None:
    """GELUs whose parts run one by one in the int8 file, whether the float file fuses them or not."""
    child = case.child
    erfs = [o for o in child.graph.operators if o.kind == "Erf" and child.time_ns(o) is not None]
    chain: dict[int, Operator] = {}
    for erf in erfs:
        chain |= {o.number: o for o in _chain(child.graph, erf)}
    spent = sum(child.time_ns(o) or 0.0 for o in chain.values()) + _between(child, chain)
    if not erfs or spent < _SMALL * child.trace.time_ns:
        return None
    fused = case.parent.of_kinds(*GELU)
    if fused:
        gain = spent - total_ns(fused) * min(1.0, len(erfs) / len(fused))
        gain_from = "time of the parts minus of the fused kernels in the fp32 file"
        why = (
            f"Broken fusion: the runtime fuses {len(fused)} GELU into one kernel each in the fp32 file. In "
            f"the int8 file conversions stand between their parts, and {len(erfs)} of them run"
        )
    else:
        gain = spent - sum(child.time_ns(erf) or 0.0 for erf in erfs)
        gain_from = "time of the parts, where one fused kernel is taken to cost what its Erf costs"
        why = (
            f"Not fused: GELU is one kernel where the runtime can fuse it. In this graph it cannot, in "
            f"the fp32 file either, and {len(erfs)} of them run"
        )
    return Cause(
        code="gelu_in_parts",
        title="Broken GELU fusion",
        operators=tuple(erf.name for erf in erfs),
        numbers=tuple(chain),
        time_ns=spent,
        gain_ns=gain if gain > 0 else None,
        gain_from=gain_from,
        why=f"{why} as Div, Erf, Add and Mul one by one ({listed([erf.name for erf in erfs], most=3)}).",
        advice=(
            "Write GELU as the single operator Gelu (opset 20) before quantizing: no conversion can stand "
            "inside it. The rewrite `gelu` does that."
        ),
    )


def _chain(graph: Graph, erf: Operator) -> list[Operator]:
    """The parts of one GELU: what scales its input, Erf, and what follows up to the last product."""
    scaled = [o for o in graph.before_pairs(erf) if o.kind in _SCALES]
    found = [*scaled, erf]
    roots = {o.number for one in scaled for o in graph.before_pairs(one)}
    step = [erf]
    for _ in range(_STEPS_AFTER):
        step = [user for o in step for user in graph.after_pairs(o) if user.kind in _CHAIN]
        found += step
        # x / 2 may be made beside Erf, from the same x.
        for product in step:
            beside = [o for o in graph.before_pairs(product) if o.kind in _SCALES]
            found += [o for o in beside if {r.number for r in graph.before_pairs(o)} == roots]
    return found


def _between(side: Side, chain: dict[int, Operator]) -> float:
    """Time of the conversions that stand between two parts."""
    graph = side.graph
    spent = 0.0
    for number in side.kernels:
        pair = graph.operators[number]
        if not pair.is_pair:
            continue
        before = {o.number for o in graph.before_pairs(pair)}
        after = {o.number for o in graph.after_pairs(pair)}
        if before & chain.keys() and after & chain.keys():
            spent += side.time_ns(pair) or 0.0
    return spent
