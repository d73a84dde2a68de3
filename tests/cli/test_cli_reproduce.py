"""``edgebench reproduce`` as its own process: the Wav2Small paper, and what is refused."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import soundfile
from support.cli import Edgebench
from support.sshd import SshServer
from support.untrained import pretend

from edgebench.corpora import load_waveform, read_corpus
from edgebench.harness.suite import LEVELS
from edgebench.models import load_artifact

FP32, INT8 = "wav2small.fp32", "wav2small.int8_static"
UNSEEN, SEEN = ("09", "10"), ("03",)  # EmoDB's speakers, by the packaged models
CODES = {"anger": "W", "happiness": "F", "disgust": "E"}
USAGE, MODEL, CORPUS, DEVICE = 2, 3, 4, 5

has_torch = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("torch", "onnxscript")),
    reason="export needs torch: pip install edgebench[train]",
)


@pytest.fixture(autouse=True)
def a_condition_takes_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """The level of the paper's suites, which take it by its name, and measure for 10 s else."""
    monkeypatch.setitem(LEVELS, "quick", 1.0)


def cache(edgebench: Edgebench) -> Path:
    return edgebench.folder / "cache" / "edgebench" / "untrained"


def speech(seconds: float, *, seed: int) -> np.ndarray:
    """Noise under a slow envelope, int16: something that changes along the way."""
    samples = round(16000 * seconds)
    wave = np.random.default_rng(seed).standard_normal(samples)
    envelope = 0.05 + 0.3 * np.sin(np.arange(samples) / 7000.0) ** 2
    return (np.clip(wave * envelope, -1, 1) * 32767).astype(np.int16)


@pytest.fixture
def emodb(tmp_path: Path) -> Path:
    """A small EmoDB in its official layout; disgust is none of the four emotions of our models."""
    folder = tmp_path / "emodb" / "wav"
    folder.mkdir(parents=True)
    for number, speaker in enumerate((*UNSEEN, *SEEN)):
        for code in CODES.values():
            path = folder / f"{speaker}a01{code}a.wav"
            soundfile.write(path, speech(0.6, seed=10 * number + ord(code)), 16000, subtype="PCM_16")
    return folder.parent


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    path = tmp_path / "tape.wav"
    soundfile.write(path, speech(6.0, seed=1), 16000, subtype="PCM_16")
    return path


def predicted(model: str, waveforms: list[np.ndarray]) -> np.ndarray:
    """Arousal, dominance and valence (waveforms, 3) by onnxruntime alone."""
    session = onnxruntime.InferenceSession(str(load_artifact(model).path))
    return np.concatenate(
        [session.run(["arousal_dominance_valence"], {"waveform": w[None]})[0] for w in waveforms]
    )


def reproduced(edgebench: Edgebench, *args: str) -> dict[str, Any]:
    result = edgebench.here("reproduce", *args, "--json")
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    page = Path(result.stderr.strip().rpartition("report: ")[2])
    assert page.is_relative_to(edgebench.store)
    assert json.loads(page.with_suffix(".json").read_text()) == found
    assert "Plotly.react" in page.read_text()
    return found


@has_torch
@pytest.mark.train
@pytest.mark.board
def test_the_table_of_one_model_is_that_of_its_run(edgebench: Edgebench, untrained_cache: Path) -> None:
    shutil.copytree(untrained_cache, cache(edgebench))
    found = reproduced(edgebench, "wav2small-table1", "--models", "wav2small", "--launches", "5")
    (row,) = found["rows"]
    assert (found["schema_version"], found["table"], found["device"]) == (1, "wav2small-table1", "local")
    assert (found["input_s"], found["threads"], found["macs_rule"]) == (5.0, 1, "conv+gemm+matmul")
    report = edgebench.here("report", found["run_id"], "--json")
    record = next(r for r in json.loads(report.stdout)["records"] if r["artifact"] == "wav2small.untrained")
    for name in ("parameters", "macs", "peak_rss_bytes", "model_rss_bytes", "latency_p50_ns"):
        assert row[name] == record["metrics"][name]
    assert row["verdict"] == record["verdict"]
    # Within 1 % and 5 % of the paper's 72 K parameters and 0.4 GMAC.
    assert row["parameters"]["value"] / 72_000 == pytest.approx(row["ratio"]["parameters"])
    assert abs(row["ratio"]["parameters"] - 1) < 0.01
    assert abs(row["ratio"]["macs"] - 1) < 0.05
    assert row["ratio"]["latency_p50_ns"] == pytest.approx(row["latency_p50_ns"]["value"] / 9e6)
    assert row["latency_p50_ns"]["lo"] <= row["latency_p50_ns"]["value"] <= row["latency_p50_ns"]["hi"]

    # The table of a stored run is the same table, and nothing is measured for it.
    again = edgebench.here("reproduce", "wav2small-table1", "--run", "last", "--json")
    assert json.loads(again.stdout) == found
    words = edgebench.here("reproduce", "wav2small-table1", "--run", found["run_id"])
    assert words.returncode == 0
    assert "72,659" in words.stdout and "0.072 M" in words.stdout
    refused = edgebench.refuses(
        "evaluate",
        str(next(cache(edgebench).glob("*/*.onnx"))),
        "--corpus",
        "emodb=nowhere",
        status=MODEL,
        says=["is untrained", "random numbers"],
    )
    assert "Give a trained model" in refused


def test_what_the_table_refuses(edgebench: Edgebench) -> None:
    edgebench.refuses(
        "reproduce",
        "wav2small-table1",
        "--models",
        "wav2smal",
        status=USAGE,
        says=["'wav2smal' is not in the paper's Table I", "did you mean 'wav2small'"],
    )
    edgebench.refuses("reproduce", "wav2small-table1", "--run", "last", status=USAGE, says=["run"])


def test_without_torch_the_extra_is_named(edgebench: Edgebench) -> None:
    blind = edgebench.folder / "blind"
    blind.mkdir()
    # A machine without torch: nothing finds it.
    (blind / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'torch' else find(name, *rest)\n"
    )
    edgebench.environment = {"PYTHONPATH": os.pathsep.join([str(blind), os.environ.get("PYTHONPATH", "")])}
    edgebench.refuses(
        "reproduce",
        "wav2small-table1",
        "--models",
        "wav2small",
        status=USAGE,
        says=["needs torch", "pip install 'edgebench[train]'"],
        own_process=True,
    )


@pytest.mark.ssh
@pytest.mark.board
def test_a_board_over_ssh_measures_the_table(edgebench: Edgebench, ssh_server: SshServer) -> None:
    pretend("wav2small", cache(edgebench))
    edgebench.environment = {"EDGEBENCH_SSH_CONFIG": str(ssh_server.config_path)}
    found = reproduced(
        edgebench,
        *("wav2small-table1", "--device", "rpi4", "--force", "--offline"),
        *("--models", "wav2small", "--launches", "1"),
    )
    (row,) = found["rows"]
    assert found["device"] == "rpi4"
    assert row["parameters"]["value"] == 3232
    assert row["latency_p50_ns"]["value"] > 0
    assert row["ratio"]["latency_p50_ns"] == pytest.approx(row["latency_p50_ns"]["value"] / 9e6)


def test_a_board_that_does_not_answer_is_known_before_anything_is_exported(edgebench: Edgebench) -> None:
    edgebench.refuses(
        *(
            "reproduce",
            "wav2small-table1",
            "--device",
            "rpi4",
            "--host",
            "127.0.0.1:1",
            "--models",
            "teacher",
        ),
        status=DEVICE,
        says=["127.0.0.1"],
    )
    assert not cache(edgebench).exists()


def test_a_run_of_other_models_is_no_table(edgebench: Edgebench) -> None:
    path = pretend("wav2small", edgebench.folder / "nets", key="other.fp32")
    done = edgebench.here("run", "--suite", "quick.toml", "--model", str(path), "--json")
    assert done.returncode == 0, done.stderr
    for command, says in (
        ("wav2small-table1", "no model of the table"),
        ("wav2small-fig5", "not the two parts"),
    ):
        edgebench.refuses("reproduce", command, "--run", "last", status=USAGE, says=[says])


def test_every_clip_of_every_category_lies_where_the_model_puts_it(edgebench: Edgebench, emodb: Path) -> None:
    found = reproduced(edgebench, "wav2small-fig1", FP32, INT8, "--corpus", f"emodb={emodb}")
    clips = {clip.id: clip for clip in read_corpus("emodb", emodb) if clip.speaker in UNSEEN}
    assert [model["artifact"] for model in found["models"]] == [FP32, INT8]
    assert found["corpus"]["n_clips"] == len(clips) == 6
    assert found["corpus"]["left_out"] == {"seen_speaker": 3, "unreadable": 0}
    for model in found["models"]:
        points = model["points"]
        assert {point["clip"] for point in points} == set(clips)
        values = predicted(model["artifact"], [load_waveform(clips[point["clip"]]) for point in points])
        np.testing.assert_allclose([p["arousal"] for p in points], values[:, 0], atol=1e-5)
        np.testing.assert_allclose([p["valence"] for p in points], values[:, 2], atol=1e-5)
        assert [c["category"] for c in model["categories"]] == ["anger", "happiness", "disgust"]
        anger = values[[p["category"] == "anger" for p in points]]
        assert model["categories"][0]["n"] == len(anger) == 2
        assert model["categories"][0]["valence"] == pytest.approx(anger[:, 2].mean(), abs=1e-5)


def test_speakers_that_were_learnt_come_only_when_asked_for(edgebench: Edgebench, emodb: Path) -> None:
    found = reproduced(edgebench, "wav2small-fig1", FP32, "-c", f"emodb={emodb}", "--include-seen")
    assert (found["corpus"]["n_clips"], found["corpus"]["seen_in_training"]) == (9, 3)


def test_a_student_follows_its_teacher_window_by_window(edgebench: Edgebench, tape: Path) -> None:
    found = reproduced(
        edgebench, "wav2small-fig3", INT8, FP32, "--recording", str(tape), "--window-s", "2", "--hop-s", "0.5"
    )
    wave = soundfile.read(tape, dtype="float32")[0]
    starts = range(0, len(wave) - 32000 + 1, 8000)
    windows = [wave[start : start + 32000] for start in starts]
    assert found["times_s"] == [start / 16000 + 1.0 for start in starts]
    assert (found["student"], found["teacher"]) == (INT8, FP32)
    for column, name in enumerate(("arousal", "dominance", "valence")):
        student, teacher = (predicted(key, windows)[:, column] for key in (INT8, FP32))
        line = found["dimensions"][name]
        np.testing.assert_allclose(line["student"], student, atol=1e-5)
        np.testing.assert_allclose(line["teacher"], teacher, atol=1e-5)
        # Lin's formula, with population moments.
        shared = 2 * np.mean((student - student.mean()) * (teacher - teacher.mean()))
        apart = student.var() + teacher.var() + (student.mean() - teacher.mean()) ** 2
        assert line["ccc"]["value"] == pytest.approx(shared / apart, abs=1e-4)
        assert line["mean_abs_difference"] == pytest.approx(np.abs(student - teacher).mean(), abs=1e-5)


def test_what_a_recording_s_figure_refuses(edgebench: Edgebench, tape: Path, tmp_path: Path) -> None:
    start = ("reproduce", "wav2small-fig3")
    takes = ("--recording", str(tape))
    edgebench.refuses(
        *start, INT8, FP32, *takes, "--window-s", "40", status=MODEL, says=["takes 30 s at most"]
    )
    edgebench.refuses(*start, INT8, FP32, *takes, "--window-s", "6", status=CORPUS, says=["hold 1 windows"])
    edgebench.refuses(*start, INT8, FP32, *takes, "--hop-s", "0", status=USAGE, says=["hop more than 0 s"])
    edgebench.refuses(*start, FP32, FP32, *takes, status=USAGE, says=["the same file"])
    edgebench.refuses(
        *start, INT8, FP32, "-r", "none.wav", status=CORPUS, says=["none.wav", "cannot be opened"]
    )
    stereo = tmp_path / "stereo.wav"
    soundfile.write(stereo, np.zeros((50_000, 2)), 44_100)
    edgebench.refuses(*start, INT8, FP32, "-r", str(stereo), status=CORPUS, says=["44100 Hz", "2 channels"])
    untrained = pretend("wav2small", tmp_path / "nets")
    edgebench.refuses(*start, str(untrained), FP32, *takes, status=MODEL, says=["is untrained"])
    tasks = {
        "emotion_logits": {"kind": "categorical", "labels": ["anger", "happiness", "neutral", "sadness"]}
    }
    names = pretend("dawn", tmp_path / "nets", tasks=tasks, scheme={"name": "fp32"})
    edgebench.refuses(
        *start, str(names), FP32, *takes, status=MODEL, says=["gives no arousal and no valence"]
    )
