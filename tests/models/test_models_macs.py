"""MACs of a file against counts made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from model_files import tiny_graph
from onnx import TensorProto, helper, numpy_helper

from edgebench.errors import ModelError
from edgebench.models import RULE, count_macs


def model_of(nodes, initializers, outputs=("y",), shape=("batch", "samples")):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in initializers.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_one_convolution():
    # 16,000 samples, kernel 8, stride 4: (16000 - 8) // 4 + 1 = 3999 places, 4 kernels of 8.
    count = count_macs(tiny_graph(), input_s=1.0)
    assert count.value == 3999 * 4 * 8
    assert (count.input_s, count.rule) == (1.0, RULE)


def test_length_scales_the_count():
    assert count_macs(tiny_graph(), input_s=2.0).value == 7999 * 4 * 8


def wav2small_by_hand(samples: int) -> int:
    """Listing 1 and the second head, layer by layer."""
    frames = samples // 32 + 1
    tokens = (frames - 1) // 2 + 1  # max pool of 3, stride 2, padding 1
    front_end = frames * (66 * 64) + frames * (33 * 26)
    early = frames * 26 * 13 * (9 * 1 + 9 * 13 + 9 * 13)
    late = tokens * 13 * 13 * (4 * 9 * 13 + 13)
    pooling = 2 * tokens * 169 * 169
    return front_end + early + late + pooling + 169 * 3 + 169 * 4


@pytest.mark.parametrize("key", ["wav2small.fp32", "wav2small.int8_static"])
@pytest.mark.parametrize("input_s", [1.0, 5.0])
def test_wav2small_by_hand(key, input_s):
    """Both files: Q/DQ pairs cost no multiply-accumulate, so the quantized one counts the same."""
    from edgebench.models import load_artifact

    artifact = load_artifact(key)
    count = artifact.macs(input_s)
    assert count is not None
    assert count.value == wav2small_by_hand(round(input_s * 16_000))
    if input_s == 5.0:
        assert count.value == pytest.approx(0.391e9, rel=0.002)  # the paper's 0.4 G
        assert artifact.manifest.macs.value == count.value


def test_grouped_convolution_gemm_and_attention():
    rng = np.random.default_rng(0)
    model = model_of(
        [
            helper.make_node("Reshape", ["waveform", "to_maps"], ["maps"]),  # (1, 8, 200)
            helper.make_node("Conv", ["maps", "depthwise"], ["a"], group=8, pads=[1, 1]),
            helper.make_node("Transpose", ["a"], ["at"], perm=[0, 2, 1]),  # (1, 200, 8)
            helper.make_node("MatMul", ["at", "a"], ["scores"]),  # (1, 200, 200)
            helper.make_node("MatMul", ["scores", "at"], ["mixed"]),  # (1, 200, 8)
            helper.make_node("Reshape", ["mixed", "to_row"], ["row"]),  # (1, 1600)
            helper.make_node("Gemm", ["row", "weights", "bias"], ["y"], transB=1),  # (1, 5)
        ],
        {
            "to_maps": np.array([1, 8, -1]),
            "to_row": np.array([1, -1]),
            "depthwise": rng.standard_normal((8, 1, 3)).astype(np.float32),
            "weights": rng.standard_normal((5, 1600)).astype(np.float32),
            "bias": rng.standard_normal(5).astype(np.float32),
        },
    )
    expected = 8 * 200 * 3 + 200 * 200 * 8 + 200 * 8 * 200 + 1600 * 5
    assert count_macs(model, input_s=0.1).value == expected


def test_transposed_convolution_and_transposed_gemm():
    rng = np.random.default_rng(0)
    model = model_of(
        [
            helper.make_node("Reshape", ["waveform", "to_maps"], ["maps"]),  # (1, 4, 400)
            helper.make_node("ConvTranspose", ["maps", "up"], ["a"], strides=[2]),  # in 4, out 3, kernel 5
            helper.make_node("Reshape", ["a", "to_column"], ["column"]),  # (n, 1)
            helper.make_node("Gemm", ["column", "column"], ["y"], transA=1),  # (1, 1), a sum of n
        ],
        {
            "to_maps": np.array([1, 4, -1]),
            "to_column": np.array([-1, 1]),
            "up": rng.standard_normal((4, 3, 5)).astype(np.float32),
        },
    )
    grown = (400 - 1) * 2 + 5
    assert count_macs(model, input_s=0.1).value == 4 * 400 * 3 * 5 + 3 * grown


def test_elementwise_operators_are_free():
    model = model_of(
        [helper.make_node("Mul", ["waveform", "waveform"], ["a"]), helper.make_node("Softmax", ["a"], ["y"])],
        {},
    )
    assert count_macs(model, input_s=1.0).value == 0


def test_operators_beyond_the_rule_are_refused():
    rng = np.random.default_rng(0)
    recurrent = model_of(
        [
            helper.make_node("Reshape", ["waveform", "to_steps"], ["steps"]),  # (n, 1, 10)
            helper.make_node("GRU", ["steps", "w", "r"], ["y"], hidden_size=4),
        ],
        {
            "to_steps": np.array([-1, 1, 10]),
            "w": rng.standard_normal((1, 12, 10)).astype(np.float32),
            "r": rng.standard_normal((1, 12, 4)).astype(np.float32),
        },
    )
    with pytest.raises(ModelError, match="does not cover operator GRU"):
        count_macs(recurrent, input_s=1.0)
    fused = model_of([helper.make_node("FusedGemm", ["waveform"], ["y"], domain="com.microsoft")], {})
    with pytest.raises(ModelError, match=r"does not cover operator com\.microsoft\.FusedGemm"):
        count_macs(fused, input_s=1.0)


def test_unknown_shape_is_an_error_not_a_guess():
    model = model_of(
        [
            helper.make_node("NonZero", ["waveform"], ["places"]),  # as long as the data say
            helper.make_node("Cast", ["places"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Transpose", ["floats"], ["turned"], perm=[1, 0]),
            helper.make_node("MatMul", ["turned", "floats"], ["y"]),
        ],
        {},
    )
    with pytest.raises(ModelError, match="is not known at this input length"):
        count_macs(model, input_s=1.0)
