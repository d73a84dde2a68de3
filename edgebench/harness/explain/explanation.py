"""What is known of an int8 file on a device, gathered: the two sides, what they cost, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edgebench.harness.explain.operators import Operator
from edgebench.harness.explain.partners import partners
from edgebench.harness.explain.probe import Rates
from edgebench.harness.explain.side import Side

if TYPE_CHECKING:
    from edgebench.harness.explain.accuracy import LossyPart
    from edgebench.harness.explain.causes.base import Cause
    from edgebench.models.quantization.sensitivity import Sensitivity
    from edgebench.results.changes import Change
    from edgebench.results.records.messages import Fingerprint

JSON_VERSION = 1


@dataclass(frozen=True)
class Row:
    """One operator of both files; ``parent`` or ``child`` is None where one file has it alone.

    ``kernel``: what the runtime took for it in the int8 file. ``why_not_int8``: why it did not compute it on
    8-bit numbers, None where it did.
    """

    parent: Operator | None
    child: Operator | None
    parent_ns: float | None
    child_ns: float | None
    kernel: str | None
    in_int8: bool
    why_not_int8: str | None = None

    @property
    def name(self) -> str:
        """What it is called in the file."""
        operator = self.parent or self.child
        return operator.name if operator else ""

    @property
    def kind(self) -> str:
        """The operator's kind in the parent's file, else in the int8 file."""
        operator = self.parent or self.child
        return operator.kind if operator else ""

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates at the measured length; 0 where none are counted."""
        counts = [operator.macs for operator in (self.child, self.parent) if operator is not None]
        return next((count for count in counts if count is not None), None)


@dataclass(frozen=True)
class Explanation:
    """An int8 file and its parent on one device.

    ``alone``: operators of the parent one at a time in 8 bits; ``lossy``: the parts that lose most.
    ``change``: of the median time over interleaved launches, without the profiler. ``input_s``: seconds.
    """

    device: str
    fingerprint: Fingerprint
    emulated: bool
    input_s: float
    threads: int
    parent: Side
    child: Side
    change: Change | None
    runs: tuple[str, str]
    rates: Rates | None = None
    causes: tuple[Cause, ...] = ()
    alone: tuple[Sensitivity, ...] = ()
    lossy: tuple[LossyPart, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @cached_property
    def rows(self) -> list[Row]:
        """Operators that take time in either file, in the parent's order, conversions last."""
        pairs = partners(self.parent.graph, self.child.graph)
        children = {parent: child for child, parent in pairs.items()}
        rows = [
            self._row(operator, self._child(children.get(operator.number)))
            for operator in self.parent.graph.operators
        ]
        rows += [self._row(None, o) for o in self.child.graph.operators if o.number not in pairs]
        return [row for row in rows if row.parent_ns is not None or row.child_ns is not None]

    def alone_of(self, row: Row) -> Sensitivity | None:
        """The measurement of a row's operator alone in 8 bits."""
        outputs = row.parent.outputs if row.parent else ()
        return next((found for found in self.alone if set(found.outputs) & set(outputs)), None)

    def _child(self, number: int | None) -> Operator | None:
        return None if number is None else self.child.graph.operators[number]

    def _row(self, parent: Operator | None, child: Operator | None) -> Row:
        kernel = self.child.main_kernel(child) if child else None
        return Row(
            parent=parent,
            child=child,
            parent_ns=self.parent.time_ns(parent) if parent else None,
            child_ns=self.child.time_ns(child) if child else None,
            kernel=kernel.kind if kernel else None,
            in_int8=kernel.in_int8 if kernel else False,
            why_not_int8=self.child.why_not_int8(child) if child else None,
        )

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        return {
            "json_version": JSON_VERSION,
            "artifact": self.child.key,
            "against": self.parent.key,
            "device": self.device,
            "emulated": self.emulated,
            "input_s": self.input_s,
            "threads": self.threads,
            "runs": {"measured": self.runs[0], "traced": self.runs[1]},
            "latency": self.change.to_json() if self.change else None,
            "traced_ns": {"parent": self.parent.trace.time_ns, "artifact": self.child.trace.time_ns},
            "int8_share": {
                "macs": self.child.int8_share_of_macs(),
                "time": self.child.int8_share_of_time(),
            },
            "probe": self.rates.to_json() if self.rates else None,
            "causes": [cause.to_json() for cause in self.causes],
            "lossy_parts": [part.to_json() for part in self.lossy],
            "operators": [
                _row_json(row) | {"alone_in_int8": found.to_json() if (found := self.alone_of(row)) else None}
                for row in self.rows
            ],
            "notes": list(self.notes),
        }


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "kind": row.kind,
        "macs": row.macs,
        "parent_ns": row.parent_ns,
        "artifact_ns": row.child_ns,
        "kernel": row.kernel,
        "in_int8": row.in_int8,
        "why_not_int8": row.why_not_int8,
    }
