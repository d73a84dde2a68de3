"""Fused operators of the float file that the conversions of the int8 file break apart."""

from __future__ import annotations

from edgebench.harness.explain.causes.base import Case, Cause, listed
from edgebench.harness.explain.operators import Graph, Operator
from edgebench.harness.explain.side import Side, total_ns

GELU = ("Gelu", "BiasGelu")
_STEPS_AFTER = 3  # Erf, then Add, Mul, Mul
_CHAIN = ("Add", "Div", "Erf", "Mul")


def broken_gelu(case: Case) -> Cause | None:
    """GELU written with Erf: one kernel in the float file, five and conversions in the int8 file."""
    erfs = [o for o in case.child.graph.operators if o.kind == "Erf" and case.child.time_ns(o) is not None]
    fused = case.parent.of_kinds(*GELU)
    left = sum(o.kind == "Erf" and case.parent.time_ns(o) is not None for o in case.parent.graph.operators)
    if not fused or len(erfs) <= left:
        return None
    chain: dict[int, Operator] = {}
    for erf in erfs:
        chain |= {o.number: o for o in _chain(case.child.graph, erf)}
    spent = sum(case.child.time_ns(o) or 0.0 for o in chain.values()) + _between(case.child, chain)
    gain = spent - total_ns(fused) * min(1.0, (len(erfs) - left) / len(fused))
    return Cause(
        code="broken_gelu",
        title="GELU that the conversions break apart",
        operators=tuple(erf.name for erf in erfs),
        numbers=tuple(chain),
        time_ns=spent,
        gain_ns=gain if gain > 0 else None,
        gain_from="time of the broken operators minus of the fused ones in the fp32 file",
        why=(
            f"The runtime fuses {len(fused)} GELU into one kernel each in the fp32 file. In the int8 file "
            f"conversions stand between their parts, so {len(erfs)} of them run as Div, Erf, Add and Mul one "
            f"by one ({listed([erf.name for erf in erfs], most=3)})."
        ),
        advice=(
            "Quantize only what stands before and behind a GELU, with one pair that all its parts read, or "
            "write it as the single operator Gelu (opset 20) before quantizing."
        ),
    )


def _chain(graph: Graph, erf: Operator) -> list[Operator]:
    """The parts of one GELU: what scales its input, Erf, and what follows up to the last product."""
    found = [erf, *(o for o in graph.before_pairs(erf) if o.kind in _CHAIN)]
    step = [erf]
    for _ in range(_STEPS_AFTER):
        step = [user for o in step for user in graph.after_pairs(o) if user.kind in _CHAIN]
        found += step
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
