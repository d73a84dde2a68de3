"""From a kernel's name back to the operator: numbered copies, counterparts, and parts of a net."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper
from support.traced import PAIR_CONSTANTS, kernel, model, pair, side

from edgebench.harness.explain.numbered import number_in, numbered, write_numbered
from edgebench.harness.explain.operators import Graph
from edgebench.harness.explain.partners import partners
from edgebench.harness.explain.roles import OTHER, POOLING, SPECTRUM, WAVEFORM, roles
from edgebench.harness.explain.trace import read_trace
from edgebench.models import load_artifact

PACKAGED = load_artifact("wav2small.fp32").path
NODE = helper.make_node


def test_a_numbered_copy_answers_as_the_file_and_its_kernels_lead_back(tmp_path: Path) -> None:
    before = onnx.load(PACKAGED)
    copy = numbered(before)
    waveform = np.random.default_rng(0).uniform(-1, 1, (1, 8000)).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "trace")
    session = onnxruntime.InferenceSession(copy.SerializeToString(), options)
    found = session.run(None, {"waveform": waveform})
    expected = onnxruntime.InferenceSession(PACKAGED).run(None, {"waveform": waveform})
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
    assert "wav2small" not in str(copy.metadata_props)

    traced = side("a", before, read_trace(Path(session.end_profiling())).kernels, samples=8000)
    timed = [o for o in traced.graph.operators if o.macs and traced.time_ns(o) is not None]
    assert [o.name for o in timed] == [o.name for o in traced.graph.operators if o.macs]
    for operator in timed:
        kinds = {one.kind for one in traced.kernels[operator.number]}
        assert any(word in kind for kind in kinds for word in ("Conv", "MatMul", "Gemm")), operator


def test_a_name_of_the_runtime_has_no_number() -> None:
    assert number_in("@7@_nchwc") == 7
    assert number_in("ReorderOutput_token_25") is None
    assert number_in("@99999999999@") is None


def quantized_pair() -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Two products in float, and the first of them in int8."""
    stored = {"a": np.ones((64, 8), np.float32), "b": np.ones((8, 4), np.float32)}
    first = NODE("MatMul", ["waveform", "a"], ["x"], name="first")
    second = NODE("MatMul", ["x", "b"], ["y"], name="second")
    parent = model([first, second], stored, outputs=["y"])
    weights = [NODE("DequantizeLinear", ["a8", "scale", "zero"], ["a.d"])]
    eight = NODE("MatMul", ["w.d", "a.d"], ["x"], name="first")
    stored8 = {**stored, **PAIR_CONSTANTS, "a8": np.ones((64, 8), np.uint8)}
    child = model([*pair("waveform", "w.d"), *weights, eight, second], stored8, outputs=["y"])
    return parent, child


def test_counterparts_by_name_and_without_names_by_their_multiplications() -> None:
    parent, child = (Graph.of(made, samples=64) for made in quantized_pair())
    assert partners(parent, child) == {3: 0, 4: 1}
    parts = quantized_pair()
    for made in parts:
        for node in made.graph.node:
            node.name = ""
    assert partners(*(Graph.of(made, samples=64) for made in parts)) == {3: 0, 4: 1}


def test_a_counterpart_whose_name_and_kind_got_endings() -> None:
    """As dynamic quantization leaves it: MatMulInteger ``first_quant``, and a Mul of the scales."""
    parent, _ = quantized_pair()
    stored = {"a": np.ones((64, 8), np.uint8), "b": np.ones((8, 4), np.float32), "s": np.float32(1)}
    nodes = [
        NODE("DynamicQuantizeLinear", ["waveform"], ["q", "qs", "qz"], name="w_QuantizeLinear"),
        NODE("MatMulInteger", ["q", "a", "qz"], ["i"], name="first_quant"),
        NODE("Cast", ["i"], ["f"], to=1, name="first_cast"),
        NODE("Mul", ["f", "qs"], ["x"], name="first_scale"),
        NODE("MatMul", ["x", "b"], ["y"], name="second"),
    ]
    child = Graph.of(model(nodes, stored, outputs=["y"]), samples=64)
    assert partners(Graph.of(parent, samples=64), child) == {1: 0, 4: 1}


def test_weights_know_their_shape_and_type_behind_a_conversion() -> None:
    child = Graph.of(quantized_pair()[1], samples=64)
    assert (child.operators[3].weights, child.operators[3].stored_as) == ((64, 8), "uint8")
    assert (child.operators[4].weights, child.operators[4].stored_as) == ((8, 4), "float")
    assert [o.macs for o in child.operators if o.macs] == [512, 32]


def test_a_kernel_that_took_over_what_follows_belongs_to_its_convolution() -> None:
    stored = {"w": np.ones((2, 1, 3), np.float32), "axes": np.array([1])}
    nodes = [
        NODE("Unsqueeze", ["waveform", "axes"], ["u"]),
        NODE("Conv", ["u", "w"], ["c"], name="conv"),
        NODE("Relu", ["c"], ["r"], name="relu"),
    ]
    traced = side(
        "a", model(nodes, stored, outputs=["r"]), [kernel("r_nchwc", "Conv", 5), kernel(0, "Unsqueeze", 1)]
    )
    assert traced.time_ns(traced.graph.operators[1]) == 5e3
    assert traced.time_ns(traced.graph.operators[2]) is None


def test_parts_of_a_net_are_told_by_structure() -> None:
    graph = Graph.of(onnx.load(PACKAGED), samples=8000)
    found = {operator.name: role for operator in graph.operators for role in [roles(graph)[operator.number]]}
    assert {name for name, role in found.items() if role == POOLING} == {"Softmax", "Mul_2", "ReduceSum"}
    assert found["log_mel/MatMul"] == found["log_mel/Conv"] == found["log_mel/Log"] == SPECTRUM
    assert found["Sub"] == WAVEFORM
    assert found["lin/MatMul"] == found["vgg7.0.1/Conv"] == OTHER


def test_a_softmax_of_attention_is_no_pooling() -> None:
    stored = {"w": np.ones((64, 64), np.float32)}
    nodes = [
        NODE("MatMul", ["waveform", "w"], ["q"]),
        NODE("Softmax", ["q"], ["s"]),
        NODE("MatMul", ["s", "w"], ["y"]),
    ]
    graph = Graph.of(model(nodes, stored, outputs=["y"]), samples=64)
    assert set(roles(graph).values()) == {OTHER}


def test_a_rewritten_file_is_aligned_by_kind_and_multiplications() -> None:
    """No names, a product more, convolutions padded from 13 to 16 channels."""

    def stack(channels: int, *, extra: bool) -> Graph:
        stored = {"w": np.ones((channels, channels, 3), np.float32), "m": np.ones((16, 16), np.float32)}
        stored |= {"first": np.ones((channels, 1, 3), np.float32), "shape": np.array([1, 1, 64])}
        stored |= {"frames": np.array([-1, 16])}
        nodes = [NODE("Reshape", ["waveform", "frames"], ["f"])] if extra else []
        nodes += [NODE("MatMul", ["f", "m"], ["g"])] if extra else []
        nodes += [NODE("Reshape", ["g" if extra else "waveform", "shape"], ["x0"])]
        nodes += [NODE("Conv", ["x0", "first"], ["x1"], pads=[1, 1])]
        nodes += [NODE("Conv", [f"x{n}", "w"], [f"x{n + 1}"], pads=[1, 1]) for n in (1, 2)]
        nodes += [NODE("Softmax", ["x3"], ["s"])]
        return Graph.of(model(nodes, stored, outputs=["s"]), samples=64)

    before, after = stack(13, extra=False), stack(16, extra=True)
    kinds = {after.operators[b].kind for b in partners(before, after)}
    assert kinds == {"Conv", "Softmax"}  # the product has no counterpart, and Reshape stands there once more
    assert partners(before, after) == {3: 1, 4: 2, 5: 3, 6: 4}


def test_a_small_file_gets_three_launches_that_differ_in_nothing_computed(tmp_path: Path) -> None:
    paths = write_numbered(onnx.load(PACKAGED), "a", tmp_path)
    loaded = [onnx.load(path) for path in paths]
    assert len({path.read_bytes() for path in paths}) == 3
    assert all(one.graph == loaded[0].graph for one in loaded)
