"""What a metric is, and what a figure is: the types of the table of metrics (``table``).

A figure is never bare: ``Figure`` holds value, unit, interval and count, and where the value or
the interval is null, the reason. Nothing that could not be measured is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from edgebench.results.metrics.intervals import PLAIN, Scale
from edgebench.results.metrics.launches import Draw, own_quantile, samples_of
from edgebench.results.metrics.statistics import Floats
from edgebench.results.records.messages import TrialMessage

# What of a launch a metric speaks of: a verdict's code spoils some aspects and not others.
Aspect = Literal["file", "timing", "memory", "outputs"]

# How a figure is made of what was drawn, which also settles its interval:
# file      read from the model file: exact, no interval
# typical   one value a launch; the geometric mean, Student's t on the log scale
# mean      one value a launch, a share or a time that may be 0; the mean, Student's t
# largest   one value a launch; the largest, which is no estimate and has no interval
# clips     sums over clips; jackknife over speakers on the metric's scale
# drop      the parent's clips metric minus the artifact's; jackknife over the speakers of both
# ratio     two artifacts' launches of one round; geometric mean of the ratios, Student's t on the log scale
# changes   clips that the parent and the artifact classify differently: exact, no interval
# parity    largest difference from the host's outputs: exact, no interval
Statistic = Literal["file", "typical", "mean", "largest", "clips", "drop", "changes", "ratio", "parity"]


@dataclass(frozen=True)
class Quantile:
    """A quantile of a launch's own samples: which one, and of which samples."""

    q: float
    samples: Callable[[TrialMessage], Floats] = samples_of


@dataclass(frozen=True)
class Metric:
    """One row of the table.

    ``draw``: one launch's value, for statistics over launches; ``quantile`` where it is a quantile of
    the launch's samples. ``scale``: where the interval of a statistic over clips is made. ``of``: the
    emotion, the dimension or the metric that the row is about. ``scenarios``: where it is measured.
    ``counts``: what ``Figure.n`` counts (samples, for a quantile). ``absent``: why a launch may say
    nothing of it.
    ``compared``: whether ``compare`` takes ratios or differences of it. ``public``: a name that every
    record of the JSON carries.
    """

    name: str
    unit: str
    better: Literal["lower", "higher"]
    title: str
    definition: str
    aspect: Aspect
    statistic: Statistic
    draw: Draw | None = None
    quantile: Quantile | None = None
    scale: Scale = PLAIN
    of: str = ""
    scenarios: tuple[str, ...] = ("single_stream", "offline", "sustained")
    counts: Literal["launches", "utterances", "clips"] = "launches"
    absent: str = "the agent did not measure it"
    compared: bool = True
    public: bool = True

    @property
    def exact(self) -> bool:
        """Whether the figure is a fact, not an estimate."""
        return self.statistic in {"file", "largest", "changes", "parity"}

    @property
    def drawn(self) -> Draw | None:
        """What a launch says of it, or None for what launches say nothing of."""
        if self.quantile is not None:
            return own_quantile(self.quantile.q, self.quantile.samples)
        return self.draw


@dataclass(frozen=True)
class Figure:
    """One measured metric. ``n``: how many samples, launches, pairs or clips it stands on.

    ``reason`` says why the value is null, or else why the interval is.
    """

    value: float | int | None
    unit: str
    lo: float | None = None
    hi: float | None = None
    n: int = 0
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The public form; ``reason`` only where something is null."""
        found: dict[str, Any] = {
            "value": self.value,
            "unit": self.unit,
            "lo": self.lo,
            "hi": self.hi,
            "n": self.n,
        }
        if self.reason is not None:
            found["reason"] = self.reason
        return found
