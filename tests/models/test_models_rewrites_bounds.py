"""Bounds of values: each contains what a runtime answers, and the tight ones are exact."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from small_graphs import answers, graph

from edgebench.models.rewrites.base import tidy
from edgebench.models.rewrites.bounds import bounds, largest_magnitude

ONE = np.float32(1)
# Body of a graph from x to y, what it stores, and the bounds of y.
BOUNDED = {
    "a sigmoid": ("y = Sigmoid(x)", {}, (0, 1)),
    "clipped": ("y = Clip(x, l, h)", {"l": np.float32(-2), "h": ONE}, (-2, 1)),
    "clipped above, of what is never below": ("r = Relu(x) y = Clip(r, , h)", {"h": ONE}, (0, 1)),
    "clipped to above all that comes": (
        "t = Tanh(x) y = Clip(t, l, h)",
        {"l": np.float32(3), "h": np.float32(4)},
        (3, 3),
    ),
    "clipped to below all that comes": (
        "t = Tanh(x) y = Clip(t, l, h)",
        {"l": np.float32(-4), "h": np.float32(-3)},
        (-3, -3),
    ),
    "a Relu of what is always negative": (
        "t = Tanh(x) s = Sub(t, f) y = Relu(s)",
        {"f": np.float32(2)},
        (0, 0),
    ),
    "codes of eight bits": (
        "q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z)",
        {"s": np.float32(0.5), "z": np.array(-28, np.int8)},
        (-50, 77.5),
    ),
    "a product": (
        "t = Sigmoid(x) y = MatMul(t, w)",
        {"w": np.array([[1.0, -1.0], [2.0, -3.0], [-4.0, 5.0]])},
        (-4, 5),
    ),
    "a convolution beside whose data are zeros": (
        "t = Sigmoid(x) s = Add(t, f) y = Conv<pads=[1,1]>(s, w, b)",
        {"f": ONE, "w": np.array([[[1.0, 2.0, 3.0]] * 3]), "b": np.array([10.0])},
        (10, 46),
    ),
    "a quotient": ("t = Tanh(x) s = Sub(t, f) y = Div(t, s)", {"f": np.float32(2)}, (-1, 1)),
    "the middle of sorted ones": (
        "t = Tanh(x) m = MaxPool<kernel_shape=[2]>(t) p = Transpose<perm=[0,2,1]>(m) y = Mul(p, f)",
        {"f": np.float32(-3)},
        (-3, 3),
    ),
}
UNBOUNDED = {
    "an input": "y = Identity(x)",
    "a Relu": "y = Relu(x)",
    "clipped by an input": "m = ReduceMax<keepdims=0>(x) t = Tanh(x) y = Clip(t, , m)",
    "a quotient by what may be zero": "t = Tanh(x) y = Div(t, t)",
    "an exponential": "y = Exp(x)",
}


def value_of(body: str, tensors: dict[str, np.ndarray]):
    shape = "N,A" if "MatMul" in body else "N,A,B"
    source = "float[N,3]" if "MatMul" in body else "float[N,3,T]"
    model = graph(f"({source} x) => (float[{shape}] y) {{ {body} }}", **tensors)
    values = ir.from_proto(model)
    tidy(values)
    return model, values.graph.outputs[0]


@pytest.mark.parametrize("what", BOUNDED)
def test_bounds_hold_and_are_tight(what: str):
    body, tensors, expected = BOUNDED[what]
    model, value = value_of(body, {name: np.asarray(array) for name, array in tensors.items()})
    assert bounds(value) == pytest.approx(expected)
    for seed in range(3):
        (found,) = answers(model, seed=seed)
        assert expected[0] - 1e-5 <= found.min() <= found.max() <= expected[1] + 1e-5


@pytest.mark.parametrize("what", UNBOUNDED)
def test_nothing_is_said_of_what_is_not_bounded(what: str):
    _, value = value_of(UNBOUNDED[what], {})
    assert largest_magnitude(value) is None


def test_a_deep_residual_net_takes_no_longer_than_its_nodes():
    """Each layer reads the one before twice: without memory that would be 2 ** 60 paths."""
    layers = " ".join(f"v{at + 1} = Sub(v{at}, v{at})" for at in range(60))
    _, value = value_of(f"v0 = Tanh(x) {layers} y = Tanh(v60)", {})
    assert bounds(value.producer().inputs[0]) == pytest.approx((-(2.0**60), 2.0**60))
