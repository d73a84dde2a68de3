"""What stays float by structure, and what the schemes for any net make of a net of somebody."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from model_files import save, tiny_graph
from onnx import TensorProto, helper, numpy_helper
from support.speech_nets import pooled_net

from edgebench.errors import ModelError, UsageError
from edgebench.models import load_artifact
from edgebench.models.graph.macs import macs_at
from edgebench.models.graph.parity import largest_difference, outputs
from edgebench.models.quantization import SCHEMES, overridden, quantize, read_overrides
from edgebench.models.quantization.float_parts import ALL_PARTS, float_nodes, nodes_to_quantize
from edgebench.models.quantization.ort_static import STATIC
from edgebench.models.quantization.smoothing import smooth
from edgebench.models.quantization.source import finished, source_model
from edgebench.models.quantization.static_qdq import quantized_by_ranges
from edgebench.models.quantization.weight_only import symmetric

GENERAL = sorted(name for name, s in SCHEMES.items() if s.format == "onnx" and not s.of_own_nets)
GENERAL = [name for name in GENERAL if name not in ("rewrite", "qat") and not name.startswith("packed")]


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    """Waveforms of several lengths, as clips have."""
    rng = np.random.default_rng(1)
    return [rng.uniform(-0.5, 0.5, 4000 + 700 * k).astype(np.float32) for k in range(4)]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory) -> Path:
    return save(pooled_net(names=False, constants=True), tmp_path_factory.mktemp("net") / "theirs.onnx")


def kept(part: str, model: onnx.ModelProto | None = None) -> set[str]:
    graph = model or onnx.load(load_artifact("wav2small.fp32").path)
    return float_nodes(graph, {"float_parts": (part,)})


def test_parts_of_wav2small():
    """Its module names say what each part is; the rules never read them."""
    front_end = kept("front_end")
    assert {"log_mel/Conv", "log_mel/MatMul", "log_mel/Log", "Sqrt"} <= front_end
    assert not any(name.startswith(("vgg7", "sof", "lin", "adv", "emotion")) for name in front_end)
    assert kept("softmax") == {"Softmax", "Mul_2", "ReduceSum"}
    assert kept("narrow_convolutions") == {"log_mel/Conv", "vgg7.0.1/Conv"}
    assert kept("heads") == {"adv/Gemm", "emotion/Gemm"}


def test_a_logarithm_behind_layers_is_no_spectrogram():
    model = pooled_net()
    model.graph.node.append(helper.make_node("Log", ["answer"], ["told"], name="log"))
    assert kept("front_end", model) == set()


def test_a_depthwise_convolution_is_not_narrow_and_a_large_last_product_no_head():
    rng = np.random.default_rng(0)
    model = pooled_net()
    depthwise = numpy_helper.from_array(rng.standard_normal((16, 1, 3)).astype(np.float32), "depth")
    model.graph.initializer.append(depthwise)
    model.graph.node.insert(
        2, helper.make_node("Conv", ["maps", "depth"], ["deep"], group=16, pads=[1, 1], name="deep")
    )
    assert kept("narrow_convolutions", model) == {"conv_1"}
    for tensor in model.graph.initializer:
        if tensor.name == "head":
            tensor.CopyFrom(numpy_helper.from_array(np.zeros((900, 64), np.float32), "head"))
    assert kept("heads", model) == set()


def test_what_a_convolution_feeds_stays_in_8_bits():
    """Relu and pooling between two convolutions are chosen, the first convolution's own Relu is not."""
    model = onnx.load(load_artifact("wav2small.fp32").path)
    chosen = nodes_to_quantize(model, STATIC)
    assert "vgg7.0.2/Relu" not in chosen
    assert {"vgg7.1.1/Conv", "vgg7.1.2/Relu", "vgg7.3/MaxPool", "vgg7.8/Conv"} <= set(chosen)
    assert {"sof/MatMul", "lin/MatMul"} <= set(chosen)
    assert not {"sof/Add", "Mul", "adv/Gemm", "log_mel/MatMul"} & set(chosen)


@pytest.mark.parametrize("name", GENERAL)
def test_a_net_without_names_and_with_constants(name: str, theirs: Path, clips):
    """Smaller, close, the same interface, no name left that was made up, and the parent's sums."""
    for module in SCHEMES[name].needs:
        pytest.importorskip(module, reason=f"needs the extra {SCHEMES[name].extra}")
    # The answers of a small net of random weights do not survive 16 levels.
    settings = {"bits": 8} if name == "int4_matmul" else {}
    data = quantize(theirs, scheme=name, waveforms=clips, settings=settings)
    made, before = onnx.load_model_from_string(data), onnx.load(theirs)
    fresh = [np.random.default_rng(9).uniform(-0.5, 0.5, 6000).astype(np.float32)]
    spread = float(np.std(outputs(theirs, clips + fresh)[0][0]))
    assert largest_difference(theirs, data, fresh) < 0.25 * spread
    assert len(data) < 0.8 * theirs.stat().st_size
    assert [v.name for v in made.graph.input] == [v.name for v in before.graph.input]
    assert (made.ir_version, made.opset_import[0].version) == (before.ir_version, 17)
    assert not any(node.name.startswith("unnamed_") for node in made.graph.node)
    assert macs_at(made, samples=16_000) == macs_at(before, samples=16_000)
    assert quantize(theirs, scheme=name, waveforms=clips, settings=settings) == data


@pytest.mark.parametrize(
    ("name", "kind", "weights", "floats"),
    [
        ("fp16", TensorProto.FLOAT16, 5, set()),
        ("weight_only", TensorProto.INT8, 4, {"first"}),
        ("ort_static", TensorProto.INT8, 3, {"first", "head"}),
        ("ort_dynamic", TensorProto.UINT8, 2, {"first", "second", "head"}),
        ("int4_matmul", TensorProto.UINT8, 2, {"first", "second", "head"}),
    ],
)
def test_what_is_stored_in_few_bits(
    name: str, kind: int, weights: int, floats: set[str], theirs: Path, clips
):
    """How many of the five weights, and which ones are left in float."""
    for module in SCHEMES[name].needs:
        pytest.importorskip(module, reason="needs the extra quantize")
    made = onnx.load_model_from_string(quantize(theirs, scheme=name, waveforms=clips))
    large = [t for t in made.graph.initializer if len(t.dims) > 1 and np.prod(t.dims) >= 64]
    assert sum(tensor.data_type == kind for tensor in large) == weights
    names = {"first", "second", "weigh", "value", "head"}
    assert {t.name for t in large if t.data_type == TensorProto.FLOAT} & names == floats


def test_float_arithmetic_gives_what_rounded_weights_give(theirs: Path, clips):
    """weight_only against a second implementation: the float net with its weights rounded in numpy."""
    rounded = onnx.load(theirs)
    axes = {"second": 0, "head": 0}
    for tensor in rounded.graph.initializer:
        if tensor.name in axes:
            tensor.CopyFrom(numpy_helper.from_array(_rounded(numpy_helper.to_array(tensor), 0), tensor.name))
    for node in rounded.graph.node:
        if node.op_type == "Constant":
            value = node.attribute[0].t
            value.CopyFrom(numpy_helper.from_array(_rounded(numpy_helper.to_array(value), 1), value.name))
    made = quantize(theirs, scheme="weight_only")
    assert largest_difference(rounded.SerializeToString(), made, clips) < 1e-5


def _rounded(weight: np.ndarray, axis: int) -> np.ndarray:
    moved = np.moveaxis(weight.astype(np.float64), axis, 0)
    found = np.empty_like(moved)
    for channel, values in enumerate(moved):
        step = np.abs(values).max() / 127
        found[channel] = np.rint(values / step) * step
    return np.moveaxis(found, 0, axis).astype(np.float32)


def test_codes_of_a_channel_of_zeros():
    weight = np.array([[0.0, 0.0], [1.0, -0.5]], np.float32)
    codes, scale = symmetric(weight, 0)
    assert codes.tolist() == [[0, 0], [127, -64]]
    assert scale.shape == (2, 1)
    np.testing.assert_allclose(codes * scale, weight, atol=0.004)


@pytest.mark.parametrize("key", ["wav2small.fp32", "theirs"])
def test_smoothing_changes_no_answer(key: str, theirs: Path, clips):
    """Weights move by factors beyond two, and the answers by the rounding of floats."""
    path = theirs if key == "theirs" else load_artifact(key).path
    model = source_model(path)
    before = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    smooth(model, clips, nodes_to_quantize(model, STATIC), alpha=0.8)
    moved = [
        float(np.nanmax(np.abs(np.log2(numpy_helper.to_array(t) / before[t.name]))))
        for t in model.graph.initializer
        if t.name in before and t.data_type == TensorProto.FLOAT and np.all(before[t.name])
    ]
    assert max(moved) > 1.0
    assert largest_difference(path, finished(model, model), clips) < 1e-4


def test_smoothing_balances_what_outliers_need(tmp_path: Path, clips):
    """One channel of a convolution's result 50 times the others: smoothing gives most of the loss back."""
    model = pooled_net()
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor).copy()
        if tensor.name in ("second", "bias"):
            array[3] *= 50
        elif tensor.name in ("weigh", "value"):
            array[3] /= 50
        else:
            continue
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    path = save(model, tmp_path / "outlier.onnx")
    plain, smoothed = (
        largest_difference(path, quantize(path, scheme=name, waveforms=clips), clips)
        for name in ("ort_static", "smoothquant")
    )
    assert smoothed < 0.5 * plain


@pytest.mark.parametrize(
    "changes",
    [
        {"activations": "int8"},
        {"activations": "uint16"},
        {"per_channel": False},
        {"calibrator": "Percentile", "percentile": 99.9},
        {"calibrator": "Entropy"},
        {"weights": "uint8"},
    ],
)
def test_variants_of_static(changes: dict[str, object], theirs: Path, clips, capsys):
    """Each loads, stays close and differs from the plain one; what the quantizer prints is not shown."""
    plain = quantize(theirs, scheme="ort_static", waveforms=clips)
    made = quantize(theirs, scheme="ort_static", waveforms=clips, settings=changes)
    assert made != plain
    assert largest_difference(theirs, made, clips) < 0.1
    assert capsys.readouterr().out == ""


def test_finer_activations_lose_less(theirs: Path, clips):
    coarse, fine = (
        largest_difference(
            theirs, quantize(theirs, scheme="ort_static", waveforms=clips, settings=changes), clips
        )
        for changes in ({"weights": "uint8"}, {"weights": "uint8", "activations": "uint16"})
    )
    assert fine < coarse


def test_nothing_stays_float_that_was_not_asked_for(theirs: Path, clips):
    everything = quantize(theirs, scheme="ort_static", waveforms=clips, settings={"float_parts": ()})
    kinds = Counter(t.data_type for t in onnx.load_model_from_string(everything).graph.initializer)
    assert (
        kinds[TensorProto.INT8]
        > Counter(
            t.data_type
            for t in onnx.load_model_from_string(
                quantize(theirs, scheme="ort_static", waveforms=clips)
            ).graph.initializer
        )[TensorProto.INT8]
    )


def test_nodes_that_stay_float_read_unrounded_values(theirs: Path, clips):
    """One of two products that read the same value is quantized; the other answers as if it were alone."""
    source = source_model(theirs)
    products = [node.name for node in source.graph.node if node.op_type == "MatMul"]
    made = quantized_by_ranges(source, clips, STATIC, products[:1])
    by_name = {node.name: node for node in made.graph.node}
    makers = {name: node for node in made.graph.node for name in node.output}
    assert by_name[products[1]].input[0] == "frames"
    assert makers[by_name[products[0]].input[0]].op_type == "DequantizeLinear"


def test_what_stays_float_is_measured(tmp_path: Path, clips):
    """A product whose input has one huge channel that its weights cancel: alone in 8 bits it ruins the net.

    No rule of structure keeps it; measuring does, and a limit that nothing keeps is told.
    """
    model = pooled_net()
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor).copy()
        if tensor.name in ("second", "bias"):
            array[3] *= 1000
        elif tensor.name in ("weigh", "value"):
            array[3] /= 1000
        else:
            continue
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    path = save(model, tmp_path / "outlier.onnx")
    by_rule, measured = (
        largest_difference(path, quantize(path, scheme=name, waveforms=clips), clips)
        for name in ("ort_static", "ort_static_measured")
    )
    assert measured < 0.2 * by_rule
    with pytest.raises(ModelError, match=r"keep less than 200 dB \(the best one alone"):
        quantize(path, scheme="ort_static_measured", waveforms=clips, settings={"least_db": 200.0})


def test_an_operator_that_no_scheme_knows(tmp_path: Path, clips):
    """A net of an Einsum: each scheme names what it looks for and what there is."""
    model = pooled_net()
    graph = helper.make_graph(
        [
            helper.make_node("Unsqueeze", ["waveform", "axis_1"], ["channel"]),
            helper.make_node("Einsum", ["channel", "tiny"], ["sums"], equation="bcs,co->bo"),
        ],
        "sums",
        model.graph.input,
        [helper.make_tensor_value_info("sums", TensorProto.FLOAT, ["batch", 4])],
        [
            numpy_helper.from_array(np.ones((1, 4), np.float32), "tiny"),
            numpy_helper.from_array(np.array([1], np.int64), "axis_1"),
        ],
    )
    path = save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        tmp_path / "sums.onnx",
    )
    for name in ("ort_dynamic", "ort_static", "ort_static_dynamic", "smoothquant"):
        with pytest.raises(ModelError, match="operators: Einsum, Unsqueeze"):
            quantize(path, scheme=name, waveforms=clips)
    for name in ("fp16", "weight_only"):
        with pytest.raises(ModelError, match="nothing to store"):
            quantize(path, scheme=name)


@pytest.mark.parametrize("shape", [["samples"], ["batch", 1, "samples"], ["batch", "samples", 1]])
def test_every_shape_of_a_waveform_is_fed(shape: list[int | str], tmp_path: Path, clips):
    path = save(tiny_graph(shape=shape), tmp_path / "shaped.onnx")
    made = quantize(path, scheme="ort_static", waveforms=clips, settings={"float_parts": []})
    assert {t.data_type for t in onnx.load_model_from_string(made).graph.initializer} >= {TensorProto.INT8}
    assert largest_difference(path, made, clips) < 0.05


def test_an_old_opset_is_brought_up(tmp_path: Path, clips):
    """Opset 11 has no scale for each channel: the new file is of opset 17, and answers alike."""
    model = pooled_net()
    model.opset_import[0].version = 12
    model.ir_version = 6
    for node in model.graph.node:  # axes were attributes then
        if node.op_type in ("Unsqueeze", "ReduceSum"):
            del node.input[1]
            node.attribute.append(helper.make_attribute("axes", [1]))
    onnx.checker.check_model(model, full_check=True)
    path = save(model, tmp_path / "old.onnx")
    made = quantize(path, scheme="ort_static", waveforms=clips)
    assert onnx.load_model_from_string(made).opset_import[0].version == 17
    assert largest_difference(path, made, clips) < 0.1


def test_settings_by_text_have_the_type_of_the_default():
    scheme = SCHEMES["ort_static"]
    texts = {"per_channel": "false", "percentile": "99.5", "operators": "Conv, MatMul", "float_parts": ""}
    values = read_overrides(scheme, texts)
    assert values == {
        "per_channel": False,
        "percentile": 99.5,
        "operators": ("Conv", "MatMul"),
        "float_parts": (),
    }
    changed = overridden(scheme, values)
    assert changed.settings["operators"] == ("Conv", "MatMul")
    assert changed.described()["per_channel"] is False
    assert scheme.settings["per_channel"] is True
    assert set(scheme.settings["float_parts"]) == set(ALL_PARTS)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"per_chanel": True}, "did you mean 'per_channel'"),
        ({"per_channel": 1}, "true or false, not 1"),
        ({"weights": "int4"}, "cannot be 'int4'"),
        ({"float_parts": ["frontend"]}, "did you mean 'front_end'"),
        ({"percentile": "high"}, "a number, not 'high'"),
    ],
)
def test_settings_that_are_refused(changes: dict[str, object], told: str):
    with pytest.raises(UsageError, match=told):
        overridden(SCHEMES["ort_static"], changes)
