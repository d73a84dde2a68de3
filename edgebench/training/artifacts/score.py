"""Scoring a finished artifact on clips, by corpus.

The metrics are those of :mod:`edgebench.results.metrics.accuracy`, which scores a board's predictions too, so
that a card and a report use one definition of each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebench.corpora import Clip, load_waveform
from edgebench.errors import ModelError
from edgebench.models.host import HostModel
from edgebench.results.metrics.accuracy import CATEGORICAL, CCC, losses, score
from edgebench.results.metrics.table import Figure
from edgebench.results.records.messages import Predictions
from edgebench.results.records.record import CorpusFacts
from edgebench.training.clips.gather import by_corpus

if TYPE_CHECKING:
    from edgebench.models import Artifact

METRICS = (*CATEGORICAL, *CCC)


@dataclass(frozen=True)
class CorpusScore:
    """One artifact on the clips of one corpus: figures by metric name, with intervals over speakers."""

    corpus: str
    label_source: str
    speakers: tuple[str, ...]
    clips: int
    figures: Mapping[str, Figure]


def predict(artifact: Artifact, clips: Sequence[Clip], *, threads: int = 1) -> Predictions:
    """Every output of the artifact for every clip, one clip at a time, prepared as on a board."""
    model = HostModel(artifact, threads=threads)
    columns: dict[str, list[tuple[float, ...]]] = {name: [] for name in model.names}
    for clip in clips:
        for name, answer in model(model.prepared(load_waveform(clip))).items():
            columns[name].append(tuple(float(value) for value in answer.ravel()))
    values = tuple(tuple(column) for column in columns.values())
    return Predictions(clips=tuple(clip.id for clip in clips), names=model.names, values=values)


def predict_corpora(artifact: Artifact, clips: Sequence[Clip]) -> dict[str, Predictions]:
    """:func:`predict` by corpus."""
    return {corpus: predict(artifact, chosen) for corpus, chosen in by_corpus(clips).items()}


def score_artifact(
    artifact: Artifact, clips: Sequence[Clip], predictions: Mapping[str, Predictions]
) -> list[CorpusScore]:
    """Score an artifact on each corpus among the clips; the clips are the caller's choice of speakers."""
    found = []
    for corpus, chosen in by_corpus(clips).items():
        scoring = score(predictions[corpus], facts(chosen), _tasks(artifact))
        speakers = tuple(sorted({clip.speaker for clip in chosen}))
        found.append(CorpusScore(corpus, scoring.label_source, speakers, scoring.n_clips, scoring.figures))
    return found


def accuracy_drop(
    artifacts: tuple[Artifact, Artifact],
    clips: Sequence[Clip],
    predictions: tuple[Mapping[str, Predictions], Mapping[str, Predictions]],
) -> dict[str, Mapping[str, Figure]]:
    """Parent minus child by corpus, paired over speakers; the keys end in ``_loss``."""
    (parent, child), (before, after) = artifacts, predictions
    return {
        corpus: losses(before[corpus], after[corpus], facts(chosen), _tasks(parent), _tasks(child))
        for corpus, chosen in by_corpus(clips).items()
    }


def facts(clips: Sequence[Clip]) -> CorpusFacts:
    """The truth of clips of one corpus in the record's terms."""
    ids = hashlib.sha256("\n".join(clip.id for clip in clips).encode()).hexdigest()
    return CorpusFacts.of(clips[0].corpus, clips, sha256=ids, split_sha256=None, audio_s=0.0)


def _tasks(artifact: Artifact) -> dict[str, dict[str, Any]]:
    if artifact.manifest is None:
        raise ModelError(
            f"model {artifact.path} has no manifest, so what its outputs mean is not known and it cannot be "
            "scored. Put its manifest (.json) beside it."
        )
    return {name: task.model_dump() for name, task in artifact.manifest.tasks.items()}
