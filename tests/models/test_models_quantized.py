"""From an fp32 artifact to a quantized one: what the manifest says, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from model_files import manifest_values, save, tiny_graph
from support.speech_nets import pooled_net

from edgebench.corpora import load_waveform, synthetic_corpus
from edgebench.errors import ModelError, UsageError
from edgebench.models import load_artifact
from edgebench.models.graph.parity import largest_difference
from edgebench.models.making import quantized
from edgebench.models.making.quantized import quantize_artifact
from edgebench.models.manifest import Calibration
from edgebench.models.quantization import Scheme

FACTS = Calibration(sha256="0" * 64, clips=9)


@pytest.fixture(scope="module")
def speech() -> list[np.ndarray]:
    return [load_waveform(clip) for clip in synthetic_corpus(split="train")[::20]]


@pytest.fixture(scope="module")
def made(tmp_path_factory, speech):
    return quantize_artifact(
        load_artifact("wav2small.fp32"),
        "int8_static",
        clips=speech,
        calibration=FACTS,
        validation=speech[:2],
        folder=tmp_path_factory.mktemp("quantized"),
    )


def test_the_manifest_says_what_was_done(made):
    parent = load_artifact("wav2small.fp32")
    manifest = made.manifest
    assert made.path.name == "wav2small.int8_static.onnx"
    assert (manifest.sha256, manifest.size_bytes) == (made.sha256, made.size_bytes)
    assert (manifest.parent, manifest.parity.reference) == (parent.sha256, parent.sha256)
    assert manifest.scheme["name"] == "int8_static"
    assert manifest.calibration == FACTS
    assert (manifest.macs, manifest.parameters) == (parent.manifest.macs, parent.manifest.parameters)
    assert (manifest.tasks, manifest.preparation) == (parent.manifest.tasks, parent.manifest.preparation)
    assert (manifest.training, manifest.licence) == (parent.manifest.training, parent.manifest.licence)


def test_the_tolerance_is_twice_the_largest_difference(made, speech):
    """Also on noise, of which the suite's generated input is made."""
    rng = np.random.default_rng(0)
    noise = [rng.uniform(-1, 1, round(s * 16_000)).astype(np.float32) for s in (1.0, 2.0, 5.0, 10.0)]
    parent = load_artifact("wav2small.fp32").path
    largest = largest_difference(parent, made.path, [*speech[:2], *noise])
    assert made.manifest.parity.max_abs == pytest.approx(2 * largest, rel=0.06)


def test_the_same_clips_give_the_same_bytes(made, speech, tmp_path: Path):
    again = quantize_artifact(
        load_artifact("wav2small.fp32"),
        "int8_static",
        clips=speech,
        calibration=FACTS,
        validation=speech[:2],
        folder=tmp_path,
    )
    assert again.sha256 == made.sha256


def test_a_parent_without_a_manifest_gives_a_file_that_claims_no_task(tmp_path: Path, speech):
    parent = load_artifact(save(pooled_net(), tmp_path / "My net-v2.onnx"))
    made = quantize_artifact(
        parent, "fp16", clips=[], calibration=None, validation=speech[:1], folder=tmp_path / "new"
    )
    manifest = made.manifest
    assert made.path.name == "my_net_v2.fp16.onnx"
    assert (manifest.tasks, manifest.training, manifest.preparation) == ({}, None, [])
    assert (manifest.parent, manifest.parity.reference) == (parent.sha256, parent.sha256)
    assert (manifest.sha256, manifest.size_bytes) == (made.sha256, made.size_bytes)


@pytest.mark.parametrize(("error", "refused"), [(0.0, False), (0.1, True)])
def test_a_float_file_that_answers_differently_is_no_conversion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: float, refused: bool
):
    path = save(tiny_graph(), tmp_path / "tiny.fp32.onnx")
    path.with_suffix(".json").write_text(json.dumps(manifest_values()))

    def shifted(parent: Path, *_: object) -> bytes:
        model = onnx.load(parent)
        weights = onnx.numpy_helper.to_array(model.graph.initializer[0]) + np.float32(error)
        model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "kernel"))
        return model.SerializeToString()

    scheme = Scheme("copied", "", shifted, {}, calibrated=False, exact=True)
    monkeypatch.setattr(quantized, "scheme_named", lambda _: scheme)

    def make():
        return quantize_artifact(
            load_artifact(path), "copied", clips=[], calibration=None, validation=[], folder=tmp_path
        )

    if refused:
        with pytest.raises(ModelError, match="the conversion is wrong"):
            make()
        assert not (tmp_path / "tiny.copied.onnx").exists()
    else:
        assert make().manifest.parity.max_abs == 1e-3


def test_an_unknown_scheme(tmp_path: Path):
    with pytest.raises(UsageError, match="litert_static"):
        quantize_artifact(
            load_artifact("wav2small.fp32"),
            "litert_statik",
            clips=[],
            calibration=None,
            validation=[],
            folder=tmp_path,
        )
