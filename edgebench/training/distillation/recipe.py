"""The recipe of a distillation: every number of the Wav2Small paper's Sec. II-B and II-C, and of ours.

A TOML file that says ``method = "distillation"`` is parsed by :class:`DistillationRecipe`.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgebench.training.recipes.sections import (
    ComputeSection,
    Count,
    Fraction,
    FractionRange,
    NotNegative,
    Positive,
    PositiveRange,
    Range,
    ScheduleSection,
    Section,
    SplitRecipe,
    SplitSection,
)

Bucket = Literal["films", "speech", "other_sounds", "background"]


class SoundsSection(SplitSection):
    """Where excerpts come from, and how long they are.

    ``films``, ``other_sounds`` and ``background`` are folders of 16 kHz mono WAV or FLAC ("": not
    given); speech is the clips of the training speakers of the corpora. ``first`` and ``second`` weigh
    the buckets that the two excerpts of a mix are drawn from.
    """

    unlabelled: bool
    cache_mb: Count
    films: str
    other_sounds: str
    background: str
    length_s: PositiveRange
    first: dict[Bucket, NotNegative]
    second: dict[Bucket, NotNegative]


class DistortSection(Section):
    """See :mod:`.augment`; a probability is a mix's, a range is drawn from uniformly."""

    first_gain: Positive
    second_gain: Positive
    rotate_probability: Fraction
    drop_probability: Fraction
    drop_share: FractionRange
    drop_width_hz: Positive
    shout_probability: Fraction
    shout_pitch: PositiveRange
    shout_tilt_db_per_octave: Range
    shout_level_db: Range


class DistillationLossSection(Section):
    """``ccc_weight * (1 - CCC) + quadrant_weight * quadrant correction + emotion_weight * cross-entropy``."""

    ccc_weight: NotNegative
    quadrant_weight: NotNegative
    neutral: float
    emotion_weight: NotNegative
    emotion_temperature: Positive


class DistillationOptimiserSection(ScheduleSection):
    """The paper's SGD at a constant rate, or AdamW, which a short run may want."""

    algorithm: Literal["sgd", "adamw"]
    batch: Annotated[int, Field(ge=2)]
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)]


class DistillationComputeSection(ComputeSection):
    """Threads of the student's steps, and of the teacher, which labels the next batch meanwhile."""

    teacher_threads: Count


class DistillationRecipe(SplitRecipe):
    """One distillation. ``teacher`` is an ONNX file or the key of a packaged artifact."""

    method: Literal["distillation"]
    teacher: str
    data: SoundsSection
    distort: DistortSection
    loss: DistillationLossSection
    optimiser: DistillationOptimiserSection
    compute: DistillationComputeSection

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if not self.loss.ccc_weight + self.loss.quadrant_weight + self.loss.emotion_weight:
            raise ValueError("every weight of the loss is 0, which leaves nothing to learn")
        return self

    def training_json(self, *, teacher_sha256: str) -> str:
        """The recipe as far as it shapes the weights, the teacher by its hash.

        Folders are left out: the sounds in them are named one by one in a checkpoint.
        """
        folders = {"films", "other_sounds", "background"}
        values = self.model_dump(
            mode="json", exclude={"name": True, "teacher": True, "quantization": True, "data": folders}
        )
        return json.dumps({**values, "teacher_sha256": teacher_sha256})
