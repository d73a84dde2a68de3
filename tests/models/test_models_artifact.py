"""Loading artifacts: real files, whole and broken. Every refusal says what was found and what to do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from model_files import manifest_values, save, tiny_graph

from edgebench.errors import ModelError
from edgebench.files import sha256_of
from edgebench.models import load_artifact, packaged_artifacts
from edgebench.models.making.export import embed_manifest
from edgebench.models.manifest import manifest_path, parse_manifest


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return save(tiny_graph(), tmp_path / "tiny.fp32.onnx")


def refusal(key_or_path: object) -> str:
    with pytest.raises(ModelError) as caught:
        load_artifact(str(key_or_path))
    text = str(caught.value)
    assert "\n" not in text
    assert caught.value.exit_code == 3
    return text


def write_manifest(model: Path, **changed: object) -> None:
    values = manifest_values(sha256=sha256_of(model), size_bytes=model.stat().st_size)
    manifest_path(model).write_text(json.dumps(values | changed))


def test_a_file_without_manifest_is_enough(tiny: Path):
    artifact = load_artifact(tiny)
    assert (artifact.key, artifact.manifest) == ("tiny.fp32", None)
    assert (artifact.input_name, artifact.input_shape) == ("waveform", (None, None))
    assert artifact.outputs == {"emotion_logits": (None, 4)}
    assert (artifact.opset, artifact.ir_version) == (17, 8)
    assert artifact.parameters == 4 * 8  # the kernel; the reshape's target is no parameter
    assert artifact.size_bytes == len(tiny.read_bytes())
    assert artifact.samples is None


@pytest.mark.parametrize(
    ("shape", "samples"),
    [(["samples"], None), ([16_000], 16_000), ([1, 8000], 8000), (["batch", 1, "samples"], None)],
)
def test_other_waveform_shapes(tmp_path: Path, shape, samples):
    artifact = load_artifact(save(tiny_graph(shape=shape), tmp_path / "m.onnx"))
    assert len(artifact.input_shape) == len(shape)
    assert artifact.samples == samples


def test_manifest_beside_the_file(tiny: Path):
    write_manifest(tiny)
    artifact = load_artifact(tiny)
    assert artifact.manifest is not None
    assert artifact.manifest.sha256 == artifact.sha256
    assert artifact.manifest.tasks["emotion_logits"].labels[0] == "anger"


def test_manifest_inside_the_file(tmp_path: Path):
    graph = tiny_graph()
    embed_manifest(graph, parse_manifest(json.dumps(manifest_values(key="inside.fp32")), source="test"))
    artifact = load_artifact(save(graph, tmp_path / "renamed.onnx"))
    assert artifact.key == "inside.fp32"


def test_missing_file(tmp_path: Path):
    assert "does not exist" in refusal(tmp_path / "nothing.onnx")


def test_unknown_key_names_the_nearest():
    text = refusal("wav2small.fp23")
    assert "did you mean 'wav2small.fp32'" in text


def test_folder(tmp_path: Path):
    assert "is a folder" in refusal(tmp_path)


@pytest.mark.parametrize("kept", [0.98, 0.5, 0.1])
def test_truncated_file(tmp_path: Path, kept: float):
    whole = tiny_graph().SerializeToString()
    path = tmp_path / "cut.onnx"
    path.write_bytes(whole[: int(len(whole) * kept)])
    text = refusal(path)
    assert "truncated" in text or "no ONNX model" in text
    assert f"{path.stat().st_size} bytes" in text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04" + bytes(200),
        b"This is a README, not a model.\n" * 20,
        bytes(range(256)) * 4,
        b"\x00" * 64,
    ],
)
def test_other_kinds_of_file(tmp_path: Path, content: bytes):
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    assert re.search("cannot be read as ONNX|no ONNX model", refusal(path))


def test_external_data_missing_and_present(tmp_path: Path):
    path = tmp_path / "outside.onnx"
    graph = tiny_graph()
    onnx.save_model(
        graph,
        path,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
        convert_attribute=False,
    )
    assert "sends a board one file" in refusal(path)
    (tmp_path / "weights.bin").unlink()
    text = refusal(path)
    assert "'weights.bin'" in text
    assert "missing" in text


def test_two_inputs(tmp_path: Path):
    text = refusal(save(tiny_graph(extra_input=True), tmp_path / "two.onnx"))
    assert "2 inputs ('waveform', 'speaker')" in text


def test_input_of_token_ids(tmp_path: Path):
    text = refusal(save(tiny_graph(kind=onnx.TensorProto.INT64), tmp_path / "tokens.onnx"))
    assert "int64" in text


@pytest.mark.parametrize("shape", [[1, 3, 224, 224], [8, "samples"], [1, 2, "samples"]])
def test_input_of_another_shape(tmp_path: Path, shape):
    text = refusal(save(tiny_graph(shape=shape), tmp_path / "image.onnx"))
    assert "no single waveform" in text


def test_file_changed_after_its_manifest(tiny: Path):
    write_manifest(tiny)
    graph = onnx.load(tiny)
    graph.graph.name = "another"
    tiny.write_bytes(graph.SerializeToString())
    text = refusal(tiny)
    assert sha256_of(tiny)[:12] in text
    assert "tiny.fp32.json" in text


def test_manifest_of_another_model(tiny: Path):
    write_manifest(tiny, tasks={"arousal": {"kind": "dimensional", "labels": ["arousal"]}})
    text = refusal(tiny)
    assert "'arousal'" in text
    assert "'emotion_logits'" in text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"licens": "MIT"}, "unknown key 'licens'; did you mean 'licence'"),
        ({"opset": "17"}, "'opset': "),
        ({"manifest_version": 9}, "version 9"),
        ({"key": "No Key"}, "'key': "),
        ({"parameters": -1}, "'parameters': "),
    ],
)
def test_manifest_with_a_bad_field(tiny: Path, change, told):
    write_manifest(tiny, **change)
    text = refusal(tiny)
    assert told in text
    assert str(manifest_path(tiny)) in text


def test_manifest_without_a_field(tiny: Path):
    values = manifest_values()
    del values["licence"]
    manifest_path(tiny).write_text(json.dumps(values))
    assert "'licence' is missing" in refusal(tiny)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "\u0000"])
def test_manifest_that_is_no_object(tiny: Path, text: str):
    manifest_path(tiny).write_text(text)
    assert "manifest" in refusal(tiny)


def test_models_import_neither_torch_nor_onnx():
    """A host that only measures has no torch; ``edgebench --help`` has no time for onnx."""
    code = (
        "import sys, edgebench.models as m\n"
        "assert not {'torch', 'onnx', 'onnxruntime'} & set(sys.modules), 'imported on import'\n"
        "a = [m.load_artifact(key) for key in m.packaged_artifacts()]\n"
        "assert a and a[0].macs(5.0).value\n"
        "assert 'torch' not in sys.modules, 'torch imported by load_artifact'\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_macs_of_a_graph_that_cannot_be_followed_are_unknown(tmp_path: Path):
    graph = tiny_graph()
    graph.graph.node[2].op_type = "Conv"
    graph.graph.node[0].op_type = "MyOwn"
    graph.graph.node[0].domain = "my.domain"
    del graph.graph.node[0].attribute[:]
    graph.opset_import.add(domain="my.domain", version=1)
    artifact = load_artifact(save(graph, tmp_path / "own.onnx"))
    assert artifact.domains == ("my.domain",)
    assert artifact.macs(1.0) is None


def test_packaged_keys_are_sorted_and_load():
    keys = packaged_artifacts()
    assert keys == sorted(keys)
    assert np.all([load_artifact(key).key == key for key in keys])
