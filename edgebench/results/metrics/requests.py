"""What a launch of paced requests, or a long one, says: its first and last minute, when it settles, misses.

A launch is cut into stretches of equal length, and each has the median of the inferences that began in it.
It has settled at the begin of the first stretch from which on every median lies within ``TOLERANCE`` of
the median of the launch's last fifth. A launch that gets there only within its last fifth has not settled.
"""

from __future__ import annotations

import numpy as np

from edgebench.results.metrics.launches import samples_of
from edgebench.results.metrics.statistics import Floats, quantile
from edgebench.results.records.messages import TrialMessage
from edgebench.results.records.record import Condition

TOLERANCE = 0.05
LAST_SHARE = 0.2
_STRETCHES = 180  # of 10 s, in half an hour
_SHORTEST_S = 1.0
_FEWEST = 5  # samples that a stretch has on average


def minute_of(duration_s: float) -> float:
    """Seconds of the first and of the last minute: a fifth of a launch that is shorter than five minutes.

    >>> minute_of(1800), minute_of(100)
    (60.0, 20.0)
    """
    return min(60.0, duration_s / 5)


def starts_of(trial: TrialMessage) -> Floats:
    """Seconds from the begin of the loop to that of each sample, ``(samples,)``; empty without requests."""
    starts = trial.requests.starts_ns if trial.requests else ()
    return np.asarray(starts, dtype=np.float64) / 1e9


def duration_of(trial: TrialMessage) -> float:
    """Seconds of the loop."""
    return (trial.elapsed_ns or 0) / 1e9


def medians(trial: TrialMessage) -> tuple[Floats, Floats]:
    """Begins of the stretches in seconds and the median latency of each in ns; empty ones are left out."""
    starts, samples, duration_s = starts_of(trial), samples_of(trial), duration_of(trial)
    if not starts.size or starts.size != samples.size or not duration_s > 0:
        return np.zeros(0), np.zeros(0)
    inside = (starts >= 0) & (starts <= duration_s)
    starts, samples = starts[inside], samples[inside]
    if not starts.size:
        return np.zeros(0), np.zeros(0)
    width_s = max(_SHORTEST_S, duration_s / _STRETCHES, _FEWEST * duration_s / starts.size)
    numbers = (starts / width_s).astype(np.int64)
    used = np.unique(numbers)
    found = [float(np.median(samples[numbers == number])) for number in used]
    return np.asarray(used * width_s, dtype=np.float64), np.array(found, dtype=np.float64)


def first_minute_ns(_: Condition, trial: TrialMessage) -> float | None:
    """Median latency of the inferences that began in the first minute."""
    starts = starts_of(trial)
    return _median(trial, starts < minute_of(duration_of(trial)))


def last_minute_ns(_: Condition, trial: TrialMessage) -> float | None:
    """Median latency of the inferences that began in the last minute."""
    duration_s = duration_of(trial)
    return _median(trial, starts_of(trial) >= duration_s - minute_of(duration_s))


def change(condition: Condition, trial: TrialMessage) -> float | None:
    """The last minute's median over the first one's."""
    first, last = first_minute_ns(condition, trial), last_minute_ns(condition, trial)
    return last / first if first and last else None


def settle_s(_: Condition, trial: TrialMessage) -> float | None:
    """See ``settle_time_s``."""
    return settle_time_s(trial)


def settle_time_s(trial: TrialMessage) -> float | None:
    """Seconds until the launch settled (see the module); None where it never did."""
    begins, values = medians(trial)
    duration_s = duration_of(trial)
    level = _median(trial, starts_of(trial) >= (1 - LAST_SHARE) * duration_s)
    if not begins.size or not level:
        return None
    apart = np.flatnonzero(np.abs(values / level - 1) > TOLERANCE)
    if not apart.size:
        return 0.0
    following = apart[-1] + 1
    if following == begins.size or begins[following] > (1 - LAST_SHARE) * duration_s:
        return None
    return float(begins[following])


def deadline_misses(_: Condition, trial: TrialMessage) -> float | None:
    """The share of the requests due that were not done when the next one was due, or were never begun."""
    requests = trial.requests
    if requests is None or not requests.due or requests.late is None:
        return None
    return min(1.0, (requests.late + max(0, requests.due - requests.served)) / requests.due)


def idle_share(_: Condition, trial: TrialMessage) -> float | None:
    """The share of the loop's time in which no request was served."""
    if trial.requests is None or trial.requests.rate_hz is None or not trial.elapsed_ns:
        return None
    return max(0.0, 1 - trial.requests.busy_ns / trial.elapsed_ns)


def response_p99_ns(_: Condition, trial: TrialMessage) -> float | None:
    """The 99th percentile of the times from due to done."""
    samples = samples_of(trial)
    if trial.requests is None or trial.requests.rate_hz is None or samples.size < 100:
        return None
    waits = np.asarray(trial.requests.waits_ns, dtype=np.float64)
    return quantile(samples + waits, 0.99) if waits.size == samples.size else None


def _median(trial: TrialMessage, which: np.ndarray) -> float | None:
    samples = samples_of(trial)
    if samples.size != which.size or not which.any():
        return None
    return float(np.median(samples[which]))
