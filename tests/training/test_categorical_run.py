"""Leaving one session out, whole and small: five folds, their files, kill and resume, wrong inputs."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
pytest.importorskip("transformers", reason="training needs transformers: pip install edgebench[train]")
pytest.importorskip("audiomentations", reason="training needs audiomentations: pip install edgebench[train]")
from support import tiny_hubert  # noqa: E402
from support.fold_corpora import write_crema_d, write_iemocap  # noqa: E402

from edgebench.corpora import EMOTIONS, read_corpus, read_split  # noqa: E402
from edgebench.errors import ConfigError, StoreError, UsageError  # noqa: E402
from edgebench.models.architectures import ARCHITECTURES  # noqa: E402
from edgebench.training import load_recipe, train  # noqa: E402
from edgebench.training.fine_tuning.data import FineTuningData  # noqa: E402
from edgebench.training.fine_tuning.fine_tuner import FineTuner, FoldValidator  # noqa: E402
from edgebench.training.fine_tuning.folds import folds_of, read_parts  # noqa: E402

pytestmark = pytest.mark.train

TINY = (
    f"architecture={tiny_hubert.NAME}",
    "model.weights=''",
    "prepare.length_s=0.5",
    "optimiser.batch=8",
    "optimiser.epochs=2",
    "optimiser.learning_rate=0.01",
    "compute.threads=1",
    "data.cache_mb=20",
)
RECIPE = "distilhubert_loso"


@pytest.fixture(scope="module", autouse=True)
def architecture():
    ARCHITECTURES[tiny_hubert.NAME] = tiny_hubert.PLACE
    yield
    del ARCHITECTURES[tiny_hubert.NAME]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora")
    return write_iemocap(folder / "iemocap"), write_crema_d(folder / "crema")


def run(corpora, output, *overrides: str, **options):
    iemocap, crema_d = corpora
    return train(
        RECIPE,
        corpora={"iemocap": iemocap},
        train_only={"crema_d": crema_d},
        output=output,
        overrides=[*TINY, *overrides],
        **options,
    )


@pytest.fixture(scope="module")
def finished(corpora, tmp_path_factory):
    output, steps = tmp_path_factory.mktemp("loso"), []
    run(corpora, output, notify=lambda progress: steps.append(progress.step))
    return output, steps


def read(path):
    return json.loads(path.read_text())


def test_five_folds_each_with_its_files(finished):
    output, steps = finished
    assert sorted(path.name for path in output.iterdir()) == [
        *(f"iemocap.Session{n}" for n in range(1, 6)),
        "run.json",
    ]
    for folder in output.glob("iemocap.*"):
        assert {path.name for path in folder.iterdir()} >= {
            "checkpoint.pt",
            "curves.jsonl",
            "fold.json",
            "predictions.json",
            "split.json",
        }
        assert len((folder / "curves.jsonl").read_text().splitlines()) == 2  # epochs
    assert steps == list(range(1, 9)) * 5  # 32 clips, batches of 8, two epochs


def test_split_files_are_hashed_and_share_no_speaker(finished):
    output, _ = finished
    recorded = {fold["split"]: fold for fold in read(output / "run.json")["folds"]}
    for name, fold in recorded.items():
        split = read_split(output / name / "split.json")
        assert fold["split_sha256"] == split.sha256 == read(output / name / "fold.json")["split_sha256"]
        assert read(output / name / "predictions.json")["split_sha256"] == split.sha256
        assert fold["leaks_speakers"] is False
        for parts in split.corpora.values():
            named = [speaker for speakers in parts.values() for speaker in speakers]
            assert len(named) == len(set(named))
        assert split.corpora["crema_d"]["test"] == split.corpora["crema_d"]["validation"] == ()
        assert fold["clips"] == {"train": 32, "validation": 8, "test": 8}


def test_every_clip_is_answered_once_and_pooled(finished, corpora):
    output, _ = finished
    answered = [row for path in output.glob("*/predictions.json") for row in read(path)["clips"]]
    clips = {clip.id: clip for clip in read_corpus("iemocap", corpora[0])}
    assert sorted(row["id"] for row in answered) == sorted(clips)
    for row in answered:
        clip = clips[row["id"]]
        assert (row["emotion"], row["speaker"]) == (clip.emotion, clip.speaker)
        assert len(row["logits"]) == 4
    said = [EMOTIONS[int(np.argmax(row["logits"]))] for row in answered]
    recalls = [
        np.mean([s == emotion for s, row in zip(said, answered, strict=True) if row["emotion"] == emotion])
        for emotion in EMOTIONS
    ]
    pooled = read(output / "run.json")["pooled"]["iemocap"]
    assert pooled["ua"]["value"] == pytest.approx(np.mean(recalls))
    assert pooled["ua"]["n"] == 40
    assert np.sum(pooled["confusion"]) == 40
    assert np.trace(pooled["confusion"]) / 40 == pytest.approx(pooled["wa"]["value"])


def test_predictions_are_those_of_the_best_epoch(finished, corpora):
    output, _ = finished
    recipe = load_recipe(RECIPE, overrides=TINY)
    clips, extra, _ = read_parts({"iemocap": corpora[0]}, {"crema_d": corpora[1]})
    fold = folds_of(recipe, clips, extra)[2]
    folder = output / fold.split.name
    counted = recipe.for_clips(len(fold.train))
    tuner = FineTuner(
        counted, FineTuningData(fold.train, counted), FoldValidator(fold.validation, counted), folder
    )
    assert tuner.resume()
    best = read(folder / "fold.json")["best"]
    rows = [json.loads(line) for line in (folder / "curves.jsonl").read_text().splitlines()]
    assert best["validation_ua"] == max(row["score"] for row in rows)
    assert best["step"] == next(row["step"] for row in rows if row["score"] == best["validation_ua"])
    stored = [row["logits"] for row in read(folder / "predictions.json")["clips"]]
    assert np.array_equal(np.array(stored, dtype=np.float32), tuner.best_logits(fold.test))
    assert len({tuple(row) for row in stored}) == 8
    found = FoldValidator(fold.test, counted)(tuner.best_model())
    figures = read(folder / "fold.json")["figures"]["iemocap"]
    assert found["wa"] == pytest.approx(figures["wa"]["value"])
    assert found["macro_f1"] == pytest.approx(figures["macro_f1"]["value"])
    assert found["score"] == found["ua_iemocap"] == pytest.approx(figures["ua"]["value"])


def test_the_command_can_be_typed_again(finished):
    command = read(finished[0] / "run.json")["command"]
    assert command.startswith(
        "edgebench train distilhubert_loso --corpus iemocap=PATH --train-only crema_d=PATH --set "
    )
    assert "model.weights=''" in shlex.split(command)  # none at all is no path of this machine


def test_a_second_run_needs_resume_which_then_does_nothing_again(finished, corpora):
    output, _ = finished
    with pytest.raises(UsageError, match=r"already holds folds of a run. Add --resume"):
        run(corpora, output)
    before = {path: path.read_bytes() for path in output.rglob("*.json")}
    steps = []
    run(corpora, output, resume=True, notify=steps.append)
    assert steps == []
    assert {path: path.read_bytes() for path in output.rglob("*.json")} == before


def test_killed_in_the_third_fold_and_resumed_it_ends_the_same(finished, corpora, tmp_path):
    output, _ = finished

    class Killed(BaseException):
        pass

    seen = []

    def kill(progress):
        seen.append(progress.step)
        if len(seen) == 8 + 8 + 6:  # two steps into the second epoch of the third fold
            raise Killed

    with pytest.raises(Killed):
        run(corpora, tmp_path / "out", notify=kill)
    assert len(read(tmp_path / "out" / "run.json")["folds"]) == 2
    resumed = []
    run(corpora, tmp_path / "out", resume=True, notify=lambda progress: resumed.append(progress.step))
    assert resumed[0] > 1 and resumed[-16:] == [*range(1, 9), *range(1, 9)]
    assert len(resumed) < 8 + 16
    for path in output.rglob("predictions.json"):
        again = tmp_path / "out" / path.relative_to(output)
        assert again.read_bytes() == path.read_bytes()
    assert read(tmp_path / "out" / "run.json")["pooled"] == read(output / "run.json")["pooled"]


def test_a_finished_fold_of_another_recipe_is_not_taken_over(finished, corpora):
    with pytest.raises(ConfigError, match=r"what is finished in .*recipe.loss.gamma was 2.0, is 1.0"):
        run(corpora, finished[0], "loss.gamma=1", resume=True)


def test_a_damaged_record_says_what_to_do(corpora, tmp_path):
    folder = tmp_path / "out" / "iemocap.Session1"
    folder.mkdir(parents=True)
    (folder / "fold.json").write_text("{")
    with pytest.raises(StoreError, match=r"cannot be read .* Delete fold.json there to train it again"):
        run(corpora, tmp_path / "out", resume=True)


def test_a_fold_that_cannot_be_written_is_a_paragraph(corpora, tmp_path):
    (tmp_path / "iemocap.Session1").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match=r"the fold's folder .*Session1 cannot be written .* --output"):
        run(corpora, tmp_path)


def test_another_recipe_takes_no_train_only(corpora, tmp_path):
    with pytest.raises(UsageError, match=r"'wav2small' divides its corpora by one split file"):
        train("wav2small", corpora={}, train_only={"crema_d": corpora[1]}, output=tmp_path)


def one_fold(corpora, *overrides: str, output):
    recipe = load_recipe(RECIPE, overrides=[*TINY, *overrides])
    clips, extra, _ = read_parts({"iemocap": corpora[0]}, {"crema_d": corpora[1]})
    fold = folds_of(recipe, clips, extra)[0]
    counted = recipe.for_clips(len(fold.train))
    scores = iter(range(1000))
    return FineTuner(
        counted, FineTuningData(fold.train, counted), lambda model: {"score": -next(scores)}, output
    )


def test_the_feature_encoder_stays_as_it_was_and_the_rest_learns(corpora, tmp_path):
    tuner = one_fold(corpora, output=tmp_path)
    before = {name: tensor.clone() for name, tensor in tuner.model.state_dict().items()}
    tuner.step(0, tuner.data.batch(0))
    frozen, moved = [], []
    for name, tensor in tuner.model.state_dict().items():
        (frozen if torch.equal(tensor, before[name]) else moved).append(name)
    assert {name for name in before if "feature_extractor" in name} <= set(frozen)
    assert any("encoder.layers.1" in name for name in moved)
    assert "head.emotion.weight" in moved and "head.adv.weight" in frozen
    thawed = one_fold(corpora, "model.freeze_feature_encoder=false", output=tmp_path)
    thawed.step(0, thawed.data.batch(0))
    after = thawed.model.state_dict()
    assert any(not torch.equal(after[n], before[n]) for n in before if "feature_extractor" in n)


def test_an_architecture_without_a_feature_encoder(corpora, tmp_path):
    with pytest.raises(UsageError, match=r"'wav2small' has no feature encoder to freeze"):
        one_fold(corpora, "architecture=wav2small", output=tmp_path)


def test_patience_ends_the_run(corpora, tmp_path):
    tuner = one_fold(corpora, "optimiser.epochs=30", "validation.patience=3", output=tmp_path)
    tuner.run()
    assert tuner.history.step == 4 * 4  # the first epoch was the best, three more were not
    assert tuner.history.best_step == 4


@pytest.mark.parametrize("padding", ["heard", "masked"])
def test_padding_is_heard_or_masked(corpora, tmp_path, monkeypatch, padding):
    tuner = one_fold(corpora, f"prepare.padding={padding}", "prepare.length_s=1.0", output=tmp_path)
    given = []
    forward = tuner.model.forward

    def seen(waveforms, lengths, **options):
        given.append((waveforms, lengths))
        return forward(waveforms, lengths, **options)

    monkeypatch.setattr(tuner.model, "forward", seen)
    tuner.step(0, tuner.data.batch(0))
    waveforms, lengths = given[0]
    assert waveforms.shape == (8, 16_000)
    assert lengths is None if padding == "heard" else (lengths < 16_000).all()


def test_one_batch_is_over_fitted(corpora, tmp_path):
    still = [f"augment.{name}_probability=0" for name in ("gain", "noise", "pitch", "polarity")]
    tuner = one_fold(
        corpora, *still, "optimiser.epochs=50", "loss.smoothing=0", "model.dropout=0", output=tmp_path
    )
    batch = tuner.data.batch(0)
    losses = [tuner.step(step, batch) for step in range(100)]
    assert np.mean(losses[-10:]) < 0.1 * losses[0]
