"""``edgebench quantize``: what it lists, makes and refuses."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.cli import Edgebench
from support.speech_nets import pooled_net

from edgebench.models import load_artifact
from edgebench.models.quantization import SCHEMES
from edgebench.training.artifacts import quantize_all

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="needs the train extra: pip install edgebench[train]"
)


def test_the_list_is_the_table(edgebench: Edgebench) -> None:
    listed = json.loads(edgebench.here("quantize", "--list", "--json").stdout)
    assert [row["name"] for row in listed] == list(SCHEMES)
    for name in SCHEMES:
        assert name in edgebench.here("quantize", "--list").stdout


def test_a_packaged_model_on_generated_speech(edgebench: Edgebench, tmp_path: Path) -> None:
    done = edgebench.here(
        *("quantize", "wav2small.fp32", "--scheme", "int8_static", "--calibration", "synthetic"),
        *("--clips-per-class", "3", "--output", str(tmp_path / "new"), "--json"),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    artifact = load_artifact(found["path"])
    assert (artifact.key, artifact.sha256) == ("wav2small.int8_static", found["sha256"])
    assert artifact.manifest is not None and artifact.manifest.calibration is not None
    assert artifact.manifest.calibration.clips == 12  # three of each emotion
    assert found["parity_max_abs"] == artifact.manifest.parity.max_abs


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("wav2small.fp32",), 2, "--scheme NAME"),
        (("--scheme", "int8_static"), 2, "--scheme NAME"),
        (("wav2small.fp32", "--scheme", "int9"), 2, "Known: fp16"),
        (("wav2small.fp32", "--scheme", "int8_static"), 2, "--calibration synthetic"),
        (("wav2small.fp23", "--scheme", "int8_static", "--calibration", "synthetic"), 3, "did you mean"),
        (("wav2small.fp32", "--scheme", "int8_static", "--calibration", "emodb"), 2, "expected NAME=PATH"),
        (
            ("wav2small.fp32", "--scheme", "int8_static", "--calibration", "iemocap=/nowhere"),
            2,
            "was not trained on it",
        ),
    ],
)
def test_what_is_refused(edgebench: Edgebench, arguments, status: int, told: str) -> None:
    done = edgebench.here("quantize", *arguments)
    assert done.returncode == status
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def theirs(folder: Path) -> tuple[Path, Path]:
    """Somebody's net without a manifest, and a folder of their clips."""
    rng = np.random.default_rng(0)
    (folder / "clips").mkdir()
    for number in range(5):
        sound = rng.uniform(-0.5, 0.5, 8000).astype(np.float32)
        soundfile.write(folder / "clips" / f"{number}.flac", sound, 16_000, subtype="PCM_16")
    path = folder / "Their net.onnx"
    path.write_bytes(pooled_net(names=False).SerializeToString())
    return path, folder / "clips"


def test_all_schemes_for_somebody_elses_file(
    edgebench: Edgebench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that fits, one that needs clips, one that chooses by names, one that fails by its setting."""
    names = ("fp16", "ort_static", "int8_static", "ort_dynamic")
    monkeypatch.setattr(quantize_all, "SCHEMES", {name: SCHEMES[name] for name in names})
    path, clips = theirs(tmp_path)
    done = edgebench.here(
        *("quantize", str(path), "--scheme", "all", "--calibration", str(clips), "--json"),
        *("--output", str(tmp_path / "new"), "--set", "reduce_range=perhaps", "--set", "percentile=99.9"),
    )
    assert done.returncode == 0, done.stderr
    rows = {row["scheme"]: row for row in json.loads(done.stdout)}
    assert list(rows) == list(names)
    made = load_artifact(rows["fp16"]["path"])
    assert (made.key, made.manifest.tasks, made.manifest.training) == ("their_net.fp16", {}, None)
    assert rows["fp16"]["sha256"] == made.sha256
    assert rows["fp16"]["size_bytes"] == made.size_bytes
    assert rows["fp16"]["peak_rss_bytes"] > 3e7 and rows["fp16"]["duration_s"] > 0
    assert "reduce_range is true or false, not 'perhaps'" in rows["ort_static"]["reason"]
    assert "names of nets" in rows["int8_static"]["reason"]
    assert "reduce_range" in rows["ort_dynamic"]["reason"]
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "their_net.fp16.json",
        "their_net.fp16.onnx",
    ]


def test_all_schemes_as_a_table(
    edgebench: Edgebench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where none makes a file the reasons stand below the table, and the command fails."""
    monkeypatch.setattr(
        quantize_all, "SCHEMES", {name: SCHEMES[name] for name in ("ort_static", "int8_static")}
    )
    path, clips = theirs(tmp_path)
    edgebench.environment = {"COLUMNS": "80"}
    done = edgebench.here(
        *("quantize", str(path), "--scheme", "all", "--output", str(tmp_path / "new")),
        *("--calibration", str(clips), "--set", "reduce_range=perhaps"),
    )
    assert done.returncode == 2
    assert max(map(len, done.stdout.splitlines())) <= 80
    table, _, reasons = done.stdout.partition("ort_static made no file:")
    assert "no file" in table and "reduce_range" not in table
    assert "reduce_range is true or false, not 'perhaps'" in " ".join(reasons.split())
    indented = [line for line in reasons.splitlines() if line.startswith("  ")]
    assert max(map(len, indented)) > 60, "the reasons do not use the width of the terminal"
    assert "no scheme made a file" in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_setting_is_in_the_manifest(edgebench: Edgebench, tmp_path: Path) -> None:
    path, clips = theirs(tmp_path)
    done = edgebench.here(
        *("quantize", str(path), "-s", "ort_static", "--calibration", str(clips), "--json"),
        *("--output", str(tmp_path / "new"), "--set", "activations=int8", "--set", "per_channel=false"),
    )
    assert done.returncode == 0, done.stderr
    manifest = load_artifact(json.loads(done.stdout)["path"]).manifest
    assert manifest is not None and manifest.calibration is not None
    assert (manifest.scheme["activations"], manifest.scheme["per_channel"]) == ("int8", False)
    assert manifest.calibration.clips == 4  # of five, one is held back


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("--set", "activation=int8"), 2, "did you mean 'activations'"),
        (("--set", "activations"), 2, "expected KEY=VALUE"),
        (("--set", "weights=int3"), 2, "weights cannot be 'int3'"),
        (("--calibration", "./nowhere"), 2, "no such folder"),
        (("--calibration", "synthetic"), 2, "stands alone"),
        (("--scheme", "all", "--set", "activation=int8"), 2, "did you mean 'activations'"),
    ],
)
def test_refused_before_anything_is_written(
    edgebench: Edgebench, tmp_path: Path, arguments: tuple[str, ...], status: int, told: str
) -> None:
    path, clips = theirs(tmp_path)
    speech = () if "./nowhere" in arguments else ("--calibration", str(clips))
    scheme = () if "--scheme" in arguments else ("--scheme", "ort_static")
    done = edgebench.here(
        "quantize", str(path), *scheme, *speech, *arguments, "--output", str(tmp_path / "new")
    )
    assert done.returncode == status
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(importlib.util.find_spec("litert_torch") is not None, reason="the extra is installed")
def test_a_scheme_whose_packages_are_not_here(edgebench: Edgebench, tmp_path: Path) -> None:
    done = edgebench.here("quantize", "wav2small.fp32", "--scheme", "litert_fp32", "--output", str(tmp_path))
    assert done.returncode == 2
    assert "edgebench[train,litert]" in " ".join(done.stderr.split())
