"""Distillation: a net learns the answers of a teacher to mixes of sounds, without human labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from edgebench.models.artifact import Artifact
from edgebench.models.outputs import DIMENSIONS, HEADS
from edgebench.training.clips.gather import Gathered
from edgebench.training.distillation.recipe import DistillationRecipe
from edgebench.training.lineage import Lineage, own_lineage, with_teachers
from edgebench.training.method import Job, Method, Trained


class Distillation(Method[DistillationRecipe]):
    """``method = "distillation"``."""

    schema = DistillationRecipe
    path_keys: ClassVar[tuple[str, ...]] = (
        "data.split",
        "model.weights",
        "teacher",
        "data.films",
        "data.other_sounds",
        "data.background",
    )

    def train(self, recipe: DistillationRecipe, job: Job) -> Trained | None:
        from edgebench.training.distillation.run import train  # noqa: PLC0415  (torch)

        return train(recipe, job)

    def lineage(
        self, recipe: DistillationRecipe, gathered: Gathered, teachers: Sequence[Artifact] = ()
    ) -> Lineage:
        outputs = HEADS if recipe.loss.emotion_weight > 0.0 else (DIMENSIONS,)
        return with_teachers(own_lineage(recipe, gathered, outputs=outputs), teachers, human_labels=False)
