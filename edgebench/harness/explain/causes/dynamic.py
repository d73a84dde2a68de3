"""Ranges that are found anew in every inference."""

from __future__ import annotations

from edgebench.harness.explain.causes.base import (
    Case,
    Cause,
    gain_as_float,
    listed,
    names_of,
    numbers_of,
    time_of,
)
from edgebench.harness.explain.side import total_ns

RANGES = ("DynamicQuantizeLinear",)
INTEGER = ("ConvInteger",)


def dynamic_convolutions(case: Case) -> Cause | None:
    """ConvInteger and the search for ranges before it, where they are slower than the float convolution."""
    rows = [row for row in case.open_rows() if row.kernel in INTEGER]
    ranges = total_ns(case.child.of_kinds(*RANGES))
    gain = gain_as_float(rows) + (ranges if rows else 0.0)
    if not rows or gain <= 0:
        return None
    return Cause(
        code="dynamic_convolutions",
        title="Convolutions with ranges found in every inference",
        operators=names_of(rows),
        numbers=numbers_of(rows),
        time_ns=time_of(rows) + ranges,
        gain_ns=gain,
        gain_from="time of ConvInteger minus of the fp32 convolutions, plus DynamicQuantizeLinear",
        why=(
            f"{listed(names_of(rows))} run as ConvInteger, which has no fast kernel, and "
            "DynamicQuantizeLinear reads every tensor twice before it."
        ),
        advice="Quantize convolutions statically, with ranges from clips; dynamic ranges are for MatMul.",
    )
