"""Each cause from a small graph and a trace written by hand: what is named, and what it would save."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from support.traced import BYTES, GELU_CONSTANTS, PAIR_CONSTANTS, gelu, kernel, model, pair, side

from edgebench.harness.explain.causes import Case, Cause, causes_of
from edgebench.harness.explain.explanation import Explanation
from edgebench.harness.explain.probe import Rates, padded_shape, probe_model, rates_of
from edgebench.harness.explain.roofline import roofs_of
from edgebench.harness.explain.side import Side
from edgebench.harness.explain.trace import Trace

NODE = helper.make_node
VNNI = frozenset({"avx2", "avx512_vnni"})
MACS = 64 * 3 * 5  # an output channel and an input channel of the convolution below


def convolution(channels: int, *, kind: type = np.int8, quantized: bool) -> onnx.ModelProto:
    """1 channel -> ``channels`` -> ``channels``, the second convolution (``conv``) between pairs or not."""
    weights = np.ones((channels, channels, 5, 3), kind if quantized else np.float32)
    stored: dict[str, Any] = {
        **PAIR_CONSTANTS,
        "shape": np.array([1, 1, 8, 8]),
        "first": np.ones((channels, 1, 1, 1), np.float32),
        "w": weights,
        "wzero": kind(0),
    }
    nodes = [
        NODE("Reshape", ["waveform", "shape"], ["x"], name="reshape"),
        NODE("Conv", ["x", "first"], ["a"], name="first"),
    ]
    settings = {"name": "conv", "pads": [2, 1, 2, 1]}
    if not quantized:
        return model([*nodes, NODE("Conv", ["a", "w"], ["y"], **settings)], stored, outputs=["y"])
    nodes += [*pair("a", "ad"), NODE("DequantizeLinear", ["w", "scale", "wzero"], ["wd"])]
    nodes += [NODE("Conv", ["ad", "wd"], ["c"], **settings), *pair("c", "y")]
    return model(nodes, stored, outputs=["y"])


def sides(channels: int, us: tuple[float, float], *, kind: type = np.int8) -> tuple[Side, Side]:
    """The convolution takes ``us`` in float and in int8."""
    before = side(
        "p", convolution(channels, quantized=False), [kernel(1, "Conv", 50), kernel(2, "Conv", us[0])]
    )
    after = [kernel(1, "Conv", 50), kernel(5, "QLinearConv", us[1], BYTES)]
    return before, side("c", convolution(channels, kind=kind, quantized=True), after)


def causes(
    parts: tuple[Side, Side],
    *,
    machine: str = "x86_64",
    features: frozenset[str] = VNNI,
    rates: Rates | None = None,
) -> dict[str, Cause]:
    shown: Any = None  # rows need neither the board's fingerprint nor a measured ratio
    rows = Explanation("local", shown, False, 1.0, 1, *parts, None, ("a", "b")).rows
    return {cause.code: cause for cause in causes_of(Case(*parts, rows, machine, features, rates))}


def test_channels_not_in_fours_are_named_with_what_padding_would_save() -> None:
    rates = Rates(float32=1.0, int8=4.0, padded=4.0)
    cause = causes(sides(13, (100, 120)), rates=rates)["narrow_channels"]
    assert cause.operators == ("conv",)
    assert "13 input channels" in cause.why
    # 16 channels in and out at 4 MACs a nanosecond.
    assert cause.gain_ns == pytest.approx(120e3 - MACS * 16 * 16 / 4.0)
    assert "probe" in cause.gain_from


def test_without_a_probe_the_gain_is_that_of_the_float_kernel() -> None:
    cause = causes(sides(13, (100, 120)))["narrow_channels"]
    assert cause.gain_ns == pytest.approx(20e3)
    assert "minus in fp32" in cause.gain_from


def test_sixteen_channels_are_no_cause() -> None:
    assert causes(sides(16, (100, 40))) == {}


def test_one_channel_is_a_cause_of_its_own() -> None:
    found = causes(sides(1, (10, 70)))
    assert set(found) == {"few_channels"}
    assert found["few_channels"].gain_ns == pytest.approx(60e3)


@pytest.mark.parametrize("machine", ["aarch64", "arm64"])
def test_on_arm_fewer_than_64_channels_are_the_cause_and_padding_is_not_advised(machine: str) -> None:
    found = causes(sides(13, (100, 120)), machine=machine, features=frozenset({"asimddp"}))
    assert set(found) == {"arm_channels"}
    assert "padding only adds work" in found["arm_channels"].advice


def test_a_processor_without_dot_products_is_named() -> None:
    found = causes(sides(64, (100, 90)), machine="aarch64", features=frozenset({"asimd"}))
    assert set(found) == {"no_dot_product"}
    assert "asimddp" in found["no_dot_product"].why
    assert causes(sides(64, (100, 90)), machine="aarch64", features=frozenset()) == {}  # not known
    assert causes(sides(64, (100, 90)), machine="aarch64", features=frozenset({"asimddp"})) == {}


def test_unsigned_weights_are_a_cause_where_the_probe_says_so() -> None:
    fast = Rates(float32=1.0, int8=4.0, padded=None, signed=4.0, unsigned=1.0)
    found = causes(sides(16, (100, 80), kind=np.uint8), rates=fast)
    assert found["unsigned_weights"].gain_ns == pytest.approx(60e3)
    same = Rates(float32=1.0, int8=4.0, padded=None, signed=4.0, unsigned=4.0)
    assert causes(sides(16, (100, 80), kind=np.uint8), rates=same) == {}
    assert causes(sides(16, (100, 80), kind=np.int8), rates=fast) == {}


def test_work_that_was_never_quantized_is_named() -> None:
    before, _ = sides(16, (100, 100))
    total = MACS * 16 * 16 + 64 * 16
    found = causes((before, Side("c", before.graph, before.trace)), rates=Rates(1.0, 4.0, None))
    assert set(found) == {"left_in_float"}
    assert found["left_in_float"].operators == ("conv", "first")
    assert found["left_in_float"].gain_ns == pytest.approx(150e3 - total / 4.0)
    assert "100% of the MACs" in found["left_in_float"].why


def test_an_operator_that_replaced_another_and_is_slower_is_named() -> None:
    """As 4-bit products do: another kind of operator, a name with an ending, MACs that nobody can count."""
    weights = {"f": np.ones((64, 8), np.float32)}
    parent = model([NODE("MatMul", ["waveform", "f"], ["y"], name="a")], weights, outputs=["y"])
    nodes = [NODE("MatMulNBits", ["waveform", "f"], ["y"], name="a_Q4", domain="com.microsoft")]
    child = model(nodes, weights, outputs=["y"])
    parts = (side("p", parent, [kernel(0, "MatMul", 20)]), side("c", child, [kernel(0, "MatMulNBits", 70)]))
    found = causes(parts)
    assert set(found) == {"slower_in_int8"}
    assert found["slower_in_int8"].operators == ("a",)
    assert found["slower_in_int8"].gain_ns == pytest.approx(50e3)
    assert "MatMulNBits" in found["slower_in_int8"].why


def test_products_have_a_factor_of_their_own() -> None:
    stored = {**PAIR_CONSTANTS, "w": np.ones((64, 8), np.uint8), "f": np.ones((64, 8), np.float32)}
    product = {"name": "product"}
    before = side(
        "p", model([NODE("MatMul", ["waveform", "f"], ["y"], **product)], stored, outputs=["y"]), []
    )
    nodes = [*pair("waveform", "x"), NODE("DequantizeLinear", ["w", "scale", "zero"], ["wd"])]
    made = model([*nodes, NODE("MatMul", ["x", "wd"], ["y"], **product)], stored, outputs=["y"])
    after = side("c", made, [kernel(3, "MatMulIntegerToFloat", 90, BYTES)])
    rates = Rates(1.0, 4.0, None, signed=4.0, unsigned=1.0, product_signed=3.0, product_unsigned=1.0)
    cause = causes((before, after), rates=rates)["unsigned_weights"]
    assert cause.operators == ("product",)
    assert cause.gain_ns == pytest.approx(60e3)
    assert "product is 3.0 times" in cause.gain_from


def test_a_convolution_whose_pairs_did_not_melt_says_why() -> None:
    before, after = sides(16, (100, 120))
    left = [kernel(1, "Conv", 50), kernel(5, "Conv", 130), kernel(3, "DequantizeLinear", 20, BYTES)]
    after = Side("c", after.graph, Trace(tuple(left), 1))
    found = causes((before, after), rates=Rates(1.0, 4.0, None))
    assert set(found) == {"unfused", "float_neighbours"}
    assert found["unfused"].gain_ns == pytest.approx(130e3 - MACS * 16 * 16 / 4.0)
    assert found["float_neighbours"].time_ns == 20e3
    assert (
        after.why_not_int8(after.graph.operators[5]) == "the runtime did not fuse the conversions around it"
    )
    assert after.why_not_int8(after.graph.operators[1]) == "not quantized in the file"


def test_dynamic_convolutions_and_layout_changes() -> None:
    before, after = sides(16, (100, 120))
    made = [kernel(5, "ConvInteger", 300, BYTES), kernel("q", "DynamicQuantizeLinear", 40)]
    made += [kernel("Transpose_token_3", "Transpose", 80, BYTES, (1, 16, 8, 8)), kernel(1, "Conv", 50)]
    found = causes((before, Side("c", after.graph, Trace(tuple(made), 1))))
    assert found["dynamic_convolutions"].gain_ns == pytest.approx(300e3 + 40e3 - 100e3)
    assert found["layout_changes"].time_ns == 80e3
    assert "1x16x8x8" in found["layout_changes"].why


def gelu_sides(*, fused: bool) -> tuple[Side, Side]:
    """A GELU in float; and with its input converted twice, as a quantizer leaves it."""
    stored = {**GELU_CONSTANTS, **PAIR_CONSTANTS}
    parent = model(gelu("waveform", "y"), stored, outputs=["y"])
    parts = [
        kernel(n, kind, us)
        for n, (kind, us) in enumerate([("Div", 9), ("Erf", 30), ("Add", 8), ("Mul", 7), ("Mul", 6)])
    ]
    before = [kernel("Gelu", "Gelu", 25)] if fused else parts
    broken = gelu("w.d", "y")
    broken[3].input[0] = "w.d2"  # conversions are copied for every reader
    again = NODE("DequantizeLinear", ["w.d.q", "scale", "zero"], ["w.d2"])
    child = model([*pair("waveform", "w.d"), again, *broken], stored, outputs=["y"])
    after = [kernel(n + 3, k.kind, k.time_ns / 1e3) for n, k in enumerate(parts)]  # behind three conversions
    return side("p", parent, before), side("c", child, after)


def test_a_gelu_broken_by_conversions_is_compared_with_the_fused_one() -> None:
    found = causes(gelu_sides(fused=True))["gelu_in_parts"]
    assert found.title == "Broken GELU fusion"
    assert found.time_ns == 60e3
    assert found.gain_ns == pytest.approx(35e3)
    assert "fuses 1 GELU" in found.why


def test_a_gelu_that_the_float_file_does_not_fuse_either_is_named_too() -> None:
    found = causes(gelu_sides(fused=False))["gelu_in_parts"]
    assert found.gain_ns == pytest.approx(30e3)
    assert "in the fp32 file either" in found.why


def test_the_probe_times_each_arithmetic_and_trusts_no_other_kernel() -> None:
    made = probe_model((16, 32, (3, 3)))
    onnx.checker.check_model(made, full_check=True)
    names = [node.name for node in made.graph.node]
    signed, plain = names.index("signed_int8"), names.index("product_signed_float32")
    product, padded = names.index("product_signed_int8"), names.index("padded_int8")
    kernels = [
        kernel(signed, "QLinearConv", 1000, BYTES),
        kernel(plain, "MatMul", 500),
        kernel(product, "MatMul", 100),  # the runtime computed it in float: no rate of int8
        kernel(padded, "QLinearConv", 1, BYTES),  # too quick for the profiler's clock
    ]
    rates = rates_of(made, Trace(tuple(kernels), 1))
    assert rates.float32 == pytest.approx(240**3 / 500e3)
    assert rates.int8 == rates.signed == pytest.approx(64 * 64 * 9 * 157 * 26 / 1000e3)
    assert rates.padded is None


def test_the_probe_takes_the_channels_of_the_costliest_narrow_convolution() -> None:
    graph = side("c", convolution(13, quantized=True), []).graph
    assert padded_shape(graph.operators) == (16, 16, (5, 3))
    assert padded_shape(side("c", convolution(16, quantized=True), []).graph.operators) is None


def test_the_roof_is_the_best_of_probe_and_files() -> None:
    parts = sides(16, (100, 40))
    total = MACS * 16 * 16
    roofs = roofs_of(parts, Rates(float32=1.0, int8=99.0, padded=None))
    assert roofs.float32 == pytest.approx(total / 100e3)  # the file's own convolution beats the probe
    assert roofs.int8 == 99.0
    shown: Any = None
    rows = Explanation("local", shown, False, 1.0, 1, *parts, None, ("a", "b")).rows
    conv = next(row for row in rows if row.name == "conv")
    assert roofs.share(conv) == pytest.approx(total / 40e3 / 99.0)
    assert roofs_of(parts, None).int8 == pytest.approx(total / 40e3)
