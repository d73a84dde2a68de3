"""How near an operator comes to what the runtime reaches at its best on this device."""

from __future__ import annotations

from edgebench.harness.explain.explanation import Row
from edgebench.harness.explain.probe import Rates


def share_of_roof(row: Row, rates: Rates | None) -> float | None:
    """MACs over time of the int8 file's operator, against the measured roof of its arithmetic.

    None for an operator without MACs or time, and where there is no roof.
    """
    if rates is None or not row.macs or not row.child_ns:
        return None
    roof = rates.int8 if row.in_int8 else rates.float32
    return row.macs / row.child_ns / roof if roof else None
