"""Scales of neural-compressor in an ONNX graph: each at its place, and the library where it is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgebench.corpora import load_waveform, synthetic_corpus
from edgebench.errors import ModelError
from edgebench.models import load_artifact
from edgebench.models.graph.parity import largest_difference
from edgebench.models.quantization import quantize
from edgebench.models.quantization.float_parts import Graph, nodes_to_quantize
from edgebench.models.quantization.nc_ranges import Ranges, overrides_for, weights_before
from edgebench.models.quantization.ort_static import PADDED, STATIC
from edgebench.models.quantization.source import source_model
from edgebench.models.quantization.static_qdq import quantized_by_ranges, rewritten_source


@pytest.mark.parametrize("passes", [(), PADDED])
def test_every_scale_is_where_it_belongs(passes: tuple[str, ...]):
    """Made-up scales come back from the graph: of weights by channel, and of what a layer reads.

    Where the graph was padded, its layers are found by their order.
    """
    parent = load_artifact("wav2small.fp32").path
    source = rewritten_source(parent, {"passes": passes})
    before = weights_before(source_model(parent), source)
    chosen = nodes_to_quantize(source, STATIC)
    names = [f"vgg7_{k}_0_weight" for k in (1, 2, 4, 5, 6, 7)] + ["vgg7_8_weight", "sof_weight", "lin_weight"]
    channels = [13] * 7 + [169] * 2
    ranges = {
        name: Ranges(0.01 * (k + 1), k, np.linspace(0.001, 0.002, count).astype(np.float32) * (k + 1))
        for k, (name, count) in enumerate(zip(names, channels, strict=True))
    }
    ranges["lin_weight"] = Ranges(
        ranges["sof_weight"].scale, ranges["sof_weight"].zero_point, ranges["lin_weight"].weight_scales
    )  # both read one value
    clips = [load_waveform(clip) for clip in synthetic_corpus(split="train")[::200]]
    made = quantized_by_ranges(
        source, clips, STATIC, chosen, overrides=overrides_for(Graph(source), chosen, ranges, before)
    )
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in made.graph.initializer}
    makers = {name: node for node in made.graph.node for name in node.output}
    found = [
        node
        for node in made.graph.node
        if node.op_type in ("Conv", "MatMul") and makers[node.input[0]].op_type == "DequantizeLinear"
    ]
    for layer, name in zip(found, names, strict=True):
        read, weight = (makers[source] for source in layer.input[:2])
        assert stored[read.input[1]] == np.float32(ranges[name].scale), name
        assert stored[read.input[2]] == ranges[name].zero_point, name
        scales, added = np.split(stored[weight.input[1]], [len(ranges[name].weight_scales)])
        np.testing.assert_array_equal(scales, ranges[name].weight_scales)
        assert len(added) == (3 if passes and name.startswith("vgg7") and name != "vgg7_8_weight" else 0)


def test_passes_that_join_layers_are_refused():
    parent = load_artifact("wav2small.fp32").path
    joined = rewritten_source(parent, {"passes": ("join_heads",)})
    with pytest.raises(ModelError, match="change which convolutions and products"):
        weights_before(source_model(parent), joined)


def test_a_layer_of_which_nothing_is_known():
    source = source_model(load_artifact("wav2small.fp32").path)
    with pytest.raises(ModelError, match=r"says nothing of 'vgg7\.1\.0\.weight'"):
        overrides_for(Graph(source), nodes_to_quantize(source, STATIC), {}, weights_before(source, source))


@pytest.mark.train
@pytest.mark.parametrize("scheme", ["nc_static", "nc_auto"])
def test_the_library_itself(scheme: str):
    for module in ("torch", "neural_compressor", "torchao"):
        pytest.importorskip(module, reason="needs the extras train and nc")
    parent = load_artifact("wav2small.fp32").path
    clips = [load_waveform(clip) for clip in synthetic_corpus(split="train")[::40]]
    made = quantize(parent, scheme=scheme, waveforms=clips)
    assert made != quantize(parent, scheme="ort_static", waveforms=clips)
    fresh = [load_waveform(clip) for clip in synthetic_corpus(split="validation")[::15]]
    assert largest_difference(parent, made, fresh) < 0.2
    assert len(made) < 0.4 * parent.stat().st_size
    assert "neural_compressor" in sys.modules


@pytest.mark.parametrize("scheme", ["nc2_static", "nc2_dynamic"])
def test_version_2_leaves_front_end_and_heads_in_float(scheme: str):
    """It takes a Gemm apart before it reads names: told only the Gemm's, it put both heads into 8 bits."""
    pytest.importorskip("neural_compressor.adaptor", reason="needs the extra nc2")
    parent = load_artifact("wav2small.fp32").path
    clips = [load_waveform(clip) for clip in synthetic_corpus(split="train")[::40]]
    made = quantize(parent, scheme=scheme, waveforms=clips)
    assert not Path("nc_workspace").exists()
    fresh = [load_waveform(clip) for clip in synthetic_corpus(split="validation")[::15]]
    noise = np.random.default_rng(0).uniform(-1.0, 1.0, 16_000).astype(np.float32)
    assert largest_difference(parent, made, [*fresh, noise]) < 0.2
    stored = {t.name: t.data_type for t in onnx.load_model_from_string(made).graph.initializer}
    assert all(
        kind == onnx.TensorProto.FLOAT for name, kind in stored.items() if name.startswith(("adv", "emotion"))
    )
    assert len(made) < 0.4 * parent.stat().st_size
