"""The model that is shipped after the folds were judged, and its figures on a corpus that it has not seen.

The paper's production model (Sec. V-A) is trained on all but 5 % of the clips without regard to speakers, so
that its own figures are of seen speakers; Fig. 1 is its confusion matrix on another corpus.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.corpora import Clip
from edgebench.errors import CorpusError
from edgebench.models import load_artifact
from edgebench.results.metrics.accuracy import Scoring, score
from edgebench.training.artifacts.produce import produce
from edgebench.training.artifacts.score import facts, predict
from edgebench.training.clips.gather import Gathered
from edgebench.training.fine_tuning.fold_files import write_json
from edgebench.training.fine_tuning.folds import without_sounds
from edgebench.training.fine_tuning.recipe import FineTuningRecipe
from edgebench.training.fine_tuning.run import bound_to, refuse_changed, train_fold
from edgebench.training.loop.loop import Progress
from edgebench.training.methods import method_named

if TYPE_CHECKING:
    from edgebench.models import Artifact

DONE = "production.json"


def train_production(
    recipe: FineTuningRecipe,
    fold: Gathered,
    output: Path,
    *,
    command: str,
    notify: Callable[[Progress], None] | None = None,
) -> tuple[Artifact, Artifact] | None:
    """Train on ``fold`` (from its checkpoint, if there is one), export and quantize; the two artifacts.

    ``production.json`` is written last, and where it stands the artifacts are read and not made again. Of
    many processes the first returns them, the others None. Raises :class:`ConfigError` where ``output``
    holds the model of another recipe or of other clips.
    """
    counted = recipe.for_clips(len(fold.train))
    bound = bound_to(counted, fold) | {"quantization": recipe.quantization.model_dump()}
    if (output / DONE).is_file():
        record = json.loads((output / DONE).read_text(encoding="utf-8"))
        refuse_changed(output, record["bound"], bound)
        fp32, small = (load_artifact(output / f"{key}.onnx") for key in record["artifacts"])
        return fp32, small
    tuner = train_fold(counted, fold, output, notify=notify)
    if not tuner.processes.is_main:
        return None
    lineage = method_named(recipe.method).lineage(recipe, fold)
    pair = produce(tuner.best_model(), recipe, fold, output, command=command, lineage=lineage)
    write_json(output / DONE, {"bound": bound, "artifacts": {made.key: made.sha256 for made in pair}})
    return pair


def cross_corpus(
    artifacts: Sequence[Artifact], clips: Sequence[Clip], learnt: Sequence[Clip]
) -> tuple[dict[str, Scoring], list[str]]:
    """The scores of each artifact, by key, on clips of a corpus that it has not seen, and what was left out.

    Clips whose sound was trained on are left out. Raises :class:`CorpusError` where none remains.
    """
    kept, notes = without_sounds(clips, learnt, role="corpus")
    if not kept:
        told = " ".join(notes) or "it has no clip of the four emotions."
        raise CorpusError(
            f"the corpus kept for the finished model cannot test it: {told} Give one that the "
            "model was not trained on."
        )
    truth = facts(kept)
    found = {}
    for artifact in artifacts:
        assert artifact.manifest is not None
        tasks = {name: task.model_dump() for name, task in artifact.manifest.tasks.items()}
        found[artifact.key] = score(predict(artifact, kept), truth, tasks)
    return found, notes
