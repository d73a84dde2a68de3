"""A run small enough for a test: synthetic speech, short excerpts, a handful of steps."""

from __future__ import annotations

from pathlib import Path

from edgebench.corpora import Clip, synthetic_corpus
from edgebench.training.methods import load_recipe
from edgebench.training.supervised.data import TrainingData
from edgebench.training.supervised.recipe import SupervisedRecipe
from edgebench.training.supervised.trainer import Trainer

TINY = (
    "data.crop_s=0.3",
    "optimiser.batch=4",
    "optimiser.steps=6",
    "optimiser.warmup_steps=2",
    "validation.every_steps=2",
    "validation.window=1",
    'validation.keep="best"',
    "compute.threads=1",
    "quantization.clips_per_class=1",
)


def tiny_recipe(*overrides: str) -> SupervisedRecipe:
    return load_recipe("wav2small", overrides=[*TINY, *overrides])


def few_clips(part: str = "train", every: int = 5) -> list[Clip]:
    return synthetic_corpus(split=part)[::every]


def tiny_trainer(output: Path, *overrides: str, validate=None) -> Trainer:
    """``validate`` defaults to a score that rises with the step, so that a best model exists."""
    recipe = tiny_recipe(*overrides)
    scores = iter(range(1000))
    return Trainer(
        recipe,
        TrainingData(few_clips(), recipe),
        validate or (lambda model: {"score": float(next(scores))}),
        output,
    )
