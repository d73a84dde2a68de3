"""Static quantization by onnxruntime, shared by the schemes that choose different nodes for it.

The file holds pairs of QuantizeLinear and DequantizeLinear around the chosen nodes, and a runtime computes
what stands between two pairs in 8 bits. Products (MatMul, Gemm) keep float results.

On processors with AVX2 and without VNNI the product of unsigned by signed bytes saturates without notice
unless the weights give up a bit. Unsigned weights, and ``reduce_range``, are safe there; signed weights are
what the fast kernels of convolutions take. The parity of a run on the device tells.
"""

from __future__ import annotations

import fnmatch
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.errors import ModelError
from edgebench.models.quantization.float_parts import PRODUCTS, nodes_to_quantize
from edgebench.models.quantization.scheme import Settings, Waveform, settings
from edgebench.models.quantization.source import CONTRIB, finished, inputs_of, source_model, third_party
from edgebench.models.rewrites import rewrite

if TYPE_CHECKING:
    import onnx

__all__ = ["PRODUCTS", "quantized_by_ranges", "rewritten_source", "static_qdq", "static_settings"]

_TYPES = {"int8": "QInt8", "uint8": "QUInt8", "int16": "QInt16", "uint16": "QUInt16"}
_HISTOGRAMS = ("Entropy", "Percentile")


def static_settings(*, operators: Sequence[str], float_nodes: Sequence[str]) -> Settings:
    """Settings of :func:`static_qdq`: the operators to quantize, and patterns of nodes that stay float."""
    return settings(
        operators=tuple(operators),
        float_nodes=tuple(float_nodes),
        float_outputs=tuple(operator for operator in operators if operator in PRODUCTS),
        weights="uint8",
        activations="uint8",
        per_channel=True,
        reduce_range=False,
        calibrator="MinMax",
    )


def static_qdq(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> bytes:
    """Quantize the chosen nodes of ``parent``, with ranges from ``waveforms``, one at a time.

    Nodes are chosen by structure where the settings have ``float_parts``, else by their names alone. The
    graph keeps inputs, outputs, opset and IR of its parent; its metadata is empty. Raises ModelError for a
    file without a node to quantize.
    """
    source = rewritten_source(parent, settings)
    if "float_parts" in settings:
        chosen = nodes_to_quantize(source, settings)
    else:
        chosen = _by_name(parent, source, settings)
    made = quantized_by_ranges(source, waveforms, settings, chosen)
    wide = settings["activations"] in ("int16", "uint16")
    # A QuantizeLinear of 16 bits is a standard operator since opset 21, and onnxruntime's own before.
    return finished(made, source, domains=(CONTRIB,) if wide else (), newer_opset=wide)


def rewritten_source(parent: Path, settings: Settings) -> onnx.ModelProto:
    """The parent's graph after the ``passes`` of the settings, where they have any.

    Raises UsageError for a pass that is not known or whose packages are missing.
    """
    passes = settings.get("passes", ())
    if not passes:
        return source_model(parent)
    return source_model(parent, change=lambda model: rewrite(model, passes).model)


def quantized_by_ranges(
    source: onnx.ModelProto,
    waveforms: Sequence[Waveform],
    settings: Settings,
    chosen: Sequence[str],
    *,
    overrides: Mapping[str, Any] | None = None,
) -> onnx.ModelProto:
    """``source`` with the nodes ``chosen`` (names) between pairs, as onnxruntime writes it.

    ``overrides``: value or weight -> its scales, where they come from elsewhere (TensorQuantOverrides).
    """
    import onnx  # noqa: PLC0415
    from onnxruntime import quantization as ort_quantization  # noqa: PLC0415

    extra: dict[str, Any] = {"OpTypesToExcludeOutputQuantization": list(settings["float_outputs"])}
    if overrides:
        extra["TensorQuantOverrides"] = dict(overrides)
    if settings["calibrator"] in _HISTOGRAMS:
        extra["CalibStridedMinMax"] = 1  # one clip at a time: clips differ in length, and need memory
    if settings["calibrator"] == "Percentile":
        extra["CalibPercentile"] = settings["percentile"]
    with tempfile.TemporaryDirectory() as folder, third_party("onnxruntime's static quantizer"):
        target = Path(folder) / "quantized.onnx"
        # The quantizer writes a file of its own beside the one that it reads.
        path = Path(folder) / "parent.onnx"
        path.write_bytes(source.SerializeToString())
        ort_quantization.quantize_static(
            str(path),
            str(target),
            _Reader(source, waveforms),
            quant_format=ort_quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(settings["operators"]),
            nodes_to_quantize=list(chosen),
            per_channel=bool(settings["per_channel"]),
            reduce_range=bool(settings["reduce_range"]),
            activation_type=ort_quantization.QuantType[_TYPES[settings["activations"]]],
            weight_type=ort_quantization.QuantType[_TYPES[settings["weights"]]],
            calibrate_method=ort_quantization.CalibrationMethod[settings["calibrator"]],
            extra_options=extra,
        )
        made = onnx.load_model(target)
    if settings.get("float_readers"):
        _give_floats_back(made, set(chosen), settings["float_outputs"])
    return made


def _give_floats_back(made: onnx.ModelProto, chosen: Collection[str], float_outputs: Collection[str]) -> None:
    """Let nodes that stay float read values that no chosen node rounds.

    onnxruntime's quantizer gives every reader of a value the rounded one, also where a single one of them
    was chosen: a transformer's residuals would be rounded again and again. What a chosen convolution gives
    stays rounded for all, since its kernel writes 8 bits.
    """
    makers = {name: node for node in made.graph.node for name in node.output}
    floats: dict[str, str] = {}
    for node in made.graph.node:
        pair = makers.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if pair is None or pair.op_type != "QuantizeLinear":
            continue
        maker = makers.get(pair.input[0])
        if maker is None or maker.name not in chosen or maker.op_type in float_outputs:
            floats[node.output[0]] = pair.input[0]
    for node in made.graph.node:
        if node.name in chosen or node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            continue
        for place, name in enumerate(node.input):
            if name in floats:
                node.input[place] = floats[name]


def _by_name(parent: Path, source: onnx.ModelProto, settings: Settings) -> list[str]:
    names = [node.name for node in source.graph.node if node.op_type in settings["operators"]]
    chosen = [name for name in names if not any(fnmatch.fnmatch(name, p) for p in settings["float_nodes"])]
    if not chosen:
        raise ModelError(
            f"model {parent} has no node that this scheme would quantize: it looks for "
            f"{', '.join(settings['operators'])} outside {', '.join(settings['float_nodes'])}."
        )
    return chosen


class _Reader:
    """Feeds calibration clips one by one, as onnxruntime's calibrator asks for them."""

    def __init__(self, source: onnx.ModelProto, waveforms: Sequence[Waveform]) -> None:
        self._source, self._waveforms = source, waveforms
        self._rest: Iterator[Waveform] = iter(waveforms)

    def __len__(self) -> int:
        return len(self._waveforms)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        waveform = next(self._rest, None)
        return None if waveform is None else inputs_of(self._source, waveform)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._rest = iter(self._waveforms[start_index:end_index])

    def rewind(self) -> None:
        self._rest = iter(self._waveforms)
