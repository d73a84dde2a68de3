"""Dynamic quantization by onnxruntime: weights of 8 bits, ranges of activations found in every inference."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.models.quantization.scheme import Settings
from edgebench.models.quantization.source import third_party

if TYPE_CHECKING:
    import onnx

TYPES = {"int8": "QInt8", "uint8": "QUInt8"}


def quantized_without_ranges(
    source: onnx.ModelProto, settings: Settings, chosen: Sequence[str], *, operators: Sequence[str]
) -> onnx.ModelProto:
    """``source`` with the nodes ``chosen`` (names) of ``operators`` in integers, as onnxruntime writes it."""
    import onnx  # noqa: PLC0415
    from onnxruntime import quantization as ort_quantization  # noqa: PLC0415

    # The quantizer writes a Gemm as a MatMul and an Add, under a name of its own, before it looks.
    names = [*chosen, *(f"{name}_MatMul" for name in chosen)]
    with tempfile.TemporaryDirectory() as folder, third_party("onnxruntime's dynamic quantizer"):
        target = Path(folder) / "quantized.onnx"
        path = Path(folder) / "parent.onnx"
        path.write_bytes(source.SerializeToString())
        ort_quantization.quantize_dynamic(
            str(path),
            str(target),
            op_types_to_quantize=sorted({"MatMul" if name == "Gemm" else name for name in operators}),
            nodes_to_quantize=names,
            per_channel=bool(settings["per_channel"]),
            reduce_range=bool(settings["reduce_range"]),
            weight_type=ort_quantization.QuantType[TYPES[settings["weights"]]],
            extra_options={"MatMulConstBOnly": True},
        )
        return onnx.load_model(target)
