"""Accuracy alone: what models reach on speech, and what one loses against another. No cost, no verdict.

The figures are those of a run (``accuracy``), so that an evaluation and a run of the same file on the
same clips cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgebench.results.metrics import accuracy
from edgebench.results.metrics.table import Figure
from edgebench.results.records.messages import Predictions
from edgebench.results.records.record import JSON_VERSION, ArtifactFacts, CorpusFacts
from edgebench.results.summary import tasks_of


@dataclass(frozen=True)
class EvaluationRow:
    """One model on one corpus.

    ``name``: the model's key, with the beginning of its hash where two models share a key. ``against``:
    the name of the model that the ``*_loss`` figures are taken from, None where there are none.
    ``trained_on_corpus``: whether the model learnt from speakers of this corpus, None where nothing says
    what it learnt from.
    """

    name: str
    artifact: ArtifactFacts
    corpus: CorpusFacts
    scoring: accuracy.Scoring
    figures: Mapping[str, Figure]
    against: str | None
    trained_on_corpus: bool | None

    @property
    def clips_learnt(self) -> int:
        """Clips of speakers that this very model saw (``scoring.seen``: that one of the models saw)."""
        training = (self.artifact.manifest or {}).get("training") or {}
        known = (training.get("corpora") or {}).get(self.corpus.name) or {}
        speakers = {*known.get("train", ()), *known.get("validation", ())}
        return sum(clip.speaker in speakers for clip in self.corpus.clips)

    def to_json(self) -> dict[str, Any]:
        """One record of the public JSON; ``corpus`` is that of a run's record."""
        return {
            "artifact": self.name,
            "sha256": self.artifact.sha256,
            "trained_on_corpus": self.trained_on_corpus,
            "corpus": accuracy.corpus_json(self.corpus, self.scoring),
            "against": self.against,
            "metrics": {name: figure.to_json() for name, figure in self.figures.items()},
            "labels": list(self.scoring.labels),
            "confusion": [list(row) for row in self.scoring.confusion],
        }


@dataclass(frozen=True)
class Evaluation:
    """Rows by corpus, then by model, both in the order in which they were asked for."""

    rows: tuple[EvaluationRow, ...]

    def to_json(self) -> dict[str, Any]:
        """The public JSON."""
        return {"schema_version": JSON_VERSION, "records": [row.to_json() for row in self.rows]}


def evaluation(
    artifacts: Sequence[ArtifactFacts],
    corpora: Sequence[CorpusFacts],
    predictions: Mapping[tuple[str, str], Predictions],
) -> Evaluation:
    """Score every model on every corpus; ``predictions`` are by (hash of the file, name of the corpus).

    A model's losses are against its parent where that was scored too, else against the first model:
    other minus this one, over the same clips, paired over speakers (see ``accuracy.losses``).
    """
    names = names_of({artifact.sha256: artifact.key for artifact in artifacts})
    others = {artifact.sha256: _other(artifact, artifacts) for artifact in artifacts}
    rows = []
    for corpus in corpora:
        for artifact in artifacts:
            found = predictions[artifact.sha256, corpus.name]
            scoring = accuracy.score(found, corpus, tasks_of(artifact))
            figures = dict(scoring.figures)
            other = others[artifact.sha256]
            if other is not None:
                before = predictions[other.sha256, corpus.name]
                figures |= accuracy.losses(before, found, corpus, tasks_of(other), tasks_of(artifact))
            rows.append(
                EvaluationRow(
                    name=names[artifact.sha256],
                    artifact=artifact,
                    corpus=corpus,
                    scoring=scoring,
                    figures=figures,
                    against=names[other.sha256] if other else None,
                    trained_on_corpus=_trained_on(artifact, corpus.name),
                )
            )
    return Evaluation(tuple(rows))


def names_of(keys: Mapping[str, str]) -> dict[str, str]:
    """Hash of a file -> its key, with the beginning of the hash where two files share a key.

    Trainings of one recipe do.
    """
    shared = list(keys.values())
    return {
        sha256: key if shared.count(key) == 1 else f"{key} ({sha256[:8]})" for sha256, key in keys.items()
    }


def _other(artifact: ArtifactFacts, artifacts: Sequence[ArtifactFacts]) -> ArtifactFacts | None:
    """The model to take losses from, or None.

    A parent that came after its child on the command line is not compared back with it.
    """
    parent = _parent(artifact, artifacts)
    first = artifacts[0]
    if parent is not None or artifact is first:
        return parent
    return None if _parent(first, artifacts) is artifact else first


def _parent(artifact: ArtifactFacts, artifacts: Sequence[ArtifactFacts]) -> ArtifactFacts | None:
    sha256 = (artifact.manifest or {}).get("parent")
    return next((other for other in artifacts if other is not artifact and other.sha256 == sha256), None)


def _trained_on(artifact: ArtifactFacts, corpus: str) -> bool | None:
    training = (artifact.manifest or {}).get("training")
    return corpus in (training.get("corpora") or {}) if training else None
