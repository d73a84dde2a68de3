"""Models a user may hand over by mistake: one paragraph, exit 3, nothing stored."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.cli import Edgebench
from support.speech_models import small_model

from edgebench.models import load_artifact, packaged_artifacts

MODEL = 3


def refused(edgebench: Edgebench, model: Path, *says: str) -> None:
    edgebench.refuses("run", "--suite", "quick.toml", "--model", str(model), status=MODEL, says=[*says])
    assert not (edgebench.store / "records.jsonl").exists(), "a refused model must leave no run behind"


def test_missing(edgebench: Edgebench, tmp_path: Path) -> None:
    refused(edgebench, tmp_path / "nowhere.onnx", "nowhere.onnx")


def test_truncated(edgebench: Edgebench, tmp_path: Path) -> None:
    whole = small_model(tmp_path / "whole.onnx")
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(whole.read_bytes()[:-900])
    refused(edgebench, cut, "cut.onnx")


def test_not_onnx(edgebench: Edgebench, tmp_path: Path) -> None:
    text = tmp_path / "notes.onnx"
    text.write_text("this is not a model\n" * 40)
    refused(edgebench, text, "notes.onnx", "ONNX")


def test_two_inputs(edgebench: Edgebench, tmp_path: Path) -> None:
    refused(edgebench, small_model(tmp_path / "two.onnx", inputs=2), "waveform", "gain")


def test_an_opset_the_runtime_refuses(edgebench: Edgebench, tmp_path: Path) -> None:
    refused(edgebench, small_model(tmp_path / "late.onnx", opset=99), "late")


def test_manifest_of_another_file(edgebench: Edgebench, tmp_path: Path) -> None:
    artifact = load_artifact(packaged_artifacts()[0])
    model = tmp_path / artifact.path.name
    shutil.copy(artifact.path, model)
    manifest = json.loads(artifact.path.with_suffix(".json").read_text())
    manifest["sha256"] = "0" * 64
    model.with_suffix(".json").write_text(json.dumps(manifest))
    refused(edgebench, model, "000000", artifact.sha256[:6])


@pytest.mark.parametrize("name", ["wav2smal.fp32", "wav2small.int8"])
def test_unknown_packaged_model_names_the_nearest(edgebench: Edgebench, name: str) -> None:
    edgebench.refuses("run", "--model", name, status=MODEL, says=[name, "wav2small."])
