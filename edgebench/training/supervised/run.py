"""A supervised training from recipe and corpora to the trained net."""

from __future__ import annotations

from edgebench.training.clips.gather import gather
from edgebench.training.lineage import without_seen_speakers
from edgebench.training.loop.processes import Processes
from edgebench.training.loop.progress import tell
from edgebench.training.method import Job, Trained
from edgebench.training.supervised.data import TrainingData
from edgebench.training.supervised.recipe import SupervisedRecipe
from edgebench.training.supervised.soft_labels import SoftLabels, load_teachers
from edgebench.training.supervised.trainer import Trainer
from edgebench.training.supervised.validator import Validator


def train(recipe: SupervisedRecipe, job: Job) -> Trained | None:
    """See :meth:`edgebench.training.method.Method.train`."""
    teachers = load_teachers(recipe)
    artifacts = [teacher.artifact for teacher in teachers]
    options = recipe.teacher
    everything = gather(
        recipe, job.corpora, unlabelled=options.unlabelled, withheld=options.unlabelled_corpora
    )
    gathered, notes = without_seen_speakers(everything, artifacts)
    main = Processes().is_main
    if main:
        tell(notes)
    data = TrainingData(gathered.train, recipe)
    source = SoftLabels(data, teachers, options) if teachers else data
    trainer = Trainer(recipe, source, Validator(gathered.validation), job.output)
    trainer.resume()
    trainer.run(notify=job.notify)
    return Trained(trainer.best_model(), gathered, artifacts) if main else None
