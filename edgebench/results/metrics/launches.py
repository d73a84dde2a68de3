"""What one launch says of each metric: one number drawn from its record, or None.

A launch is one fresh process. Every figure of cost is made of these numbers and of nothing else,
so that a launch counts once however many samples it holds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebench.results.metrics.statistics import Floats, quantile
from edgebench.results.records.messages import TrialMessage
from edgebench.results.records.record import Condition

Draw = Callable[[Condition, TrialMessage], float | None]


def samples_of(trial: TrialMessage) -> Floats:
    """Wall time of each inference in nanoseconds, ``(samples,)``; empty where none was measured."""
    return np.asarray(trial.samples_ns or (), dtype=np.float64)


def cpu_samples_of(trial: TrialMessage) -> Floats:
    """CPU time of the process in each inference in nanoseconds, ``(samples,)``.

    Empty where the agent did not measure it.
    """
    return np.asarray(trial.samples_cpu_ns or (), dtype=np.float64)


def samples_needed(q: float) -> int:
    """The samples that a launch needs for its ``q`` quantile: with fewer, it would be the largest one.

    >>> samples_needed(0.5), samples_needed(0.9), samples_needed(0.99)
    (2, 10, 100)
    """
    return round(1 / (1 - q))


def own_quantile(q: float, samples: Callable[[TrialMessage], Floats] = samples_of) -> Draw:
    """The ``q`` quantile of the launch's own samples (type 7), where it has ``samples_needed``."""

    def draw(_: Condition, trial: TrialMessage) -> float | None:
        values = samples(trial)
        return quantile(values, q) if values.size >= samples_needed(q) else None

    return draw


def load_ns(_: Condition, trial: TrialMessage) -> float | None:
    """Time to make the session, as the agent measured it."""
    return None if trial.load_ns is None else float(trial.load_ns)


def first_inference_ns(_: Condition, trial: TrialMessage) -> float | None:
    """Time of the first inference."""
    return None if trial.first_inference_ns is None else float(trial.first_inference_ns)


def peak_rss_bytes(_: Condition, trial: TrialMessage) -> float | None:
    """The highest VmHWM of the marks; over a corpus, of those up to the end of the first pass.

    How many passes a launch makes depends on the machine's speed, and a runtime that plans its memory
    by input length takes more in the second. Records without that mark count to the end.
    """
    marks = trial.memory.marks if trial.memory else {}
    counted = [mark for name, mark in marks.items() if name != "end" or "first_pass" not in marks]
    return float(max(mark.hwm_bytes for mark in counted)) if counted else None


def model_rss_bytes(condition: Condition, trial: TrialMessage) -> float | None:
    """The peak minus the resident memory once the runtime was imported."""
    peak = peak_rss_bytes(condition, trial)
    runtime = trial.memory.marks.get("runtime") if trial.memory else None
    return None if peak is None or runtime is None else peak - runtime.rss_bytes


def throughput_utterances_per_s(condition: Condition, trial: TrialMessage) -> float | None:
    """Utterances over the sum of their inference times."""
    work = work_of(condition, trial)
    return None if work is None else work[0] / work[1] * 1e9


def real_time_factor(condition: Condition, trial: TrialMessage) -> float | None:
    """Processing time over audio time: the median inference of a fixed input, or all of a corpus."""
    if condition.scenario != "offline":
        median = own_quantile(0.5)(condition, trial)
        return median / (condition.input_s * 1e9) if median is not None and condition.input_s else None
    work = work_of(condition, trial)
    return work[1] / work[2] if work is not None and work[2] > 0 else None


def cpu_mean_ns(condition: Condition, trial: TrialMessage) -> float | None:
    """CPU time of the process over the utterances, whole passes over the corpus only."""
    work, samples = work_of(condition, trial), cpu_samples_of(trial)
    if work is None or samples.size < work[0]:
        return None
    return float(samples[: int(work[0])].mean())


def work_of(condition: Condition, trial: TrialMessage) -> tuple[float, float, float] | None:
    """(utterances, time in ns, audio in ns) of one launch, or None.

    Offline only whole passes over the corpus count, so that every clip weighs the same.
    """
    samples = samples_of(trial)
    if condition.scenario != "offline":
        audio_ns = samples.size * (condition.input_s or 0.0) * 1e9
        return (float(samples.size), float(samples.sum()), audio_ns) if samples.size else None
    clips = len(trial.predictions.clips) if trial.predictions else 0
    passes = samples.size // clips if clips else 0
    if not passes or trial.predictions is None:
        return None
    whole = samples[: passes * clips]
    return float(whole.size), float(whole.sum()), passes * (trial.predictions.audio_s or 0.0) * 1e9
