"""Channels that go, and channels that are filled up, with those that must keep their number."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from small_graphs import graph, normal, same, stored

from edgebench.models.rewrites import rewrite

DEAD = (
    "(float[N,3,T] x) => (float[N,T,2] y) {{ c = Conv(x, v, b) m = {function}(c) "
    "t = Transpose<perm=[0,2,1]>(m) y = MatMul(t, w) }}"
)


def dead_weights() -> dict[str, np.ndarray]:
    """Of five channels the second is always zero, and the fourth is never read."""
    v, b, w = normal(5, 3, 1), normal(5), normal(5, 2)
    v[1], b[1], w[3] = 0, 0, 0
    return {"v": v, "b": b, "w": w}


@pytest.mark.parametrize(("function", "kept"), [("Relu", 3), ("Exp", 4)])
def test_dead_channels_go(function: str, kept: int):
    """Exp makes ones of zeros: the second channel must stay behind it."""
    before = graph(DEAD.format(function=function), **dead_weights())
    after = rewrite(before, ["dead_channels"]).model
    assert stored(after) == sorted([(kept, 3, 1), (kept,), (kept, 2)])
    same(before, after)


def test_a_zero_channel_with_a_bias_is_not_dead():
    tensors = dead_weights()
    tensors["b"][1], tensors["w"][3] = 2.0, 1.0
    before = graph(DEAD.format(function="Relu"), **tensors)
    assert rewrite(before, ["dead_channels"]).model is before


def test_channels_that_the_caller_sees_stay():
    text = (
        "(float[N,3,T] x) => (float[N,2,T] y, float[N,5,T] m) "
        "{ c = Conv(x, v, b) m = Relu(c) y = Conv(m, w) }"
    )
    tensors = dead_weights()
    before = graph(text, v=tensors["v"], b=tensors["b"], w=tensors["w"].T[:, :, np.newaxis])
    assert rewrite(before, ["dead_channels"]).model is before


CHAIN = (
    "(float[N,2,T,6] x) => (float[N,3,A,B] y) {{ c = Conv<pads=[1,1,1,1]>(x, u, b) r = {function}(c) "
    "m = MaxPool<kernel_shape=[2,2]>(r) y = Conv(m, v) }}"
)


def chain(function: str) -> onnx.ModelProto:
    tensors = {"u": normal(5, 2, 3, 3), "b": normal(5), "v": normal(3, 5, 1, 1)}
    return graph(CHAIN.format(function=function), **tensors)


@pytest.mark.parametrize(
    ("name", "channels"), [("pad_channels", 16), ("pad_channels:4", 8), ("pad_pooled:8", 8)]
)
def test_channels_are_filled_up(name: str, channels: int):
    before = chain("Relu")
    found = rewrite(before, [name])
    assert found.places == {name: 1}
    assert stored(found.model) == sorted([(channels, 2, 3, 3), (channels,), (3, channels, 1, 1)])
    same(before, found.model)


def test_only_channels_that_are_pooled():
    text = (
        "(float[N,2,T,6] x) => (float[N,3,A,B] y) { c = Conv(x, u) d = Conv(c, v) "
        "m = AveragePool<kernel_shape=[2,2]>(d) y = Conv(m, w) }"
    )
    before = graph(text, u=normal(5, 2, 1, 1), v=normal(5, 5, 1, 1), w=normal(3, 5, 1, 1))
    after = rewrite(before, ["pad_pooled:8"]).model
    assert stored(after) == sorted([(5, 2, 1, 1), (8, 5, 1, 1), (3, 8, 1, 1)])
    same(before, after)


def test_channels_through_a_residual_connection():
    text = (
        "(float[N,2,T] x) => (float[N,3,T] y) { a = Conv(x, u) p = Relu(a) b = Conv<pads=[1,1]>(p, v) "
        "s = Add(a, b) r = Relu(s) y = Conv(r, w) }"
    )
    before = graph(text, u=normal(5, 2, 1), v=normal(5, 5, 3), w=normal(3, 5, 1))
    found = rewrite(before, ["pad_channels:8"])
    assert stored(found.model) == sorted([(8, 2, 1), (8, 8, 3), (3, 8, 1)])
    same(before, found.model)


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(chain("Sigmoid"), id="sigmoid makes halves of zeros"),
        pytest.param(
            graph(
                "(float[N,2,T] x) => (float[N,3,T] y, float[N,5,T] r) "
                "{ c = Conv(x, u) r = Relu(c) y = Conv(r, v) }",
                u=normal(5, 2, 1),
                v=normal(3, 5, 1),
            ),
            id="the caller sees them",
        ),
        pytest.param(
            graph(
                "(float[N,2,T] x, float[N,5,T] z) => (float[N,3,T] y) "
                "{ c = Conv(x, u) s = Add(c, z) y = Conv(s, v) }",
                u=normal(5, 2, 1),
                v=normal(3, 5, 1),
            ),
            id="an input joins them",
        ),
        pytest.param(
            graph(
                "(float[N,2,T] x) => (float[N,10,T] y) { c = Conv(x, u) y = Conv<group=5>(c, v) }",
                u=normal(5, 2, 1),
                v=normal(10, 1, 1),
            ),
            id="a convolution in groups",
        ),
        pytest.param(
            graph(
                "(float[N,2,T] x) => (float[N,5] y) "
                "{ c = Conv(x, u) y = ReduceMean<axes=[2],keepdims=0>(c) }",
                u=normal(5, 2, 1),
            ),
            id="no convolution reads them",
        ),
    ],
)
def test_channels_that_must_keep_their_number(before: onnx.ModelProto):
    assert rewrite(before, ["pad_channels"]).model is before


def test_what_a_branch_reads_is_left_to_it():
    """The convolution's result is read inside an If as well: its channels must keep their number."""
    text = (
        "(float[N,2,T] x, bool c) => (float[N,3,T] y, float[N,A,T] z) { r = Conv(x, u) y = Conv(r, v) "
        "z = If(c) <then_branch = g1 () => (float[N,A,T] p) { p = Relu(r) }, "
        "else_branch = g2 () => (float[N,A,T] q) { q = Neg(r) }> }"
    )
    before = graph(text, u=normal(5, 2, 1), v=normal(3, 5, 1))
    assert rewrite(before, ["pad_channels", "affine", "dead_channels"]).model is before
    stripped = rewrite(before, ["strip_names"]).model
    assert [node.op_type for node in stripped.graph.node] == ["Conv", "Conv", "If"]
