"""What the intervals of a run will be good for, said before it: how wide, and how many launches would do.

How much the ratio of two launches of one round scatters depends on the device and on what else runs
there. Where the store holds a run of the device, it is taken from the last one; else it is assumed.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgebench.errors import StoreError
from edgebench.harness.plan import NULL, Plan
from edgebench.results import RunHeader, Store, TrialRecord
from edgebench.results.metrics.intervals import MIN_CLUSTERS, halfwidth, launches_needed
from edgebench.results.metrics.ratios import paired_ratio
from edgebench.results.metrics.table import METRICS
from edgebench.results.records.launches import counted

# The deviation of the logarithm of a pair's CPU time ratio that is assumed of a device without a run.
# On a shared host of two cores it was 2 to 5 %, however busy the host was; on a quiet one 1 to 2 %.
ASSUMED_DEVIATION = 0.03
# A slowdown that a run should be able to see: an interval of more than this to each side is too wide.
WANTED = 0.03
# More launches than this are not proposed.
FEASIBLE = 60

_CPU, _WALL = "cpu_p50_ns", "latency_p50_ns"
_TITLES = {_CPU: "CPU time", _WALL: "wall time"}


@dataclass(frozen=True)
class Scatter:
    """The standard deviation of the natural logarithm of a pair's ratio, by metric.

    ``run_id``: the run that it was taken from, None where it is assumed.
    """

    deviations: dict[str, float]
    run_id: str | None = None


def scatter_of(store: Store, device: str) -> Scatter:
    """What the last complete run of ``device`` shows, over all its pairs of files; else the assumption."""
    for info in reversed(store.runs()):
        if info.device != device or info.status != "complete":
            continue
        try:
            lines = store.run(info.run_id)
        except StoreError:
            continue
        header = next((line for line in lines if isinstance(line, RunHeader)), None)
        trials = [line for line in lines if isinstance(line, TrialRecord)]
        found = {} if header is None else _deviations(counted(header, trials))
        if found:
            return Scatter(found, info.run_id)
    return Scatter({_CPU: ASSUMED_DEVIATION})


def _deviations(trials: Iterable[TrialRecord]) -> dict[str, float]:
    """The middle one over the conditions that two files share, for each metric that was measured."""
    inputs: dict[tuple[float | None, int], dict[str, list[TrialRecord]]] = {}
    for line in trials:
        condition = line.condition
        if condition.scenario == "single_stream" and condition.artifact != NULL:
            files = inputs.setdefault((condition.input_s, condition.threads), {})
            files.setdefault(f"{condition.artifact_sha256} {condition.runtime}", []).append(line)
    found: dict[str, float] = {}
    for metric in (_CPU, _WALL):
        scatters = []
        for files in inputs.values():
            base, *others = files.values()
            for other in others:
                estimate = paired_ratio(METRICS[metric], base, other).estimate
                if estimate is not None and estimate.clusters >= MIN_CLUSTERS:
                    scatters.append(estimate.error * math.sqrt(estimate.clusters))
        if scatters:
            found[metric] = statistics.median(scatters)
    return found


@dataclass(frozen=True)
class Outlook:
    """One metric's ratio in the run to come. ``halfwidth``: None where there will be no interval.

    ``needed``: the launches that would do, where those planned do not.
    """

    metric: str
    deviation: float
    launches: int
    halfwidth: float | None
    needed: int | None


def outlooks(plan: Plan, scatter: Scatter) -> list[Outlook]:
    """What ratios of single-stream times will be good for; none where nothing can be compared."""
    single = [c for c in plan.conditions if c.scenario == "single_stream" and c.runtime != NULL]
    inputs = {(c.input_s, c.threads) for c in single}
    if len(single) <= len(inputs):
        return []
    launches = sum(trial.condition == single[0] and trial.measures for trial in plan.trials)
    return [_outlook(metric, deviation, launches) for metric, deviation in scatter.deviations.items()]


def _outlook(metric: str, deviation: float, launches: int) -> Outlook:
    half = halfwidth(deviation, launches) if launches >= MIN_CLUSTERS else None
    wide = half is None or half > WANTED
    return Outlook(metric, deviation, launches, half, launches_needed(deviation, WANTED) if wide else None)


def sentences(found: Sequence[Outlook], scatter: Scatter) -> list[str]:
    """The outlook in words, a sentence for each metric (process CPU time, wall time)."""
    origin = f"as in run {scatter.run_id}" if scatter.run_id else "assumed: no earlier run of this device"
    return [_sentence(one, origin) for one in found]


def _sentence(one: Outlook, origin: str) -> str:
    title = _TITLES[one.metric]
    pairs = f"pairs that deviate by {one.deviation:.1%} ({origin})"
    if one.halfwidth is None:
        text = f"{title}: {one.launches} launches a condition give no interval of a ratio; with {pairs}"
    else:
        many = f"{one.launches} launches a condition"
        text = f"{title}: with {pairs}, {many} give a ratio to about ±{one.halfwidth:.1%}"
    if one.needed is None:
        return text
    text += "," if one.halfwidth is None else ";"
    if one.needed > FEASIBLE:
        return f"{text} ±{WANTED:.0%} would take {one.needed} launches: measure when less else runs there"
    return f"{text} {one.needed} launches would do for ±{WANTED:.0%} (--launches {one.needed})"
