"""Rewrites of sums, products and means on a few operators: where the algebra holds, and where not."""

from __future__ import annotations

import numpy as np
import pytest
from small_graphs import Case, applies, axes, graph, normal, operators, refuses, same, stored, vector

from edgebench.models.rewrites import rewrite

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
        "a factor under which weights would vanish",
        "affine",
        "(float[N,4] x) => (float[N,3] y) { m = Mul(x, f) y = Gemm(m, w) }",
        {"f": np.float32(1e-30), "w": 1e-20 * np.ones((4, 3))},
    ),
    Case(
        "a batch norm that is being trained",
        "affine",
        "(float[N,3,T] x) => (float[N,4,T] y, float[4] p, float[4] q) { c = Conv(x, w) "
        "y, p, q = BatchNormalization<training_mode=1>(c, g, s, m, v) }",
        {"w": normal(4, 3, 1)} | {k: normal(4) for k in "gsm"} | {"v": vector(0.5, 1, 2, 3)},
    ),
    Case(
        "a sum into a product of many outputs, which would multiply more than it saves",
        "sum_into_product",
        "(float[N,6] x) => (float[N,65] y) { a, b = Split<axis=1>(x) p = Abs(a) q = Abs(b) s = Add(p, q) "
        "y = MatMul(s, w) }",
        {"w": normal(3, 65)},
    ),
]


@pytest.mark.parametrize("case", APPLIES, ids=str)
def test_the_same_answers_by_other_operators(case: Case):
    applies(case)


@pytest.mark.parametrize("case", REFUSES, ids=str)
def test_nothing_is_changed_where_the_algebra_does_not_hold(case: Case):
    refuses(case)


def test_weights_that_two_products_share_are_stored_once():
    text = (
        "(float[N,4] x, float[N,4] z) => (float[N,3] y, float[N,3] u) "
        "{ s = Add(x, b) y = Gemm(s, w, c) u = Gemm(z, w, c) }"
    )
    before = graph(text, w=normal(4, 3), c=normal(3), **BIAS4)
    after = rewrite(before, ["affine"]).model
    assert operators(after) == ["Gemm", "Gemm"]
    assert stored(after) == [(3,), (3,), (4, 3)]
    same(before, after)
