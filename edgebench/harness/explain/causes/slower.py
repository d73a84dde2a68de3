"""What is left: operators that are slower in int8 for no reason that another rule names."""

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

_FACTOR = 1.1
_LEAST_NS = 10e3  # the profiler cannot tell smaller times apart


def slower_in_int8(case: Case) -> Cause | None:
    """Operators whose int8 kernel takes longer than the float one."""
    rows = [
        row
        for row in case.open_rows()
        if row.in_int8
        and row.parent_ns is not None
        and row.child_ns is not None
        and row.child_ns > _FACTOR * row.parent_ns
        and row.child_ns - row.parent_ns > _LEAST_NS
    ]
    if not rows:
        return None
    kinds = dict.fromkeys(row.kernel or row.kind for row in sorted(rows, key=lambda r: -(r.child_ns or 0.0)))
    return Cause(
        code="slower_in_int8",
        title="Operators whose int8 kernel is slower",
        operators=names_of(rows),
        numbers=numbers_of(rows),
        time_ns=time_of(rows),
        gain_ns=gain_as_float(rows),
        gain_from="time of these operators in int8 minus in fp32",
        why=f"{listed(names_of(rows))}: the kernels {listed(kinds)} take longer than those of fp32.",
        advice="Leave them in float where their neighbours are float too, or the conversions eat the gain.",
    )
