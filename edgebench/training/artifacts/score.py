"""Scoring a finished artifact on clips, by corpus.

The metrics are those of :mod:`edgebench.results.metrics.accuracy`, which scores a board's predictions too, so
that a card and a report use one definition of each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebench.agent.waveform import prepare
from edgebench.corpora import SAMPLE_RATE_HZ, Clip, load_waveform
from edgebench.errors import ModelError
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
    """Every output of the artifact for every clip, one at a time, by onnxruntime on the CPU.

    Clips are prepared as the manifest says and by the agent's own code, as on a board.
    """
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(artifact.path), options, providers=["CPUExecutionProvider"])
    names = tuple(output.name for output in session.get_outputs())
    rows: list[list[tuple[float, ...]]] = [[] for _ in names]
    steps = list(artifact.manifest.preparation) if artifact.manifest else []
    for clip in clips:
        waveform = prepare(load_waveform(clip), steps, SAMPLE_RATE_HZ)[np.newaxis, :]
        for column, values in zip(rows, session.run(None, {artifact.input_name: waveform}), strict=True):
            column.append(tuple(float(value) for value in np.asarray(values).ravel()))
    return Predictions(
        clips=tuple(clip.id for clip in clips), names=names, values=tuple(tuple(column) for column in rows)
    )


def predict_corpora(artifact: Artifact, clips: Sequence[Clip]) -> dict[str, Predictions]:
    """:func:`predict` by corpus."""
    return {corpus: predict(artifact, chosen) for corpus, chosen in by_corpus(clips).items()}


def score_artifact(
    artifact: Artifact, clips: Sequence[Clip], predictions: Mapping[str, Predictions], *, seed: int = 0
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
    *,
    seed: int = 0,
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
