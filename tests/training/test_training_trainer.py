"""The loop: resumes to the bit, learns one batch by heart, refuses foreign checkpoints."""

from __future__ import annotations

import math
import re

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
from tiny_run import few_clips, tiny_recipe, tiny_trainer  # noqa: E402

from edgebench.errors import ConfigError, StoreError  # noqa: E402
from edgebench.models.architectures import ARCHITECTURES  # noqa: E402
from edgebench.training.loop.checkpoint import CHECKPOINT, CURVES  # noqa: E402
from edgebench.training.loop.optimiser import average_of, learning_rate_ratio  # noqa: E402
from edgebench.training.supervised.data import TrainingData  # noqa: E402
from edgebench.training.supervised.validator import Validator  # noqa: E402

pytestmark = pytest.mark.train


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("stop_after", [1, 3, 4])
def test_a_resumed_run_is_the_unbroken_one_bit_for_bit(tmp_path, stop_after):
    options = ("model.dropout=0.3", "compute.bf16=true")
    whole = tiny_trainer(tmp_path / "whole", *options)
    whole.run()
    tiny_trainer(tmp_path / "parts", *options).run(stop_after=stop_after)
    resumed = tiny_trainer(tmp_path / "parts", *options)
    assert resumed.resume()
    assert resumed.history.step == stop_after
    resumed.run()
    assert same(whole.model.state_dict(), resumed.model.state_dict())
    assert same(whole.average.state_dict(), resumed.average.state_dict())
    assert whole.history.loss == resumed.history.loss
    assert [row["loss"] for row in whole.history.rows] == [row["loss"] for row in resumed.history.rows]


def test_another_seed_is_another_run(tmp_path):
    first, second = tiny_trainer(tmp_path / "a"), tiny_trainer(tmp_path / "b", "seed=5")
    first.run(stop_after=2)
    second.run(stop_after=2)
    assert not same(first.model.state_dict(), second.model.state_dict())


# The others learn theirs among the tests of models, at a size for that.
ELSEWHERE = "speech|whisper|teacher|mobilenetv4|mobilenetv3_small"
ON_LOG_MELS = [name for name, path in sorted(ARCHITECTURES.items()) if not re.search(ELSEWHERE, path)]


@pytest.mark.parametrize("architecture", ON_LOG_MELS)
def test_one_batch_is_learnt_by_heart(tmp_path, architecture):
    trainer = tiny_trainer(
        tmp_path,
        f"architecture={architecture}",
        "model.dropout=0.0",
        "optimiser.learning_rate=0.001",
        "optimiser.steps=1000",
        "optimiser.warmup_steps=20",
        "loss.smoothing=0.0",
        "augment.mel_masks=0",
        "augment.time_masks=0",
        "compute.bf16=false",
    )
    batch = trainer.data.batch(0)
    assert len(set(batch.emotions.argmax(1).tolist())) > 1
    first = trainer.step(0, batch)
    for step in range(1, 90):
        last = trainer.step(step, batch)
    assert first > 1.0
    assert last < 0.1


def test_learning_rate_by_hand():
    options = {"steps": 100, "warmup_steps": 10, "final_ratio": 0.1}
    assert learning_rate_ratio(0, **options) == pytest.approx(0.1)
    assert learning_rate_ratio(9, **options) == pytest.approx(1.0)
    assert learning_rate_ratio(10, **options) == pytest.approx(1.0)
    assert learning_rate_ratio(55, **options) == pytest.approx(0.1 + 0.9 * 0.5)
    assert learning_rate_ratio(100, **options) == pytest.approx(0.1)
    quarter = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 4))
    assert learning_rate_ratio(10 + 22, **(options | {"steps": 98})) == pytest.approx(quarter)


def test_average_against_the_plain_recursion():
    model = torch.nn.BatchNorm1d(1)
    average = average_of(model, decay=0.6)
    expected = None
    for count, value in enumerate([1.0, 2.0, 5.0, 3.0]):
        with torch.no_grad():
            model.weight.fill_(value)
            model.running_mean.fill_(-value)
        average.update_parameters(model)
        # The first value is copied; afterwards the decay grows from 2/11 into 0.6.
        decay = min(0.6, (1 + count) / (10 + count))
        expected = value if expected is None else decay * expected + (1 - decay) * value
    assert float(average.module.weight.detach()) == pytest.approx(expected)
    assert float(average.module.running_mean) == pytest.approx(-expected)


def test_best_model_is_the_average_at_the_best_validation(tmp_path):
    scores = iter([0.2, 0.9, 0.5])
    seen = []

    def validate(model):
        seen.append({key: value.clone() for key, value in model.state_dict().items()})
        return {"score": next(scores)}

    trainer = tiny_trainer(tmp_path, validate=validate)
    trainer.run()
    assert (trainer.history.best_step, trainer.history.best_score) == (4, 0.9)
    assert same(trainer.best_model().state_dict(), seen[1])
    assert not trainer.best_model().training


def test_a_window_judges_by_the_mean_of_the_last_validations(tmp_path):
    scores = iter([0.2, 0.9, 0.1, 0.7, 0.8])
    trainer = tiny_trainer(
        tmp_path, "validation.window=2", "optimiser.steps=10", validate=lambda model: {"score": next(scores)}
    )
    trainer.run()  # means: .2, .55, .5, .4, .75
    assert trainer.history.best_step == 10
    assert trainer.history.best_score == pytest.approx(0.75)


def test_stops_when_validation_does_not_improve(tmp_path):
    trainer = tiny_trainer(tmp_path, "validation.patience=1", validate=lambda model: {"score": 0.5})
    trainer.run()
    assert trainer.history.step == 4  # best at 2, no better at 4
    again = tiny_trainer(tmp_path, "validation.patience=1", validate=lambda model: {"score": 0.5})
    again.resume()
    again.run()
    assert again.history.step == 4


def test_the_last_weights_are_kept_whatever_validation_says(tmp_path):
    falling = iter([0.9, 0.5, 0.1])
    options = ("validation.patience=1", 'validation.keep="last"')
    trainer = tiny_trainer(tmp_path, *options, validate=lambda model: {"score": next(falling)})
    trainer.run()
    assert trainer.history.step == 6 == trainer.history.best_step
    assert trainer.history.best_score == 0.1  # what the weights that are kept scored
    assert same(trainer.best_model().state_dict(), trainer.average.module.state_dict())


def test_curves_are_one_validation_a_line(tmp_path):
    import json

    trainer = tiny_trainer(tmp_path)
    trainer.run()
    rows = [json.loads(line) for line in (tmp_path / CURVES).read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4, 6]
    assert all(0.0 <= row["data_wait_share"] <= 1.0 and math.isfinite(row["loss"]) for row in rows)


def test_a_checkpoint_of_another_recipe_names_what_differs(tmp_path):
    tiny_trainer(tmp_path).run(stop_after=1)
    with pytest.raises(ConfigError, match=r"optimiser\.learning_rate was 0\.002, is 0\.5"):
        tiny_trainer(tmp_path, "optimiser.learning_rate=0.5").resume()


def test_a_checkpoint_of_other_clips_is_refused(tmp_path):
    tiny_trainer(tmp_path).run(stop_after=1)
    trainer = tiny_trainer(tmp_path)
    trainer.data = TrainingData(few_clips()[1:], tiny_recipe())
    with pytest.raises(ConfigError, match="are not the same"):
        trainer.resume()


def test_a_damaged_checkpoint_is_one_paragraph(tmp_path):
    tiny_trainer(tmp_path).run(stop_after=1)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(StoreError, match="cannot be read"):
        tiny_trainer(tmp_path).resume()


def test_a_full_disk_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    trainer = tiny_trainer(tmp_path)
    trainer.run(stop_after=1)
    good = (tmp_path / CHECKPOINT).read_bytes()

    def full(state, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(StoreError, match=r"No space left.*earlier one is still there"):
        trainer.run(stop_after=1)
    assert (tmp_path / CHECKPOINT).read_bytes() == good
    assert list(tmp_path.glob("*.part*")) == []


def test_a_run_without_validation_has_no_best_model(tmp_path):
    trainer = tiny_trainer(tmp_path)
    trainer.run(stop_after=1)
    with pytest.raises(ConfigError, match="never validated"):
        trainer.best_model()


def test_validator_averages_recall_over_classes_and_corpora():
    """A stand-in net that always answers anger: recall 1 of 4 on each corpus, whatever the counts."""
    clips = few_clips(part="validation", every=3)
    validator = Validator(clips)

    class AlwaysAnger(torch.nn.Module):
        def features(self, waveform):
            return waveform

        def classify(self, log_mel, *, outputs):
            return dict.fromkeys(outputs, torch.tensor([[9.0, 0.0, 0.0, 0.0]]))

    found = validator(AlwaysAnger())
    assert {clip.emotion for clip in clips} == {"anger", "happiness", "neutral", "sadness"}
    assert found["score"] == found["ua_synthetic"] == pytest.approx(0.25)
