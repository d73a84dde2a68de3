"""The loop of a distillation: labels are the teacher's on what is heard; it resumes to the bit."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
import soundfile  # noqa: E402
from distil_tiny import few_clips, plain_teacher, tiny_distiller, tiny_recipe, tiny_teacher  # noqa: E402

from edgebench.corpora import load_waveform  # noqa: E402
from edgebench.errors import ConfigError  # noqa: E402
from edgebench.training.distillation import augment as distil_augment  # noqa: E402
from edgebench.training.distillation.data import DistillationData  # noqa: E402
from edgebench.training.distillation.distiller import TeacherValidator  # noqa: E402
from edgebench.training.distillation.losses import quadrant_correction  # noqa: E402
from edgebench.training.loop import losses  # noqa: E402
from edgebench.training.loop.checkpoint import CHECKPOINT, read_checkpoint  # noqa: E402
from edgebench.training.teachers.teacher import load_teacher  # noqa: E402

pytestmark = pytest.mark.train
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    return tiny_teacher(tmp_path_factory.mktemp("teacher") / "t.onnx", emotions=True)


@pytest.fixture(scope="module")
def background(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("background")
    rng = np.random.default_rng(0)
    for number in range(2):
        soundfile.write(folder / f"{number}.wav", rng.uniform(-0.5, 0.5, 9000), 16_000, subtype="PCM_16")
    return folder


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_labels_are_the_teachers_answers_to_the_augmented_audio(teacher, tmp_path):
    data = tiny_distiller(teacher, tmp_path).data
    batch = data.batch(3)
    plain = np.stack([plain_teacher(row) for row in batch.waveforms])
    assert np.abs(batch.adv - plain).max() < 1e-5
    assert np.array_equal(batch.waveforms, data.waveforms(3))
    assert batch.logits is None  # not asked for


def test_a_batch_is_a_function_of_seed_and_step(teacher, tmp_path):
    data, again = tiny_distiller(teacher, tmp_path).data, tiny_distiller(teacher, tmp_path).data
    again.batch(0)  # what was drawn before does not matter
    assert np.array_equal(data.batch(5).waveforms, again.batch(5).waveforms)
    assert np.array_equal(data.batch(5).adv, again.batch(5).adv)
    other = tiny_distiller(teacher, tmp_path, "seed=9").data
    lengths = {other.batch(step).waveforms.shape for step in range(4)}
    assert lengths != {data.batch(step).waveforms.shape for step in range(4)}


def test_human_labels_are_not_read(teacher, tmp_path):
    recipe = tiny_recipe(f"teacher={teacher}")
    loaded = load_teacher(str(teacher), threads=1, emotions=False)
    clips = []
    for clip in few_clips():
        path = tmp_path / f"{clip.id}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, load_waveform(clip), 16_000, subtype="PCM_16")
        clips.append(dataclasses.replace(clip, path=path))
    bare = [dataclasses.replace(c, emotion=None, arousal=None, dominance=None, valence=None) for c in clips]
    labelled, unlabelled = DistillationData(clips, recipe, loaded), DistillationData(bare, recipe, loaded)
    assert np.array_equal(labelled.batch(1).adv, unlabelled.batch(1).adv)


def test_only_the_mix_where_nothing_else_is_asked_for(teacher, tmp_path, monkeypatch):
    pieces = iter(np.float32(value) for value in range(1, 100))
    monkeypatch.setattr(distil_augment, "cut", None)
    data = tiny_distiller(
        teacher, tmp_path, "distort.rotate_probability=0.0", "distort.drop_probability=0.0",
        "distort.shout_probability=0.0",
    ).data  # fmt: skip
    for buckets in (data.first, data.second):
        monkeypatch.setattr(buckets, "excerpt", lambda samples, rng: np.full(samples, next(pieces)))
    waveforms = data.waveforms(0)
    expected = [0.64 * (2 * row + 1) + 0.41 * (2 * row + 2) for row in range(4)]
    assert waveforms[:, 0].tolist() == pytest.approx(expected)
    assert (waveforms == waveforms[:, :1]).all() and waveforms.max() > 1.0


def test_a_mix_is_shouted_as_often_as_asked(teacher, tmp_path, monkeypatch):
    count = []
    monkeypatch.setattr(distil_augment, "shout", lambda waveform, **_: count.append(1) or waveform)
    data = tiny_distiller(
        teacher, tmp_path, "data.length_s=[0.05, 0.05]", "distort.shout_probability=0.2"
    ).data
    for step in range(200):
        data.waveforms(step)
    assert len(count) / 800 == pytest.approx(0.2, abs=0.04)


def test_missing_buckets_are_said(teacher, tmp_path, background):
    notes = tiny_distiller(teacher, tmp_path, f"data.background={background}").data.notes
    assert len(notes) == 2
    assert "no films given (data.films): the first excerpt of each mix comes from speech alone" in notes[0]
    assert "no other sounds given" in notes[1] and "background and speech alone" in notes[1]
    full = tiny_distiller(
        teacher, tmp_path, *(f"data.{name}={background}" for name in ("films", "other_sounds", "background"))
    )
    assert full.data.notes == []


def test_the_loss_is_the_papers_sum(teacher, tmp_path):
    distiller = tiny_distiller(teacher, tmp_path)
    distiller.model.eval()
    batch = distiller.data.batch(0)
    with torch.no_grad():
        found = float(distiller.loss(batch, np.random.default_rng(0)))
        prediction = (
            distiller.model(torch.from_numpy(batch.waveforms))["arousal_dominance_valence"].double().numpy()
        )
    truth = batch.adv.astype(np.float64)
    concordance = [
        2 * np.cov(t, p, bias=True)[0, 1] / (t.var() + p.var() + (t.mean() - p.mean()) ** 2)
        for t, p in zip(truth.T, prediction.T, strict=True)
    ]
    correction = 0.0
    for t, p in zip(truth, prediction, strict=True):
        if any((a > 0.5) != (b > 0.5) for a, b in zip(t, p, strict=True)):
            correction += np.abs(t - p).sum() / truth.size
    assert correction > 0.0
    assert found == pytest.approx(100 * (1 - np.mean(concordance)) + 4 * correction, rel=1e-4)


def test_sgd_is_the_plain_rule_at_a_constant_rate(teacher, tmp_path):
    distiller = tiny_distiller(teacher, tmp_path)
    for step in (0, 5):
        before = distiller.model.adv.weight.detach().clone()
        distiller.step(step, distiller.data.batch(step))
        after, gradient = distiller.model.adv.weight.detach(), distiller.model.adv.weight.grad
        assert torch.allclose(after, before - 5e-5 * gradient, atol=1e-9)
        assert float(gradient.abs().max()) > 0.0
    assert same(distiller.model.state_dict(), distiller.average.module.state_dict())  # no averaging


@pytest.mark.parametrize("options", [(), ("loss.emotion_weight=50.0",)])
def test_one_batch_is_learnt_by_heart(teacher, tmp_path, options):
    """The teacher's answers to four sounds; a recipe value at a time makes the paper's SGD faster."""
    distiller = tiny_distiller(
        teacher, tmp_path, "optimiser.steps=1000", "optimiser.algorithm=adamw",
        "optimiser.learning_rate=0.003", *options,
    )  # fmt: skip
    batch = distiller.data.batch(0)
    truth = torch.from_numpy(batch.adv)
    assert truth.std(0).min() > 0.02
    first = distiller.step(0, batch)
    for step in range(1, 150):
        distiller.step(step, batch)
    with torch.no_grad():  # in training mode: the statistics of this batch, as they were learnt with
        features = distiller.model.features(torch.from_numpy(batch.waveforms))
        answers = distiller.model.train().classify(features)
    adv, logits = answers["arousal_dominance_valence"], answers["emotion_logits"]
    assert first > 80
    assert float(losses.ccc(truth, adv).min()) > 0.95
    assert float(quadrant_correction(truth, adv)) < 0.02
    if options:
        assert float((torch.from_numpy(batch.logits).softmax(1) - logits.softmax(1)).abs().max()) < 0.1


@pytest.mark.parametrize("stop_after", [1, 3, 4])
def test_a_resumed_run_is_the_unbroken_one_bit_for_bit(teacher, background, tmp_path, stop_after):
    options = (f"data.background={background}", "loss.emotion_weight=1.0", "distort.shout_probability=0.5")
    whole = tiny_distiller(teacher, tmp_path / "whole", *options)
    whole.run()
    tiny_distiller(teacher, tmp_path / "parts", *options).run(stop_after=stop_after)
    resumed = tiny_distiller(teacher, tmp_path / "parts", *options)
    assert resumed.resume() and resumed.history.step == stop_after
    resumed.run()
    assert same(whole.model.state_dict(), resumed.model.state_dict())
    assert same(whole.average.state_dict(), resumed.average.state_dict())
    assert [row["loss"] for row in whole.history.rows] == [row["loss"] for row in resumed.history.rows]


@pytest.mark.long
def test_a_killed_run_goes_on_as_the_unbroken_one(teacher, tmp_path):
    """A process of its own, killed with SIGKILL once its first checkpoint is there."""
    options = ("optimiser.steps=40", "optimiser.algorithm=adamw", "optimiser.learning_rate=0.001")
    code = (
        "import sys; from pathlib import Path; from distil_tiny import tiny_distiller\n"
        "tiny_distiller(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]).run(\n"
        "    notify=lambda p: __import__('time').sleep(0.05 if p.step > 2 else 0))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(teacher), str(tmp_path / "killed"), *options],
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "killed" / CHECKPOINT).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    resumed = tiny_distiller(teacher, tmp_path / "killed", *options)
    assert resumed.resume() and 0 < resumed.history.step < 40
    resumed.run()
    whole = tiny_distiller(teacher, tmp_path / "whole", *options)
    whole.run()
    assert same(whole.model.state_dict(), resumed.model.state_dict())
    assert whole.history.loss == resumed.history.loss


def test_a_checkpoint_of_another_teacher_or_of_other_sounds_is_refused(teacher, background, tmp_path):
    tiny_distiller(teacher, tmp_path / "run").run(stop_after=1)
    other = tiny_teacher(tmp_path / "other.onnx", gain=2.0)
    with pytest.raises(ConfigError, match="teacher_sha256 was"):
        tiny_distiller(other, tmp_path / "run").resume()
    with pytest.raises(ConfigError, match="are not the same"):
        tiny_distiller(teacher, tmp_path / "run", f"data.background={background}").resume()
    recipe, clips = tiny_distiller(teacher, tmp_path / "run").identity()
    assert read_checkpoint(tmp_path / "run", recipe=recipe, clips=clips) is not None


def test_validation_is_agreement_with_the_teacher_on_whole_clips(teacher):
    clips = few_clips("validation", every=6)
    loaded = load_teacher(str(teacher), threads=1, emotions=False)
    validate = TeacherValidator(clips, loaded, neutral=0.5)

    class Parrot(torch.nn.Module):
        """Answers as the teacher does, plus a constant."""

        shift = 0.0

        def features(self, waveform):
            return torch.from_numpy(loaded(waveform.numpy())[0])

        def classify(self, log_mel, *, outputs):
            return dict.fromkeys(outputs, log_mel + self.shift)

    parrot = Parrot()
    found = validate(parrot)
    assert found["score"] == pytest.approx(1.0, abs=1e-4) and found["quadrants"] == 1.0
    parrot.shift = 1.0  # everybody excited, dominant and glad
    found = validate(parrot)
    assert found["score"] < 0.5
    assert {"ccc_arousal_synthetic", "ccc_dominance_synthetic", "ccc_valence_synthetic"} <= set(found)
    truth = np.concatenate([parrot.features(torch.from_numpy(w)).numpy() for w in whole(clips)])
    assert found["quadrants"] == pytest.approx(float((truth > 0.5).all(1).mean()))


def whole(clips):
    return [load_waveform(clip)[None] for clip in clips]
