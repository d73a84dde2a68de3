"""Teachers: any artifact that answers A/D/V about any length, and one paragraph about every other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from distil_tiny import ADV_NAME, plain_teacher, tiny_teacher

from edgebench.errors import ConfigError, EdgebenchError, ModelError
from edgebench.files import sha256_of
from edgebench.models import load_artifact
from edgebench.models.manifest import Manifest, Task, manifest_path
from edgebench.training.teachers.teacher import load_teacher


def waveforms(batch: int = 3, samples: int = 5000) -> np.ndarray:
    return (np.random.default_rng(7).standard_normal((batch, samples)) * 0.2).astype(np.float32)


def with_manifest(path: Path, tasks: dict[str, Task], **changed: object) -> Path:
    """Put a manifest with these tasks beside a file."""
    values: dict[str, object] = {
        "key": "tiny.fp32",
        "sha256": sha256_of(path),
        "size_bytes": path.stat().st_size,
        "format": "onnx",
        "opset": 17,
        "ir_version": 8,
        "sample_rate_hz": 16_000,
        "tasks": tasks,
        "preparation": [],
        "parameters": 1,
        "macs": None,
        "scheme": {"name": "fp32"},
        "licence": "CC0-1.0",
    }
    manifest_path(path).write_text(Manifest(**(values | changed)).model_dump_json())
    return path


@pytest.mark.parametrize(
    "shape",
    [("batch", "samples"), (1, "samples"), ("samples",), ("batch", 1, "samples"), (1, 1, "samples")],
)
def test_labels_are_what_the_plain_computation_gives(tmp_path, shape):
    teacher = load_teacher(str(tiny_teacher(tmp_path / "t.onnx", shape=shape)), threads=1, emotions=False)
    for samples in (3200, 5000):
        given = waveforms(samples=samples)
        adv, logits = teacher(given)
        assert adv.shape == (3, 3) and logits is None
        assert np.abs(adv - np.stack([plain_teacher(row) for row in given])).max() < 1e-5


def test_columns_come_in_our_order_whatever_the_manifest_calls_them(tmp_path):
    path = tiny_teacher(tmp_path / "t.onnx", name="answers")
    labels = ["valence", "arousal", "dominance"]
    with_manifest(path, {"answers": Task(kind="dimensional", labels=labels)})
    given = waveforms()
    adv, _ = load_teacher(str(path), threads=1, emotions=False)(given)
    plain = np.stack([plain_teacher(row) for row in given])
    assert np.abs(adv - plain[:, [1, 2, 0]]).max() < 1e-5


def test_a_manifests_preparation_is_done_before_the_teacher_answers(tmp_path):
    path = tiny_teacher(tmp_path / "t.onnx")
    tasks = {ADV_NAME: Task(kind="dimensional", labels=["arousal", "dominance", "valence"])}
    with_manifest(path, tasks, preparation=[{"step": "crop", "max_s": 0.1}])
    given = waveforms()
    adv, _ = load_teacher(str(path), threads=1, emotions=False)(given)
    assert np.abs(adv - np.stack([plain_teacher(row[:1600]) for row in given])).max() < 1e-5


def test_a_packaged_model_teaches_emotions_too():
    teacher = load_teacher("wav2small.fp32", threads=1, emotions=True)
    adv, logits = teacher(waveforms())
    assert adv.shape == (3, 3) and logits is not None and logits.shape == (3, 4)
    one, _ = teacher(waveforms()[:1])
    assert np.abs(one - adv[:1]).max() < 1e-5
    assert teacher.artifact.sha256 == load_artifact("wav2small.fp32").sha256


def refuses(told: str, key: str, *, kind: type[EdgebenchError] = ModelError, emotions: bool = False) -> None:
    with pytest.raises(kind) as caught:
        load_teacher(key, threads=1, emotions=emotions)
    text = str(caught.value)
    assert told in text and "\n" not in text


def test_no_teacher_named():
    refuses("--set teacher=PATH", "", kind=ConfigError)


def test_teacher_that_is_not_there(tmp_path):
    refuses("nowhere.onnx", str(tmp_path / "nowhere.onnx"))


def test_teacher_without_arousal_dominance_valence(tmp_path):
    path = tiny_teacher(tmp_path / "t.onnx", name="something")
    refuses("gives no arousal, dominance and valence: its outputs are 'something'", str(path))
    with_manifest(path, {"something": Task(kind="dimensional", labels=["arousal", "valence", "tension"])})
    refuses("gives no arousal, dominance and valence", str(path))


def test_teacher_of_one_length(tmp_path):
    path = tiny_teacher(tmp_path / "t.onnx", shape=("batch", 80_000))
    refuses("takes exactly these numbers of samples: 80000 (5 s)", str(path))


def test_teacher_of_another_rate(tmp_path):
    path = tiny_teacher(tmp_path / "t.onnx")
    tasks = {ADV_NAME: Task(kind="dimensional", labels=["arousal", "dominance", "valence"])}
    refuses("works at 8000 Hz", str(with_manifest(path, tasks, sample_rate_hz=8000)))


def test_teacher_without_emotions_where_they_are_asked_for(tmp_path):
    refuses("loss.emotion_weight=0", str(tiny_teacher(tmp_path / "t.onnx")), emotions=True)


def test_teacher_of_two_columns(tmp_path):
    refuses("has shape (1, 2), expected 3", str(tiny_teacher(tmp_path / "t.onnx", width=2)))


def test_teacher_that_answers_nan(tmp_path):
    refuses("has NaN or infinity in it", str(tiny_teacher(tmp_path / "t.onnx", gain=float("nan"))))


def test_teacher_that_stumbles_over_a_length(tmp_path):
    teacher = load_teacher(str(tiny_teacher(tmp_path / "t.onnx")), threads=1, emotions=False)
    with pytest.raises(ModelError, match="does not take 10 samples"):
        teacher(waveforms(samples=10))
