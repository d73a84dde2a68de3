"""The sections that recipes of every method are built of; a method's own stand in its folder.

Parsing is strict: an unknown key, a wrong type or a value out of range is an error, and a parsed recipe
cannot be changed.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=1)]


def _rising(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError(f"a range runs from low to high, and {ends[0]:g} is above {ends[1]:g}")
    return ends


Range = Annotated[tuple[float, float], AfterValidator(_rising)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_rising)]
FractionRange = Annotated[tuple[Fraction, Fraction], AfterValidator(_rising)]


class Section(BaseModel):
    """A table of a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelSection(Section):
    """``dropout`` on the pooled vector while training; ``weights`` is a checkpoint to start from.

    Without ``weights`` everything starts at random, by the seed.
    """

    dropout: Fraction
    weights: str | None = None


class SplitSection(Section):
    """Which split divides the corpora's speakers, and whether its synthetic voices take part."""

    split: str
    synthetic: bool


class ScheduleSection(Section):
    """What the loop reads of an optimiser: sizes, the rate's schedule, clipping and averaging.

    The rate rises linearly over ``warmup_steps`` and falls as a cosine to ``final_ratio`` of the peak;
    ``final_ratio = 1`` is a constant rate. ``clip_norm = 0`` clips nothing. ``average_decay = 0`` keeps the
    weights as they are after each step.
    """

    batch: Count
    steps: Count
    learning_rate: Positive
    weight_decay: NotNegative
    warmup_steps: Annotated[int, Field(ge=0)]
    final_ratio: Fraction
    clip_norm: NotNegative
    average_decay: Annotated[float, Field(ge=0.0, lt=1.0)]


class ValidationSection(Section):
    """Every ``every_steps``; stop after ``patience`` validations without a better mean UA.

    A validation is judged by the mean of the last ``window`` validations: with two dozen clips a corpus,
    one clip moves UA by some hundredths, and the best single validation would be a matter of luck.
    ``keep = "last"`` keeps the weights at the end of the schedule and never stops early: with very few
    validation speakers, their choice would be luck too.
    """

    every_steps: Count
    window: Count
    patience: Count
    keep: Literal["best", "last"] = "best"


class ComputeSection(Section):
    """``bf16`` makes a step quicker on processors with AVX512-BF16.

    ``channels_last`` is the memory order in which convolutions in bf16 are quickest on a CPU.
    """

    bf16: bool
    threads: Count
    channels_last: bool = False


class QuantizationSection(Section):
    """Scheme of the int8 artifact, and how many training clips a corpus and emotion calibrate it."""

    scheme: str
    clips_per_class: Count


class Recipe(Section):
    """What every recipe says, whatever its method."""

    name: str
    method: str
    architecture: str
    seed: Annotated[int, Field(ge=0)]
    model: ModelSection
    compute: ComputeSection
    quantization: QuantizationSection

    @property
    def chosen_by_validation(self) -> bool:
        """Whether the weights that are kept are the best by validation, rather than the last."""
        return True


class LoopRecipe(Recipe):
    """What the training loop reads: a recipe counted in steps."""

    optimiser: ScheduleSection
    validation: ValidationSection

    @property
    def chosen_by_validation(self) -> bool:
        return self.validation.keep == "best"


class SplitRecipe(LoopRecipe):
    """A recipe whose corpora are divided by one split file."""

    data: SplitSection
