"""The recipe of supervised training on labels, of people or of teachers as well."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from edgebench.training.recipes.sections import (
    Count,
    Fraction,
    NotNegative,
    Positive,
    ScheduleSection,
    Section,
    SplitRecipe,
    SplitSection,
)


class DataSection(SplitSection):
    """Which clips, how long an excerpt, and how many decoded waveforms stay in memory."""

    crop_s: Positive
    cache_mb: Count
    corpus_weights: dict[str, Positive]
    balance_power: Fraction


class AugmentSection(Section):
    """Each probability is an excerpt's; ranges are drawn from uniformly. See :mod:`.augment`."""

    speed_probability: Fraction
    speed_range: tuple[Positive, Positive]
    equalise_probability: Fraction
    equalise_db: NotNegative
    noise_probability: Fraction
    noise_snr_db: tuple[float, float]
    noise_slope: tuple[float, float]
    same_class_probability: Fraction
    any_class_probability: Fraction
    mix_weight: tuple[Fraction, Fraction]
    mel_masks: Annotated[int, Field(ge=0)]
    mel_mask_bands: Count
    gain_db: NotNegative = 0.0
    time_masks: Annotated[int, Field(ge=0)]
    time_mask_s: Positive


class TeacherSection(Section):
    """Teachers whose mean answer is blended into the human labels.

    ``paths`` are ONNX files or keys of packaged models. ``emotion_share`` and ``adv_share`` are the
    teachers' part of the target. ``unlabelled`` adds clips of other emotions, or of none, which the teachers
    alone label. ``unlabelled_corpora`` are trained on with the teachers' labels alone, whatever labels they
    have; with ``align_unlabelled`` the teachers' answers over each of them are rescaled until all emotions
    are equally frequent.
    """

    paths: tuple[str, ...] = ()
    emotion_share: Fraction = 1.0
    adv_share: Fraction = 1.0
    temperature: Positive = 1.0
    unlabelled: bool = False
    unlabelled_corpora: tuple[str, ...] = ()
    align_unlabelled: bool = True


class LossSection(Section):
    """Cross-entropy with smoothing plus ``ccc_weight`` times the mean of 1 - CCC over A, D and V."""

    smoothing: Fraction
    emotion_weight: NotNegative
    ccc_weight: NotNegative


class OptimiserSection(ScheduleSection):
    """AdamW. Layers that a checkpoint fills learn at ``pretrained_ratio`` of the rate.

    Heads start at random and need a higher rate than layers that were trained before.
    """

    batch: Annotated[int, Field(ge=2)]
    clip_norm: Positive
    pretrained_ratio: Positive = 1.0


class SupervisedRecipe(SplitRecipe):
    """One supervised training. A TOML file without ``method`` is of this kind."""

    method: Literal["supervised"] = "supervised"
    data: DataSection
    augment: AugmentSection
    teacher: TeacherSection = TeacherSection()
    loss: LossSection
    optimiser: OptimiserSection

    def training_json(self) -> str:
        """The recipe as far as it shapes the weights: a checkpoint resumes only under the same.

        Teachers are left out: a checkpoint names them by their hashes, beside the clips. A setting at its
        default is left out too: one that was added later has a default that changes nothing, so that
        older checkpoints still match.
        """
        left_out: dict[str, Any] = {"quantization": True, "name": True, "teacher": {"paths"}}
        return self.model_dump_json(exclude=left_out, exclude_defaults=True)
