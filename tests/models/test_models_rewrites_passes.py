"""Each rewrite on a few operators: where its algebra holds, and where it does not."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
import pytest
from small_graphs import answers, graph, operators, stored

from edgebench.models.rewrites import rewrite

RNG = np.random.default_rng(1)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def vector(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def axes(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


@dataclass(frozen=True)
class Case:
    """A graph, and the operators that should be left of it; None where the pass must not touch it."""

    what: str
    name: str
    text: str
    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    left: str | None = None
    opset: int = 17


BIAS4 = {"b": vector(1, -2, 3, 0.5)}
APPLIES = [
    Case(
        "the same along the axis of the softmax",
        "softmax_bias",
        "(float[N,T,4] x) => (float[N,T,4] y) { z = Add(b, x) y = Softmax<axis=1>(z) }",
        BIAS4,
        "Softmax",
    ),
    Case(
        "subtracted, before the logarithm of a softmax",
        "softmax_bias",
        "(float[N,T,4] x) => (float[N,T,4] y) { z = Sub(x, b) y = LogSoftmax<axis=-2>(z) }",
        BIAS4,
        "LogSoftmax",
    ),
    Case(
        "into a softmax-weighted sum",
        "mean_shift",
        "(float[N,T,4] x, float[N,T,4] l) => (float[N,4] y) { p = Softmax<axis=1>(l) z = Add(x, b) "
        "m = Mul(p, z) y = ReduceSum<keepdims=0>(m, a) }",
        {**BIAS4, "a": axes(1)},
        "Softmax Mul ReduceSum Add",
    ),
    Case(
        "into a mean",
        "mean_shift",
        "(float[N,T,4] x) => (float[N,1,4] y) { z = Add(x, b) y = ReduceMean<axes=[-2]>(z) }",
        BIAS4,
        "ReduceMean Add",
    ),
    Case(
        "into attention",
        "mean_shift",
        "(float[N,T,4] x, float[N,T,T] l) => (float[N,T,4] y) { p = Softmax<axis=-1>(l) z = Add(x, b) "
        "y = MatMul(p, z) }",
        BIAS4,
        "Softmax MatMul Add",
    ),
    Case(
        "two heads, one transposed and one without bias",
        "join_heads",
        "(float[N,4] x) => (float[N,3] y, float[N,2] z) { y = Gemm<transB=1>(x, v, b) z = Gemm(x, w) }",
        {"v": normal(3, 4), "b": normal(3), "w": normal(4, 2)},
        "Gemm Split",
    ),
    Case(
        "a power spectrum into its mel product",
        "sum_into_product",
        "(float[N,6,T] x) => (float[N,T,5] y) { a, b = Split<axis=1>(x) p = Mul(a, a) q = Mul(b, b) "
        "s = Add(p, q) t = Transpose<perm=[0,2,1]>(s) y = MatMul(t, w) }",
        {"w": normal(3, 5)},
        "Mul Transpose MatMul",
    ),
    Case(
        "a factor and a sum behind a convolution",
        "affine",
        "(float[N,3,T] x) => (float[N,4,T] y) { c = Conv<pads=[1,1]>(x, w) m = Mul(c, f) y = Add(m, b) }",
        {"w": normal(4, 3, 3), "f": normal(4, 1), "b": normal(1, 4, 1)},
        "Conv",
    ),
    Case(
        "a batch norm behind a convolution",
        "affine",
        "(float[N,3,T] x) => (float[N,4,T] y) { c = Conv(x, w, b) y = BatchNormalization(c, g, s, m, v) }",
        {"w": normal(4, 3, 1)} | {k: normal(4) for k in "bgsm"} | {"v": vector(0.5, 1, 2, 3)},
        "Conv",
    ),
    Case(
        "a quotient behind a product with a bias",
        "affine",
        "(float[N,T,4] x) => (float[N,T,3] y) { p = MatMul(x, w) q = Add(b, p) y = Div(q, f) }",
        {"w": normal(4, 3), "b": normal(3), "f": vector(2, -3, 0.5)},
        "MatMul Add",
    ),
    Case(
        "a factor through an Unsqueeze into a convolution that pads",
        "affine",
        "(float[N,T,4] x) => (float[N,2,T,4] y) { d = Div(x, l) u = Unsqueeze(d, a) m = Mul(f, u) "
        "y = Conv<pads=[1,1,1,1]>(m, w) }",
        {"l": np.float32(np.log(10)), "f": np.float32(10), "a": axes(1), "w": normal(2, 1, 3, 3)},
        "Unsqueeze Conv",
    ),
    Case(
        "a positive factor through a Relu into a product",
        "affine",
        "(float[N,T,4] x) => (float[N,T,3] y) { m = Mul(x, f) r = Relu(m) y = MatMul(r, w) }",
        {"f": np.float32(3), "w": normal(4, 3)},
        "Relu MatMul",
    ),
    Case(
        "a sum before two heads",
        "affine",
        "(float[N,4] x) => (float[N,3] y, float[N,2] z) { s = Add(x, b) y = Gemm(s, v) z = Gemm(s, w, c) }",
        {**BIAS4, "v": normal(4, 3), "w": normal(4, 2), "c": normal(2)},
        "Gemm Gemm",
    ),
    Case(
        "a step for each channel before a convolution in groups",
        "affine",
        "(float[N,4,T] x) => (float[N,6,T] y) { m = Mul(x, f) s = Sub(m, b) y = Conv<group=2>(s, w) }",
        {"f": normal(4, 1), "b": normal(4, 1), "w": normal(6, 2, 3)},
        "Conv",
    ),
    Case(
        "attention's factor, through reshapes and transposes and the product of two",
        "affine",
        "(float[N,7,4] x, float[N,2,T,2] k) => (float[N,2,7,T] y) { q = MatMul(x, w) s = Add(q, b) "
        "r = Reshape(s, h) t = Transpose<perm=[0,2,1,3]>(r) u = Transpose<perm=[0,1,3,2]>(k) "
        "p = MatMul(t, u) y = Div(p, f) }",
        {"w": normal(4, 4), **BIAS4, "h": axes(0, 7, 2, 2), "f": np.float32(-8)},
        "MatMul Add Reshape Transpose Transpose MatMul",
    ),
    Case(
        "scale and bias of an instance norm",
        "affine",
        "(float[N,3,T] x) => (float[N,3,T] y) { i = InstanceNormalization(x, s, o) m = Mul(i, f) "
        "y = Add(m, b) }",
        {"s": normal(3), "o": normal(3), "f": normal(3, 1), "b": normal(3, 1)},
        "InstanceNormalization",
    ),
    Case(
        "scale of a layer norm, which had no bias",
        "affine",
        "(float[N,T,4] x) => (float[N,T,4] y) { i = LayerNormalization(x, s) m = Mul(i, f) y = Add(m, b) }",
        {"s": normal(4), "f": normal(4), **BIAS4},
        "LayerNormalization",
    ),
    Case(
        "convolutions over time and what stands between them",
        "conv_2d",
        "(float[N,3,T] x) => (float[N,2,T] y) { c = Conv<pads=[2,0],strides=[1],dilations=[1]>(x, v, b) "
        "i = InstanceNormalization(c, s, s) r = Relu(i) y = Conv(r, w) }",
        {"v": normal(4, 3, 3), "b": normal(4), "s": normal(4), "w": normal(2, 4, 1)},
        "Unsqueeze Conv InstanceNormalization Relu Conv Squeeze",
    ),
    Case(
        "a Transpose meets its inverse behind product, convolution and pooling",
        "time_last",
        "(float[N,5,T] x) => (float[N,2,C,D] y) { t = Transpose<perm=[0,2,1]>(x) p = MatMul(t, w) "
        "r = Relu(p) s = Mul(r, f) u = Unsqueeze(s, a) c = Conv<pads=[1,0,2,1],strides=[2,1]>(u, v) "
        "m = MaxPool<kernel_shape=[2,3],strides=[1,2]>(c) y = Transpose<perm=[0,1,3,2]>(m) }",
        {"w": normal(5, 6), "f": normal(6), "a": axes(1), "v": normal(2, 1, 3, 2)},
        "MatMul Relu Mul Unsqueeze Conv MaxPool",
    ),
    Case(
        "a softmax over the rows of a product",
        "softmax_last",
        "(float[N,T,4] x) => (float[N,T,3] y) { p = MatMul(x, w) s = Add(p, b) y = Softmax<axis=1>(s) }",
        {"w": normal(4, 3), "b": normal(3)},
        "Transpose MatMul Add Softmax Transpose",
    ),
    Case(
        "a weighted sum of a product",
        "pool_first",
        "(float[N,T,4] x, float[N,T,3] p) => (float[N,3] y) { l = MatMul(x, w) m = Mul(l, p) "
        "y = ReduceSum<keepdims=0>(m, a) }",
        {"w": normal(4, 3), "a": axes(1)},
        "Transpose MatMul Mul ReduceSum",
    ),
    Case(
        "a weighted sum that keeps its axis",
        "pool_first",
        "(float[N,T,4] x, float[N,T,3] p) => (float[N,1,3] y) { l = MatMul(x, w) m = Mul(p, l) "
        "y = ReduceSum(m, a) }",
        {"w": normal(4, 3), "a": axes(-2)},
        "Transpose MatMul Mul ReduceSum Transpose",
    ),
    Case(
        "the batch of a reshape",
        "reshapes",
        "(float[N,4,T] x) => (float[N,A,2] y) { n = Shape<start=0,end=1>(x) r = Relu(x) "
        "s = Concat<axis=0>(n, m, h) y = Reshape<allowzero=1>(r, s) }",
        {"m": axes(-1), "h": axes(2)},
        "Relu Reshape",
    ),
    Case(
        "a reshape to the shape that is there, and two Transposes",
        "reshapes",
        "(float[N,4,T] x) => (float[N,4,T] y) { r = Reshape(x, s) a = Transpose<perm=[2,0,1]>(r) "
        "b = Transpose<perm=[1,2,0]>(a) y = Relu(b) }",
        {"s": axes(0, 4, -1)},
        "Relu",
    ),
    Case(
        "what depends on constants alone",
        "fold_constants",
        "(float[N,4] x) => (float[N,4] y) { s = Sqrt(b) t = Transpose<perm=[0]>(s) y = Mul(x, t) }",
        {"b": vector(1, 4, 9, 16)},
        "Mul",
    ),
    *(
        Case(
            f"GELU as an exporter writes it: {order}",
            "gelu",
            "(float[N,4] x) => (float[N,1] y) { "
            + text
            + " y = ReduceMean<axes=[1]>(g) }",  # an operator that changes with the opset
            {
                "r": np.float32(2**0.5),
                "i": np.float32(0.5**0.5),
                "o": np.float32(1),
                "h": np.float32(0.5),
            },
            "Gelu ReduceMean",
        )
        for order, text in {
            "(x (erf + 1)) / 2": "d = Div(x, r) e = Erf(d) a = Add(e, o) m = Mul(x, a) g = Mul(m, h)",
            "(x / 2) (erf + 1)": "d = Mul(i, x) e = Erf(d) a = Add(o, e) k = Mul(x, h) g = Mul(k, a)",
            "x ((erf + 1) / 2)": "d = Div(x, r) e = Erf(d) a = Add(e, o) m = Mul(a, h) g = Mul(m, x)",
        }.items()
    ),
]

REFUSES = [
    Case(
        "softmax over the other axis",
        "softmax_bias",
        "(float[N,T,4] x) => (float[N,T,4] y) { z = Add(x, b) y = Softmax<axis=2>(z) }",
        BIAS4,
    ),
    Case(
        "a bias that makes the data larger",
        "softmax_bias",
        "(float[N,T,1] x) => (float[N,T,4] y) { z = Add(x, b) y = Softmax<axis=1>(z) }",
        BIAS4,
    ),
    Case(
        "the data is subtracted",
        "softmax_bias",
        "(float[N,T,4] x) => (float[N,T,4] y) { z = Sub(b, x) y = Softmax<axis=1>(z) }",
        BIAS4,
    ),
    Case(
        "the bias is an input",
        "softmax_bias",
        "(float[N,T,4] x, float[1,1,4] b) => (float[N,T,4] y) { z = Add(x, b) y = Softmax<axis=1>(z) }",
    ),
    Case(
        "the bias is stored and may be overridden as an input",
        "softmax_bias",
        "(float[N,T,4] x, float[4] b) => (float[N,T,4] y) { z = Add(x, b) y = Softmax<axis=1>(z) }",
        BIAS4,
    ),
    Case(
        "the weights sum to one over another axis",
        "mean_shift",
        "(float[N,T,4] x, float[N,T,4] l) => (float[N,4] y) { p = Softmax<axis=2>(l) z = Add(x, b) "
        "m = Mul(p, z) y = ReduceSum<keepdims=0>(m, a) }",
        {**BIAS4, "a": axes(1)},
    ),
    Case(
        "one weight for many frames",
        "mean_shift",
        "(float[N,T,4] x, float[N,1,4] l) => (float[N,4] y) { p = Softmax<axis=1>(l) z = Add(x, b) "
        "m = Mul(p, z) y = ReduceSum<keepdims=0>(m, a) }",
        {**BIAS4, "a": axes(1)},
    ),
    Case(
        "what is added changes over the mean",
        "mean_shift",
        "(float[N,4,T] x) => (float[N,1,T] y) { z = Add(x, b) y = ReduceMean<axes=[1]>(z) }",
        {"b": normal(4, 1)},
    ),
    Case(
        "the weighted frames are an output too",
        "mean_shift",
        "(float[N,T,4] x, float[N,T,4] l) => (float[N,4] y, float[N,T,4] m) { p = Softmax<axis=1>(l) "
        "z = Add(x, b) m = Mul(p, z) y = ReduceSum<keepdims=0>(m, a) }",
        {**BIAS4, "a": axes(1)},
    ),
    Case(
        "heads of different vectors",
        "join_heads",
        "(float[N,4] x, float[N,4] v) => (float[N,3] y, float[N,3] z) { y = Gemm(x, w) z = Gemm(v, w) }",
        {"w": normal(4, 3)},
    ),
    Case(
        "a head that scales its product, and one whose weights are an input",
        "join_heads",
        "(float[N,4] x, float[4,2] u) => (float[N,3] y, float[N,3] z, float[N,2] t) "
        "{ y = Gemm<alpha=2.0>(x, w) z = Gemm(x, w) t = Gemm(x, u) }",
        {"w": normal(4, 3)},
    ),
    Case(
        "two different functions",
        "sum_into_product",
        "(float[N,6] x) => (float[N,5] y) { a, b = Split<axis=1>(x) p = Mul(a, a) q = Abs(b) "
        "s = Add(p, q) y = MatMul(s, w) }",
        {"w": normal(3, 5)},
    ),
    Case(
        "halves of another axis than the product's",
        "sum_into_product",
        "(float[N,3,8] x) => (float[N,4,5] y) { a, b = Split<axis=2>(x) p = Abs(a) q = Abs(b) "
        "s = Add(p, q) t = Transpose<perm=[0,2,1]>(s) y = MatMul(t, w) }",
        {"w": normal(3, 5)},
    ),
    Case(
        "the sum is an output too",
        "sum_into_product",
        "(float[N,6] x) => (float[N,5] y, float[N,3] s) { a, b = Split<axis=1>(x) p = Abs(a) q = Abs(b) "
        "s = Add(p, q) y = MatMul(s, w) }",
        {"w": normal(3, 5)},
    ),
    Case(
        "a sum before a convolution that pads with zeros",
        "affine",
        "(float[N,3,T] x) => (float[N,4,T] y) { s = Add(x, b) y = Conv<pads=[1,1]>(s, w) }",
        {"b": normal(3, 1), "w": normal(4, 3, 3)},
    ),
    Case(
        "a negative factor before a Relu",
        "affine",
        "(float[N,T,4] x) => (float[N,T,3] y) { m = Mul(x, f) r = Relu(m) y = MatMul(r, w) }",
        {"f": np.float32(-3), "w": normal(4, 3)},
    ),
    Case(
        "a factor before a Tanh",
        "affine",
        "(float[N,T,4] x) => (float[N,T,3] y) { m = Mul(x, f) r = Tanh(m) y = MatMul(r, w) }",
        {"f": np.float32(3), "w": normal(4, 3)},
    ),
    Case(
        "a factor behind a product of two, of which somebody else sees the first",
        "affine",
        "(float[N,T,4] x, float[N,4,T] k) => (float[N,T,T] y, float[N,T,4] q) { q = MatMul(x, w) "
        "p = MatMul(q, k) y = Mul(p, f) }",
        {"w": normal(4, 4), "f": np.float32(3)},
    ),
    Case(
        "a factor for each frame",
        "affine",
        "(float[N,7,4] x) => (float[N,7,3] y) { m = Mul(x, f) y = MatMul(m, w) }",
        {"f": normal(7, 1), "w": normal(4, 3)},
    ),
    Case(
        "a factor whose result somebody else reads",
        "affine",
        "(float[N,T,4] x) => (float[N,T,3] y, float[N,T,4] r) { m = Mul(x, f) r = Relu(m) y = MatMul(r, w) }",
        {"f": np.float32(3), "w": normal(4, 3)},
    ),
    Case(
        "a convolution whose result somebody else reads",
        "affine",
        "(float[N,3,T] x) => (float[N,4,T] y, float[N,4,T] c) { c = Conv(x, w) y = Mul(c, f) }",
        {"w": normal(4, 3, 1), "f": normal(4, 1)},
    ),
    Case(
        "a factor that is an input",
        "affine",
        "(float[N,T,4] x, float[4] f) => (float[N,T,3] y) { m = Mul(x, f) y = MatMul(m, w) }",
        {"w": normal(4, 3)},
    ),
    Case(
        "a factor too large for the weights",
        "affine",
        "(float[N,4] x) => (float[N,3] y) { m = Mul(x, f) y = Gemm(m, w) }",
        {"f": np.float32(1e30), "w": 1e20 * np.ones((4, 3))},
    ),
    Case(
        "a batch norm that is being trained",
        "affine",
        "(float[N,3,T] x) => (float[N,4,T] y, float[4] p, float[4] q) { c = Conv(x, w) "
        "y, p, q = BatchNormalization<training_mode=1>(c, g, s, m, v) }",
        {"w": normal(4, 3, 1)} | {k: normal(4) for k in "gsm"} | {"v": vector(0.5, 1, 2, 3)},
    ),
    Case(
        "a convolution over two axes, and one whose weights are an input",
        "conv_2d",
        "(float[N,3,T,5] x, float[N,3,T] z, float[2,3,1] v) => (float[N,2,T,5] y, float[N,2,T] u) "
        "{ y = Conv(x, w) u = Conv(z, v) }",
        {"w": normal(2, 3, 1, 1)},
    ),
    Case(
        "a Transpose that two read, and one that mixes the batch",
        "time_last",
        "(float[N,4,T] x) => (float[N,T,3] y, float[N,T,4] z, float[T,N,4] u) "
        "{ t = Transpose<perm=[0,2,1]>(x) y = MatMul(t, w) z = Relu(t) "
        "s = Transpose<perm=[2,0,1]>(x) u = LayerNormalization(s, g) }",
        {"w": normal(4, 3), "g": normal(4)},
    ),
    Case(
        "channels exchanged before a convolution",
        "time_last",
        "(float[N,T,3,5] x) => (float[N,2,T,5] y) { t = Transpose<perm=[0,2,1,3]>(x) y = Conv(t, w) }",
        {"w": normal(2, 3, 1, 1)},
    ),
    Case(
        "a softmax over the last axis, or behind no product",
        "softmax_last",
        "(float[N,T,4] x) => (float[N,T,3] y, float[N,T,4] z) { p = MatMul(x, w) y = Softmax<axis=2>(p) "
        "z = Softmax<axis=1>(x) }",
        {"w": normal(4, 3)},
    ),
    Case(
        "one weight for all frames",
        "pool_first",
        "(float[N,T,4] x, float[N,1,3] p) => (float[N,3] y) { l = MatMul(x, w) m = Mul(l, p) "
        "y = ReduceSum<keepdims=0>(m, a) }",
        {"w": normal(4, 3), "a": axes(1)},
    ),
    Case(
        "a sum over channels",
        "pool_first",
        "(float[N,T,4] x, float[N,T,3] p) => (float[N,T] y) { l = MatMul(x, w) m = Mul(l, p) "
        "y = ReduceSum<keepdims=0>(m, a) }",
        {"w": normal(4, 3), "a": axes(2)},
    ),
    Case(
        "the batch of another input",
        "reshapes",
        "(float[N,4,T] x, float[M] z) => (float[A,B,2] y) { n = Shape(z) s = Concat<axis=0>(n, m, h) "
        "y = Reshape(x, s) }",
        {"m": axes(-1), "h": axes(2)},
    ),
    Case(
        "a table that the graph generates",
        "fold_constants",
        "(float[N,2048] x) => (float[N,2048] y) { r = Range(a, b, c) y = Mul(x, r) }",
        {"a": np.float32(0), "b": np.float32(2048), "c": np.float32(1)},
    ),
    Case(
        "nearly GELU",
        "gelu",
        "(float[N,4] x) => (float[N,4] y) { d = Div(x, r) e = Erf(d) a = Add(e, o) m = Mul(x, a) "
        "y = Mul(m, h) }",
        {"r": np.float32(1.5), "o": np.float32(1), "h": np.float32(0.5)},
    ),
    Case(
        "GELU whose middle somebody else reads",
        "gelu",
        "(float[N,4] x) => (float[N,4] y, float[N,4] m) { d = Div(x, r) e = Erf(d) a = Add(e, o) "
        "m = Mul(x, a) y = Mul(m, h) }",
        {"r": np.float32(2**0.5), "o": np.float32(1), "h": np.float32(0.5)},
    ),
]


def _id(case: Case) -> str:
    return f"{case.name}: {case.what}"


@pytest.mark.parametrize("case", APPLIES, ids=_id)
def test_the_same_answers_by_other_operators(case: Case):
    before = graph(case.text, opset=case.opset, **case.tensors)
    found = rewrite(before, [case.name])
    assert found.places[case.name] > 0
    assert " ".join(operators(found.model)) == case.left
    assert [v.name for v in found.model.graph.output] == [v.name for v in before.graph.output]
    for seed in (0, 1):
        for a, b in zip(answers(before, seed=seed), answers(found.model, seed=seed), strict=True):
            np.testing.assert_allclose(b, a, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("case", REFUSES, ids=_id)
def test_nothing_is_changed_where_the_algebra_does_not_hold(case: Case):
    before = graph(case.text, opset=case.opset, **case.tensors)
    found = rewrite(before, [case.name])
    assert found.places == {case.name: 0}
    assert found.model is before


def same(before: onnx.ModelProto, after: onnx.ModelProto) -> None:
    for a, b in zip(answers(before), answers(after), strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-5, atol=2e-5)


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


def test_gelu_raises_the_opset_and_says_so():
    case = next(case for case in APPLIES if case.name == "gelu")
    after = rewrite(graph(case.text, **case.tensors), ["gelu"]).model
    assert [entry.version for entry in after.opset_import] == [20]
    assert after.ir_version == 9
