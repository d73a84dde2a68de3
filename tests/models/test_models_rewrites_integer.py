"""The rewrites that serve integer kernels: patches as channels, outputs filled up, sums as products."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from small_graphs import answers, graph, operators, stored

from edgebench.models.rewrites import rewrite

RNG = np.random.default_rng(2)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def same(before: onnx.ModelProto, after: onnx.ModelProto) -> None:
    for a, b in zip(answers(before), answers(after), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)


def convolution(channels: int, attributes: str, *, kernel: tuple[int, ...] = (3, 3), outputs: int = 6):
    return graph(
        f"(float[N,{channels},T,9] x) => (float[N,{outputs},A,B] y) {{ y = Conv{attributes}(x, w, b) }}",
        w=normal(outputs, channels, *kernel),
        b=normal(outputs),
    )


@pytest.mark.parametrize(
    ("before", "channels"),
    [
        (convolution(1, "<pads=[1,1,1,1]>"), 12),
        (convolution(1, ""), 12),
        (convolution(3, "<pads=[0,2,1,0]>", kernel=(1, 3)), 12),
        (convolution(2, "", kernel=(5, 2)), 20),
        (convolution(2, '<auto_pad="VALID">', kernel=(2, 1)), 4),
    ],
)
def test_patches_become_channels(before, channels):
    found = rewrite(before, ("patch_channels",))
    assert found.places["patch_channels"] == 1
    same(before, found.model)
    assert (6, channels, 1, 1) in stored(found.model)


@pytest.mark.parametrize(
    "before",
    [
        convolution(4, ""),  # the kernels have what they want
        convolution(1, "", kernel=(1, 1)),
        convolution(1, "<strides=[2,2]>"),
        convolution(1, "<dilations=[2,1]>"),
        convolution(1, '<auto_pad="SAME_UPPER">'),
        convolution(1, "", kernel=(6, 6)),  # too many copies
    ],
)
def test_convolutions_that_patches_do_not_serve(before):
    found = rewrite(before, ("patch_channels",))
    assert found.places["patch_channels"] == 0
    assert found.model is before


@pytest.mark.parametrize("activation", ["Relu", "Sigmoid", "Identity"])
def test_outputs_are_filled_up_and_cut_again(activation):
    before = graph(
        "(float[N,5,T,4] x) => (float[N,T,44] y) { c = Conv<pads=[1,1,1,1]>(x, w, b) "
        f"r = {activation}(c) p = Transpose<perm=[0,2,1,3]>(r) y = Reshape(p, s) }}",
        w=normal(11, 5, 3, 3),
        b=normal(11),
        s=np.array([0, -1, 44]),
    )
    found = rewrite(before, ("pad_last:16",))
    assert found.places["pad_last:16"] == 1
    same(before, found.model)
    assert {(16, 5, 3, 3), (16,)} <= set(stored(found.model))
    weight = next(
        numpy_helper.to_array(t) for t in found.model.graph.initializer if list(t.dims) == [16, 5, 3, 3]
    )
    assert not weight[11:].any()
    # An activation that the runtime takes into the convolution stays next to it.
    wanted = ["Conv", "Relu", "Slice"] if activation == "Relu" else ["Conv", "Slice", activation]
    assert [kind for kind in operators(found.model) if kind not in ("Transpose", "Reshape")] == wanted


@pytest.mark.parametrize(
    ("weight", "attributes"), [((16, 5, 3), ""), ((7, 5, 3), ""), ((12, 3, 3), ""), ((10, 4, 3), "<group=2>")]
)
def test_outputs_that_are_left_as_they_are(weight, attributes):
    """As many as wanted; more zeros than outputs; few input channels; groups."""
    channels = weight[1] * (2 if attributes else 1)
    before = graph(
        f"(float[N,{channels},T] x) => (float[N,{weight[0]},A] y) {{ y = Conv{attributes}(x, w) }}",
        w=normal(*weight),
    )
    assert rewrite(before, ("pad_last:16",)).places["pad_last:16"] == 0


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axis", [1, -2])
def test_a_sum_over_rows_is_a_product_with_ones(keepdims, axis):
    shape = "N,1,4" if keepdims else "N,4"
    before = graph(
        f"(float[N,T,4] x) => (float[{shape}] y) {{ y = ReduceSum<keepdims={keepdims}>(x, a) }}",
        a=np.array([axis]),
    )
    found = rewrite(before, ("sum_by_ones",))
    assert found.places["sum_by_ones"] == 1
    same(before, found.model)
    assert "ReduceSum" not in operators(found.model)


def test_two_sums_over_the_same_rows_share_their_ones():
    before = graph(
        "(float[N,T,4] x, float[N,T,4] w) => (float[N,4] y) { e = Exp(x) p = Mul(e, w) "
        "s = ReduceSum<keepdims=0>(e, a) t = ReduceSum<keepdims=0>(p, a) y = Div(t, s) }",
        a=np.array([1]),
    )
    found = rewrite(before, ("sum_by_ones",))
    same(before, found.model)
    assert operators(found.model).count("ConstantOfShape") == 1
    assert operators(found.model).count("MatMul") == 2


@pytest.mark.parametrize(
    "body",
    [
        "(float[N,T,4] x) => (float[N,T] y) { y = ReduceSum<keepdims=0>(x, a) }",  # the last axis is fast
        "(float[N,T] x) => (float[T] y) { y = ReduceSum<keepdims=0>(x, b) }",
    ],
)
def test_sums_that_stay(body):
    before = graph(body, a=np.array([2]), b=np.array([0]))
    assert rewrite(before, ("sum_by_ones",)).places["sum_by_ones"] == 0
