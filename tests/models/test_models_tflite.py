"""Reading .tflite files: small ones written by hand, whole and as users break them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tflite
from model_files import manifest_values, save, tiny_graph
from support.tflite_files import CLASSES, WIDTH, expected, tiny_tflite

from edgebench.errors import ModelError
from edgebench.files import sha256_of
from edgebench.models import load_artifact


def written(folder: Path, name: str = "tiny.tflite", **changes: object) -> Path:
    path = folder / name
    path.write_bytes(tiny_tflite(**changes))  # type: ignore[arg-type]
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_artifact(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_one_signature(tmp_path: Path):
    artifact = load_artifact(written(tmp_path))
    assert (artifact.key, artifact.format, artifact.manifest) == ("tiny", "tflite", None)
    assert (artifact.input_name, artifact.input_shape) == ("waveform", (1, 16_000))
    assert (artifact.samples, artifact.lengths) == (16_000, (16_000,))
    assert artifact.outputs == {"emotion_logits": (1, CLASSES)}
    assert artifact.parameters == CLASSES * WIDTH  # not the reshape's target, not the axis
    assert artifact.operators == {"FULLY_CONNECTED": 1, "MEAN": 1, "RESHAPE": 1}
    assert (artifact.opset, artifact.ir_version) == (None, None)
    assert artifact.macs(1.0).value == 160 * CLASSES * WIDTH  # 160 rows of 100


def test_signatures_share_their_weights(tmp_path: Path):
    artifact = load_artifact(written(tmp_path, lengths=(80_000, 16_000, 32_000)))
    assert artifact.lengths == (16_000, 32_000, 80_000)
    assert (artifact.samples, artifact.input_shape) == (None, (1, None))
    assert artifact.parameters == CLASSES * WIDTH
    assert [artifact.macs(s).value for s in (1.0, 2.0, 5.0)] == [64_000, 128_000, 320_000]
    assert artifact.macs(3.0) is None
    assert "48000 samples" in artifact.why_no_macs(3.0)


def test_a_file_without_signatures_has_its_tensors_names(tmp_path: Path):
    artifact = load_artifact(written(tmp_path, signatures=False))
    assert (artifact.input_name, artifact.outputs) == ("in", {"out": (1, CLASSES)})


def test_channel_last(tmp_path: Path):
    artifact = load_artifact(written(tmp_path, channel_last=True))
    assert (artifact.input_shape, artifact.lengths) == ((1, 16_000, 1), (16_000,))


def test_the_runtime_computes_what_was_written(tmp_path: Path):
    """The fixture itself: the field's runtime, where it is installed, against the equation."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    model = interpreter.Interpreter(model_path=str(written(tmp_path)))
    waveform = np.random.default_rng(1).uniform(-1, 1, 16_000).astype(np.float32)
    found = model.get_signature_runner("samples_16000")(waveform=waveform[np.newaxis])
    np.testing.assert_allclose(found["emotion_logits"], expected(waveform), atol=1e-5)


def test_manifest_inside_and_beside(tmp_path: Path):
    values = manifest_values(key="tiny.litert", format="tflite", opset=None, ir_version=None)
    inside = written(tmp_path, metadata={"edgebench": json.dumps(values).encode()})
    assert load_artifact(inside).key == "tiny.litert"
    beside = written(tmp_path, "other.tflite")
    beside.with_suffix(".json").write_text(json.dumps(values | {"sha256": sha256_of(beside)}))
    assert load_artifact(beside).manifest.format == "tflite"


def test_a_manifest_of_the_other_format(tmp_path: Path):
    path = written(tmp_path)
    path.with_suffix(".json").write_text(json.dumps(manifest_values()))
    assert "has the format tflite, its manifest tiny.json says onnx" in refusal(path)
    onnx_path = save(tiny_graph(), tmp_path / "net.onnx")
    values = manifest_values(format="tflite", opset=None, ir_version=None)
    onnx_path.with_suffix(".json").write_text(json.dumps(values))
    assert "has the format onnx, its manifest net.json says tflite" in refusal(onnx_path)


@pytest.mark.parametrize("kept", [0.999, 0.9, 0.5, 0.1, 20, 8, 3, 0])
def test_truncated(tmp_path: Path, kept: float):
    whole = tiny_tflite()
    path = tmp_path / "cut.tflite"
    path.write_bytes(whole[: int(kept if kept >= 1 else len(whole) * kept)])
    text = refusal(path)
    assert "cut" in text
    assert f"{path.stat().st_size} bytes" in text


def test_every_byte_flipped_is_read_or_refused(tmp_path: Path):
    """Damage anywhere is a paragraph, never a traceback or an endless loop."""
    whole = tiny_tflite()
    path = tmp_path / "damaged.tflite"
    for place in range(8, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            load_artifact(path).macs(1.0)
        except ModelError as error:
            assert str(path) in str(error)


def test_two_inputs(tmp_path: Path):
    assert "2 inputs ('waveform', 'speaker')" in refusal(written(tmp_path, extra_input=True))


@pytest.mark.parametrize("kind", ["INT16", "INT8", "UINT8"])
def test_a_quantized_input(tmp_path: Path, kind: str):
    text = refusal(written(tmp_path, input_type=getattr(tflite.TensorType, kind)))
    assert f"of type {kind.lower()}" in text
    assert "float32 waveform" in text


@pytest.mark.parametrize("name", ["MyOwn", "FlexErf"])
def test_a_custom_operator(tmp_path: Path, name: str):
    text = refusal(written(tmp_path, custom=name))
    assert f"custom operator '{name}'" in text
    assert ("SELECT_TF_OPS" in text) == name.startswith("Flex")


def test_a_custom_operator_that_the_runtimes_have(tmp_path: Path):
    artifact = load_artifact(written(tmp_path, custom="Mfcc"))
    assert artifact.macs(1.0) is None
    assert "operator Mfcc" in artifact.why_no_macs(1.0)


def test_features_are_no_waveform(tmp_path: Path):
    assert "too short for a waveform" in refusal(written(tmp_path, lengths=(400,)))


def test_another_kind_of_file_called_tflite(tmp_path: Path):
    path = tmp_path / "readme.tflite"
    path.write_text("not a model at all")
    assert "TFL3" in refusal(path)


def test_the_name_does_not_decide(tmp_path: Path):
    """A file is what its bytes say, whatever it is called."""
    assert load_artifact(written(tmp_path, "model.bin")).format == "tflite"
    assert load_artifact(save(tiny_graph(), tmp_path / "net.bin")).format == "onnx"


def test_somebody_elses_file(tmp_path: Path):
    path = written(tmp_path, "downloads.tflite", signatures=False, lengths=(15_600,))
    artifact = load_artifact(path)
    assert (artifact.samples, artifact.macs(15_600 / 16_000).value) == (15_600, 156 * 400)
