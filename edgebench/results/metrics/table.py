"""The table of metrics: every figure edgebench reports, its unit, its good direction, its making.

A figure is never bare: ``Figure`` holds value, unit, interval and count, and where the value or
the interval is null, the reason. Nothing that could not be measured is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from edgebench.results.metrics.statistics import Interval

EMOTIONS = ("anger", "happiness", "neutral", "sadness")
DIMENSIONS = ("arousal", "dominance", "valence")

EXACT = "exact: a property of the file, not an estimate"


Aspect = Literal["file", "timing", "memory", "outputs"]


@dataclass(frozen=True)
class Metric:
    """One row of the table. ``public``: a name that every record of the JSON carries."""

    name: str
    unit: str
    better: Literal["lower", "higher"]
    title: str
    definition: str
    exact: bool = False
    public: bool = True

    @property
    def aspect(self) -> Aspect:
        """What of a launch the metric speaks of: a verdict's code spoils some aspects and not others."""
        if self.name in {"size_bytes", "parameters", "macs"}:
            return "file"
        if self.name.endswith("rss_bytes"):
            return "memory"
        timed = ("load_ns", "first_inference_ns", "latency_", "real_time_factor", "throughput_")
        return "timing" if self.name.startswith(timed) else "outputs"


@dataclass(frozen=True)
class Figure:
    """One measured metric. ``n``: how many samples, launches, clips or values it stands on.

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


_TABLE = (
    Metric("size_bytes", "bytes", "lower", "Size", "bytes of the model file", exact=True),
    Metric(
        "parameters", "parameters", "lower", "Parameters", "numbers learnt or fixed in the file", exact=True
    ),
    Metric(
        "macs",
        "MACs",
        "lower",
        "MACs",
        "multiply-accumulates of one inference at the record's input length, by the manifest's rule",
        exact=True,
    ),
    Metric(
        "load_ns",
        "ns",
        "lower",
        "Load",
        "time to make the runtime's session from the file, median over launches",
    ),
    Metric(
        "first_inference_ns",
        "ns",
        "lower",
        "First inference",
        "time of the first inference, median over launches",
    ),
    Metric(
        "latency_p50_ns", "ns", "lower", "Latency p50", "median inference time after warm-up, launches pooled"
    ),
    Metric("latency_p90_ns", "ns", "lower", "Latency p90", "90th percentile of the same samples"),
    Metric("latency_p99_ns", "ns", "lower", "Latency p99", "99th percentile of the same samples"),
    Metric(
        "real_time_factor",
        "1",
        "lower",
        "Real-time factor",
        "processing time over audio time: latency p50 / input length (single_stream), "
        "time of all utterances / their length (offline)",
    ),
    Metric(
        "throughput_utterances_per_s",
        "utterances/s",
        "higher",
        "Throughput",
        "utterances over the sum of their inference times, one after the other; "
        "reading and preparing the clips is not in it",
    ),
    Metric(
        "peak_rss_bytes",
        "bytes",
        "lower",
        "Peak RSS",
        "highest resident memory of the trial's process (VmHWM), the largest of the launches",
    ),
    Metric(
        "model_rss_bytes",
        "bytes",
        "lower",
        "RSS of the model",
        "peak RSS minus the resident memory once the runtime was imported, the largest of the launches",
    ),
    Metric(
        "ua",
        "1",
        "higher",
        "UA",
        "unweighted average recall over the emotions that the corpus has (chance 1/classes)",
    ),
    Metric("wa", "1", "higher", "WA", "share of clips whose emotion was named rightly"),
    Metric("macro_f1", "1", "higher", "Macro F1", "mean F1 over the emotions that the corpus has"),
    *(
        Metric(
            f"ccc_{name}",
            "1",
            "higher",
            f"CCC {name}",
            f"concordance correlation of {name}, all clips pooled",
        )
        for name in DIMENSIONS
    ),
    Metric(
        "parity_max_abs",
        "1",
        "lower",
        "Parity",
        "largest absolute difference of the device's outputs from the host's fp32 on the same input",
        exact=True,
    ),
    *(
        Metric(f"f1_{name}", "1", "higher", f"F1 {name}", f"F1 of {name} against the rest", public=False)
        for name in EMOTIONS
    ),
    *(
        Metric(
            f"{name}_loss",
            "1",
            "lower",
            f"{title} loss",
            f"{title} of the parent minus {title} of this artifact on the same clips, paired over speakers",
            public=False,
        )
        for name, title in [("ua", "UA"), ("wa", "WA"), ("macro_f1", "macro F1")]
        + [(f"ccc_{name}", f"CCC {name}") for name in DIMENSIONS]
    ),
    Metric(
        "latency_ratio",
        "1",
        "lower",
        "Latency against parent",
        "latency p50 of this artifact over that of its parent, same run and condition",
        public=False,
    ),
)


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
