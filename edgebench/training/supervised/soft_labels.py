"""Soft labels: teachers label each batch that the student is trained on, beside the human labels.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, for the emotions; for arousal,
dominance and valence the teacher's outputs as they are, as in Kounadis-Bastian et al., "Wav2Small",
Sec. II-B. Over a corpus without labels the emotions are aligned: Berthelot et al., "ReMixMatch", ICLR 2020,
Sec. 3.1. A batch stays a pure function of (recipe, clips, teachers, step).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgebench.errors import ConfigError
from edgebench.training.supervised.data import Batch, TrainingData
from edgebench.training.supervised.recipe import SupervisedRecipe, TeacherSection
from edgebench.training.teachers.distributions import even_factors, softmax
from edgebench.training.teachers.teacher import Teacher, load_teacher

Array = NDArray[np.float32]
ALIGNED_OVER = 2000  # clips at most: a frequency of a quarter is then known to a hundredth


def blend(hard: Array, soft: Array, *, share: float) -> Array:
    """``(1 - share) * hard + share * soft`` by row; a row without a hard label (NaN) is the soft one."""
    unlabelled = ~np.isfinite(hard).all(axis=1, keepdims=True)
    mixed = np.float32(1.0 - share) * np.where(unlabelled, 0.0, hard) + np.float32(share) * soft
    blended: Array = np.where(unlabelled, soft, mixed).astype(np.float32)
    return blended


def load_teachers(recipe: SupervisedRecipe) -> list[Teacher]:
    """The teachers that the recipe names.

    Raises :class:`ConfigError` where its ``teacher`` section is changed and names none, and what
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

    The mean is taken over the teachers' distributions and over their A/D/V. A teacher that has not seen a
    corpus often prefers some emotions there, which a student would learn. So over a corpus without labels the
    distributions are aligned, if ``options`` say so: all emotions become equally frequent.
    """

    def __init__(self, data: TrainingData, teachers: Sequence[Teacher], options: TeacherSection) -> None:
        self.data, self.teachers, self.options = data, list(teachers), options
        self.names = [*data.names, *(f"teacher {teacher.artifact.sha256}" for teacher in teachers)]
        self.factors = self._aligned() if options.align_unlabelled else {}

    def batch(self, step: int) -> Batch:
        """The batch of a step (0, 1, ...); its labels are the teachers' as far as the recipe says."""
        return self._labelled(self.data.batch(step), self.data.indices(step))

    def rows(self, step: int, rows: range) -> Batch:
        """Some rows of a batch that several processes make and label."""
        indices = self.data.indices(step)
        return self._labelled(self.data.rows(step, rows), [indices[row] for row in rows])

    def answers(self, waveforms: Array) -> tuple[Array, Array]:
        """Waveforms (batch, samples) to the teachers' mean distributions (batch, 4) and A/D/V (batch, 3)."""
        distributions, dimensions = [], []
        for teacher in self.teachers:
            adv, logits = teacher(waveforms)
            assert logits is not None  # loaded with its emotions
            dimensions.append(adv)
            distributions.append(softmax(logits, temperature=self.options.temperature))
        return np.mean(distributions, axis=0), np.mean(dimensions, axis=0)

    def _aligned(self) -> dict[str, Array]:
        """Factors (4,) of each corpus without labels, from an excerpt of each clip, or of so many of them."""
        factors, recipe = {}, self.data.recipe
        size, draws = recipe.optimiser.batch, np.random.default_rng(recipe.seed)
        for corpus in self.options.unlabelled_corpora:
            clips = [index for index, clip in enumerate(self.data.clips) if clip.corpus == corpus]
            if len(clips) > ALIGNED_OVER:
                clips = sorted(draws.permutation(clips)[:ALIGNED_OVER].tolist())
            chunks = [clips[start : start + size] for start in range(0, len(clips), size)]
            answers = [self.answers(self.data.once(chunk).waveforms)[0] for chunk in chunks]
            factors[corpus] = even_factors(np.concatenate(answers))
        return factors

    def _labelled(self, batch: Batch, indices: Sequence[int]) -> Batch:
        options = self.options
        distributions, adv = self.answers(batch.waveforms)
        for row, index in enumerate(indices):
            factors = self.factors.get(self.data.clips[index].corpus)
            if factors is not None:
                distributions[row] *= factors / (distributions[row] @ factors)
        return batch._replace(
            emotions=blend(batch.emotions, distributions, share=options.emotion_share),
            adv=blend(batch.adv, adv, share=options.adv_share),
        )
