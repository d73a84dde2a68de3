"""The recipe of a distillation holds the paper's numbers, and nothing misspelt passes."""

from __future__ import annotations

import json

import pytest
from distil_tiny import tiny_recipe

from edgebench.errors import ConfigError
from edgebench.training.distillation.recipe import DistillationRecipe
from edgebench.training.methods import load_recipe
from edgebench.training.supervised.recipe import SupervisedRecipe


def test_the_papers_numbers():
    recipe = load_recipe("wav2small_distill")
    assert isinstance(recipe, DistillationRecipe)
    assert (recipe.distort.first_gain, recipe.distort.second_gain) == (0.64, 0.41)
    assert recipe.data.length_s == (0.4, 12.0)
    assert recipe.distort.shout_probability == 0.04  # a draw from [0, 1) below it
    assert (recipe.loss.ccc_weight, recipe.loss.quadrant_weight, recipe.loss.neutral) == (100.0, 4.0, 0.5)
    sgd = recipe.optimiser
    assert (sgd.algorithm, sgd.learning_rate, sgd.momentum, sgd.weight_decay) == ("sgd", 5e-5, 0.0, 0.0)
    assert (sgd.batch, sgd.steps) == (16, 50_000_000)
    # Nothing that the paper does not have: no schedule, no clipping, no averaging, no early stop.
    assert (sgd.warmup_steps, sgd.final_ratio, sgd.clip_norm, sgd.average_decay) == (0, 1.0, 0.0, 0.0)
    assert recipe.validation.every_steps * recipe.validation.patience >= sgd.steps


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("distort.shout_probabilty=0.1", "unknown key 'distort.shout_probabilty'; did you mean"),
        ("augment.speed_probability=0.1", "unknown key 'augment'"),
        ("distort.shout_probability=1.5", "'distort.shout_probability'"),
        ("data.length_s=[2.0, 1.0]", "a range runs from low to high, and 2 is above 1"),
        ("data.length_s=[0.0, 1.0]", "'data.length_s.0'"),
        ("data.second.rain=1.0", "'data.second.rain"),
        ("data.second.speech=-1.0", "'data.second.speech'"),
        ("optimiser.algorithm=adam", "'optimiser.algorithm'"),
        ("method=telepathy", "'method'"),
        ("teachr=x.onnx", "unknown key 'teachr'; did you mean 'teacher'"),
    ],
)
def test_bad_override(override, told):
    with pytest.raises(ConfigError) as caught:
        load_recipe("wav2small_distill", overrides=[override])
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_loss_of_nothing():
    with pytest.raises(ConfigError, match="every weight of the loss is 0"):
        tiny_recipe("loss.ccc_weight=0.0", "loss.quadrant_weight=0.0")


def test_a_checkpoint_is_bound_to_the_teachers_hash_and_not_to_folders():
    first = tiny_recipe("teacher=/here/t.onnx", "data.background=/here")
    second = tiny_recipe("teacher=/there/t.onnx", "data.background=/there")
    assert first.training_json(teacher_sha256="aa") == second.training_json(teacher_sha256="aa")
    assert first.training_json(teacher_sha256="aa") != first.training_json(teacher_sha256="bb")
    assert "here" not in first.training_json(teacher_sha256="aa")
    assert json.loads(first.training_json(teacher_sha256="aa"))["distort"]["first_gain"] == 0.64


def test_training_on_labels_is_still_what_its_checkpoints_say():
    recipe = load_recipe("wav2small")
    assert isinstance(recipe, SupervisedRecipe)
    assert list(json.loads(recipe.training_json()))[:3] == ["architecture", "seed", "model"]
    with pytest.raises(ConfigError, match="'method': input should be 'supervised', found 'distillation'"):
        load_recipe("wav2small", overrides=["method=distillation"])
