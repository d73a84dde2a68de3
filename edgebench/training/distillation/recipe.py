"""The recipe of a distillation: every number of the Wav2Small paper's Sec. II-B and II-C, and of ours.

A TOML file that says ``method = "distillation"`` is parsed by :class:`DistilRecipe`.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from edgebench.training.recipes.sections import (
    ComputeSection,
    Count,
    ModelSection,
    Positive,
    QuantizationSection,
    Share,
    ValidationSection,
    _Section,
)

NotNegative = Annotated[float, Field(ge=0.0)]
Bucket = Literal["films", "speech", "other_sounds", "background"]


def _rising(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError(f"a range runs from low to high, and {ends[0]:g} is above {ends[1]:g}")
    return ends


Range = Annotated[tuple[float, float], AfterValidator(_rising)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_rising)]
ShareRange = Annotated[tuple[Share, Share], AfterValidator(_rising)]


class SoundsSection(_Section):
    """Where excerpts come from, and how long they are.

    ``films``, ``other_sounds`` and ``background`` are folders of 16 kHz mono WAV or FLAC ("": not
    given); speech is the clips of the training speakers of the corpora. ``first`` and ``second`` weigh
    the buckets that the two excerpts of a mix are drawn from.
    """

    split: str
    synthetic: bool
    unlabelled: bool
    cache_mb: Count
    films: str
    other_sounds: str
    background: str
    length_s: PositiveRange
    first: dict[Bucket, NotNegative]
    second: dict[Bucket, NotNegative]


class DistortSection(_Section):
    """See :mod:`.distil_augment`; a probability is a mix's, a range is drawn from uniformly."""

    first_gain: Positive
    second_gain: Positive
    rotate_probability: Share
    drop_probability: Share
    drop_share: ShareRange
    drop_width_hz: Positive
    shout_probability: Share
    shout_pitch: PositiveRange
    shout_tilt_db_per_octave: Range
    shout_level_db: Range


class DistilLossSection(_Section):
    """``ccc_weight * (1 - CCC) + quadrant_weight * quadrant correction + emotion_weight * cross-entropy``."""

    ccc_weight: NotNegative
    quadrant_weight: NotNegative
    neutral: float
    emotion_weight: NotNegative
    emotion_temperature: Positive


class DistilOptimiserSection(_Section):
    """The paper's SGD without schedule, and what a short run may want: AdamW, warm-up, cosine, averaging.

    ``final_ratio = 1`` is a constant rate; ``clip_norm = 0`` clips nothing; ``average_decay = 0`` ships
    the last weights as they are.
    """

    algorithm: Literal["sgd", "adamw"]
    batch: Annotated[int, Field(ge=2)]
    steps: Count
    learning_rate: Positive
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)]
    weight_decay: NotNegative
    warmup_steps: Annotated[int, Field(ge=0)]
    final_ratio: Share
    clip_norm: NotNegative
    average_decay: Annotated[float, Field(ge=0.0, lt=1.0)]


class DistilComputeSection(ComputeSection):
    """Threads of the student's steps, and of the teacher, which labels the next batch meanwhile."""

    teacher_threads: Count


class DistilRecipe(_Section):
    """One distillation, resolved. ``teacher`` is an ONNX file or the key of a packaged artifact."""

    name: str
    method: Literal["distillation"]
    architecture: str
    teacher: str
    seed: Annotated[int, Field(ge=0)]
    model: ModelSection
    data: SoundsSection
    distort: DistortSection
    loss: DistilLossSection
    optimiser: DistilOptimiserSection
    validation: ValidationSection
    compute: DistilComputeSection
    quantization: QuantizationSection

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
