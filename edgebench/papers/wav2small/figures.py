"""The data of figures 1, 3 and 5 of the Wav2Small paper, from predictions and runs of ours.

Figure 1: where clips of each emotion lie on the plane of arousal and valence, as a model sees them.
Figure 3: how a student follows its teacher along a long recording. Figure 5: time of the two parts of
wav2vec2 over input length. Source of all: see ``wav2small_table``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebench.papers.wav2small.table1 import SUFFIX
from edgebench.results.metrics.accuracy import Tasks
from edgebench.results.metrics.table import DIMENSIONS, EMOTIONS, METRICS, Figure, missing
from edgebench.results.records.messages import Predictions
from edgebench.results.records.record import JSON_VERSION
from edgebench.results.summary import Row, RunSummary, latency_ratio

Values = tuple[float | None, ...]


def dimensions(predictions: Predictions, tasks: Tasks) -> dict[str, Values]:
    """Dimension -> its value for each clip, in the order of ``predictions.clips``; None is not finite.

    ``tasks`` are the manifest's. Empty where no output has dimensions.
    """
    found: dict[str, Values] = {}
    for number, name in enumerate(predictions.names):
        task = tasks.get(name)
        if task is not None and task["kind"] == "dimensional":
            for column, label in enumerate(task["labels"]):
                found.setdefault(str(label), tuple(clip[column] for clip in predictions.values[number]))
    return found


# --- figure 1 ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlanePoint:
    """One clip: its true category in the corpus' own word, and the predicted arousal and valence."""

    clip: str
    speaker: str
    category: str
    arousal: float | None
    valence: float | None


@dataclass(frozen=True)
class Spread:
    """Where the clips of one category lie: mean and deviation (n - 1) of the finite predictions."""

    category: str
    n: int
    arousal: float | None
    arousal_sd: float | None
    valence: float | None
    valence_sd: float | None


@dataclass(frozen=True)
class PlaneModel:
    """One model's view of the corpus."""

    name: str
    sha256: str
    points: tuple[PlanePoint, ...]

    def spreads(self) -> list[Spread]:
        """A row for each category, in the order of ``categories``."""
        return [self._spread(category) for category in categories(self.points)]

    def _spread(self, category: str) -> Spread:
        points = [
            (point.arousal, point.valence)
            for point in self.points
            if point.category == category and point.arousal is not None and point.valence is not None
        ]
        values = np.array(points, dtype=np.float64).reshape(-1, 2)
        means = values.mean(axis=0).tolist() if len(values) else [None, None]
        deviations = values.std(axis=0, ddof=1).tolist() if len(values) > 1 else [None, None]
        return Spread(category, len(values), means[0], deviations[0], means[1], deviations[1])


@dataclass(frozen=True)
class Plane:
    """Figure 1 of one corpus. ``left_out``: reason -> number of clips; ``seen``: clips of speakers that
    one of the models learnt from, where the user asked for them."""

    corpus: str
    models: tuple[PlaneModel, ...]
    n_speakers: int
    left_out: Mapping[str, int]
    seen: int

    def to_json(self) -> dict[str, Any]:
        """The public JSON: every point that is drawn, and the spread of each category."""
        return {
            "schema_version": JSON_VERSION,
            "figure": "wav2small-fig1",
            "corpus": {
                "name": self.corpus,
                "n_clips": len(self.models[0].points) if self.models else 0,
                "n_speakers": self.n_speakers,
                "left_out": dict(self.left_out),
                "seen_in_training": self.seen,
            },
            "models": [
                {
                    "artifact": model.name,
                    "sha256": model.sha256,
                    "categories": [vars(spread) for spread in model.spreads()],
                    "points": [vars(point) for point in model.points],
                }
                for model in self.models
            ],
        }


def categories(points: Sequence[PlanePoint]) -> list[str]:
    """The categories that occur: the four of the models first, then the corpus' own by name."""
    found = {point.category for point in points}
    return [*(word for word in EMOTIONS if word in found), *sorted(found - set(EMOTIONS))]


# --- figure 3 ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Follow:
    """Figure 3: two models along one recording, window by window.

    ``times_s``: the middle of each window. ``student``, ``teacher``: dimension -> its values.
    """

    student_name: str
    teacher_name: str
    recording: str
    duration_s: float
    window_s: float
    hop_s: float
    times_s: tuple[float, ...]
    student: Mapping[str, Values]
    teacher: Mapping[str, Values]

    @property
    def shared(self) -> list[str]:
        """The dimensions that both give, in the usual order."""
        return [name for name in DIMENSIONS if name in self.student and name in self.teacher]

    def ccc(self, dimension: str) -> Figure:
        """Concordance of the student with the teacher over the windows, the teacher as the truth.

        Without an interval: windows of one recording overlap and follow each other, so that none of
        them is a new draw. Null where a value is not finite, or a model says the same throughout.
        """
        import audmetric  # noqa: PLC0415

        name = f"ccc_{dimension}"
        truth, prediction = self.teacher[dimension], self.student[dimension]
        if any(value is None for value in (*truth, *prediction)):
            return missing(name, "a prediction is not a finite number")
        if len(set(truth)) < 2 or len(set(prediction)) < 2:
            return missing(name, "one of the two models says the same of every window")
        value = float(audmetric.concordance_cc(truth, prediction))
        reason = "windows of one recording are not drawn independently"
        return Figure(value, METRICS[name].unit, None, None, len(truth), reason)

    def difference(self, dimension: str) -> float | None:
        """Mean absolute difference of the two over the windows where both are finite."""
        pairs = zip(self.student[dimension], self.teacher[dimension], strict=True)
        found = [abs(a - b) for a, b in pairs if a is not None and b is not None]
        return sum(found) / len(found) if found else None

    def to_json(self) -> dict[str, Any]:
        """The public JSON: every point that is drawn, and how close the two are."""
        return {
            "schema_version": JSON_VERSION,
            "figure": "wav2small-fig3",
            "student": self.student_name,
            "teacher": self.teacher_name,
            "recording": self.recording,
            "duration_s": self.duration_s,
            "window_s": self.window_s,
            "hop_s": self.hop_s,
            "times_s": list(self.times_s),
            "dimensions": {
                name: {
                    "student": list(self.student[name]),
                    "teacher": list(self.teacher[name]),
                    "ccc": self.ccc(name).to_json(),
                    "mean_abs_difference": self.difference(name),
                }
                for name in self.shared
            },
        }


# --- figure 5 ---------------------------------------------------------------------------------------

VGG7, ENCODER = "wav2vec2_vgg7", "wav2vec2_encoder"


@dataclass(frozen=True)
class PartsPoint:
    """One input length: the two parts' rows of the run."""

    input_s: float
    vgg7: Row
    encoder: Row

    def ratio(self) -> Figure:
        """Time of the feature extractor over that of the encoder; above 1 it is the slower of the two."""
        return latency_ratio(self.encoder, self.vgg7)


@dataclass(frozen=True)
class Parts:
    """Figure 5 from a run of the two parts."""

    run: RunSummary
    points: tuple[PartsPoint, ...]

    @property
    def crossing_s(self) -> float | None:
        """The shortest measured length from which on the feature extractor is always the slower part."""
        found = None
        for point in reversed(self.points):
            ratio = point.ratio().value
            if ratio is None or ratio <= 1:
                break
            found = point.input_s
        return found

    def to_json(self) -> dict[str, Any]:
        """The public JSON."""
        device = self.run.header.device
        return {
            "schema_version": JSON_VERSION,
            "figure": "wav2small-fig5",
            "run_id": self.run.run_id,
            "status": self.run.status,
            "device": device.name,
            "cpu_model": device.fingerprint.cpu_model,
            "threads": self.points[0].vgg7.condition.threads if self.points else None,
            "feature_extractor_slower_from_s": self.crossing_s,
            "rows": [self._row(point) for point in self.points],
        }

    def _row(self, point: PartsPoint) -> dict[str, Any]:
        parts = {"feature_extractor": point.vgg7, "encoder": point.encoder}
        return {
            "input_s": point.input_s,
            **{
                name: {
                    "latency_p50_ns": row.figures["latency_p50_ns"].to_json(),
                    "macs": row.figures["macs"].to_json(),
                    "verdict": row.verdict.to_json(),
                }
                for name, row in parts.items()
            },
            "ratio": point.ratio().to_json(),
        }


def parts_of(summary: RunSummary) -> Parts:
    """The rows of a run of the two parts, by input length; none where the run holds other models."""
    rows = {
        (row.condition.artifact, row.condition.input_s): row
        for row in summary.rows
        if row.condition.scenario == "single_stream"
    }
    lengths = sorted({length for _, length in rows if length is not None})
    keys = (f"{VGG7}{SUFFIX}", f"{ENCODER}{SUFFIX}")
    return Parts(
        summary,
        tuple(
            PartsPoint(length, *(rows[key, length] for key in keys))
            for length in lengths
            if all((key, length) in rows for key in keys)
        ),
    )
