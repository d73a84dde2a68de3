"""95 % intervals that hold what they promise with few clusters, and the p-values that go with them.

A cluster is what would be drawn anew if somebody repeated the measurement: a launch, a pair of
launches of one round, a speaker. Samples of one launch share its memory layout and its moment, and
clips of one speaker share the voice, so clusters are counted, never samples or clips.

Every interval is Student's t on a suitable scale:

- launches: one value a launch, on the log scale (``mean_of``);
- ratios within a run: the log ratio of the two launches of one round (``mean_of``);
- ratios between runs: Welch's t on the log scale (``difference_of``);
- speakers: the delete-one-speaker jackknife, with one degree of freedom less than speakers
  (``jackknife``); UA, WA and F1 on the logit scale, CCC on Fisher's z, drops on their own scale.

Why these: ``docs/decisions/0021-intervals-and-comparisons.md``. ``python -m benchmarks.coverage``
measures how often each holds the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgebench.results.metrics.statistics import Floats
from edgebench.results.metrics.student import two_sided_p, two_sided_quantile

CONFIDENCE = 0.95
# Fewer clusters than this have no interval. Launches of one file may run on two levels, some 10 %
# apart (memory layout, a neighbour on a shared host). All of 3 launches lie on one level in 25 % of
# runs, all of 4 in 12 %, and then every interval is short and far from the truth; of 5 in 6 %.
MIN_CLUSTERS = 5
# The plan never asks for more clusters than this.
MAX_CLUSTERS = 10_000


@dataclass(frozen=True)
class Interval:
    """A 95 % interval, or null with the reason why there is none."""

    lo: float | None
    hi: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Scale:
    """A scale on which an estimate is closer to normal: there, back, and the slope of the way there."""

    there: Callable[[float], float]
    back: Callable[[float], float]
    slope: Callable[[float], float]
    # Open ends of the values that the scale can hold.
    low: float = -math.inf
    high: float = math.inf


def _expit(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))


PLAIN = Scale(lambda x: x, lambda x: x, lambda _: 1.0)
LOG = Scale(math.log, math.exp, lambda x: 1 / x, low=0.0)
LOGIT = Scale(lambda x: math.log(x / (1 - x)), _expit, lambda x: 1 / (x * (1 - x)), low=0.0, high=1.0)
FISHER_Z = Scale(math.atanh, math.tanh, lambda x: 1 / (1 - x * x), low=-1.0, high=1.0)


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error and the degrees of freedom of that error.

    ``clusters``: how many clusters it stands on (the smaller number, where two sets were compared).
    ``cluster``: what they are, for the reason of a missing interval.
    """

    value: float
    error: float
    df: float
    clusters: int
    cluster: str

    @property
    def problem(self) -> str | None:
        """Why there is no interval, or None."""
        if self.clusters < MIN_CLUSTERS:
            many = f"{self.clusters} {self.cluster}{'' if self.clusters == 1 else plural(self.cluster)}"
            return f"{many}; an interval needs {MIN_CLUSTERS}"
        if not (math.isfinite(self.value) and math.isfinite(self.error)):
            return f"undefined once one {self.cluster} is left out"
        return None

    def interval(self, scale: Scale = PLAIN) -> Interval:
        """The 95 % interval, made on ``scale`` and brought back.

        The error is carried to the scale by the scale's slope at the value (the delta method).
        """
        if self.problem is not None:
            return Interval(None, None, self.problem)
        if self.error == 0:
            return Interval(self.value, self.value)
        if not scale.low < self.value < scale.high:
            return Interval(None, None, f"the value is at the end of its range ({self.value:g})")
        half = two_sided_quantile(1 - CONFIDENCE, self.df) * self.error * scale.slope(self.value)
        middle = scale.there(self.value)
        return Interval(scale.back(middle - half), scale.back(middle + half))

    def exp_interval(self) -> Interval:
        """The interval of ``exp(value)``, for an estimate that was made of logarithms."""
        found = self.interval()
        if found.lo is None or found.hi is None:
            return found
        return Interval(math.exp(found.lo), math.exp(found.hi))

    def p_value(self) -> float | None:
        """The two-sided p-value of "the truth is 0"; None where there is no interval.

        It is below 0.05 exactly where the 95 % interval (on the plain scale) leaves 0 out.
        """
        if self.problem is not None:
            return None
        if self.error == 0:
            return 1.0 if self.value == 0 else 0.0
        return two_sided_p(self.value / self.error, self.df)


def plural(cluster: str) -> str:
    """The ending that makes ``cluster`` a plural.

    >>> "launch" + plural("launch"), "pair" + plural("pair")
    ('launches', 'pairs')
    """
    return "es" if cluster.endswith("ch") else "s"


def mean_of(values: npt.ArrayLike, *, cluster: str) -> Estimate:
    """The mean of one value a cluster, ``values (clusters,)``, with its standard error.

    Raises ValueError for no values.
    """
    found = np.asarray(values, dtype=np.float64)
    count = found.size
    if count == 0:
        raise ValueError(f"no {cluster} to take a mean of")
    error = float(found.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan
    return Estimate(float(found.mean()), error, max(count - 1, 1), count, cluster)


def difference_of(before: npt.ArrayLike, after: npt.ArrayLike, *, cluster: str) -> Estimate:
    """Mean of ``after`` minus mean of ``before``, two independent sets of clusters (Welch 1947).

    The degrees of freedom are Welch and Satterthwaite's. Raises ValueError for no values.
    """
    first, second = mean_of(before, cluster=cluster), mean_of(after, cluster=cluster)
    parts = [(one.error**2, one.df) for one in (first, second)]
    variance = sum(part for part, _ in parts)
    weight = sum(part**2 / df for part, df in parts)
    df = variance**2 / weight if weight > 0 else first.df + second.df
    clusters = min(first.clusters, second.clusters)
    return Estimate(second.value - first.value, math.sqrt(variance), df, clusters, cluster)


def jackknife(sums: npt.ArrayLike, statistic: Callable[[Floats], Floats], *, cluster: str) -> Estimate:
    """A statistic of sums over clusters, its error by leaving out one cluster at a time.

    ``sums (clusters, k)``: what each cluster adds (counts of a confusion matrix, moments of a
    correlation). ``statistic`` takes sums ``(..., k)`` and gives values ``(...)``. The squared
    deviations are taken from the full value (Efron and Tibshirani 1993, section 11.2).
    """
    rows = np.asarray(sums, dtype=np.float64)
    count = rows.shape[0]
    total = rows.sum(axis=0)
    value = float(statistic(total))
    if count < 2:
        return Estimate(value, math.nan, 1, count, cluster)
    without = np.asarray(statistic(total - rows), dtype=np.float64)
    error = math.sqrt((count - 1) / count * float(np.sum((without - value) ** 2)))
    return Estimate(value, error, count - 1, count, cluster)


def halfwidth(deviation: float, clusters: int) -> float:
    """Half the width of the 95 % interval of a mean over ``clusters``.

    ``deviation``: the standard deviation of one cluster's value. On the log scale, 0.01 is 1 %.
    """
    return two_sided_quantile(1 - CONFIDENCE, clusters - 1) * deviation / math.sqrt(clusters)


def launches_needed(deviation: float, halfwidth_wanted: float) -> int:
    """The least number of launches whose 95 % interval is at most ``halfwidth_wanted`` to each side.

    ``deviation``: the standard deviation of the natural logarithm of one launch's value (0.01 is 1 %).
    For a ratio within a run take that of the pairs: sqrt(2) times a launch's, where the two files
    scatter alike and independently. Never less than MIN_CLUSTERS. Raises ValueError for a width
    that is not positive, or that more than MAX_CLUSTERS launches would be needed for.

    >>> launches_needed(0.01, 0.01), launches_needed(0.03, 0.03), launches_needed(0.001, 0.05)
    (7, 7, 5)
    """
    if not halfwidth_wanted > 0:
        raise ValueError(f"a half width is above 0, not {halfwidth_wanted}")
    low, high = MIN_CLUSTERS, MIN_CLUSTERS
    while halfwidth(deviation, high) > halfwidth_wanted:
        if high > MAX_CLUSTERS:
            raise ValueError(f"more than {MAX_CLUSTERS} launches would be needed")
        low, high = high, 2 * high
    while low < high:  # the half width falls with every launch more
        middle = (low + high) // 2
        low, high = (low, middle) if halfwidth(deviation, middle) <= halfwidth_wanted else (middle + 1, high)
    return low
