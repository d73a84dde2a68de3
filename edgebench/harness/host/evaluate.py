"""Accuracy on this host, without cost: the same clips, the same predictions and the same figures as a run.

The engine is the agent, as for the reference of a run (``predict``), and not a loop of its own: a clip is
prepared and predicted by the code that does it on a board, so that what is found here is what a board of
the same arithmetic gives; a runtime that dies takes its process and not this one; and while a run is being
measured on this host, an evaluation is refused instead of spoiling it. Clips are chosen by ``heldout``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.corpora import Where
from edgebench.errors import ModelError, UsageError
from edgebench.harness.events import Events
from edgebench.harness.facts import artifact_facts
from edgebench.harness.host.predict import predict_on_host
from edgebench.harness.plan import PackedCorpus, Subject
from edgebench.harness.speech import prepare_corpus
from edgebench.harness.suite import Limits, Suite
from edgebench.models import load_artifacts
from edgebench.models.making.untrained import WEIGHTS
from edgebench.results import Predictions
from edgebench.results.evaluation import Evaluation, evaluation

if TYPE_CHECKING:
    from edgebench.models import Artifact

# A prediction that takes longer than this many times its audio is taken for hung. The slowest models of
# the papers need about as long as the audio on one core.
_SLOWEST_REAL_TIME_FACTOR = 100.0
_NAME = "evaluate"


def evaluate(
    models: Sequence[str],
    corpora: Mapping[str, Where],
    *,
    include_seen: bool,
    cache: Path,
    events: Events,
) -> Evaluation:
    """Score models (packaged keys or paths) on corpora (name -> where it lies), all on the same clips.

    Clips of speakers that one of the models was trained on are left out and counted; ``include_seen``
    scores and marks them. Raises UsageError without a model or a corpus, or for a model given twice;
    ModelError for a file that cannot be scored; CorpusError where no clip, or one speaker's alone, is left.
    """
    _require(models, corpora)
    artifacts = scorable(load_artifacts(models))
    held_out = []
    for name, folder in corpora.items():
        held_out.append(
            prepare_corpus(
                name, folder, artifacts, include_seen=include_seen, cache=cache / "packs", events=events
            )
        )
    return evaluation(
        [artifact_facts(artifact) for artifact in artifacts],
        [corpus.facts for corpus in held_out],
        predict_corpora(artifacts, [corpus.packed for corpus in held_out], cache=cache, events=events),
    )


def predict_corpora(
    artifacts: Sequence[Artifact], corpora: Sequence[PackedCorpus], *, cache: Path, events: Events
) -> dict[tuple[str, str], Predictions]:
    """What each artifact says of each clip, by (hash of the file, name of the corpus).

    Raises as ``predict_on_host`` does.
    """
    longest_s = max(corpus.audio_s for corpus in corpora)
    suite = Suite(
        name=_NAME,
        scenarios=("offline",),
        corpora=tuple(corpus.name for corpus in corpora),
        limits=Limits(trial_timeout_s=max(900.0, _SLOWEST_REAL_TIME_FACTOR * longest_s)),
    )
    events.stage("predicting on this host")
    lines = predict_on_host(suite, artifacts, corpora, cache=cache, events=events)
    return {
        (line["artifact_sha256"], line["corpus"]): Predictions.model_validate_json(
            json.dumps(line["predictions"])
        )
        for line in lines
    }


def _require(models: Sequence[str], corpora: Mapping[str, Where]) -> None:
    if not models:
        raise UsageError("name the models to score: packaged ones (`edgebench models`) or ONNX files.")
    if not corpora:
        raise UsageError(
            "nothing to score on: pass --corpus NAME=PATH, such as --corpus emodb=/data/emodb; repeat it for "
            "several. The synthetic corpus is scored by `edgebench run` alone: figures on it check the "
            "pipeline and are no speech-emotion accuracy."
        )


def scorable(artifacts: Sequence[Artifact]) -> list[Artifact]:
    """The artifacts, once each has been found fit to be scored and none is there twice."""
    for number, artifact in enumerate(artifacts):
        twin = next((other for other in artifacts[:number] if other.sha256 == artifact.sha256), None)
        if twin is not None:
            raise UsageError(
                f"model {artifact.path}: the same file as {twin.path}. Name each model once; what is "
                "compared with itself differs by nothing."
            )
        if artifact.manifest is not None and artifact.manifest.scheme.get("weights") == WEIGHTS:
            raise ModelError(
                f"model {artifact.path} is untrained: its weights are random numbers, made to measure what "
                "the architecture costs. Give a trained model."
            )
        if artifact.manifest is None or not artifact.manifest.tasks:
            raise ModelError(
                f"model {artifact.path} has no manifest, so nothing says what its outputs mean and it cannot "
                "be scored. Put its manifest (.json) beside it, as `edgebench train` leaves one; "
                "`edgebench run` measures its cost without."
            )
        if not Subject.of(artifact).takes_clips:
            taken = " or ".join(map(str, artifact.lengths))
            raise ModelError(
                f"model {artifact.path} takes exactly {taken} samples; the clips of a corpus have "
                "lengths of their own. Export it with a free samples axis to score it."
            )
    return list(artifacts)
