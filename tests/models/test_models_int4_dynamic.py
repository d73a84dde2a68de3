"""4-bit storage of products in 8-bit arithmetic: what the file holds and what it computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from model_files import save
from onnx import TensorProto, numpy_helper
from small_nets import Graph, spectrum, waveforms

from edgebench.models.quantization import quantize
from edgebench.models.quantization.int4_dynamic import in_half_bytes, in_half_floats
from edgebench.models.quantization.pieces import session_of

CLIPS = waveforms(6)
FRESH = waveforms(4, seed=1)


def answers(data: bytes) -> np.ndarray:
    session = session_of(data)
    return np.concatenate([session.run(None, {"waveform": clip[np.newaxis]})[0] for clip in FRESH])


def stored(data: bytes) -> list[np.ndarray]:
    return [numpy_helper.to_array(t) for t in onnx.load_model_from_string(data).graph.initializer]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two wide products, one of them a Gemm, behind a front end and before a small head."""
    g = Graph(4)
    x = g.add("Reshape", spectrum(g), g.ints(-1, 8))
    x = g.add("Relu", g.add("Gemm", x, g.weight(75, 8, scale=0.3), g.weight(75), transB=1))
    x = g.add("Tanh", g.add("MatMul", x, g.weight(75, 101, scale=0.2)))
    x = g.add("ReduceMean", x, axes=[0], keepdims=1)
    g.add("MatMul", x, g.weight(101, 4, scale=0.3), name="emotion_logits")
    return save(g.model("emotion_logits"), tmp_path_factory.mktemp("int4") / "net.onnx")


def test_a_weight_of_fifteen_levels_takes_half_a_byte_and_the_answers_stay_near(net: Path) -> None:
    before = answers(net.read_bytes())
    fine = quantize(net, scheme="int4_dynamic", waveforms=CLIPS, settings={"product_levels": 127})
    coarse = quantize(net, scheme="int4_dynamic", waveforms=CLIPS)
    wide = 75 * 101
    assert [array.nbytes for array in stored(fine) if array.nbytes >= wide // 2] == [wide]
    assert [array.nbytes for array in stored(coarse) if array.nbytes >= wide // 2] == [(wide + 1) // 2]
    spread = np.ptp(before)
    assert np.abs(answers(fine) - before).max() < 0.1 * spread
    assert 0 < np.abs(answers(coarse) - before).max() < 0.4 * spread


def test_half_bytes_give_every_number_back_in_its_place() -> None:
    rng = np.random.default_rng(0)
    numbers = np.array([-127, -90, -3, 0, 1, 2, 5, 9, 11, 20, 30, 40, 50, 60, 70, 127], np.int8)
    odd = rng.choice(numbers, (71, 59))
    even = rng.choice(numbers[:3], (64, 64))
    many = rng.integers(-127, 128, (64, 64)).astype(np.int8)
    few = rng.choice(numbers, (5, 5))  # too small to be worth it
    arrays = {"odd": odd, "even": even, "many": many, "few": few}
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Cast", [n], [f"{n}_out"], to=TensorProto.INT32) for n in arrays],
        "g",
        [],
        [onnx.helper.make_tensor_value_info(f"{n}_out", TensorProto.INT32, None) for n in arrays],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    whole = model.SerializeToString()
    made = in_half_bytes(model)
    assert model.SerializeToString() == whole  # the argument stays as it is
    found = session_of(made.SerializeToString()).run(None, {})
    for array, got in zip(arrays.values(), found, strict=True):
        np.testing.assert_array_equal(got, array)
    kept = {tensor.name for tensor in made.graph.initializer}
    assert {"many", "few"} <= kept and not {"odd", "even"} & kept


def test_large_tables_become_float16_where_it_holds_them_and_scales_stay() -> None:
    rng = np.random.default_rng(0)
    table = rng.standard_normal(2000).astype(np.float32)
    tables = {
        "table": table,
        "short": table[:100],
        "huge": table * np.float32(1e6),  # beyond float16
        "scale": np.abs(table) + np.float32(0.1),
    }
    codes = rng.integers(-127, 128, 2000).astype(np.int8)
    nodes = [onnx.helper.make_node("Neg", [n], [f"{n}_out"]) for n in tables if n != "scale"]
    nodes.append(onnx.helper.make_node("DequantizeLinear", ["codes", "scale"], ["scale_out"], axis=0))
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [],
        [onnx.helper.make_tensor_value_info(f"{n}_out", TensorProto.FLOAT, None) for n in tables],
        [numpy_helper.from_array(array, name) for name, array in {**tables, "codes": codes}.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    made = in_half_floats(model)
    kept = {tensor.name for tensor in made.graph.initializer}
    assert {"short", "huge", "scale"} <= kept and "table" not in kept
    found = session_of(made.SerializeToString()).run(["table_out", "scale_out"], {})
    np.testing.assert_array_equal(found[0], -table.astype(np.float16).astype(np.float32))
    np.testing.assert_allclose(found[1], codes * tables["scale"], rtol=1e-6)
