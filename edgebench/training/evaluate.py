"""Scoring: a net while it trains, on the validation speakers; an artifact when it is done, on any.

Figures come from :mod:`edgebench.results.metrics.accuracy`, the same code that scores a board's predictions,
so that a card and a report can never disagree about what UA is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebench.agent.waveform import prepare
from edgebench.corpora import EMOTIONS, SAMPLE_RATE_HZ, Clip, load_waveform
from edgebench.errors import ModelError
from edgebench.results.metrics.accuracy import CATEGORICAL, CCC, losses, score
from edgebench.results.metrics.table import Figure
from edgebench.results.records.messages import Predictions
from edgebench.results.records.record import CorpusFacts

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebench.models import Artifact

FIGURES = (*CATEGORICAL, *CCC)


class Validator:
    """Scores a net on whole clips, one at a time, as a board will see them.

    ``score`` is the UA averaged over corpora, synthetic ones left out where a real one is present:
    a corpus of many clips must not decide alone, and a generator not at all.
    """

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.clips = list(clips)
        self._log_mels: list[Tensor] = []
        names = {clip.corpus for clip in clips}
        real = {clip.corpus for clip in clips if clip.label_source != "synthetic"}
        self.corpora, self.judges = sorted(names), sorted(real or names)

    def __call__(self, model: nn.Module) -> dict[str, float]:
        import audmetric  # noqa: PLC0415
        import torch  # noqa: PLC0415

        with torch.no_grad():
            if not self._log_mels:
                # The front end is fixed, so what it makes of the validation clips is made once.
                self._log_mels = [
                    model.features(torch.from_numpy(load_waveform(clip)).unsqueeze(0))  # type: ignore[operator]
                    for clip in self.clips
                ]
            logits = torch.cat([model.classify(log_mel)[1] for log_mel in self._log_mels])  # type: ignore[operator]
        truth = np.array([EMOTIONS.index(str(clip.emotion)) for clip in self.clips])
        prediction = logits.argmax(1).numpy()
        found: dict[str, float] = {}
        for corpus in self.corpora:
            rows = np.array([clip.corpus == corpus for clip in self.clips])
            present = sorted(set(truth[rows].tolist()))
            recalls = audmetric.recall_per_class(
                truth[rows], prediction[rows], labels=list(range(len(EMOTIONS)))
            )
            found[f"ua_{corpus}"] = float(np.mean([recalls[label] for label in present]))
        found["loss_validation"] = float(torch.nn.functional.cross_entropy(logits, torch.from_numpy(truth)))
        return {"score": float(np.mean([found[f"ua_{corpus}"] for corpus in self.judges])), **found}


@dataclass(frozen=True)
class Evaluation:
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


def evaluate(
    artifact: Artifact, clips: Sequence[Clip], predictions: Mapping[str, Predictions], *, seed: int = 0
) -> list[Evaluation]:
    """Score an artifact on each corpus among the clips; the clips are the caller's choice of speakers."""
    found = []
    for corpus, chosen in by_corpus(clips).items():
        scoring = score(predictions[corpus], facts(chosen), _tasks(artifact))
        speakers = tuple(sorted({clip.speaker for clip in chosen}))
        found.append(Evaluation(corpus, scoring.label_source, speakers, scoring.n_clips, scoring.figures))
    return found


def evaluate_loss(
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


def by_corpus(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    """Clips by corpus, corpora sorted, clips in their order."""
    chosen: dict[str, list[Clip]] = {}
    for clip in clips:
        chosen.setdefault(clip.corpus, []).append(clip)
    return dict(sorted(chosen.items()))


def _tasks(artifact: Artifact) -> dict[str, dict[str, Any]]:
    if artifact.manifest is None:
        raise ModelError(
            f"model {artifact.path} has no manifest, so what its outputs mean is not known and it cannot be "
            "scored. Put its manifest (.json) beside it."
        )
    return {name: task.model_dump() for name, task in artifact.manifest.tasks.items()}
