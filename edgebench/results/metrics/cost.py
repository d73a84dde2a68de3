"""Cost figures of one condition from its launches: time, memory, and what the file itself says.

``launches`` are the trials of one condition that ended well. Each figure's definition is in the
table of ``metrics``; here stands how its interval is made.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgebench.results.metrics import statistics
from edgebench.results.metrics.statistics import Floats
from edgebench.results.metrics.table import METRICS, Figure, exact, figure, missing
from edgebench.results.records.messages import TrialMessage
from edgebench.results.records.record import ArtifactFacts, Condition

LATENCY = {"latency_p50_ns": 0.50, "latency_p90_ns": 0.90, "latency_p99_ns": 0.99}
NO_LAUNCH = "no launch ended well"


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
        figures["macs"] = missing("macs", f"the MACs at {condition.input_s:g} s were not counted")
    return figures


def launch_samples(launches: Sequence[TrialMessage]) -> list[Floats]:
    """Samples ``(n,)`` in nanoseconds of each launch that has any."""
    found = [np.asarray(trial.samples_ns or (), dtype=np.float64) for trial in launches]
    return [samples for samples in found if samples.size]


def launch_values(name: str, launches: Sequence[TrialMessage]) -> list[int]:
    """One value a launch of load_ns, first_inference_ns, peak_rss_bytes or model_rss_bytes."""
    values: list[int] = []
    for trial in launches:
        marks = trial.memory.marks if trial.memory else {}
        if name in ("load_ns", "first_inference_ns"):
            value = getattr(trial, name)
            values += [] if value is None else [int(value)]
        elif marks and (name == "peak_rss_bytes" or "runtime" in marks):
            peak = max(mark.hwm_bytes for mark in marks.values())
            values.append(peak if name == "peak_rss_bytes" else peak - marks["runtime"].rss_bytes)
    return values


def launch_work(condition: Condition, launches: Sequence[TrialMessage]) -> Floats:
    """What each launch did, ``(launches, 3)``: utterances, time in ns, audio in ns."""
    works = [work for trial in launches if (work := _work(condition, trial)) is not None]
    return np.array(works, dtype=np.float64).reshape(-1, 3)


def latency_figures(
    condition: Condition, launches: Sequence[TrialMessage], *, seed: int
) -> dict[str, Figure]:
    """latency_p50/p90/p99_ns: quantiles of the pooled samples, intervals over launches.

    A quantile q needs at least 1 / (1 - q) samples, else its value would be the largest sample.
    """
    if condition.scenario == "offline":
        reason = "offline measures throughput: an utterance's time follows its length"
        return {name: missing(name, reason) for name in LATENCY}
    samples = launch_samples(launches)
    if not samples:
        return {name: missing(name, NO_LAUNCH) for name in LATENCY}
    pooled = np.concatenate(samples)
    intervals = statistics.latency_intervals(samples, list(LATENCY.values()), seed=seed)
    figures = {}
    for (name, q), interval in zip(LATENCY.items(), intervals, strict=True):
        least = round(1 / (1 - q))
        if pooled.size < least:
            figures[name] = missing(name, f"this quantile needs {least} samples; {pooled.size} were measured")
        else:
            figures[name] = figure(name, statistics.quantile(pooled, q), interval, n=int(pooled.size))
    return figures


def start_figures(launches: Sequence[TrialMessage], *, seed: int) -> dict[str, Figure]:
    """load_ns, first_inference_ns: median over launches, interval over launches."""
    figures = {}
    for name in ("load_ns", "first_inference_ns"):
        values = launch_values(name, launches)
        if not values:
            figures[name] = missing(name, NO_LAUNCH if not launches else "the agent did not measure it")
            continue
        interval = statistics.value_interval(values, np.median, seed=seed)
        figures[name] = figure(name, float(np.median(values)), interval, n=len(values))
    return figures


def throughput_figures(
    condition: Condition, launches: Sequence[TrialMessage], latency_p50: Figure, *, seed: int
) -> dict[str, Figure]:
    """throughput_utterances_per_s and real_time_factor.

    Offline only whole passes over the pack count, so that every clip weighs the same; a bootstrap
    replicate divides the drawn launches' utterances by the drawn launches' time.
    """
    names = ("throughput_utterances_per_s", "real_time_factor")
    sums = launch_work(condition, launches)
    if not len(sums):
        reason = "no launch made a whole pass over the corpus" if launches else NO_LAUNCH
        return {name: missing(name, reason) for name in names}
    count = int(sums[:, 0].sum())

    def throughput(drawn: Floats) -> Floats:
        return np.asarray(drawn[..., 0] / drawn[..., 1] * 1e9)

    def real_time(drawn: Floats) -> Floats:
        return np.asarray(drawn[..., 1] / drawn[..., 2])

    total = sums.sum(axis=0)
    interval = statistics.cluster_interval(sums, throughput, seed=seed, cluster="process launch")
    figures = {names[0]: figure(names[0], float(throughput(total)), interval, n=count)}
    if condition.scenario == "single_stream" and condition.input_s:
        figures[names[1]] = _scaled(names[1], latency_p50, 1 / (condition.input_s * 1e9))
    elif total[2] > 0:
        interval = statistics.cluster_interval(sums, real_time, seed=seed, cluster="process launch")
        figures[names[1]] = figure(names[1], float(real_time(total)), interval, n=count)
    else:
        figures[names[1]] = missing(names[1], "the length of the audio is not known")
    return figures


def memory_figures(launches: Sequence[TrialMessage], *, seed: int) -> dict[str, Figure]:
    """peak_rss_bytes, model_rss_bytes: the largest of the launches.

    A launch's peak is the highest VmHWM of its marks (the mark "end" alone where the agent never
    reset it); the bootstrap of a maximum cannot exceed it, so ``hi`` is the value itself.
    """
    figures = {}
    for name in ("peak_rss_bytes", "model_rss_bytes"):
        values = launch_values(name, launches)
        if not values:
            figures[name] = missing(name, NO_LAUNCH if not launches else "the agent set no memory marks")
            continue
        interval = statistics.value_interval(values, np.max, seed=seed)
        figures[name] = figure(name, max(values), interval, n=len(values))
    return figures


def cost_figures(
    artifact: ArtifactFacts | None, condition: Condition, launches: Sequence[TrialMessage], *, seed: int
) -> dict[str, Figure]:
    """Every cost figure of one condition."""
    latency = latency_figures(condition, launches, seed=seed)
    return {
        **file_figures(artifact, condition),
        **start_figures(launches, seed=seed),
        **latency,
        **throughput_figures(condition, launches, latency["latency_p50_ns"], seed=seed),
        **memory_figures(launches, seed=seed),
    }


def _work(condition: Condition, trial: TrialMessage) -> tuple[float, float, float] | None:
    """(utterances, time in ns, audio in ns) of one launch, whole passes only."""
    samples = trial.samples_ns or ()
    if condition.scenario == "single_stream":
        audio_ns = len(samples) * (condition.input_s or 0.0) * 1e9
        return (float(len(samples)), float(sum(samples)), audio_ns) if samples else None
    clips = len(trial.predictions.clips) if trial.predictions else 0
    passes = len(samples) // clips if clips else 0
    if not passes or trial.predictions is None:
        return None
    whole = samples[: passes * clips]
    return float(len(whole)), float(sum(whole)), passes * (trial.predictions.audio_s or 0.0) * 1e9


def _scaled(name: str, source: Figure, factor: float) -> Figure:
    """``source`` in another unit."""
    if source.value is None:
        return missing(name, source.reason or NO_LAUNCH)
    lo = None if source.lo is None else source.lo * factor
    hi = None if source.hi is None else source.hi * factor
    return Figure(source.value * factor, METRICS[name].unit, lo, hi, source.n, source.reason)
