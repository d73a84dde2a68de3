"""What is left: operators that are slower once quantized for no reason that another rule names."""

from __future__ import annotations

from edgebench.harness.explain.causes.base import Case, Cause, gain_as_float, listed, names_of
from edgebench.harness.explain.explanation import Row

_FACTOR = 1.1
_LEAST_NS = 10e3  # the profiler cannot tell smaller times apart


def slower_in_int8(case: Case) -> Cause | None:
    """Operators whose quantized kernel takes longer than the float one."""
    rows = [
        row
        for row in case.open_rows()
        if (row.in_int8 or _replaced(row))
        and row.parent_ns is not None
        and row.child_ns is not None
        and row.child_ns > _FACTOR * row.parent_ns
        and row.child_ns - row.parent_ns > _LEAST_NS
    ]
    if not rows:
        return None
    kinds = dict.fromkeys(row.kernel or row.kind for row in sorted(rows, key=lambda r: -(r.child_ns or 0.0)))
    return Cause.of(
        rows,
        code="slower_in_int8",
        title="Operators whose quantized kernel is slower",
        gain_ns=gain_as_float(rows),
        why=f"{listed(names_of(rows))}: the kernels {listed(kinds)} take longer than those of fp32.",
        advice="Leave them in float where their neighbours are float too, or the conversions eat the gain.",
    )


def _replaced(row: Row) -> bool:
    """Whether another operator stands in the int8 file, such as MatMulNBits for MatMul."""
    return row.parent is not None and row.child is not None and row.parent.kind != row.child.kind
