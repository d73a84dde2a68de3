"""Files that no scheme can start from: each is told why, whatever the scheme."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from model_files import save
from onnx import TensorProto, helper
from support.speech_nets import pooled_net

from edgebench.errors import CorpusError, ModelError, UsageError
from edgebench.models import load_artifact
from edgebench.models.making.quantized import quantize_artifact
from edgebench.models.manifest import manifest_path
from edgebench.models.quantization import SCHEMES, quantize
from edgebench.models.quantization.parents import refuse_chance, refuse_parent

CLIPS = [np.random.default_rng(k).uniform(-0.5, 0.5, 5000).astype(np.float32) for k in range(3)]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory) -> Path:
    return save(pooled_net(), tmp_path_factory.mktemp("net") / "theirs.onnx")


@pytest.mark.parametrize(
    ("scheme", "told"),
    [
        ("ort_static", "DequantizeLinear, QuantizeLinear"),
        ("ort_dynamic", "DynamicQuantizeLinear, MatMulInteger"),
        ("int4_matmul", "MatMulNBits"),
        ("fp16", "weights of float16"),
        ("weight_only", "weights of int8"),
    ],
)
@pytest.mark.parametrize("with_manifest", [False, True])
def test_a_model_that_is_quantized_already(
    scheme: str, told: str, with_manifest: bool, theirs: Path, tmp_path: Path
):
    """By its graph where nothing is said, and with its parent's hash where its manifest says it."""
    for module in SCHEMES[scheme].needs:
        pytest.importorskip(module, reason="needs the extra quantize")
    if with_manifest:
        made = quantize_artifact(
            load_artifact(theirs),
            scheme,
            clips=CLIPS if SCHEMES[scheme].calibrated else [],
            calibration=None,
            validation=CLIPS[:1],
            folder=tmp_path,
        )
        told += f".*{made.manifest.parent[:12]}"
    else:
        data = quantize(theirs, scheme=scheme, waveforms=CLIPS)
        (tmp_path / "quantized.onnx").write_bytes(data)
        made = load_artifact(tmp_path / "quantized.onnx")
    with pytest.raises(ModelError, match=f"quantized already: it holds .*{told}"):
        refuse_parent(made)


def test_the_packaged_float_model_and_an_exact_rewrite_of_it_are_fine(tmp_path: Path):
    parent = load_artifact("wav2small.fp32")
    refuse_parent(parent)
    pytest.importorskip("onnx_ir", reason="needs the extra quantize")
    rewritten = quantize_artifact(
        parent, "rewrite", clips=[], calibration=None, validation=CLIPS[:1], folder=tmp_path
    )
    refuse_parent(rewritten)
    with pytest.raises(ModelError, match="quantized already"):
        refuse_parent(load_artifact("wav2small.int8_static"))


def noisy_net(kind: str) -> onnx.ModelProto:
    """The small net with something random before its head."""
    model = pooled_net()
    nodes = list(model.graph.node)
    head = nodes.pop()
    head.input[0] = "changed"
    if kind == "Dropout":
        model.graph.initializer.extend(
            [
                helper.make_tensor("share", TensorProto.FLOAT, [], [0.5]),
                helper.make_tensor("training", TensorProto.BOOL, [], [True]),
            ]
        )
        added = [helper.make_node("Dropout", ["pooled", "share", "training"], ["changed"], name="drop")]
    elif kind == "Multinomial":
        added = [
            helper.make_node("Multinomial", ["pooled"], ["drawn"], sample_size=64, name="draw"),
            helper.make_node("Cast", ["drawn"], ["changed"], to=TensorProto.FLOAT, name="cast"),
        ]
    else:
        added = [
            helper.make_node("RandomNormalLike", ["pooled"], ["noise"], name="dither"),
            helper.make_node("Add", ["pooled", "noise"], ["changed"], name="add"),
        ]
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *added, head])
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.mark.parametrize("kind", ["RandomNormalLike", "Dropout", "Multinomial"])
def test_a_net_whose_answer_depends_on_chance(kind: str, tmp_path: Path):
    path = save(noisy_net(kind), tmp_path / "noisy.onnx")
    with pytest.raises(ModelError, match=rf"depends on chance.*it holds {kind}"):
        refuse_chance(path, CLIPS)
    with pytest.raises(ModelError, match="depends on chance"):
        quantize_artifact(
            load_artifact(path),
            "fp16",
            clips=[],
            calibration=None,
            validation=CLIPS,
            folder=tmp_path / "new",
        )
    assert not (tmp_path / "new").exists()


def test_dropout_that_does_nothing_is_no_chance(tmp_path: Path):
    model = noisy_net("Dropout")
    for tensor in model.graph.initializer:
        if tensor.name == "training":
            tensor.CopyFrom(helper.make_tensor("training", TensorProto.BOOL, [], [False]))
    refuse_chance(save(model, tmp_path / "still.onnx"), CLIPS)


def test_a_tflite_file(tmp_path: Path):
    from support.tflite_files import tiny_tflite

    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite())
    with pytest.raises(ModelError, match=r"is a \.tflite file, and schemes start from ONNX"):
        refuse_parent(load_artifact(path))


def test_above_two_gigabytes(tmp_path: Path):
    """A file of that size that takes no place on the disk; and weights beside a small one."""
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(2**31 + 10)
    with pytest.raises(ModelError, match=r"takes 2\.15 GB, and an ONNX file holds at most 2\.15 GB"):
        load_artifact(path)
    model = pooled_net()
    onnx.save_model(
        model, tmp_path / "small.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
    )
    os.truncate(tmp_path / "w.bin", 3 * 2**30)
    with pytest.raises(ModelError, match=r"takes 3\.22 GB with its weights"):
        load_artifact(tmp_path / "small.onnx")


@pytest.mark.parametrize(
    ("clips", "error", "told"),
    [
        ([], ModelError, "no calibration clip"),
        (CLIPS[:1], CorpusError, "one clip is the range of one voice"),
        ([*CLIPS, np.zeros(5000, np.float32)], CorpusError, "1 of 4 calibration clips are silent"),
    ],
)
def test_clips_that_set_no_range(theirs: Path, tmp_path: Path, clips, error: type[Exception], told: str):
    with pytest.raises(error, match=told):
        quantize_artifact(
            load_artifact(theirs),
            "ort_static",
            clips=clips,
            calibration=None,
            validation=CLIPS,
            folder=tmp_path / "new",
        )
    assert not (tmp_path / "new").exists()


def test_a_package_that_is_missing(theirs: Path, monkeypatch: pytest.MonkeyPatch):
    from dataclasses import replace

    scheme = replace(SCHEMES["fp16"], needs=("no_such_module",), extra="quantize")
    with pytest.raises(UsageError, match=r"needs no_such_module.*edgebench\[quantize\]"):
        quantize(theirs, scheme=scheme)


def test_a_full_disk_leaves_nothing(theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The model is written and its manifest is not: neither is there afterwards."""

    def full(self: Path, text: str, **_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ModelError, match="cannot be written there: No space left on device"):
        quantize_artifact(
            load_artifact(theirs), "fp16", clips=[], calibration=None, validation=CLIPS, folder=tmp_path
        )
    assert not list(tmp_path.iterdir())


def test_a_file_and_its_manifest_are_a_pair(theirs: Path, tmp_path: Path):
    made = quantize_artifact(
        load_artifact(theirs), "fp16", clips=[], calibration=None, validation=CLIPS, folder=tmp_path
    )
    assert sorted(tmp_path.iterdir()) == sorted([made.path, manifest_path(made.path)])
    assert load_artifact(made.path).manifest == made.manifest
