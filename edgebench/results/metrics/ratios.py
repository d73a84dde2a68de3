"""Ratios of two files' launches: paired by round within a run, unpaired between runs.

Launches of one round are neighbours in time, so what drifts or disturbs both of a pair leaves
their ratio alone. A launch that failed, or that says nothing of a metric, takes its pair with it.
Everything is done with the launches' own values on the log scale: the ratio of two files is the
geometric mean of the ratios of their launches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgebench.results.metrics.cost import launch_values
from edgebench.results.metrics.intervals import Estimate, Interval, difference_of, mean_of
from edgebench.results.metrics.metric import Metric
from edgebench.results.metrics.statistics import Floats
from edgebench.results.records.record import EnergyRecord, TrialRecord

Launch = TrialRecord | EnergyRecord


@dataclass(frozen=True)
class Ratio:
    """One metric of two files, the second over the first.

    ``estimate``: of the natural logarithm of the ratio; None where no two launches can be compared.
    ``reason``: why there is no ratio at all, or None.
    """

    estimate: Estimate | None
    reason: str | None = None

    @property
    def value(self) -> float | None:
        """The ratio."""
        return None if self.estimate is None else math.exp(self.estimate.value)

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the ratio."""
        return Interval(None, None, self.reason) if self.estimate is None else self.estimate.exp_interval()

    @property
    def clusters(self) -> int:
        """Pairs, or the launches of the run that has fewer."""
        return 0 if self.estimate is None else self.estimate.clusters


def by_round(trials: Sequence[Launch]) -> dict[int, Launch]:
    """Round -> its launch that ended well; the last one, where a launch was repeated."""
    return {line.round: line for line in trials if line.trial.status == "ok"}


def paired_ratio(metric: Metric, base: Sequence[Launch], other: Sequence[Launch]) -> Ratio:
    """``other`` over ``base``, launches of one condition each, paired by round."""
    first, second = by_round(base), by_round(other)
    rounds = [number for number in first if number in second]
    if not rounds:
        return Ratio(None, "no round holds a launch of both that ended well")
    logs = [
        after - before
        for before, after in zip(
            _logs(metric, [first[number] for number in rounds]),
            _logs(metric, [second[number] for number in rounds]),
            strict=True,
        )
    ]
    defined = [value for value in logs if math.isfinite(value)]
    if not defined:
        return Ratio(None, "no round holds two launches that say something of it")
    return Ratio(mean_of(defined, cluster="pair"))


def unpaired_ratio(metric: Metric, before: Sequence[Launch], after: Sequence[Launch]) -> Ratio:
    """``after`` over ``before``, launches of one condition in two runs."""
    parts = [_logs(metric, list(by_round(trials).values())) for trials in (before, after)]
    first, second = (part[np.isfinite(part)] for part in parts)
    if not (first.size and second.size):
        return Ratio(None, "one of the runs has no launch that says something of it")
    return Ratio(difference_of(first, second, cluster="launch"))


def _logs(metric: Metric, lines: Sequence[Launch]) -> Floats:
    """The natural logarithm of each launch's value; NaN where it says nothing or is not above 0."""
    if not lines:
        return np.zeros(0)
    values = launch_values(metric, lines[0].condition, [line.trial for line in lines])
    return np.array([math.log(v) if v is not None and v > 0 else math.nan for v in values])
