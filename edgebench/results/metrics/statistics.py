"""Quantiles and intervals. Plain functions of arrays; numpy only; seeded, so a report repeats.

Quantiles are Hyndman and Fan's type 7 (linear interpolation between order statistics, numpy's
default; Hyndman and Fan 1996, The American Statistician 50, 361-365).

Intervals are 95 % percentile bootstrap intervals, and what is resampled is what would be drawn
anew if somebody repeated the measurement:

- latency: process launches, then samples within each drawn launch (hierarchical). Samples of one
  launch share its memory layout and its moment, so resampling them alone would promise far too
  much. With three to five launches the interval is still somewhat too narrow, as every bootstrap
  over few clusters is: it is a floor of the doubt.
- accuracy: speakers, with all their clips (clusters). Differences between two models are paired:
  both are scored on the same drawn speakers.

One cluster says nothing about the next, so its interval is null with a reason.

BCa is not used: its acceleration is a jackknife over clusters, of which there are three here and
ten there, too few to estimate a skewness from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95
LATENCY_REPLICATES = 1000
CLUSTER_REPLICATES = 2000
# Subsample rule of the latency bootstrap: a launch with more samples than this is represented by
# so many of its order statistics, evenly spaced in rank. Its distribution stays; the part of the
# interval that comes from within a launch is that of so many samples, so it can only widen.
SAMPLES_PER_LAUNCH = 1024
# Elements of one block of replicates: bounds memory at about 32 MB whatever was measured.
BLOCK_ELEMENTS = 2_000_000
# Above this share of undefined replicates (a class nobody drew, say) there is no interval.
MAX_UNDEFINED = 0.1


@dataclass(frozen=True)
class Interval:
    """A 95 % interval, or null with the reason why there is none."""

    lo: float | None
    hi: float | None
    reason: str | None = None


def quantile(samples: npt.ArrayLike, q: float) -> float:
    """The ``q`` quantile (0..1) of ``samples (n,)``, type 7. Raises ValueError for no samples."""
    values = np.asarray(samples, dtype=np.float64)
    if values.size == 0:
        raise ValueError("no samples to take a quantile of")
    return float(np.quantile(values, q))


def mad(samples: npt.ArrayLike) -> float:
    """Median absolute deviation from the median, not scaled, in the unit of ``samples (n,)``."""
    values = np.asarray(samples, dtype=np.float64)
    return float(np.median(np.abs(values - np.median(values))))


def percentile_interval(replicates: npt.ArrayLike) -> Interval:
    """The 95 % percentile interval of ``replicates (r,)``; undefined ones are NaN and left out."""
    values = np.asarray(replicates, dtype=np.float64)
    defined = values[np.isfinite(values)]
    if defined.size < (1 - MAX_UNDEFINED) * values.size or not defined.size:
        return Interval(None, None, "undefined in more than a tenth of the bootstrap replicates")
    lo, hi = np.quantile(defined, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(lo), float(hi))


def launch_quantiles(
    launches: Sequence[npt.ArrayLike],
    quantiles: Sequence[float],
    *,
    seed: int,
    replicates: int = LATENCY_REPLICATES,
) -> Floats:
    """Bootstrap replicates ``(replicates, quantiles)`` of quantiles over pooled launches.

    ``launches``: samples ``(n,)`` of each process launch. A replicate draws as many launches as
    there are, with replacement, then from each drawn launch as many samples as it has, with
    replacement, pools them and takes the quantiles. See SAMPLES_PER_LAUNCH for long launches.
    """
    kept = [_thin(np.sort(np.asarray(launch, dtype=np.float64))) for launch in launches]
    if not kept or any(launch.size == 0 for launch in kept):
        raise ValueError("every launch needs samples")
    sizes = np.array([launch.size for launch in kept])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    pool = np.concatenate(kept)
    rng = np.random.default_rng(seed)
    width = int(sizes.max())
    block = max(1, BLOCK_ELEMENTS // (width * len(kept)))
    found = np.empty((replicates, len(quantiles)))
    for low in range(0, replicates, block):
        rows = min(block, replicates - low)
        drawn = rng.integers(0, len(kept), size=(rows, len(kept)))
        # Uniform in [0, size of the drawn launch): one column a sample, short launches padded.
        picks = (rng.random((rows, len(kept), width)) * sizes[drawn][:, :, None]).astype(np.int64)
        values = pool[starts[drawn][:, :, None] + picks]
        if np.all(sizes == width):
            found[low : low + rows] = np.quantile(values.reshape(rows, -1), quantiles, axis=1).T
        else:
            padding = np.arange(width)[None, None, :] >= sizes[drawn][:, :, None]
            values[padding] = np.nan
            found[low : low + rows] = _nan_quantiles(values.reshape(rows, -1), quantiles)
    return found


def latency_intervals(
    launches: Sequence[npt.ArrayLike], quantiles: Sequence[float], *, seed: int
) -> list[Interval]:
    """95 % intervals of the quantiles over process launches; null for fewer than two launches."""
    if len(launches) < 2:
        return [Interval(None, None, "one process launch says nothing about the next")] * len(quantiles)
    replicates = launch_quantiles(launches, quantiles, seed=seed)
    return [percentile_interval(replicates[:, column]) for column in range(len(quantiles))]


def cluster_replicates(
    sums: npt.ArrayLike,
    statistic: Callable[[Floats], Floats],
    *,
    seed: int,
    replicates: int = CLUSTER_REPLICATES,
) -> Floats:
    """Bootstrap replicates over clusters of a statistic that is a function of sums.

    ``sums (clusters, k)``: what each cluster adds (counts of a confusion matrix, moments of a
    correlation, one launch's value). A replicate draws as many clusters as there are, with
    replacement, adds their rows and hands ``(replicates, k)`` to ``statistic``. Everything here
    is such a function, so no clip is ever copied.
    """
    rows = np.asarray(sums, dtype=np.float64)
    rng = np.random.default_rng(seed)
    count = rows.shape[0]
    weights = rng.multinomial(count, np.full(count, 1 / count), size=replicates)
    return np.asarray(statistic(weights @ rows), dtype=np.float64)


def cluster_interval(
    sums: npt.ArrayLike, statistic: Callable[[Floats], Floats], *, seed: int, cluster: str
) -> Interval:
    """95 % interval over clusters (see ``cluster_replicates``); ``cluster`` names what they are."""
    rows = np.asarray(sums, dtype=np.float64)
    if rows.shape[0] < 2:
        return Interval(None, None, f"one {cluster} says nothing about the next")
    return percentile_interval(cluster_replicates(rows, statistic, seed=seed))


def value_replicates(
    values: npt.ArrayLike,
    estimate: Callable[..., Any],
    *,
    seed: int,
    replicates: int = CLUSTER_REPLICATES,
) -> Floats:
    """Bootstrap replicates ``(replicates,)`` of ``estimate(drawn, axis=1)`` over ``values (n,)``."""
    found = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(seed)
    drawn = found[rng.integers(0, found.size, size=(replicates, found.size))]
    return np.asarray(estimate(drawn, axis=1), dtype=np.float64)


def value_interval(values: npt.ArrayLike, estimate: Callable[..., Any], *, seed: int) -> Interval:
    """95 % interval of one value a launch (load time, peak RSS) over launches."""
    found = np.asarray(values, dtype=np.float64)
    if found.size < 2:
        return Interval(None, None, "one process launch says nothing about the next")
    return percentile_interval(value_replicates(found, estimate, seed=seed))


def ratio_interval(base: Floats, other: Floats) -> Interval:
    """95 % interval of other / base from independent replicates ``(r,)`` of both."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return percentile_interval(other / base)


def _thin(ordered: Floats) -> Floats:
    if ordered.size <= SAMPLES_PER_LAUNCH:
        return ordered
    ranks = (np.arange(SAMPLES_PER_LAUNCH) + 0.5) * ordered.size / SAMPLES_PER_LAUNCH
    return ordered[ranks.astype(np.int64)]


def _nan_quantiles(values: Floats, quantiles: Sequence[float]) -> Floats:
    """Type 7 quantiles ``(rows, quantiles)`` of each row, NaN padding left out."""
    ordered = np.sort(values, axis=1)  # NaN sorts to the end
    counts = np.sum(~np.isnan(ordered), axis=1)
    rows = np.arange(values.shape[0])
    found = np.empty((values.shape[0], len(quantiles)))
    for column, q in enumerate(quantiles):
        place = (counts - 1) * q
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, counts - 1)
        share = place - low
        found[:, column] = ordered[rows, low] * (1 - share) + ordered[rows, high] * share
    return found
