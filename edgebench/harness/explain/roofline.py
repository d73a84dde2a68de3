"""How near an operator comes to the best that was measured on this device.

The roof of an arithmetic is the highest rate that any operator reached in this run: those of the probe, and
those of both files. It is a measured one, below what the processor's instructions could do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgebench.harness.explain.explanation import Row
from edgebench.harness.explain.probe import LEAST_TIME_NS, Rates
from edgebench.harness.explain.side import Side


@dataclass(frozen=True)
class Roofs:
    """Multiply-accumulates per nanosecond at best; None where nothing was measured in that arithmetic."""

    float32: float | None
    int8: float | None

    def share(self, row: Row) -> float | None:
        """Rate of the int8 file's operator over the roof of its arithmetic; None without MACs or time."""
        roof = self.int8 if row.in_int8 else self.float32
        return row.macs / row.child_ns / roof if roof and row.macs and row.child_ns else None


def roofs_of(sides: Sequence[Side], rates: Rates | None) -> Roofs:
    """The roofs, from the probe where it left a trace and from the files themselves."""
    found: dict[bool, list[float]] = {False: [], True: []}
    for side in sides:
        for operator in side.graph.operators:
            time_ns = side.time_ns(operator)
            if operator.macs and time_ns is not None and time_ns >= LEAST_TIME_NS:
                found[side.in_int8(operator)].append(operator.macs / time_ns)
    for eight, rate in ((False, rates and rates.float32), (True, rates and rates.int8)):
        found[eight] += [rate] if rate else []
    return Roofs(max(found[False], default=None), max(found[True], default=None))
