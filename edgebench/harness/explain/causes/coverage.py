"""Operators that multiply and were never quantized."""

from __future__ import annotations

from edgebench.harness.explain.causes.base import Case, Cause, listed, names_of, time_of
from edgebench.harness.explain.side import NOT_QUANTIZED

_LARGE = 0.2  # of the MACs and of the traced time: below it leaving operators in float costs little


def left_in_float(case: Case) -> Cause | None:
    """Products and convolutions in float that take much of the time of an int8 file."""
    rows = [row for row in case.open_rows() if row.why_not_int8 == NOT_QUANTIZED]
    spent = time_of(rows)
    total = sum(row.macs or 0 for row in case.rows if row.child is not None)
    share = sum(row.macs or 0 for row in rows) / total if total else 0.0
    if share < _LARGE or spent < _LARGE * case.child.trace.time_ns:
        return None
    rate = case.rates.int8 if case.rates else None
    gain = spent - sum(row.macs or 0 for row in rows) / rate if rate else None
    return Cause.of(
        rows,
        code="left_in_float",
        title="Most work stays in float" if share > 0.5 else "Much work stays in float",
        gain_ns=gain,
        gain_from="at most: their MACs at the best int8 rate that a probe reached on this device",
        why=f"{share:.0%} of the MACs were never quantized: {listed(names_of(rows))}.",
        advice=(
            "Quantize more of them, those that lose least first, and explain that file: it tells what each "
            "loses alone, and which channels or layouts keep it from the fast kernel."
        ),
    )
