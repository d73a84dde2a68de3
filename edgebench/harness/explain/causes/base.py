"""What a rule sees, and what it says."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from edgebench.harness.explain.explanation import Row
from edgebench.harness.explain.probe import Rates
from edgebench.harness.explain.side import Side

ARM64 = ("aarch64", "arm64")
_NAMED = 4
IN_FLOAT = "time of these operators in int8 minus in fp32"


@dataclass(frozen=True)
class Case:
    """Both files on the device. ``features``: the processor's, as its kernel names them.

    ``rates``: what the probes reached on this device, None where they left no trace. ``claimed``: numbers of
    operators of the int8 file that an earlier cause explains.
    """

    parent: Side
    child: Side
    rows: Sequence[Row]
    machine: str
    features: frozenset[str]
    rates: Rates | None
    claimed: frozenset[int] = field(default=frozenset())

    @property
    def is_arm64(self) -> bool:
        """Whether the processor runs 64-bit Arm code."""
        return self.machine in ARM64

    def int8_convolutions(self) -> list[Row]:
        """Convolutions that the runtime computes on 8-bit numbers, and no other cause explains."""
        return [row for row in self.open_rows() if row.in_int8 and row.child and row.child.is_convolution]

    def open_rows(self) -> list[Row]:
        """Operators of the int8 file that take time there, and no other cause explains."""
        return [
            row
            for row in self.rows
            if row.child is not None and row.child_ns is not None and row.child.number not in self.claimed
        ]


@dataclass(frozen=True)
class Cause:
    """One reason, with what to do. ``operators``: names; ``numbers``: their places in the int8 file.

    ``time_ns``: what they take now. ``gain_ns``: an estimate of what following the advice saves, from the
    trace, and ``gain_from`` says how it was made; None where the trace does not tell.
    """

    code: str
    title: str
    operators: tuple[str, ...]
    numbers: tuple[int, ...]
    time_ns: float
    gain_ns: float | None
    gain_from: str
    why: str
    advice: str

    @classmethod
    def of(
        cls,
        rows: Sequence[Row],
        *,
        code: str,
        title: str,
        why: str,
        advice: str,
        gain_ns: float | None,
        gain_from: str = IN_FLOAT,
    ) -> Cause:
        """A cause that concerns these operators; a gain that is none is not told."""
        return cls(
            code=code,
            title=title,
            operators=names_of(rows),
            numbers=numbers_of(rows),
            time_ns=time_of(rows),
            gain_ns=gain_ns if gain_ns is not None and gain_ns > 0 else None,
            gain_from=gain_from,
            why=why,
            advice=advice,
        )

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        found = asdict(self)
        del found["numbers"]
        return {**found, "operators": list(self.operators)}


def gain_as_float(rows: Sequence[Row]) -> float:
    """What leaving these operators in float would save: where int8 is slower, its time minus fp32's."""
    return sum(max(_ns(row.child_ns) - row.parent_ns, 0.0) for row in rows if row.parent_ns is not None)


def time_of(rows: Sequence[Row]) -> float:
    """What these operators take in the int8 file."""
    return sum(_ns(row.child_ns) for row in rows)


def numbers_of(rows: Sequence[Row]) -> tuple[int, ...]:
    """Their places in the int8 file."""
    return tuple(row.child.number for row in rows if row.child is not None)


def names_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """Their names, the slowest first."""
    return tuple(row.name for row in sorted(rows, key=lambda row: -_ns(row.child_ns)))


def listed(names: Collection[str], *, most: int = _NAMED) -> str:
    """Names in a sentence: "a, b and 3 more".

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    shown = list(names)[:most]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _ns(value: float | None) -> float:
    return 0.0 if value is None else value
