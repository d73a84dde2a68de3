"""Soft labels: a teacher hears every batch as the student will, and its answers join the human labels.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, for the emotions; for arousal,
dominance and valence the teacher's outputs as they are, as in Kounadis-Bastian et al., "Wav2Small",
Sec. II-B. A batch stays a pure function of (recipe, clips, teachers, step).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgebench.errors import ConfigError
from edgebench.training.data import Batch, TrainingData
from edgebench.training.recipe import Recipe, TeacherSection
from edgebench.training.teacher import Teacher, load_teacher

Array = NDArray[np.float32]


def softmax(logits: Array, *, temperature: float) -> Array:
    """Distributions (batch, classes) of logits divided by ``temperature``."""
    scaled = logits / temperature
    raised = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    spread: Array = (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
    return spread


def blend(hard: Array, soft: Array, *, share: float) -> Array:
    """``(1 - share) * hard + share * soft`` by row; a row without a hard label (NaN) is the soft one."""
    unlabelled = ~np.isfinite(hard).all(axis=1, keepdims=True)
    mixed = np.float32(1.0 - share) * np.where(unlabelled, 0.0, hard) + np.float32(share) * soft
    blended: Array = np.where(unlabelled, soft, mixed).astype(np.float32)
    return blended


def load_teachers(recipe: Recipe) -> list[Teacher]:
    """The teachers that the recipe names, none where it has no use for any.

    Raises :class:`ConfigError` where it says what part teachers have and names none, and what
    :func:`load_teacher` raises.
    """
    if recipe.teacher != TeacherSection() and not recipe.teacher.paths:
        raise ConfigError(
            f"recipe {recipe.name!r} learns from teachers, and names none. Give one or more: "
            "--set 'teacher.paths=[\"PATH\"]'."
        )
    return [
        load_teacher(path, threads=recipe.compute.threads, emotions=True) for path in recipe.teacher.paths
    ]


class SoftLabels:
    """The batches of ``data`` with the mean answer of ``teachers`` blended into their labels.

    The mean is taken over the teachers' distributions and over their A/D/V.
    """

    def __init__(self, data: TrainingData, teachers: Sequence[Teacher], options: TeacherSection) -> None:
        self.data, self.teachers, self.options = data, list(teachers), options
        self.names = [*data.names, *(f"teacher {teacher.artifact.sha256}" for teacher in teachers)]

    def batch(self, step: int) -> Batch:
        """The batch of a step (0, 1, ...); its labels are the teachers' as far as the recipe says."""
        return self._labelled(self.data.batch(step))

    def share(self, step: int, rows: range) -> Batch:
        """Some rows of a batch that several processes make and label."""
        return self._labelled(self.data.share(step, rows))

    def _labelled(self, batch: Batch) -> Batch:
        options = self.options
        distributions, dimensions = [], []
        for teacher in self.teachers:
            adv, logits = teacher(batch.waveforms)
            assert logits is not None  # loaded with its emotions
            dimensions.append(adv)
            distributions.append(softmax(logits, temperature=options.temperature))
        return batch._replace(
            emotions=blend(batch.emotions, np.mean(distributions, axis=0), share=options.emotion_share),
            adv=blend(batch.adv, np.mean(dimensions, axis=0), share=options.adv_share),
        )
