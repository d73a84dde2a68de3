"""A distillation from recipe, teacher and sounds to the trained net."""

from __future__ import annotations

from edgebench.training.clips.gather import gather
from edgebench.training.distillation.data import DistillationData
from edgebench.training.distillation.distiller import Distiller, TeacherValidator
from edgebench.training.distillation.recipe import DistillationRecipe
from edgebench.training.lineage import without_seen_speakers
from edgebench.training.loop.processes import Processes
from edgebench.training.loop.progress import tell
from edgebench.training.method import Job, Trained
from edgebench.training.teachers.teacher import load_teacher

NOTES = "notes.txt"


def train(recipe: DistillationRecipe, job: Job) -> Trained | None:
    """See :meth:`edgebench.training.method.Method.train`.

    Notes on what is missing, and on what is used instead, go to stderr and into ``notes.txt``.
    """
    emotions = recipe.loss.emotion_weight > 0.0
    teacher = load_teacher(recipe.teacher, threads=recipe.compute.teacher_threads, emotions=emotions)
    everything = gather(recipe, job.corpora, unlabelled=recipe.data.unlabelled)
    gathered, notes = without_seen_speakers(everything, [teacher.artifact])
    data = DistillationData(gathered.train, recipe, teacher)
    notes = [*data.notes, *notes]
    main = Processes().is_main
    if main:
        tell(notes)
    validate = TeacherValidator(gathered.validation, teacher, neutral=recipe.loss.neutral)
    distiller = Distiller(recipe, data, validate, job.output)
    distiller.resume()
    distiller.run(notify=job.notify)
    if not main:
        return None
    (job.output / NOTES).write_text("".join(f"{note}\n" for note in notes), encoding="utf-8")
    return Trained(distiller.best_model(), gathered, [teacher.artifact])
