"""Rewrites of order, shape and single operators: where they apply, and where not."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from small_graphs import Case, applies, axes, graph, normal, refuses, vector

from edgebench.errors import ModelError
from edgebench.models.rewrites import rewrite
from edgebench.models.rewrites.base import Pass, apply_pass, everywhere
from edgebench.models.rewrites.graph import emit, replace

BIAS4 = {"b": vector(1, -2, 3, 0.5)}
APPLIES = [
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
        "a Transpose goes back to its inverse, before product, convolution and pooling",
        "time_first",
        "(float[N,T,5] x) => (float[N,2,C,D] y) { t = Transpose<perm=[0,2,1]>(x) p = MatMul(w, t) "
        "r = Relu(p) s = Mul(r, f) u = Unsqueeze(s, a) c = Conv<pads=[0,1,1,2],strides=[1,2]>(u, v) "
        "m = MaxPool<kernel_shape=[3,2],strides=[2,1]>(c) y = Transpose<perm=[0,1,3,2]>(m) }",
        {"w": normal(6, 5), "f": normal(6, 1), "a": axes(1), "v": normal(2, 1, 2, 3)},
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
        "a softmax of clipped numbers",
        "softmax_bounded",
        "(float[N,T,4] x) => (float[N,T,4] y) { c = Clip(x, l, h) y = Softmax<axis=1>(c) }",
        {"l": np.float32(-60), "h": np.float32(60)},
        "Clip Exp ReduceSum Div",
    ),
    Case(
        "a weighted sum of a product of numbers of eight bits",
        "softmax_bounded",
        "(float[N,T,4] x) => (float[N,3] y) { q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) "
        "p = MatMul(d, w) t = Softmax<axis=1>(p) v = MatMul(x, w) m = Mul(v, t) "
        "y = ReduceSum<keepdims=0>(m, a) }",
        {"s": np.float32(0.03), "z": np.array(128, np.uint8), "w": normal(4, 3), "a": axes(1)},
        "QuantizeLinear DequantizeLinear MatMul Exp ReduceSum MatMul Mul ReduceSum Squeeze Div",
    ),
    Case(
        "bounds through a convolution, a Relu and arithmetic",
        "softmax_bounded",
        "(float[N,3,T] x) => (float[N,2,T] y) { t = Tanh(x) c = Conv<pads=[1,1]>(t, w, b) r = Relu(c) "
        "m = Mul(r, f) s = Sub(m, r) y = Softmax(s) }",
        {"w": normal(2, 3, 3), "b": normal(2), "f": np.float32(-0.5)},
        "Tanh Conv Relu Mul Sub Exp ReduceSum Div",
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
        "a product of two values that are computed, between Transposes: attention",
        "time_first",
        "(float[N,T,2,3] x) => (float[N,T,2,3] y) { q = Transpose<perm=[0,2,1,3]>(x) "
        "k = Transpose<perm=[0,2,3,1]>(x) p = MatMul(q, k) w = Softmax(p) a = MatMul(w, q) "
        "y = Transpose<perm=[0,2,1,3]>(a) }",
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
        "two read what is transposed, and features of a product are exchanged with its batch",
        "time_first",
        "(float[N,4,T] x, float[N,T,5] z) => (float[N,4,T] r, float[N,T,4] y, float[T,N,3] u) "
        "{ r = Relu(x) y = Transpose<perm=[0,2,1]>(r) p = MatMul(z, w) u = Transpose<perm=[1,0,2]>(p) }",
        {"w": normal(5, 3)},
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
        "a softmax of any numbers, of large ones, and of those bounded on one side",
        "softmax_bounded",
        "(float[N,T,4] x) => (float[N,T,4] y, float[N,T,4] z, float[N,T,4] u) { y = Softmax(x) "
        "t = Tanh(x) m = Mul(t, f) z = Softmax(m) r = Relu(x) u = Softmax(r) }",
        {"f": np.float32(61)},
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


@pytest.mark.parametrize("case", APPLIES, ids=str)
def test_the_same_answers_by_other_operators(case: Case):
    applies(case)


@pytest.mark.parametrize("case", REFUSES, ids=str)
def test_nothing_is_changed_where_the_algebra_does_not_hold(case: Case):
    refuses(case)


def test_gelu_raises_the_opset_and_says_so():
    case = next(case for case in APPLIES if case.name == "gelu")
    after = rewrite(graph(case.text, **case.tensors), ["gelu"]).model
    assert [entry.version for entry in after.opset_import] == [20]
    assert after.ir_version == 9


def test_a_rule_that_never_ends_is_stopped() -> None:
    def again(node: ir.Node) -> bool:
        if node.op_type != "Relu":
            return False
        replace(node.outputs[0], emit(node, "Relu", [node.inputs[0]]))
        return True

    before = graph("(float[N,3] x) => (float[N,3] y) { r = Relu(x) y = Tanh(r) }")
    with pytest.raises(ModelError, match=r"'endless'.* does not end"):
        apply_pass(before, Pass("endless", "", everywhere(again)))
