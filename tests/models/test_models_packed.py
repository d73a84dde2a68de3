"""The packed schemes on small nets: what the file computes, what stays as it was, what is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from model_files import save
from onnx import numpy_helper
from small_nets import Graph, spectrum, speech_net, waveforms

from edgebench.errors import ModelError, UsageError
from edgebench.models.quantization import SCHEMES, quantize
from edgebench.models.quantization.coding import code_weights
from edgebench.models.quantization.packed import opened, packed
from edgebench.models.quantization.packed_int8 import packed_int8
from edgebench.models.quantization.pieces import session_of
from edgebench.models.quantization.sites import find_sites

# Graphs as they are: rewrites have tests of their own.
FLOAT = {**SCHEMES["packed_mixed"].settings, "passes": ()}
INT8 = {**SCHEMES["packed_mixed_int8"].settings, "passes": ()}
PACKED = sorted(name for name in SCHEMES if name.startswith("packed"))
CLIPS = waveforms(12)
FRESH = waveforms(6, seed=1)


def answers(data: bytes, clips: list[np.ndarray] = FRESH) -> np.ndarray:
    session = session_of(data)
    return np.concatenate([session.run(None, {"waveform": clip[np.newaxis]})[0] for clip in clips])


def tensors(data: bytes) -> dict[str, np.ndarray]:
    return {t.name: numpy_helper.to_array(t) for t in onnx.load_model_from_string(data).graph.initializer}


def computed(data: bytes, folder: Path) -> Counter[str]:
    """The operators that onnxruntime runs, after everything that it folds and fuses."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node)


@pytest.fixture(scope="module")
def net(tmp_path_factory) -> Path:
    return save(speech_net(), tmp_path_factory.mktemp("net") / "net.onnx")


@pytest.fixture(scope="module")
def padded_net(tmp_path_factory) -> Path:
    return save(speech_net(padded=True), tmp_path_factory.mktemp("net") / "padded.onnx")


@pytest.mark.parametrize("name", PACKED)
def test_every_row_makes_a_small_file_that_answers_alike(name, net):
    data = quantize(net, scheme=name, waveforms=CLIPS)
    model = onnx.load_model_from_string(data)
    assert model.ir_version == 8
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert {node.domain for node in model.graph.node} == {""}
    before, after = answers(net.read_bytes()), answers(data)
    for column in range(before.shape[1]):
        assert np.corrcoef(before[:, column], after[:, column])[0, 1] > (0.9 if "ternary" in name else 0.97)
    assert data == quantize(net, scheme=name, waveforms=CLIPS)


def test_the_file_computes_what_the_codes_stand_for(net, padded_net):
    for path in (net, padded_net):
        model = opened(path, FLOAT)
        coded = code_weights(model, CLIPS, FLOAT)
        assert [code.grid.levels for code in coded] == [255, 127, 127, 11, 11, 255]
        faked = answers(model.SerializeToString())
        np.testing.assert_allclose(answers(packed(path, CLIPS, FLOAT)), faked, rtol=1e-5, atol=1e-6)
        assert np.abs(faked - answers(path.read_bytes())).max() > 1e-4


def test_what_stands_before_the_first_logarithm_stays_as_it_is(net):
    before = tensors(net.read_bytes())
    front = [node for node in onnx.load(net).graph.node[:6] if node.op_type in ("Conv", "MatMul")]
    assert len(front) == 2
    after = tensors(packed(net, CLIPS, FLOAT))
    for node in front:
        np.testing.assert_array_equal(after[node.input[1]], before[node.input[1]])


def test_channels_of_zeros_cost_no_bytes(net, padded_net):
    words = [
        sum(a.size for a in tensors(packed(p, CLIPS, FLOAT)).values() if a.dtype == np.int64 and a.size > 20)
        for p in (net, padded_net)
    ]
    assert words[0] == words[1] > 50


def test_everything_behind_the_front_end_computes_in_integers(net, padded_net, tmp_path):
    for path in (net, padded_net):
        found = computed(packed_int8(path, CLIPS, INT8), tmp_path)
        assert found["QLinearConv"] == 2  # the first has one channel
        assert found["MatMulIntegerToFloat"] == 2
        assert found["Conv"] + found["FusedConv"] == 2  # the front end's, and the first
        assert found["QuantizeLinear"] == 1
        assert found["DequantizeLinear"] == 0


def test_the_schemes_own_rewrites_leave_no_convolution_in_float(net, tmp_path):
    found = computed(quantize(net, scheme="packed_mixed_int8", waveforms=CLIPS), tmp_path)
    assert found["QLinearConv"] == 3
    assert found["Conv"] + found["FusedConv"] == 1  # the front end's
    assert found["QuantizeLinear"] == 1
    assert found["DequantizeLinear"] == found["ReduceSum"] == 0


def test_decoding_costs_nothing_while_the_net_runs(net, tmp_path):
    before, after = computed(net.read_bytes(), tmp_path), computed(packed(net, CLIPS, FLOAT), tmp_path)
    assert after == before


def test_no_product_of_bytes_can_saturate(net, monkeypatch):
    """AVX2 adds two products of unsigned by signed bytes in 16 bits: 2 * 255 * 127 does not fit."""
    for name in PACKED:
        settings = SCHEMES[name].settings
        if settings["arithmetic"] == "int8":
            limits = ("convolution_levels", "product_levels", "first_levels", "most_levels")
            for most in (settings[key] for key in limits if key in settings):
                assert 2 * 255 * (most // 2) < 2**15


def test_ranges_from_extremes_or_from_the_error(net):
    files = [packed_int8(net, CLIPS, {**INT8, "activation_range": method}) for method in ("mse", "min_max")]
    assert files[0] != files[1]
    before = answers(net.read_bytes())
    for data in files:
        assert np.abs(answers(data) - before).max() < 0.5 * np.abs(before).max()
    with pytest.raises(UsageError, match="activation_range 'widest' is not known"):
        packed_int8(net, CLIPS, {**INT8, "activation_range": "widest"})


def test_a_net_with_nothing_to_pack_is_refused(tmp_path):
    g = Graph()
    g.add("ReduceMean", "waveform", axes=[1], keepdims=1, name="emotion_logits")
    path = save(g.model("emotion_logits"), tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="nothing to pack"):
        packed(path, CLIPS, FLOAT)


def test_a_net_with_nothing_but_a_head_has_no_integer_arithmetic(tmp_path):
    g = Graph()
    x = g.add("ReduceMean", spectrum(g), axes=[1, 2], keepdims=0)
    g.add("MatMul", x, g.weight(8, 4), name="emotion_logits")
    path = save(g.model("emotion_logits"), tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="nothing to compute in 8 bits"):
        packed_int8(path, CLIPS, INT8)
    assert np.abs(answers(packed(path, CLIPS, FLOAT)) - answers(path.read_bytes())).max() < 0.5


def test_a_second_input_is_refused(tmp_path):
    model = speech_net()
    model.graph.input.append(onnx.helper.make_tensor_value_info("speaker", onnx.TensorProto.FLOAT, [1]))
    with pytest.raises(ModelError, match="2 inputs"):
        packed(save(model, tmp_path / "m.onnx"), CLIPS, FLOAT)


def products(g: Graph, x: str) -> str:
    """(batch, frames, 12) -> (batch, 5): a weight on the left, a Gemm of each kind, a product row by row."""
    left = g.add("MatMul", g.weight(10, 12), g.add("Transpose", x, perm=[0, 2, 1]))
    rows = g.add("MatMul", g.add("Softmax", left, axis=2), x)  # (batch, 10, 12)
    pooled = g.add("ReduceSum", g.add("Mul", g.weight(10, 12), rows), g.ints(2), keepdims=0)
    wide = g.add("Tanh", g.add("Gemm", pooled, g.weight(10, 8), g.weight(8)))
    return g.add("Gemm", wide, g.weight(5, 8), g.weight(5), transB=1, name="emotion_logits")


def every_kind() -> onnx.ModelProto:
    g = Graph(3)
    x = g.add("Reshape", spectrum(g), g.ints(0, -1, 8))
    x = g.add("Transpose", x, perm=[0, 2, 1])
    x = g.add("Relu", g.add("Conv", x, g.weight(12, 4, 3, scale=0.3), strides=[2], dilations=[2], group=2))
    x = g.add("Conv", x, g.weight(12, 3, 4, scale=0.3), g.weight(12), auto_pad="SAME_UPPER", group=4)
    return products(g, g.add("Transpose", x, perm=[0, 2, 1])) and g.model("emotion_logits")


def test_every_kind_of_site_is_found_coded_and_decoded(tmp_path):
    path = save(every_kind(), tmp_path / "m.onnx")
    sites = find_sites(onnx.load(path))
    assert [(site.kind, site.axis, site.left) for site in sites] == [
        ("convolution", 0, False),
        ("convolution", 0, False),
        ("product", 0, True),
        ("rows", 0, False),
        ("product", 1, False),
        ("product", 0, False),
    ]
    assert [site.first for site in sites] == [True] + [False] * 5
    assert [site.head for site in sites] == [False] * 5 + [True]
    model = opened(path, FLOAT)
    code_weights(model, CLIPS, FLOAT)
    np.testing.assert_allclose(
        answers(packed(path, CLIPS, FLOAT)), answers(model.SerializeToString()), rtol=1e-4, atol=1e-5
    )
    whole = {**INT8, "product_levels": 127}
    before, after = answers(path.read_bytes()), answers(packed_int8(path, CLIPS, whole))
    assert np.abs(after - before).max() < 0.1 * np.ptp(before)


def test_a_weight_that_two_nodes_read_stays_float(tmp_path):
    g = Graph()
    x = g.add("Reshape", spectrum(g), g.ints(0, -1, 8))
    shared = g.weight(8, 8)
    x = g.add("MatMul", g.add("Tanh", g.add("MatMul", x, shared)), shared)
    g.add("ReduceMean", g.add("MatMul", x, g.weight(8, 8)), axes=[1], keepdims=0, name="emotion_logits")
    path = save(g.model("emotion_logits"), tmp_path / "m.onnx")
    data = packed(path, CLIPS, FLOAT)
    np.testing.assert_array_equal(tensors(data)[shared], tensors(path.read_bytes())[shared])


def with_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same net as some exporters write it: every stored tensor a node of its own."""
    constants: list[Any] = [
        onnx.helper.make_node("Constant", [], [tensor.name], value=tensor)
        for tensor in model.graph.initializer
    ]
    nodes = [*constants, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def test_weights_in_constant_nodes_are_packed_too(net, tmp_path):
    other = save(with_constants(speech_net()), tmp_path / "m.onnx")
    np.testing.assert_array_equal(answers(packed(other, CLIPS, FLOAT)), answers(packed(net, CLIPS, FLOAT)))


def test_an_outlier_of_one_channel_costs_the_others_little_where_it_is_moved(tmp_path):
    g = Graph(5)
    x = g.add("Reshape", spectrum(g), g.ints(0, -1, 8))
    wide = g.weight(8, 16)
    big = np.ones(16, np.float32)
    big[3] = 300.0  # one channel that is far larger than the others, and of little weight
    x = g.add("Mul", g.add("Tanh", g.add("MatMul", x, wide)), g.stored(big))
    narrow = np.random.default_rng(0).standard_normal((16, 12)).astype(np.float32)
    narrow[3] /= 300.0
    x = g.add("Tanh", g.add("MatMul", x, g.stored(narrow)))
    x = g.add("ReduceMean", x, axes=[1], keepdims=0)
    g.add("MatMul", x, g.weight(12, 4), name="emotion_logits")
    path = save(g.model("emotion_logits"), tmp_path / "m.onnx")
    fine = {**INT8, "product_levels": 127, "first_levels": 127, "activation_range": "min_max"}
    parent = answers(path.read_bytes())
    kept, moved = (
        np.square(answers(packed_int8(path, CLIPS, {**fine, "least_outlier": least})) - parent).mean()
        for least in (0.0, 16.0)
    )
    assert moved < kept / 10


def test_a_number_that_is_computed_may_cross_from_piece_to_piece(tmp_path):
    g = Graph(6)
    x = g.add("Reshape", spectrum(g), g.ints(0, -1, 8))
    frames = g.add("Gather", g.add("Shape", x), g.stored(np.int64(1)))  # of no axis at all
    x = g.add("Tanh", g.add("MatMul", x, g.weight(8, 16)))
    x = g.add("Div", g.add("ReduceSum", x, g.ints(1), keepdims=0), g.add("Cast", frames, to=1))
    g.add("MatMul", x, g.weight(16, 4), name="emotion_logits")
    path = save(g.model("emotion_logits"), tmp_path / "m.onnx")
    before = answers(path.read_bytes())
    after = answers(packed(path, CLIPS, {**FLOAT, "product_levels": 127}))
    assert np.abs(after - before).max() < 0.05 * np.ptp(before)
