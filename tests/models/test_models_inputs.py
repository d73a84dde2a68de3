"""ONNX files as people bring them: features for waveforms, weights in odd places, states, odd axes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from model_files import save, tiny_graph
from onnx import TensorProto, helper, numpy_helper

from edgebench.errors import ModelError
from edgebench.models import load_artifact, load_artifacts

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_artifact(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def value(name, shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model_of(nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


# --- what is a waveform -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape",
    [
        ["batch", "frames", 80],
        [1, "frames", 80],
        ["batch", 80, "frames"],
        ["batch", "frames", "bands"],
        [1, 98, 40],
        ["batch", 2, "samples"],
        ["batch", "samples", 2],
    ],
)
def test_features_are_refused_with_their_shape(tmp_path: Path, shape):
    text = refusal(save(tiny_graph(shape=shape), tmp_path / "features.onnx"))
    told = ", ".join("any" if isinstance(axis, str) else str(axis) for axis in shape)
    assert f"the shape ({told})" in text
    assert "features" in text
    assert "(batch, 1, samples)" in text


@pytest.mark.parametrize("shape", [[1, 80], ["batch", 512], [1024], [1, 1, 257], [1, 1599, 1]])
def test_a_waveform_has_a_least_length(tmp_path: Path, shape):
    text = refusal(save(tiny_graph(shape=shape), tmp_path / "embedding.onnx"))
    assert f"{max(axis for axis in shape if isinstance(axis, int))} samples" in text
    assert "at least 1600" in text


@pytest.mark.parametrize(
    ("shape", "samples"),
    [
        ([1, 1600], 1600),
        (["batch", "samples", 1], None),
        ([1, 43844, 1], 43844),
        ([1, 1, "samples"], None),
        ([-1, -1], None),
        ([-1, 1, 16_000], 16_000),
        ([1, -1], None),
    ],
)
def test_waveforms(tmp_path: Path, shape, samples):
    """Channel last (basic-pitch) and -1 for a free axis (Paddle2ONNX) are waveforms too."""
    artifact = load_artifact(save(tiny_graph(shape=shape), tmp_path / "m.onnx"))
    assert artifact.samples == samples
    assert -1 not in artifact.input_shape
    length = samples or 16_000
    assert artifact.macs(length / 16_000).value == ((length - 8) // 4 + 1) * 32


def test_a_fixed_length_is_counted_at_its_own_length(tmp_path: Path):
    artifact = load_artifact(save(tiny_graph(shape=[1, 144_160]), tmp_path / "m.onnx"))
    assert artifact.macs(9.01).value == ((144_160 - 8) // 4 + 1) * 32
    assert artifact.macs(5.0) is None
    assert "does not take 80000 samples" in artifact.why_no_macs(5.0)


# --- weights, wherever they stand ---------------------------------------------------------------


def in_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its initializers as Constant nodes."""
    found = onnx.ModelProto()
    found.CopyFrom(model)
    nodes = [helper.make_node("Constant", [], [t.name], value=t) for t in model.graph.initializer]
    del found.graph.initializer[:]
    kept = list(found.graph.node)
    del found.graph.node[:]
    found.graph.node.extend([*nodes, *kept])
    onnx.checker.check_model(found)
    return found


def in_branches(*, kind: str = "If") -> onnx.ModelProto:
    """One of two kernels of 4 x 8, chosen by the waveform's sum; or a loop over one."""
    kernel = np.ones((4, 1, 8), np.float32)

    def branch(name, *inputs):
        body = [
            helper.make_node("Constant", [], [f"k_{name}"], value=numpy_helper.from_array(kernel)),
            helper.make_node("Conv", ["channel", f"k_{name}"], [f"maps_{name}"], strides=[4]),
            helper.make_node("ReduceMean", [f"maps_{name}"], [f"y_{name}"], axes=[2], keepdims=0),
        ]
        outputs = [value(f"y_{name}", None)]
        if kind == "Loop":
            body.append(helper.make_node("Identity", ["go"], ["still"]))
            outputs = [value("still", [], TensorProto.BOOL), *outputs]
        weights = [numpy_helper.from_array(np.ones((3, 5), np.float32), f"w_{name}")]
        return helper.make_graph(body, name, list(inputs), outputs, weights)

    nodes = [helper.make_node("Unsqueeze", ["waveform", "one"], ["channel"])]
    stored = [numpy_helper.from_array(np.array([1], np.int64), "one")]
    if kind == "If":
        nodes += [
            helper.make_node("ReduceSum", ["waveform"], ["sum"], keepdims=0),
            helper.make_node("Greater", ["sum", "zero"], ["loud"]),
            helper.make_node("If", ["loud"], ["y"], then_branch=branch("a"), else_branch=branch("b")),
        ]
        stored.append(numpy_helper.from_array(np.array(0, np.float32), "zero"))
    else:
        body = branch("a", value("i", [], INT64), value("go", [], TensorProto.BOOL))
        nodes.append(helper.make_node("Loop", ["one", ""], ["y"], body=body))
    return model_of(nodes, [value("waveform", ["b", "n"])], [value("y", None)], stored)


def test_weights_in_constants_are_parameters_and_count(tmp_path: Path):
    plain, moved = tiny_graph(), in_constants(tiny_graph())
    artifact = load_artifact(save(moved, tmp_path / "m.onnx"))
    assert artifact.parameters == load_artifact(save(plain, tmp_path / "p.onnx")).parameters == 32
    assert artifact.macs(1.0).value == 3999 * 32


@pytest.mark.parametrize(("kind", "parameters"), [("If", 2 * (32 + 15)), ("Loop", 32 + 15)])
def test_weights_in_branches_are_parameters(tmp_path: Path, kind: str, parameters: int):
    artifact = load_artifact(save(in_branches(kind=kind), tmp_path / "m.onnx"))
    assert artifact.parameters == parameters
    assert f"operator {kind}" in artifact.why_no_macs(1.0)


@pytest.mark.parametrize(
    "make", [lambda: in_constants(tiny_graph()), in_branches, lambda: in_branches(kind="Loop")]
)
def test_external_data_anywhere_is_one_paragraph(tmp_path: Path, make):
    path = tmp_path / "outside.onnx"
    onnx.save_model(
        make(),
        path,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
        convert_attribute=True,
    )
    assert "sends a board one file" in refusal(path)
    (tmp_path / "weights.bin").unlink()
    assert "'weights.bin'" in refusal(path)


# --- files of one name --------------------------------------------------------------------------


def test_files_of_one_name_are_told_apart(tmp_path: Path):
    paths = []
    for folder, output in (("a/first", "x"), ("a/second", "y"), ("b/first", "z")):
        (tmp_path / folder).mkdir(parents=True)
        paths.append(save(tiny_graph(output=output), tmp_path / folder / "model.onnx"))
    other = save(tiny_graph(output="w"), tmp_path / "other.onnx")
    keys = [artifact.key for artifact in load_artifacts([*paths, other])]
    assert keys == ["a/first/model", "second/model", "b/first/model", "other"]


def test_one_name_and_two_formats(tmp_path: Path):
    from support.tflite_files import tiny_tflite

    save(tiny_graph(), tmp_path / "model.onnx")
    (tmp_path / "model.tflite").write_bytes(tiny_tflite())
    found = load_artifacts([tmp_path / "model.onnx", tmp_path / "model.tflite"])
    assert [artifact.key for artifact in found] == ["model.onnx", "model.tflite"]


def test_two_copies_are_two_models(tmp_path: Path):
    """An A/A comparison: the same bytes under two names."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        save(tiny_graph(), tmp_path / folder / "model.onnx")
    first, second = load_artifacts([tmp_path / "a/model.onnx", tmp_path / "b/model.onnx"])
    assert (first.key, second.key) == ("a/model", "b/model")
    assert first.sha256 == second.sha256


# --- other kinds of file ------------------------------------------------------------------------


def test_a_git_lfs_pointer(tmp_path: Path):
    path = tmp_path / "model.onnx"
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n")
    assert "git-lfs pointer" in refusal(path)
    assert "git lfs pull" in refusal(path)


def test_an_ort_file_is_named(tmp_path: Path):
    path = tmp_path / "model.ort"
    path.write_bytes(b"\x18\x00\x00\x00ORTM" + bytes(100))
    text = refusal(path)
    assert ".ort" in text
    assert ".onnx" in text


# --- states -------------------------------------------------------------------------------------


def stateful(
    *,
    names: tuple[str, str] = ("state", "stateN"),
    waveform=("batch", "samples"),
    rate: bool = True,
    state=(1, 4),
) -> onnx.ModelProto:
    """``y = mean(frame) * ones(4) + state / 2``, which is the next state too."""
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0),
        helper.make_node("Mul", [names[0], "half"], ["old"]),
        helper.make_node("Add", ["old", "mean"], [names[1]]),
    ]
    inputs = [value("input", list(waveform)), value(names[0], list(state))]
    if rate:
        inputs.append(value("sr", [], INT64))
        nodes += [
            helper.make_node("Cast", ["sr"], ["rate"], to=FLOAT),
            helper.make_node("Mul", [names[1], "rate"], ["output"]),
        ]
    else:
        nodes.append(helper.make_node("Identity", [names[1]], ["output"]))
    half = numpy_helper.from_array(np.array([0.5], np.float32), "half")
    outputs = [value("output", ["b", 4]), value(names[1], list(state))]
    return model_of(nodes, inputs, outputs, [half])


@pytest.mark.parametrize(
    "names",
    [
        ("state", "stateN"),
        ("h", "hn"),
        ("conv_cache", "conv_cache_out"),
        ("in_cache", "out_cache"),
        ("past_kv.0", "present_kv.0"),
        ("prev_hidden", "hidden"),
        ("s", "new_s"),
    ],
)
def test_a_state_is_paired_with_the_output_of_its_name(tmp_path: Path, names: tuple[str, str]):
    artifact = load_artifact(save(stateful(names=names), tmp_path / "m.onnx"))
    assert artifact.input_name == "input"
    assert artifact.lengths == ()
    streaming = artifact.streaming
    assert streaming is not None
    assert dict(streaming.state) == {names[0]: names[1]}
    assert dict(streaming.shapes) == {names[0]: (1, 4)}
    assert dict(streaming.constants) == {"sr": 16_000}
    assert streaming.frame == 512


def test_a_fixed_frame_is_the_frame(tmp_path: Path):
    artifact = load_artifact(save(stateful(waveform=(1, 576), rate=False), tmp_path / "m.onnx"))
    assert (artifact.streaming.frame, artifact.lengths, dict(artifact.streaming.constants)) == (576, (), {})


def test_pairs_can_be_said(tmp_path: Path):
    path = save(stateful(names=("h0", "y2")), tmp_path / "m.onnx")
    text = refusal(path)
    assert "'h0'" in text
    assert "m.streaming.json" in text
    said = path.with_name("m.streaming.json")
    said.write_text(json.dumps({"state": {"h0": "y2"}, "frame": 512, "context": 64}))
    streaming = load_artifact(path).streaming
    assert (dict(streaming.state), streaming.frame, streaming.context) == ({"h0": "y2"}, 512, 64)
    said.write_text(json.dumps({"state": {"h0": "y3"}}))
    assert "'y3'" in refusal(path)
    said.write_text(json.dumps({"frames": 512}))
    assert "unknown key 'frames'" in refusal(path)
    said.write_text("{")
    assert "m.streaming.json" in refusal(path)


def test_a_frame_that_the_file_does_not_take(tmp_path: Path):
    path = save(stateful(waveform=(1, 576)), tmp_path / "m.onnx")
    path.with_name("m.streaming.json").write_text(json.dumps({"frame": 512}))
    text = refusal(path)
    assert "512" in text
    assert "576" in text


def test_an_input_that_nothing_feeds(tmp_path: Path):
    model = stateful()
    model.graph.input.append(value("speaker", [1, 192]))
    text = refusal(save(model, tmp_path / "m.onnx"))
    assert "4 inputs ('input', 'state', 'sr', 'speaker')" in text
    assert "'speaker' cannot be fed" in text
