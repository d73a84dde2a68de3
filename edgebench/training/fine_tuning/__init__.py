"""Fine-tuning for four emotions: every fold of a protocol is trained and tested in a folder of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from edgebench.models.artifact import Artifact
from edgebench.models.outputs import EMOTION_LOGITS
from edgebench.training.clips.gather import Gathered
from edgebench.training.fine_tuning.recipe import FineTuningRecipe
from edgebench.training.lineage import Lineage, own_lineage
from edgebench.training.method import Job, Method


class FineTuning(Method[FineTuningRecipe]):
    """``method = "fine_tuning"``."""

    schema = FineTuningRecipe
    takes_train_only: ClassVar[bool] = True

    def train(self, recipe: FineTuningRecipe, job: Job) -> None:
        from edgebench.training.fine_tuning.run import train  # noqa: PLC0415  (torch)

        train(recipe, job)

    def lineage(
        self, recipe: FineTuningRecipe, gathered: Gathered, teachers: Sequence[Artifact] = ()
    ) -> Lineage:
        """Of a net that is trained to be shipped; folds are tested and leave no artifact."""
        preparation = tuple(recipe.prepare.steps())
        return own_lineage(recipe, gathered, outputs=(EMOTION_LOGITS,), preparation=preparation)
