"""Static quantization by onnxruntime, shared by the schemes that choose different nodes for it.

The file holds pairs of QuantizeLinear and DequantizeLinear around the chosen nodes, and a runtime computes
what stands between two pairs in 8 bits. Weights have one scale for each output channel.

Weights are unsigned: on processors with AVX2 and without VNNI the product of unsigned by signed bytes
saturates without notice unless the weights give up a bit. Products (MatMul, Gemm) keep float results.
"""

from __future__ import annotations

import contextlib
import fnmatch
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgebench.errors import ModelError
from edgebench.models.quantization.scheme import Settings, Waveform, settings

if TYPE_CHECKING:
    import onnx

PRODUCTS = ("MatMul", "Gemm")


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

    The graph keeps inputs, outputs, opset and IR of its parent; its metadata is empty. Raises ModelError
    for a file without a node to quantize.
    """
    import onnx  # noqa: PLC0415
    from onnxruntime import quantization as ort_quantization  # noqa: PLC0415

    model = onnx.load_model(parent)
    names = [node.name for node in model.graph.node if node.op_type in settings["operators"]]
    chosen = [name for name in names if not any(fnmatch.fnmatch(name, p) for p in settings["float_nodes"])]
    if not chosen:
        raise ModelError(
            f"model {parent} has no node that this scheme would quantize: it looks for "
            f"{', '.join(settings['operators'])} outside {', '.join(settings['float_nodes'])}."
        )
    types = {"int8": ort_quantization.QuantType.QInt8, "uint8": ort_quantization.QuantType.QUInt8}
    method = ort_quantization.CalibrationMethod[settings["calibrator"]]
    with tempfile.TemporaryDirectory() as folder, _no_advice():
        target = Path(folder) / "quantized.onnx"
        # The quantizer writes a file of its own beside the one that it reads.
        source = Path(folder) / "parent.onnx"
        source.write_bytes(parent.read_bytes())
        ort_quantization.quantize_static(
            str(source),
            str(target),
            _Reader(model.graph.input[0].name, waveforms),
            quant_format=ort_quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(settings["operators"]),
            nodes_to_quantize=chosen,
            per_channel=bool(settings["per_channel"]),
            reduce_range=bool(settings["reduce_range"]),
            activation_type=types[settings["activations"]],
            weight_type=types[settings["weights"]],
            calibrate_method=method,
            extra_options={"OpTypesToExcludeOutputQuantization": list(settings["float_outputs"])},
        )
        quantized = onnx.load_model(target)
    _tidy(quantized, model)
    data: bytes = quantized.SerializeToString(deterministic=True)
    return data


@contextlib.contextmanager
def _no_advice() -> Iterator[None]:
    """The quantizer advises a preparation of graphs that are prepared already, on the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def _tidy(quantized: onnx.ModelProto, parent: onnx.ModelProto) -> None:
    """Give the graph its parent's opset and IR back, and drop what the quantizer noted for itself."""
    import onnx  # noqa: PLC0415

    quantized.ir_version = parent.ir_version
    del quantized.opset_import[:]
    quantized.opset_import.extend(parent.opset_import)
    used = {node.domain for node in quantized.graph.node}
    foreign = sorted(used - {entry.domain for entry in parent.opset_import} - {""})
    if foreign:
        raise ModelError(
            f"quantizing left operators of {', '.join(foreign)}, which other runtimes do not have."
        )
    quantized.producer_name, quantized.producer_version = parent.producer_name, ""
    del quantized.metadata_props[:]
    del quantized.graph.value_info[:]
    onnx.checker.check_model(quantized, full_check=True)


class _Reader:
    """Feeds calibration clips one by one, as onnxruntime's calibrator asks for them."""

    def __init__(self, name: str, waveforms: Sequence[Waveform]) -> None:
        self._name, self._waveforms = name, waveforms
        self._rest: Iterator[Waveform] = iter(waveforms)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        waveform = next(self._rest, None)
        return None if waveform is None else {self._name: waveform[np.newaxis, :]}

    def rewind(self) -> None:
        self._rest = iter(self._waveforms)
