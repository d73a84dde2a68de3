"""Supervised training on the labels of corpora, blended with teachers' where a recipe names any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from edgebench.models.artifact import Artifact
from edgebench.training.clips.gather import Gathered
from edgebench.training.lineage import Lineage, own_lineage, with_teachers
from edgebench.training.method import Job, Method, Trained
from edgebench.training.supervised.recipe import SupervisedRecipe


class Supervised(Method[SupervisedRecipe]):
    """The method of a recipe that names none."""

    schema = SupervisedRecipe
    path_keys: ClassVar[tuple[str, ...]] = ("data.split", "model.weights", "teacher.paths")

    def train(self, recipe: SupervisedRecipe, job: Job) -> Trained | None:
        from edgebench.training.supervised.run import train  # noqa: PLC0415  (torch)

        return train(recipe, job)

    def lineage(
        self, recipe: SupervisedRecipe, gathered: Gathered, teachers: Sequence[Artifact] = ()
    ) -> Lineage:
        own = own_lineage(recipe, gathered)
        if not teachers:
            return own
        human_labels = min(recipe.teacher.emotion_share, recipe.teacher.adv_share) < 1.0
        return with_teachers(own, teachers, human_labels=human_labels)
