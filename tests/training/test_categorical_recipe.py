"""The recipe: the paper's numbers, counted out in steps, and what is said of a wrong one."""

from __future__ import annotations

import pytest

from edgebench.errors import ConfigError
from edgebench.training.fine_tuning.recipe import FineTuningRecipe, FoldRecipe
from edgebench.training.methods import load_recipe


def recipe(*overrides: str) -> FineTuningRecipe:
    found = load_recipe("distilhubert_loso", overrides=overrides)
    assert isinstance(found, FineTuningRecipe)
    return found


def test_holds_the_papers_numbers():
    """Ismail, Sec. III."""
    found = recipe()
    assert (found.architecture, found.protocol) == ("distilhubert", "leave_one_session_out")
    assert found.model.freeze_feature_encoder
    prepare = found.prepare
    assert (prepare.trim_top_db, prepare.pre_emphasis, prepare.peak, prepare.length_s) == (20, 0.97, 0.95, 8)
    assert found.augment.gain_db == (-18.0, 6.0)
    assert found.augment.noise_amplitude == (0.001, 0.015)
    assert found.augment.pitch_semitones == (-2.0, 2.0)
    assert (found.loss.gamma, found.loss.smoothing, found.loss.balanced) == (2.0, 0.1, True)
    optimiser = found.optimiser
    assert (optimiser.batch, optimiser.epochs) == (16, 25)
    assert (optimiser.learning_rate, optimiser.weight_decay, optimiser.warmup_ratio) == (5e-5, 0.01, 0.1)
    assert found.validation.patience == 6
    assert found.production.holdout_share == 0.05


@pytest.mark.parametrize(
    ("clips", "steps", "warmup", "every"),
    [(16, 25, 2, 1), (17, 27, 3, 2), (3318, 5185, 518, 208), (8, 13, 1, 1)],
)
def test_epochs_in_steps(clips, steps, warmup, every):
    """25 epochs of batches of 16; the last validation is that of the last step."""
    fold = recipe().for_clips(clips)
    assert isinstance(fold, FoldRecipe)
    assert (fold.optimiser.steps, fold.optimiser.warmup_steps) == (steps, warmup)
    assert (fold.validation.every_steps, fold.validation.window) == (every, 1)
    assert fold.validation.patience == 6


def test_a_checkpoint_is_bound_to_what_shapes_the_weights():
    def bound(*overrides: str) -> str:
        return recipe(*overrides).for_clips(100).training_json()

    assert bound() == bound("divide.seed=3", "production.holdout_share=0.1", "quantization.clips_per_class=1")
    for override in (
        "loss.gamma=1",
        "optimiser.epochs=3",
        "prepare.peak=1.0",
        "seed=5",
        "model.weights=FOLDER",
    ):
        assert bound() != bound(override)


def test_no_weights_at_all():
    assert recipe().model.weights == "ntu-spml/distilhubert"
    assert recipe("model.weights=''").model.weights is None
    assert recipe("model.weights=FOLDER").model.weights == "FOLDER"


def test_a_method_that_does_not_exist(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('method = "fine_tunning"\n')
    with pytest.raises(ConfigError, match="no method 'fine_tunning': did you mean 'fine_tuning'"):
        load_recipe(str(path))


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("optimiser.epochz=3", "unknown key 'optimiser.epochz'; did you mean 'epochs'"),
        ("optimiser.epochs=0", "'optimiser.epochs'.*greater than or equal to 1, found 0"),
        ("protocol=leave_one_out", "'protocol'.*leave_one_session_out.*found 'leave_one_out'"),
        ("augment.gain_db=[6, -18]", "a range runs from low to high, and 6 is above -18"),
        ("augment.noise_amplitude=[0, 0.015]", "'augment.noise_amplitude.0'.*greater than 0"),
        ("production.holdout_share=1", "a share lies between 0 and 1"),
        ("prepare.padding=none", "'heard' or 'masked', found 'none'"),
    ],
)
def test_a_wrong_value_is_named(override, says):
    with pytest.raises(ConfigError, match=says):
        recipe(override)
