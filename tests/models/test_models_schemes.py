"""Quantization schemes: the table is walked; what must stay float is float; what comes out is close."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from model_files import save, tiny_graph

from edgebench.corpora import load_waveform, synthetic_corpus
from edgebench.errors import ModelError, UsageError
from edgebench.models import load_artifact
from edgebench.models.graph.parity import largest_difference, outputs
from edgebench.models.quantization import SCHEMES, quantize, scheme_named

# Scheme -> (largest part of the parent's bytes, largest difference to the parent on speech). One row each.
EXPECTED = {
    "fp16": (0.6, 5e-3),
    "int4_dynamic": (0.4, 0.5),  # tests of its own in test_models_int4_dynamic.py
    "int4_matmul": (0.4, 0.3),
    "int8_static": (0.5, 0.05),
    "int8_static_conv": (0.5, 0.05),
    "int8_static_dense": (0.5, 0.05),
    "litert_dynamic": (1.0, 0.3),
    "litert_fp16": (1.2, 5e-3),
    "litert_fp32": (1.1, 1e-4),
    "litert_static": (0.5, 0.3),
    "nc_auto": (0.4, 0.2),
    "nc_static": (0.4, 0.2),
    "nc2_dynamic": (0.4, 0.2),
    "nc2_static": (0.4, 0.2),
    "ort_dynamic": (0.5, 0.05),
    "ort_static": (0.4, 0.15),
    "ort_static_dynamic": (0.4, 0.15),
    "ort_static_measured": (0.4, 0.2),
    "packed4_int8": (0.2, 0.5),  # tests of their own in test_models_packed.py
    "packed8": (0.3, 0.1),
    "packed8_int8": (0.3, 0.3),
    "packed_measured": (0.3, 0.3),
    "packed_measured_int8": (0.3, 0.5),
    "packed_mixed": (0.2, 0.3),
    "packed_mixed_int8": (0.2, 0.3),
    "packed_ternary": (0.1, 0.5),
    "packed_ternary_int8": (0.11, 0.5),
    "qat": (0.09, 0.5),  # tests of its own in test_models_qat.py
    "rewrite": (1.0, 1e-4),  # tests of its own in test_models_rewrites.py
    "smoothquant": (0.4, 0.15),
    "weight_only": (0.4, 0.15),
}
# Every operator is run alone on each measured clip: two are quick, and the rules are the same.
SETTINGS = {"ort_static_measured": {"measured_clips": 2}}
ONNX = sorted(name for name, scheme in SCHEMES.items() if scheme.format == "onnx" and not scheme.needs)
PAIRS = [name for name in ONNX if name.startswith("int8_static") or name == "ort_static"]
UNSIGNED = [name for name in ONNX if SCHEMES[name].settings.get("weights") == "uint8"]


@pytest.fixture(scope="module")
def parent() -> Path:
    return load_artifact("wav2small.fp32").path


@pytest.fixture(scope="module")
def speech() -> list[np.ndarray]:
    return [load_waveform(clip) for clip in synthetic_corpus(split="train")[::20]]


@pytest.fixture(scope="module")
def make(parent, speech) -> Callable[[str], onnx.ModelProto]:
    """The packaged net by a scheme, made once."""

    def made(name: str) -> onnx.ModelProto:
        data = quantize(parent, scheme=name, waveforms=speech, settings=SETTINGS.get(name, {}))
        return onnx.load_model_from_string(data)

    return cache(made)


@pytest.fixture(scope="module", params=ONNX)
def quantized(request, make) -> onnx.ModelProto:
    return make(request.param)


def test_every_scheme_has_its_row():
    assert EXPECTED.keys() == SCHEMES.keys()


def test_interface_opset_and_ir_are_the_parents(quantized, parent):
    before = onnx.load(parent)
    assert [v.name for v in quantized.graph.input] == [v.name for v in before.graph.input]
    assert [v.name for v in quantized.graph.output] == [v.name for v in before.graph.output]
    assert quantized.opset_import == before.opset_import
    assert quantized.ir_version == before.ir_version
    assert {node.domain for node in quantized.graph.node} <= {""}


def test_is_small_enough(quantized, parent, request):
    part, _ = EXPECTED[request.node.callspec.params["quantized"]]
    assert len(quantized.SerializeToString()) < part * parent.stat().st_size


def test_stays_close_on_speech_it_was_not_calibrated_on(quantized, parent, request):
    _, allowed = EXPECTED[request.node.callspec.params["quantized"]]
    fresh = [load_waveform(clip) for clip in synthetic_corpus(split="validation")[::5]]
    graph = quantized.SerializeToString()
    assert largest_difference(parent.read_bytes(), graph, fresh) < allowed
    for column in (0, 1):
        before = np.concatenate([row[column] for row in outputs(parent.read_bytes(), fresh)])
        after = np.concatenate([row[column] for row in outputs(graph, fresh)])
        # The failure to guard against (defaults) gives a constant: no correlation, not a small error.
        correlation = np.corrcoef(before.ravel(), after.ravel())[0, 1]
        assert correlation > 0.99


def test_front_end_and_pooling_stay_float(quantized, parent, request):
    """Nothing quantized feeds the front end's product, the first convolution or the softmax's sum.

    By measurement the first convolution may be quantized, and the rest of this is found.
    """
    measured = request.node.callspec.params["quantized"] == "ort_static_measured"
    producers = {name: node for node in quantized.graph.node for name in node.output}
    kinds = {t.name: t.data_type for t in quantized.graph.initializer}
    before = {node.name: node for node in onnx.load(parent).graph.node}
    by_name = {node.name: node for node in quantized.graph.node}
    kept_float = [name for name in before if name.startswith("log_mel/")]
    kept_float += [name for name in before if name.startswith("vgg7.0.") and not measured]
    kept_float += ["Softmax", "ReduceSum", "Mul", "Sub", "Div"]
    assert len(kept_float) > 15
    for name in kept_float:
        for source in by_name[name].input:
            producer = producers.get(source)
            if name != "Softmax":  # reads the quantized product's result, and computes in float
                assert producer is None or producer.op_type != "DequantizeLinear", (name, source)
            assert kinds.get(source, onnx.TensorProto.FLOAT) in (
                onnx.TensorProto.FLOAT,
                onnx.TensorProto.INT64,
            )


@pytest.mark.parametrize("name", PAIRS)
def test_weights_of_the_big_products_are_8_bit_per_channel(make, name):
    quantized = make(name)
    scales = {t.name: t for t in quantized.graph.initializer}
    producers = {name: node for node in quantized.graph.node for name in node.output}
    for module in ("sof", "lin"):
        product = next(node for node in quantized.graph.node if node.name == f"{module}/MatMul")
        weight = producers[product.input[1]]
        assert weight.op_type == "DequantizeLinear"
        assert scales[weight.input[0]].data_type in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
        assert list(scales[weight.input[1]].dims) == [169]


@pytest.mark.parametrize("name", UNSIGNED)
def test_no_product_of_bytes_can_saturate(make, name):
    """AVX2 adds two products of unsigned by signed bytes in 16 bits: 2 * 255 * 127 does not fit."""
    quantized = make(name)
    tensors = {t.name: t for t in quantized.graph.initializer}
    producers = {name: node for node in quantized.graph.node for name in node.output}
    for node in quantized.graph.node:
        weight = producers.get(node.input[1]) if node.op_type in ("MatMul", "Conv") else None
        if weight is not None and weight.op_type == "DequantizeLinear":
            stored = onnx.numpy_helper.to_array(tensors[weight.input[0]])
            assert stored.dtype == np.uint8 or np.abs(stored.astype(int)).max() <= 64


def test_the_same_clips_give_the_same_file(quantized, parent, speech, request):
    name = request.node.callspec.params["quantized"]
    again = quantize(parent, scheme=name, waveforms=speech, settings=SETTINGS.get(name, {}))
    assert again == quantized.SerializeToString(deterministic=True)


def test_described_settings_are_plain_json():
    import json

    for scheme in SCHEMES.values():
        described = scheme.described()
        assert json.loads(json.dumps(described)) == described
        assert described["name"] == scheme.name


def test_unknown_scheme_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'int8_static'"):
        scheme_named("int8_statik")


def test_calibration_needs_clips(parent):
    with pytest.raises(ModelError, match="no calibration clip"):
        quantize(parent, scheme="int8_static")


def test_a_model_with_nothing_to_quantize(tmp_path):
    graph = tiny_graph()
    graph.graph.node[2].name = "log_mel/conv"
    path = save(graph, tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="no node that this scheme would quantize"):
        quantize(path, scheme="int8_static", waveforms=[np.ones(1600, np.float32)] * 2)
