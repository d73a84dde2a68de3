"""The recipe of categorical fine-tuning: every number of the DistilHuBERT paper's Sec. III, and ours.

A TOML file that says ``method = "fine_tuning"`` is parsed by :class:`FineTuningRecipe`. It counts in epochs;
:meth:`FineTuningRecipe.for_clips` counts them out in steps for the clips of one fold.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from edgebench.training.recipes.sections import (
    Count,
    Fraction,
    LoopRecipe,
    ModelSection,
    NotNegative,
    Positive,
    PositiveRange,
    Range,
    Recipe,
    ScheduleSection,
    Section,
    ValidationSection,
)

SHORTEST_S = 0.1  # less leaves the convolutions nothing to pool over

Protocol = Literal["leave_one_session_out", "k_folds", "ratio_split", "random_folds"]


def _some_of_all(share: float) -> float:
    if not 0.0 < share < 1.0:
        raise ValueError("a share lies between 0 and 1, ends left out")
    return share


PartFraction = Annotated[float, AfterValidator(_some_of_all)]


class FineTuningModelSection(ModelSection):
    """``weights``: a folder or hub name in the Hugging Face layout; "" starts everything at random.

    ``dropout`` is the head's. The frozen feature encoder is the stack of convolutions, not the transformer.
    """

    weights: Annotated[str | None, BeforeValidator(lambda value: value or None)]
    freeze_feature_encoder: bool


class DivideSection(Section):
    """What a protocol needs beside its name; see :mod:`edgebench.corpora.splits.protocols`.

    ``folds`` for ``k_folds`` and ``random_folds``; the shares of speakers for ``ratio_split``. Leaving one
    session out draws nothing.
    """

    folds: Count
    test_share: PartFraction
    validation_share: PartFraction
    seed: Annotated[int, Field(ge=0)]


class ClipsSection(Section):
    """How many decoded waveforms stay in memory."""

    cache_mb: Count


class PrepareSection(Section):
    """What is done to every clip, in training as on a board: the steps of the artifact's manifest.

    ``padding`` "heard": every clip is padded to ``length_s``, in training as in use, and the zeros are input
    like any other. "masked": only batches of training are padded, and the net is given the lengths.
    """

    trim_top_db: Positive
    pre_emphasis: Fraction
    peak: Positive
    length_s: Positive
    padding: Literal["heard", "masked"]

    def steps(self) -> list[dict[str, Any]]:
        """The steps in order, as :mod:`edgebench.agent.waveform` takes them."""
        shortest_s = self.length_s if self.padding == "heard" else SHORTEST_S
        return [*self.sound_steps(), {"step": "pad", "min_s": shortest_s}]

    def sound_steps(self) -> list[dict[str, Any]]:
        """The same without the padding at the end, which augmentation comes before."""
        return [
            {"step": "trim", "top_db": self.trim_top_db},
            {"step": "pre_emphasis", "coefficient": self.pre_emphasis},
            {"step": "peak", "level": self.peak},
            {"step": "crop", "max_s": self.length_s},
        ]


class FineTuningAugmentSection(Section):
    """Each probability is a clip's; ranges are drawn from uniformly. See :mod:`.augment`."""

    gain_probability: Fraction
    gain_db: Range
    noise_probability: Fraction
    noise_amplitude: PositiveRange
    pitch_probability: Fraction
    pitch_semitones: Range
    polarity_probability: Fraction


class FocalSection(Section):
    """See :func:`.focal.focal_loss`. With ``balanced``, classes weigh by how few training clips they have."""

    gamma: NotNegative
    smoothing: Fraction
    balanced: bool


class EpochOptimiserSection(Section):
    """AdamW, linear warm-up over ``warmup_ratio`` of all steps, cosine to ``final_ratio`` of the peak.

    ``clip_norm = 0`` clips nothing; ``average_decay = 0`` keeps the weights as they are after each step.
    """

    batch: Count
    epochs: Count
    learning_rate: Positive
    weight_decay: NotNegative
    warmup_ratio: Fraction
    final_ratio: Fraction
    clip_norm: NotNegative
    average_decay: Annotated[float, Field(ge=0.0, lt=1.0)]


class EpochValidationSection(Section):
    """After every epoch; ``patience`` epochs without a better UA end the run, the best is kept."""

    patience: Count


class ProductionSection(Section):
    """The model that ships: all clips but ``holdout_share``, half of which validates and half tests."""

    holdout_share: PartFraction


class CrossCorpusSection(Section):
    """The corpus that the production model alone is tested on, and its labels that count as neutral."""

    corpus: str
    as_neutral: tuple[str, ...]


class StepOptimiserSection(EpochOptimiserSection, ScheduleSection):
    """The same in steps, for a number of clips."""

    steps: Count
    warmup_steps: Annotated[int, Field(ge=0)]


class StepValidationSection(EpochValidationSection, ValidationSection):
    """The same in steps, as the loop reads it; each validation stands for itself."""

    window: Count = 1


class FineTuningRecipe(Recipe):
    """One fine-tuning; ``protocol`` says how the tested corpora are divided."""

    method: Literal["fine_tuning"]
    protocol: Protocol
    model: FineTuningModelSection
    divide: DivideSection
    data: ClipsSection
    prepare: PrepareSection
    augment: FineTuningAugmentSection
    loss: FocalSection
    optimiser: EpochOptimiserSection
    validation: EpochValidationSection
    production: ProductionSection
    cross_corpus: CrossCorpusSection

    def for_clips(self, clips: int) -> FoldRecipe:
        """The recipe of a fold with so many training clips; epochs run on across batches, all of one size."""
        steps = math.ceil(self.optimiser.epochs * clips / self.optimiser.batch)
        values = self.model_dump()
        values["optimiser"] |= {
            "steps": steps,
            "warmup_steps": round(self.optimiser.warmup_ratio * steps),
        }
        values["validation"] |= {"every_steps": math.ceil(clips / self.optimiser.batch)}
        return FoldRecipe.model_validate(values)


class FoldRecipe(FineTuningRecipe, LoopRecipe):
    """A recipe counted out for one fold."""

    optimiser: StepOptimiserSection
    validation: StepValidationSection

    def training_json(self) -> str:
        """The recipe as far as it shapes the weights: a checkpoint resumes only under the same."""
        return self.model_dump_json(
            exclude={"name", "protocol", "divide", "production", "cross_corpus", "quantization"}
        )
