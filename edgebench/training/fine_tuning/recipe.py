"""The recipe of categorical fine-tuning: every number of the DistilHuBERT paper's Sec. III, and ours.

A TOML file that says ``method = "fine_tuning"`` is parsed by :class:`CategoricalRecipe`. It counts in epochs;
:meth:`CategoricalRecipe.for_clips` counts them out in steps for the clips of one fold.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from edgebench.training.distillation.recipe import NotNegative, PositiveRange, Range
from edgebench.training.recipes.sections import (
    ComputeSection,
    Count,
    Positive,
    QuantizationSection,
    Share,
    ValidationSection,
    _Section,
)

_SHORTEST_S = 0.1  # less leaves the convolutions nothing to pool over

Protocol = Literal["leave_one_session_out", "k_folds", "ratio_split", "random_folds"]


def _some_of_all(share: float) -> float:
    if not 0.0 < share < 1.0:
        raise ValueError("a share lies between 0 and 1, ends left out")
    return share


PartShare = Annotated[float, AfterValidator(_some_of_all)]


class CategoricalModelSection(_Section):
    """``weights``: a folder or hub name in the Hugging Face layout; "" starts everything at random.

    ``dropout`` is the head's. The frozen feature encoder is the stack of convolutions, not the transformer.
    """

    weights: Annotated[str | None, BeforeValidator(lambda value: value or None)]
    dropout: Share
    freeze_feature_encoder: bool


class DivideSection(_Section):
    """What a protocol needs beside its name; see :mod:`edgebench.corpora.splits.protocols`.

    ``folds`` for ``k_folds`` and ``random_folds``; the shares of speakers for ``ratio_split``. Leaving one
    session out draws nothing.
    """

    folds: Count
    test_share: PartShare
    validation_share: PartShare
    seed: Annotated[int, Field(ge=0)]


class CategoricalDataSection(_Section):
    """How many decoded waveforms stay in memory."""

    cache_mb: Count


class PrepareSection(_Section):
    """What is done to every clip, in training as on a board: the steps of the artifact's manifest.

    ``padding`` "heard": every clip is padded to ``length_s``, wherever it is met, and the net hears the
    zeros. "masked": only a batch of training is padded, and the net is told the lengths.
    """

    trim_top_db: Positive
    pre_emphasis: Share
    peak: Positive
    length_s: Positive
    padding: Literal["heard", "masked"]

    def steps(self) -> list[dict[str, Any]]:
        """The steps in order, as :mod:`edgebench.agent.waveform` takes them."""
        shortest_s = self.length_s if self.padding == "heard" else _SHORTEST_S
        return [*self.sound_steps(), {"step": "pad", "min_s": shortest_s}]

    def sound_steps(self) -> list[dict[str, Any]]:
        """The same without the padding at the end, which augmentation comes before."""
        return [
            {"step": "trim", "top_db": self.trim_top_db},
            {"step": "pre_emphasis", "coefficient": self.pre_emphasis},
            {"step": "peak", "level": self.peak},
            {"step": "crop", "max_s": self.length_s},
        ]


class CategoricalAugmentSection(_Section):
    """Each probability is a clip's; ranges are drawn from uniformly. See :mod:`.categorical_augment`."""

    gain_probability: Share
    gain_db: Range
    noise_probability: Share
    noise_amplitude: PositiveRange
    pitch_probability: Share
    pitch_semitones: Range
    polarity_probability: Share


class FocalSection(_Section):
    """See :func:`.focal.focal_loss`. With ``balanced``, classes weigh by how few training clips they have."""

    gamma: NotNegative
    smoothing: Share
    balanced: bool


class EpochOptimiserSection(_Section):
    """AdamW, linear warm-up over ``warmup_ratio`` of all steps, cosine to ``final_ratio`` of the peak.

    ``clip_norm = 0`` clips nothing; ``average_decay = 0`` keeps the weights as they are after each step.
    """

    batch: Count
    epochs: Count
    learning_rate: Positive
    weight_decay: NotNegative
    warmup_ratio: Share
    final_ratio: Share
    clip_norm: NotNegative
    average_decay: Annotated[float, Field(ge=0.0, lt=1.0)]


class EpochValidationSection(_Section):
    """After every epoch; ``patience`` epochs without a better UA end the run, the best is kept."""

    patience: Count


class ProductionSection(_Section):
    """The model that ships: all clips but ``holdout_share``, half of which validates and half tests."""

    holdout_share: PartShare


class CrossCorpusSection(_Section):
    """The corpus that only the production model meets, and its labels that count as neutral there."""

    corpus: str
    as_neutral: tuple[str, ...]


class StepOptimiserSection(EpochOptimiserSection):
    """The same in steps, for a number of clips."""

    steps: Count
    warmup_steps: Annotated[int, Field(ge=0)]


class StepValidationSection(EpochValidationSection, ValidationSection):
    """The same in steps, as the loop reads it; each validation stands for itself."""

    window: Count = 1


class CategoricalRecipe(_Section):
    """One fine-tuning, resolved; ``protocol`` says how the tested corpora are divided."""

    name: str
    method: Literal["fine_tuning"]
    architecture: str
    protocol: Protocol
    seed: Annotated[int, Field(ge=0)]
    model: CategoricalModelSection
    divide: DivideSection
    data: CategoricalDataSection
    prepare: PrepareSection
    augment: CategoricalAugmentSection
    loss: FocalSection
    optimiser: EpochOptimiserSection
    validation: EpochValidationSection
    compute: ComputeSection
    production: ProductionSection
    cross_corpus: CrossCorpusSection
    quantization: QuantizationSection

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


class FoldRecipe(CategoricalRecipe):
    """A recipe counted out for one fold."""

    optimiser: StepOptimiserSection
    validation: StepValidationSection

    def training_json(self) -> str:
        """The recipe as far as it shapes the weights: a checkpoint resumes only under the same."""
        return self.model_dump_json(
            exclude={"name", "protocol", "divide", "production", "cross_corpus", "quantization"}
        )
