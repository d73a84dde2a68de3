"""Recipes: every number of a training run, in a TOML file that is parsed strictly.

A recipe is found by the name of a packaged file (``wav2small``) or by a path. ``--set`` overrides one
value by its dotted key (``optimiser.learning_rate=0.001``); an unknown key is an error that names the
allowed ones, so that a misspelt number never trains a net with the default.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgebench.errors import ConfigError, explain, nearest

if TYPE_CHECKING:
    from edgebench.training.distillation.recipe import DistilRecipe
    from edgebench.training.fine_tuning.recipe import CategoricalRecipe

FOLDER = Path(__file__).parent

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelSection(_Section):
    """``dropout`` on the pooled vector while training; ``weights`` is a checkpoint to start from.

    Without ``weights`` everything starts at random, by the seed.
    """

    dropout: Share
    weights: str | None = None


class DataSection(_Section):
    """Which clips, how long an excerpt, and how many decoded waveforms stay in memory."""

    split: str
    synthetic: bool
    crop_s: Positive
    cache_mb: Count
    corpus_weights: dict[str, Positive]
    balance_power: Share


class AugmentSection(_Section):
    """Each probability is an excerpt's; ranges are drawn from uniformly. See :mod:`.augment`."""

    speed_probability: Share
    speed_range: tuple[Positive, Positive]
    equalise_probability: Share
    equalise_db: Annotated[float, Field(ge=0.0)]
    noise_probability: Share
    noise_snr_db: tuple[float, float]
    noise_slope: tuple[float, float]
    same_class_probability: Share
    any_class_probability: Share
    mix_weight: tuple[Share, Share]
    mel_masks: Annotated[int, Field(ge=0)]
    mel_mask_bands: Count
    gain_db: Annotated[float, Field(ge=0.0)] = 0.0
    time_masks: Annotated[int, Field(ge=0)]
    time_mask_s: Positive


class TeacherSection(_Section):
    """``paths``: ONNX files, or keys of packaged models, whose mean answer joins the human labels.

    ``emotion_share`` and ``adv_share`` are the teacher's part of the target. With ``unlabelled``, clips of
    other emotions, or of none, are learnt from as well, from the teacher alone. Of ``unlabelled_corpora``
    the training speakers are heard and no human label is used; with ``align_unlabelled`` the teachers'
    answers over each of them are scaled until every emotion is as frequent as any other.
    """

    paths: tuple[str, ...] = ()
    emotion_share: Share = 1.0
    adv_share: Share = 1.0
    temperature: Positive = 1.0
    unlabelled: bool = False
    unlabelled_corpora: tuple[str, ...] = ()
    align_unlabelled: bool = True


class LossSection(_Section):
    """Cross-entropy with smoothing plus ``ccc_weight`` times the mean of 1 - CCC over A, D and V."""

    smoothing: Share
    emotion_weight: Annotated[float, Field(ge=0.0)]
    ccc_weight: Annotated[float, Field(ge=0.0)]


class OptimiserSection(_Section):
    """AdamW with linear warm-up and a cosine down to ``final_ratio`` of the peak; weights averaged.

    ``pretrained_ratio`` of the learning rate goes to the layers that a checkpoint fills: heads that start
    at random would else tear at what was learnt before.
    """

    batch: Annotated[int, Field(ge=2)]
    steps: Count
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0.0)]
    warmup_steps: Annotated[int, Field(ge=0)]
    final_ratio: Share
    clip_norm: Positive
    average_decay: Annotated[float, Field(ge=0.0, lt=1.0)]
    pretrained_ratio: Positive = 1.0


class ValidationSection(_Section):
    """Every ``every_steps``; stop after ``patience`` validations without a better mean UA.

    Validations are judged by the mean of the last ``window``: with two dozen clips of a corpus, one
    clip moves UA by some hundredths, and the best of many single validations would be the luckiest.
    ``keep = "last"`` takes the weights at the end of the schedule whatever validation says, and stops for
    nothing: where validation has few speakers, to choose by them is to draw lots.
    """

    every_steps: Count
    window: Count
    patience: Count
    keep: Literal["best", "last"] = "best"


class ComputeSection(_Section):
    """``bf16`` makes a step quicker on processors with AVX512-BF16.

    ``channels_last`` keeps the maps in the order that the processor's bf16 convolutions are quickest in.
    """

    bf16: bool
    threads: Count
    channels_last: bool = False


class QuantizationSection(_Section):
    """Scheme of the int8 artifact, and how many training clips a corpus and emotion calibrate it."""

    scheme: str
    clips_per_class: Count


class Recipe(_Section):
    """One training run, resolved."""

    name: str
    architecture: str
    seed: Annotated[int, Field(ge=0)]
    model: ModelSection
    data: DataSection
    augment: AugmentSection
    teacher: TeacherSection = TeacherSection()
    loss: LossSection
    optimiser: OptimiserSection
    validation: ValidationSection
    compute: ComputeSection
    quantization: QuantizationSection

    def training_json(self) -> str:
        """The recipe as far as it shapes the weights: a checkpoint resumes only under the same.

        Teachers are left out: a checkpoint names them by their hashes, beside the clips.
        A setting that came later has a default, which is what was done before it came; left out at that
        default, it keeps the checkpoints of before.
        """
        left_out: dict[str, Any] = {"quantization": True, "name": True, "teacher": {"paths"}}
        return self.model_dump_json(exclude=left_out, exclude_defaults=True)


def recipe_names() -> list[str]:
    """Names of the packaged recipes."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_recipe(
    name_or_path: str, *, overrides: Sequence[str] = ()
) -> Recipe | DistilRecipe | CategoricalRecipe:
    """Read a packaged recipe or a TOML file and lay ``key=value`` overrides over it.

    ``method`` in the file says what kind of recipe it is; without one it is a :class:`Recipe`. Raises
    :class:`ConfigError` for an unknown recipe or method (nearest names), text that is not TOML, an unknown
    key (allowed keys) and a value of the wrong type or out of range.
    """
    path = Path(name_or_path) if name_or_path.endswith(".toml") else FOLDER / f"{name_or_path}.toml"
    if not path.is_file():
        raise ConfigError(f"recipe {name_or_path!r} does not exist: {nearest(name_or_path, recipe_names())}.")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"recipe {path} is not TOML: {error}. Mend that line.") from None
    values.setdefault("name", path.stem)
    schema = _schema(path, values.get("method"))
    for override in overrides:
        _lay_over(values, override)
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"recipe {path}: {explain(error, schema)}.") from None


def _schema(path: Path, method: object) -> type[Recipe] | type[DistilRecipe] | type[CategoricalRecipe]:
    # Imported here, since their sections are built of ours.
    from edgebench.training.distillation.recipe import DistilRecipe  # noqa: PLC0415
    from edgebench.training.fine_tuning.recipe import CategoricalRecipe  # noqa: PLC0415

    if method is None:
        return Recipe
    methods: dict[str, type[DistilRecipe] | type[CategoricalRecipe]] = {
        "distillation": DistilRecipe,
        "fine_tuning": CategoricalRecipe,
    }
    if method not in methods:
        raise ConfigError(f"recipe {path}: there is no method {method!r}: {nearest(str(method), methods)}.")
    return methods[str(method)]


def _lay_over(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"override {override!r} is not key=value; write e.g. optimiser.steps=4000.")
    try:
        value: Any = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()  # a bare word is a string
    *sections, last = key.strip().split(".")
    target = values
    for section in sections:
        inner = target.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"override {override!r}: {section!r} is a value, not a section of the recipe.")
        target = inner
    target[last] = value
