"""Second moments and gradients: against onnxruntime's answers, and against differences of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_nets import Graph, speech_net, waveforms

from edgebench.models.quantization.coding import output_moment
from edgebench.models.quantization.gradients import differentiable, gradient
from edgebench.models.quantization.moments import Moment, input_moments
from edgebench.models.quantization.pieces import Pieces, session_of
from edgebench.models.quantization.sites import Site, find_sites

FLOATS = TensorProto.FLOAT


def answer(node: onnx.NodeProto, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """What onnxruntime gives for one node."""
    kinds = {np.dtype(np.float32): FLOATS, np.dtype(np.int64): TensorProto.INT64}
    values = [helper.make_tensor_value_info(n, kinds[v.dtype], v.shape) for n, v in inputs.items()]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
    model = helper.make_model(
        helper.make_graph([node], "g", values, outputs),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    return session_of(model.SerializeToString()).run(None, inputs)[0]


@pytest.mark.parametrize(
    ("source", "weight", "attributes"),
    [
        ((1, 3, 9, 8), (5, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
        ((2, 4, 20), (6, 4, 5), {"strides": [3], "dilations": [2], "pads": [2, 1]}),
        ((1, 4, 11, 6), (8, 2, 3, 2), {"group": 2, "strides": [2, 1]}),
        ((1, 6, 13), (6, 1, 4), {"group": 6, "auto_pad": "SAME_UPPER", "strides": [2]}),
        ((1, 2, 13), (3, 2, 4), {"auto_pad": "SAME_LOWER"}),
        ((1, 2, 13), (3, 2, 4), {"auto_pad": "VALID"}),
    ],
)
def test_a_convolutions_moment_foretells_the_energy_of_its_answers(source, weight, attributes):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(source).astype(np.float32) + 0.5
    w = rng.standard_normal(weight).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
    y = answer(node, {"x": x, "w": w})
    groups = attributes.get("group", 1)
    site = Site(0, "convolution", "x", "w", 0, None, groups)
    moments = input_moments(site, node, weight, [x], clips=1, seed=0)
    matrix = site.matrix(w)
    per_group = weight[0] // groups
    assert len(moments) == groups
    for output in range(weight[0]):
        moment, column = moments[output // per_group], matrix[:, output]
        energy = (y[:, output].astype(float) ** 2).mean()
        assert column @ moment.second @ column == pytest.approx(energy, rel=1e-4)
        assert column @ moment.mean == pytest.approx(y[:, output].mean(dtype=float), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("left", [False, True])
def test_a_products_moment_foretells_the_energy_of_its_answers(left):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 7, 7)).astype(np.float32)
    w = rng.standard_normal((4, 7) if left else (7, 4)).astype(np.float32)
    node = helper.make_node("MatMul", ["w", "x"] if left else ["x", "w"], ["y"])
    y = answer(node, {"x": x, "w": w})
    site = Site(0, "product", "x", "w", 0 if left else 1, None, 1, left=left)
    (moment,) = input_moments(site, node, w.shape, [x], clips=1, seed=0)
    energies = (y.astype(float) ** 2).mean(axis=(0, 2) if left else (0, 1))
    found = [column @ moment.second @ column for column in site.matrix(w).T]
    np.testing.assert_allclose(found, energies, rtol=1e-5)


def test_a_large_moment_is_its_diagonal(monkeypatch):
    monkeypatch.setattr("edgebench.models.quantization.moments.MOST_ELEMENTS", 30)
    x = np.random.default_rng(2).standard_normal((1, 50, 6)).astype(np.float32)
    site = Site(0, "product", "x", "w", 1, None, 1)
    (moment,) = input_moments(
        site, helper.make_node("MatMul", ["x", "w"], ["y"]), (6, 4), [x], clips=1, seed=0
    )
    np.testing.assert_allclose(moment.second, (x[0].astype(float) ** 2).mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("kept", [0, 20_000, 2**28])
def test_pieces_give_what_the_whole_gives(kept, monkeypatch):
    monkeypatch.setattr("edgebench.models.quantization.pieces.MOST_KEPT_BYTES", kept)
    model = speech_net()
    clips = waveforms(3)
    session = session_of(model.SerializeToString())
    whole = [session.run(None, {"waveform": clip[np.newaxis]})[0] for clip in clips]
    pieces = Pieces(model, clips)
    for place in (0, 3, 9, 9, 14, len(model.graph.node)):
        pieces.advance(place)
    for clip, expected in zip(pieces.values(), whole, strict=True):
        assert clip.keys() == {"emotion_logits"}
        np.testing.assert_array_equal(clip["emotion_logits"], expected)


def test_a_piece_sees_the_weights_as_they_are_when_it_runs():
    model = speech_net()
    pieces = Pieces(model, waveforms(1))
    site = find_sites(model)[-1]
    pieces.advance(site.place)
    for name in (site.weight, site.bias):
        tensor = next(t for t in model.graph.initializer if t.name == name)
        tensor.CopyFrom(numpy_helper.from_array(np.zeros(tuple(tensor.dims), np.float32), tensor.name))
    pieces.advance(len(model.graph.node))
    assert not next(pieces.values())["emotion_logits"].any()


def tail(
    *steps: tuple[Any, ...], shape: tuple[int, ...] = (2, 4, 6)
) -> tuple[list[onnx.NodeProto], Any, Any]:
    """Nodes from ``x`` to ``y`` by steps (operator, further inputs, attributes), their values, and a run."""
    rng = np.random.default_rng(len(steps))
    values: dict[str, np.ndarray] = {"x": rng.uniform(0.5, 2.0, shape).astype(np.float32)}
    nodes, last = [], "x"
    for number, (kind, others, attributes) in enumerate(steps):
        names = []
        for at, other in enumerate(others):
            if isinstance(other, str):
                names.append({"_": last, "x": "x"}[other])
            else:
                values[f"c{number}_{at}"] = np.asarray(other)
                names.append(f"c{number}_{at}")
        output = "y" if number == len(steps) - 1 else f"v{number}"
        nodes.append(helper.make_node(kind, names, [output], **attributes))
        last = output

    def evaluated(x: np.ndarray) -> dict[str, np.ndarray]:
        found = {**values, "x": x}
        for node in nodes:
            found[node.output[0]] = answer(node, {name: found[name] for name in dict.fromkeys(node.input)})
        return found

    return nodes, values["x"], evaluated


C = np.random.default_rng(9).uniform(0.5, 1.5, (2, 4, 6)).astype(np.float32)
AXES = np.array([1], np.int64)
CASES = {
    "sums": [("Add", ("_", C[0]), {}), ("Sub", (C[:, :1], "_"), {}), ("Add", ("_", "x"), {})],
    "products": [("Mul", ("_", C[0, 0]), {}), ("Mul", ("_", "x"), {})],
    "quotients": [("Div", (C, "_"), {}), ("Div", ("_", C), {})],
    "curves": [("Exp", ("_",), {}), ("Sqrt", ("_",), {}), ("Tanh", ("_",), {}), ("Sigmoid", ("_",), {})],
    "relu": [("Sub", ("_", np.float32(1.2)), {}), ("Relu", ("_",), {}), ("Identity", ("_",), {})],
    "matmul": [("MatMul", ("_", C[0].T), {}), ("MatMul", (C[0, :3, :4], "_"), {})],
    "matmul with vectors": [("MatMul", ("_", C[0, 0]), {}), ("MatMul", (C[:, 0, 0], "_"), {})],
    "square": [("Transpose", ("_",), {"perm": [0, 2, 1]}), ("MatMul", ("x", "_"), {})],
    "softmax": [("Softmax", ("_",), {"axis": 1}), ("Softmax", ("_",), {})],
    "reductions": [("ReduceSum", ("_", AXES), {"keepdims": 0}), ("ReduceMean", ("_",), {"axes": [-1]})],
    "everything": [("ReduceSum", ("_",), {"keepdims": 0})],
    "shapes": [
        ("Unsqueeze", ("_", AXES), {}),
        ("Squeeze", ("_", AXES), {}),
        ("Reshape", ("_", np.array([8, -1])), {}),
        ("Flatten", ("_",), {}),
        ("Gemm", ("_", C[0], C[0, 0, :4]), {"transB": 1, "alpha": 0.5, "beta": 2.0}),
        ("Gemm", ("_", C[0]), {}),
    ],
    "gemm of the transposed": [
        ("Reshape", ("_", np.array([8, 6])), {}),
        ("Gemm", ("_", C.reshape(8, 6)), {"transA": 1}),
    ],
    "joined": [("Concat", ("_", "x", C), {"axis": 2}), ("Transpose", ("_",), {})],
}


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_the_differences_that_a_small_step_makes(case):
    nodes, x, evaluated = tail(*CASES[case])
    assert differentiable(nodes, "x")
    values = evaluated(x)
    rng = np.random.default_rng(0)
    seed = rng.standard_normal(values["y"].shape)
    found = gradient(nodes, values, "x", {"y": seed})
    assert found.shape == x.shape
    for _ in range(3):
        way = rng.standard_normal(x.shape)
        step = 2e-3
        more, less = (evaluated((x + sign * step * way).astype(np.float32))["y"] for sign in (1, -1))
        slope = float((seed * (more.astype(float) - less)).sum() / (2 * step))
        size = math.sqrt(float((found**2).sum())) * math.sqrt(x.size)
        assert float((found * way).sum()) == pytest.approx(slope, abs=2e-3 * size + 1e-3)


def test_a_split_gives_each_part_its_gradient():
    node = helper.make_node("Split", ["x"], ["a", "b"], axis=1)
    x = np.arange(12.0).reshape(2, 6)
    seeds = {"a": np.ones((2, 3)), "b": np.full((2, 3), 2.0)}
    values = {"x": x, "a": x[:, :3], "b": x[:, 3:]}
    np.testing.assert_array_equal(gradient([node], values, "x", seeds), np.hstack([seeds["a"], seeds["b"]]))


def test_an_operator_without_a_rule_is_said():
    g = Graph()
    g.add("Erf", g.add("Relu", "waveform"), name="y")
    assert differentiable(g.nodes[:1], "waveform")
    assert not differentiable(g.nodes, "waveform")


def test_an_output_moment_foretells_how_far_the_answers_move(monkeypatch):
    """For one column of a product's weights, changed a little: the squared changes of all answers."""
    monkeypatch.setattr("edgebench.models.quantization.coding._RIDGE", 0.0)
    model, clips = speech_net(), waveforms(5)
    site = next(site for site in find_sites(model) if site.kind == "product")  # what the softmax weighs by
    pieces = Pieces(model, clips)
    pieces.advance(site.place)
    tensor = next(t for t in model.graph.initializer if t.name == site.weight)
    weight = numpy_helper.to_array(tensor).copy()
    node = model.graph.node[site.place]
    sources = (values[site.source] for values in pieces.values())
    (plain,) = input_moments(site, node, weight.shape, sources, clips=5, seed=0)
    found = output_moment(model, site, pieces, plain)
    assert found is not None
    rng = np.random.default_rng(0)

    def answered(changed: np.ndarray) -> np.ndarray:
        tensor.CopyFrom(numpy_helper.from_array(changed, site.weight))
        session = session_of(model.SerializeToString())
        return np.array([session.run(None, {"waveform": clip[np.newaxis]})[0] for clip in clips], float)

    for column in (0, 7, 19):
        change = np.zeros_like(weight)
        change[:, column] = 2e-3 * rng.standard_normal(len(weight))
        moved = (answered(weight + change) - answered(weight - change)) / 2
        way = change[:, column].astype(float)
        assert way @ found.second[column] @ way == pytest.approx(float((moved**2).sum()), rel=0.03)


def test_a_head_and_a_large_product_have_no_moment_of_their_own(monkeypatch):
    model = speech_net()
    pieces = Pieces(model, waveforms(2))
    sites = [site for site in find_sites(model) if site.kind == "product"]
    plain = Moment(np.eye(24), np.zeros(24))
    assert output_moment(model, sites[-1], pieces, plain) is None
    monkeypatch.setattr("edgebench.models.quantization.coding._MOST_AWARE", 24 * 24 * 20 - 1)
    assert output_moment(model, sites[0], pieces, plain) is None
