"""What every rule of the verdict shares: the limits, what it looks at, and what it may answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgebench.results.metrics.table import Figure
from edgebench.results.records.messages import BoardState, TelemetryPoint, TrialMessage
from edgebench.results.records.record import Condition, RunHeader


@dataclass(frozen=True)
class Limits:
    """The thresholds of every rule, in one place."""

    # A Pi steps 600/750/1000/1500 MHz: the smallest step is 20 %, turbo jitter of a PC about 5 %.
    frequency_drop: float = 0.10
    # The firmware's clock beneath the one that the kernel shows. The two are read some milliseconds
    # apart, and a Pi's next lower step is 20 % away.
    clock_beneath: float = 0.10
    # Mean share of all CPUs used by other processes during a launch.
    busy: float = 0.10
    # MAD over median within a launch, and first against last third of a launch.
    spread: float = 0.05
    drift: float = 0.05
    # Share of a launch in one inference, and the least that is called so: the board stood still, and the
    # launch measured less than its seconds say. Ten times the median besides, for launches of few inferences.
    longest: float = 0.20
    standstill_ns: float = 1e8
    # Standard deviation of the logarithms of the launches' medians: launches differ by memory layout
    # alone by some percent. (Highest over lowest would grow with the number of launches: the range of
    # 3 normal values is 1.7 deviations wide, that of 12 is 3.3.)
    launches: float = 0.06
    # No difference below this is called instability: the clock ticks at 54 MHz on a Pi, and the
    # null runtime takes a few hundred nanoseconds.
    floor_ns: float = 1000.0
    # Fewer samples than this say nothing about thirds.
    samples_for_thirds: int = 9


LIMITS = Limits()


@dataclass(frozen=True)
class Finding:
    """One broken rule: its code, the evidence, what to do next."""

    code: str
    evidence: str
    action: str


@dataclass(frozen=True)
class NotJudged:
    """One rule that could not be judged, and why."""

    code: str
    reason: str


@dataclass(frozen=True)
class Case:
    """What the rules look at. ``trials``: the launches that ended well.

    ``parity``, ``tolerance``: largest difference from the host's fp32 output and what is allowed.
    ``mismatch``: why the outputs cannot even be subtracted (not finite, another shape), or None.
    ``first``: the number of the first launch, for the evidence.
    """

    condition: Condition
    header: RunHeader
    trials: tuple[TrialMessage, ...]
    parity: Figure
    tolerance: float | None
    mismatch: str | None = None
    first: int = 1


Rule = Callable[[Case], Finding | NotJudged | None]


def states(trial: TrialMessage) -> tuple[BoardState, BoardState] | None:
    """What was read before and after one launch; None for agents that did not read it."""
    ends = trial.telemetry and (trial.telemetry.before, trial.telemetry.after)
    found = [end.state for end in ends or () if end is not None and end.state is not None]
    return (found[0], found[1]) if len(found) == 2 else None


def points(trial: TrialMessage) -> tuple[TelemetryPoint, ...]:
    """The readings of the board before, during and after one launch, in the order of time."""
    return trial.telemetry.points() if trial.telemetry else ()
