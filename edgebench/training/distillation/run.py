"""``edgebench train`` on a recipe of distillation: from a teacher and sounds to artifacts and card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from edgebench.training.artifacts.produce import produce
from edgebench.training.clips.gather import gather, training_facts
from edgebench.training.distillation.data import DistilData
from edgebench.training.distillation.distiller import Distiller, TeacherValidator
from edgebench.training.distillation.recipe import DistilRecipe
from edgebench.training.lineage import leave_out_heard, taught_origin, tell
from edgebench.training.loop.loop import Progress
from edgebench.training.loop.processes import Processes
from edgebench.training.teachers.teacher import load_teacher

NOTES = "notes.txt"


def distil(
    recipe: DistilRecipe,
    *,
    corpora: Mapping[str, Path],
    output: Path,
    command: str,
    notify: Callable[[Progress], None] | None = None,
) -> Path:
    """Distil the recipe's teacher into its architecture; goes on from a checkpoint in ``output``.

    What is missing, and what is used in its place, is told on stderr; ``notes.txt`` keeps it. Raises the
    errors of :mod:`edgebench.errors`: no teacher, a teacher that cannot teach, buckets and corpora that
    cannot be read.
    """
    emotions = recipe.loss.emotion_weight > 0.0
    teacher = load_teacher(recipe.teacher, threads=recipe.compute.teacher_threads, emotions=emotions)
    gathered, notes = leave_out_heard(gather(recipe, corpora, unlabelled=recipe.data.unlabelled), [teacher])
    data = DistilData(gathered.train, recipe, teacher)
    notes = [*data.notes, *notes]
    main = Processes().is_main
    if main:
        tell(notes)
    validate = TeacherValidator(gathered.validation, teacher, neutral=recipe.loss.neutral)
    distiller = Distiller(recipe, data, validate, output)
    distiller.resume()
    distiller.run(notify=notify)
    if not main:
        return output
    facts = training_facts(recipe, gathered)
    origin = taught_origin(facts, [teacher], emotions=emotions, human_labels=False)
    produce(distiller.best_model(), recipe, gathered, output, command=command, origin=origin)
    (output / NOTES).write_text("".join(f"{note}\n" for note in notes), encoding="utf-8")
    return output
