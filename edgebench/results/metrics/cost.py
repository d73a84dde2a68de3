"""Cost figures of one condition: what the file says, and what its launches say.

``trials`` are the launches of one condition that ended well. The rows of ``table`` say which
metrics there are, how each is drawn from a launch and which statistic makes a figure of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgebench.results.metrics.intervals import Interval, mean_of
from edgebench.results.metrics.launches import samples_needed, work_of
from edgebench.results.metrics.metric import Figure, Metric, Quantile
from edgebench.results.metrics.statistics import quantile
from edgebench.results.metrics.table import LARGEST, METRICS, exact, figure, missing
from edgebench.results.records.messages import TrialMessage
from edgebench.results.records.record import ArtifactFacts, Condition

NO_LAUNCH = "no launch ended well"
# Why a metric of other scenarios has no figure in this one.
_ELSEWHERE = {
    "offline": "offline measures throughput: an utterance's time follows its length",
    "single_stream": "single_stream measures a fixed input, for a short time",
    "sustained": "a sustained launch changes in time: its first and last minute are told apart",
}


def cost_figures(
    artifact: ArtifactFacts | None, condition: Condition, trials: Sequence[TrialMessage]
) -> dict[str, Figure]:
    """Every cost figure of one condition. CPU time only where the agent measured it."""
    figures = file_figures(artifact, condition)
    for metric in METRICS.values():
        if metric.statistic not in {"typical", "mean", "largest"}:
            continue
        found = launch_figure(metric, condition, trials)
        if metric.public or found.value is not None:
            figures[metric.name] = found
    return figures


def file_figures(artifact: ArtifactFacts | None, condition: Condition) -> dict[str, Figure]:
    """size_bytes, parameters, macs: exact, read from the file."""
    names = ("size_bytes", "parameters", "macs")
    if artifact is None:
        return {name: missing(name, "the null runtime has no model file") for name in names}
    figures = {"size_bytes": exact("size_bytes", artifact.size_bytes)}
    if artifact.parameters is None:
        figures["parameters"] = missing("parameters", "the file's parameters could not be counted")
    else:
        figures["parameters"] = exact("parameters", artifact.parameters)
    macs = None if condition.input_s is None else artifact.macs_at(condition.input_s)
    if macs is not None:
        figures["macs"] = exact("macs", macs)
    elif condition.input_s is None:
        figures["macs"] = missing(
            "macs", "the clips of a corpus differ in length: see the single_stream records"
        )
    else:
        why = artifact.why_no_macs or f"the MACs at {condition.input_s:g} s were not counted"
        figures["macs"] = missing("macs", why)
    return figures


def launch_values(metric: Metric, condition: Condition, trials: Sequence[TrialMessage]) -> list[float | None]:
    """What each launch says of ``metric``, in order; None where a launch says nothing."""
    draw = metric.drawn
    if draw is None or condition.scenario not in metric.scenarios:
        return [None] * len(trials)
    return [draw(condition, trial) for trial in trials]


def launch_figure(metric: Metric, condition: Condition, trials: Sequence[TrialMessage]) -> Figure:
    """The figure of one metric over launches: the typical launch's, or the largest.

    The typical launch's value is the geometric mean, so that the ratio of two figures is the mean
    ratio of their launches, and its interval is Student's t on the log scale.
    """
    name = metric.name
    if condition.scenario not in metric.scenarios:
        return missing(name, _ELSEWHERE[condition.scenario])
    values = [value for value in launch_values(metric, condition, trials) if value is not None]
    if metric.quantile is not None and len(values) < len(trials):
        return _pooled(name, metric.quantile, trials)
    if not values:
        return missing(name, metric.absent if trials else NO_LAUNCH)
    if metric.statistic == "largest":
        return exact(name, max(values), n=len(values), reason=LARGEST)
    if metric.statistic == "mean":
        return _mean(metric, values)
    return _typical(metric, values, _count(metric, condition, trials, len(values)))


def _mean(metric: Metric, values: Sequence[float]) -> Figure:
    interval = mean_of(values, cluster="launch").interval()
    if metric.unit == "1" and interval.lo is not None and interval.hi is not None:
        interval = Interval(max(0.0, interval.lo), min(1.0, interval.hi))  # a share
    return figure(metric.name, float(np.mean(values)), interval, n=len(values))


def _typical(metric: Metric, values: Sequence[float], count: int) -> Figure:
    name = metric.name
    if min(values) <= 0:
        # Memory that shrank, or a clock that stood still: no typical ratio, but a plain middle.
        reason = "a launch measured 0 or less, which has no logarithm"
        return figure(name, float(np.median(values)), Interval(None, None, reason), n=len(values))
    # Against the first launch, so that one launch, or several that agree, keep their digits.
    first = values[0]
    estimate = mean_of(np.log(np.array(values) / first), cluster="launch")
    found = estimate.exp_interval()
    interval = found if found.lo is None or found.hi is None else Interval(found.lo * first, found.hi * first)
    return figure(name, math.exp(estimate.value) * first, interval, n=count)


def _pooled(name: str, wanted: Quantile, trials: Sequence[TrialMessage]) -> Figure:
    """A quantile of all samples together, where launches are too short for one of their own."""
    samples = [wanted.samples(trial) for trial in trials]
    pooled = np.concatenate(samples) if samples else np.zeros(0)
    needed = samples_needed(wanted.q)
    if not pooled.size:
        return missing(name, NO_LAUNCH if not trials else "the agent did not measure it")
    if pooled.size < needed:
        return missing(name, f"this quantile needs {needed} samples; {pooled.size} were measured")
    # The same words for every row: a report says them once.
    reason = f"of all launches pooled: some have fewer than the {needed} samples a launch needs for its own"
    return figure(
        name,
        quantile(pooled, wanted.q),
        Interval(None, None, reason),
        n=int(pooled.size),
    )


def _count(metric: Metric, condition: Condition, trials: Sequence[TrialMessage], launches: int) -> int:
    """What the figure stands on: samples, utterances or launches."""
    if metric.quantile is not None:
        return int(sum(metric.quantile.samples(trial).size for trial in trials))
    if metric.counts == "utterances":
        return int(sum(work[0] for trial in trials if (work := work_of(condition, trial)) is not None))
    return launches
