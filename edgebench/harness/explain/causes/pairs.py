"""Conversions between float and 8 bits that run as kernels of their own."""

from __future__ import annotations

from edgebench.harness.explain.causes.base import Case, Cause, listed, time_of
from edgebench.harness.explain.operators import QUANTIZE, Operator
from edgebench.harness.explain.side import NOT_QUANTIZED, total_ns

_SMALL = 0.01  # of the traced time: below it nothing is said


def float_neighbours(case: Case) -> Cause | None:
    """QuantizeLinear and DequantizeLinear that did not melt into an int8 kernel."""
    kernels = [kernel for kernel in case.child.trace.kernels if kernel.is_pair]
    spent = total_ns(kernels)
    if spent < _SMALL * case.child.trace.time_ns:
        return None
    forced = _float_between(case)
    return Cause(
        code="float_neighbours",
        title="Conversions between float and int8",
        operators=tuple(operator.name for operator in forced),
        numbers=(),
        time_ns=spent,
        gain_ns=spent,
        gain_from="time of all QuantizeLinear and DequantizeLinear kernels, at most",
        why=(
            f"{len(kernels)} conversions run as kernels of their own, because a neighbour computes in float: "
            f"{listed([operator.name for operator in forced]) or 'inputs and outputs of the file'}."
        ),
        advice=(
            "Let int8 begin and end once: keep whole stretches of operators in float or whole stretches in "
            "int8, rather than single ones, and drop pairs around operators that have no int8 kernel."
        ),
    )


def _float_between(case: Case) -> list[Operator]:
    """Operators in float beside a conversion that runs, the slowest first."""
    graph = case.child.graph
    ran = [graph.operators[number] for number in case.child.kernels if graph.operators[number].is_pair]
    beside: dict[int, Operator] = {}
    for pair in ran:
        for other in graph.before(pair) if pair.kind == QUANTIZE else graph.after(pair):
            if not other.is_pair and not case.child.in_int8(other) and case.child.time_ns(other) is not None:
                beside[other.number] = other
    return sorted(beside.values(), key=lambda o: -(case.child.time_ns(o) or 0.0))


def unfused(case: Case) -> Cause | None:
    """Products and convolutions between pairs that the runtime still computes in float."""
    rows = []
    for row in case.open_rows():
        why = row.why_not_int8
        if why and why != NOT_QUANTIZED:
            rows.append((row, why))
    if not rows:
        return None
    found = [row for row, _ in rows]
    rate = case.rates.int8 if case.rates else None
    spent = time_of(found)
    gain = spent - sum(row.macs or 0 for row in found) / rate if rate else None
    reasons = dict.fromkeys(f"{row.name}: {why}" for row, why in rows)
    return Cause.of(
        found,
        code="unfused",
        title="Operators between conversions that still compute in float",
        gain_ns=gain,
        gain_from="their MACs at the best int8 rate that a probe reached on this device",
        why=f"The runtime took no int8 kernel: {'; '.join(list(reasons)[:3])}.",
        advice="Quantize what such an operator reads and gives, or take away the conversions around it.",
    )
