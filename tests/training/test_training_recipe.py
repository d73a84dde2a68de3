"""Recipes: every packaged one parses, and nothing misspelt trains with a default."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebench.errors import ConfigError
from edgebench.training.methods import load_recipe
from edgebench.training.recipes.reading import FOLDER, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_packaged_recipes_parse_and_are_named_after_their_file(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert load_recipe(str(FOLDER / f"{name}.toml")) == recipe


def test_override_by_dotted_key():
    recipe = load_recipe(
        "wav2small",
        overrides=["optimiser.steps=12", "augment.speed_range=[0.5, 2.0]", "seed=3", "data.split=other"],
    )
    assert recipe.optimiser.steps == 12
    assert recipe.augment.speed_range == (0.5, 2.0)
    assert (recipe.seed, recipe.data.split) == (3, "other")


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("optimiser.step=12", "unknown key 'optimiser.step'; did you mean 'steps'"),
        ("optimizer.steps=12", "unknown key 'optimizer'; did you mean 'optimiser'"),
        ("optimiser.steps=0", "'optimiser.steps': "),
        ("optimiser.steps=many", "'optimiser.steps': "),
        ("loss.smoothing=1.5", "'loss.smoothing': "),
        ("optimiser.learning_rate=nan", "'optimiser.learning_rate': "),
        ("steps", "is not key=value"),
        ("=3", "is not key=value"),
        ("seed.deep=3", "is a value, not a section"),
    ],
)
def test_bad_override(override, told):
    with pytest.raises(ConfigError) as caught:
        load_recipe("wav2small", overrides=[override])
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_key_lists_the_allowed_ones():
    with pytest.raises(ConfigError, match=r"Known: .*batch.*clip_norm.*steps"):
        load_recipe("wav2small", overrides=["optimiser.momentum=0.9"])


def test_unknown_recipe_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'wav2small'"):
        load_recipe("wav2smal")


def test_missing_value_is_named(tmp_path: Path):
    path = tmp_path / "short.toml"
    path.write_text("architecture = 'wav2small'\nseed = 1\n")
    with pytest.raises(ConfigError, match="'optimiser' is missing"):
        load_recipe(str(path))


def test_text_that_is_not_toml(tmp_path: Path):
    path = tmp_path / "bad.toml"
    path.write_text("architecture wav2small\n")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_recipe(str(path))


def test_only_what_shapes_the_weights_binds_a_checkpoint():
    base = load_recipe("wav2small").training_json()
    assert load_recipe("wav2small", overrides=["quantization.clips_per_class=3"]).training_json() == base
    assert load_recipe("wav2small", overrides=["seed=3"]).training_json() != base
