"""The table of metrics: one row for every figure that edgebench reports.

A row says the unit, the good direction, what of a launch it speaks of, how it is drawn from the
record and which statistic makes a figure of what was drawn (``metric.Statistic``, which settles the
interval too). ``cost``, ``accuracy``, ``compare`` and ``summary`` walk the rows.
"""

from __future__ import annotations

from edgebench.results.metrics import launches
from edgebench.results.metrics.intervals import FISHER_Z, LOGIT, Interval
from edgebench.results.metrics.metric import Aspect, Figure, Metric, Quantile
from edgebench.results.metrics.table_in_time import ENERGY, IN_TIME

__all__ = [
    "CATEGORICAL",
    "CCC",
    "CHANGED",
    "COUNTED",
    "DIMENSIONS",
    "EMOTIONS",
    "EXACT",
    "LARGEST",
    "METRICS",
    "PUBLIC_NAMES",
    "Aspect",
    "Figure",
    "Metric",
    "exact",
    "figure",
    "missing",
]

EMOTIONS = ("anger", "happiness", "neutral", "sadness")
DIMENSIONS = ("arousal", "dominance", "valence")
CATEGORICAL = ("ua", "wa", "macro_f1")
CCC = tuple(f"ccc_{name}" for name in DIMENSIONS)

EXACT = "exact: a property of the file, not an estimate"
CHANGED = "classes_changed"
COUNTED = "exact: a count of these clips, not an estimate"
LARGEST = "exact: the largest that was seen, not an estimate"


def _latency(percent: int, title: str) -> Metric:
    return Metric(
        f"latency_p{percent}_ns",
        "ns",
        "lower",
        title,
        f"the {percent}th percentile of a launch's inference times after warm-up, of a typical launch",
        aspect="timing",
        statistic="typical",
        quantile=Quantile(percent / 100),
        scenarios=("single_stream", "sustained"),
    )


def _against_parent(name: str, title: str, of: str) -> Metric:
    return Metric(
        name,
        "1",
        "lower",
        f"{title} against parent",
        f"{of} of this artifact over that of its parent, paired by round, same run and condition",
        aspect="timing",
        statistic="ratio",
        of=of,
        scenarios=("single_stream",),
        compared=False,
        public=False,
    )


_FILE = (
    Metric(
        "size_bytes",
        "bytes",
        "lower",
        "Size",
        "bytes of the model file",
        aspect="file",
        statistic="file",
    ),
    Metric(
        "parameters",
        "parameters",
        "lower",
        "Parameters",
        "numbers learnt or fixed in the file",
        aspect="file",
        statistic="file",
    ),
    Metric(
        "macs",
        "MACs",
        "lower",
        "MACs",
        "multiply-accumulates of one inference at the record's input length, by the manifest's rule",
        aspect="file",
        statistic="file",
    ),
)

_COST = (
    Metric(
        "load_ns",
        "ns",
        "lower",
        "Load",
        "time to make the runtime's session from the file, of a typical launch",
        aspect="timing",
        statistic="typical",
        draw=launches.load_ns,
    ),
    Metric(
        "first_inference_ns",
        "ns",
        "lower",
        "First inference",
        "time of the first inference, of a typical launch",
        aspect="timing",
        statistic="typical",
        draw=launches.first_inference_ns,
    ),
    _latency(50, "Latency p50"),
    _latency(90, "Latency p90"),
    _latency(99, "Latency p99"),
    Metric(
        "real_time_factor",
        "1",
        "lower",
        "Real-time factor",
        "processing time over audio time: latency p50 / input length (single_stream), "
        "time of all utterances / their length (offline); of a typical launch",
        aspect="timing",
        statistic="typical",
        draw=launches.real_time_factor,
        counts="utterances",
        absent="no launch made a whole pass over the corpus",
        compared=False,  # latency p50 or throughput in another unit
    ),
    Metric(
        "throughput_utterances_per_s",
        "utterances/s",
        "higher",
        "Throughput",
        "utterances over the sum of their inference times, one after the other, of a typical launch; "
        "reading and preparing the clips is not in it",
        aspect="timing",
        statistic="typical",
        draw=launches.throughput_utterances_per_s,
        counts="utterances",
        absent="no launch made a whole pass over the corpus",
    ),
    Metric(
        "peak_rss_bytes",
        "bytes",
        "lower",
        "Peak RSS",
        "highest resident memory of the trial's process (VmHWM), of a typical launch",
        aspect="memory",
        statistic="typical",
        draw=launches.peak_rss_bytes,
        absent="the agent set no memory marks",
    ),
    Metric(
        "model_rss_bytes",
        "bytes",
        "lower",
        "RSS of the model",
        "peak RSS minus the resident memory once the runtime was imported, of a typical launch",
        aspect="memory",
        statistic="typical",
        draw=launches.model_rss_bytes,
        absent="the agent set no memory marks",
    ),
)

_CLIPS = (
    Metric(
        "ua",
        "1",
        "higher",
        "UA",
        "unweighted average recall over the emotions that the corpus has (chance 1/classes)",
        aspect="outputs",
        statistic="clips",
        scale=LOGIT,
    ),
    Metric(
        "wa",
        "1",
        "higher",
        "WA",
        "share of clips whose emotion was named rightly",
        aspect="outputs",
        statistic="clips",
        scale=LOGIT,
    ),
    Metric(
        "macro_f1",
        "1",
        "higher",
        "Macro F1",
        "mean F1 over the emotions that the corpus has",
        aspect="outputs",
        statistic="clips",
        scale=LOGIT,
    ),
    *(
        Metric(
            f"ccc_{name}",
            "1",
            "higher",
            f"CCC {name}",
            f"concordance correlation of {name}, all clips pooled",
            aspect="outputs",
            statistic="clips",
            scale=FISHER_Z,
            of=name,
        )
        for name in DIMENSIONS
    ),
)

_PARITY = Metric(
    "parity_max_abs",
    "1",
    "lower",
    "Parity",
    "largest absolute difference of the device's outputs from the host's fp32 on the same input",
    aspect="outputs",
    statistic="parity",
)

# Names that a record carries only where there is something to say.
_FURTHER = (
    Metric(
        "cpu_p50_ns",
        "ns",
        "lower",
        "CPU time p50",
        "median CPU time of the process in one inference (all its threads), of a typical launch",
        aspect="timing",
        statistic="typical",
        quantile=Quantile(0.5, launches.cpu_samples_of),
        scenarios=("single_stream",),
        public=False,
    ),
    Metric(
        "cpu_mean_ns",
        "ns",
        "lower",
        "CPU time",
        "mean CPU time of the process an utterance, whole passes over the corpus, of a typical launch",
        aspect="timing",
        statistic="typical",
        draw=launches.cpu_mean_ns,
        scenarios=("offline",),
        counts="utterances",
        public=False,
    ),
    Metric(
        "peak_rss_max_bytes",
        "bytes",
        "lower",
        "Largest peak RSS",
        "highest resident memory of the trial's process (VmHWM), the largest of the launches",
        aspect="memory",
        statistic="largest",
        draw=launches.peak_rss_bytes,
        absent="the agent set no memory marks",
        compared=False,  # grows with the number of launches
        public=False,
    ),
    *(
        Metric(
            f"f1_{name}",
            "1",
            "higher",
            f"F1 {name}",
            f"F1 of {name} against the rest",
            aspect="outputs",
            statistic="clips",
            scale=LOGIT,
            of=name,
            compared=False,  # macro F1 is compared
            public=False,
        )
        for name in EMOTIONS
    ),
    *(
        Metric(
            f"{name}_loss",
            "1",
            "lower",
            f"{title} drop",
            f"{title} of the parent minus {title} of this artifact on the same clips, paired over speakers",
            aspect="outputs",
            statistic="drop",
            of=name,
            compared=False,
            public=False,
        )
        for name, title in [("ua", "UA"), ("wa", "WA"), ("macro_f1", "macro F1")]
        + [(f"ccc_{name}", f"CCC {name}") for name in DIMENSIONS]
    ),
    Metric(
        CHANGED,
        "clips",
        "lower",
        "Classes changed",
        "clips to which this artifact gives another class than its parent does",
        aspect="outputs",
        statistic="changes",
        counts="clips",
        compared=False,
        public=False,
    ),
    _against_parent("latency_ratio", "Latency", "latency_p50_ns"),
    _against_parent("cpu_ratio", "CPU time", "cpu_p50_ns"),
)

_TABLE = (*_FILE, *_COST, *_CLIPS, _PARITY, *ENERGY, *_FURTHER, *IN_TIME)


def _by_name() -> dict[str, Metric]:
    table = {metric.name: metric for metric in _TABLE}
    assert len(table) == len(_TABLE), "two metrics share a name"
    return table


METRICS: dict[str, Metric] = _by_name()
PUBLIC_NAMES: tuple[str, ...] = tuple(metric.name for metric in _TABLE if metric.public)


def figure(name: str, value: float | int | None, interval: Interval, *, n: int) -> Figure:
    """A figure of the metric ``name`` with its interval."""
    return Figure(value, METRICS[name].unit, interval.lo, interval.hi, n, interval.reason)


def exact(name: str, value: int | float, *, n: int = 1, reason: str = EXACT) -> Figure:
    """A figure that is a property of a file or a plain maximum: it has no interval."""
    return Figure(value, METRICS[name].unit, None, None, n, reason)


def missing(name: str, reason: str) -> Figure:
    """A figure that there is none of, and why."""
    return Figure(None, METRICS[name].unit, None, None, 0, reason)
