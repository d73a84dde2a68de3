"""A .tflite with weights stored as 16-bit floats, which the runtime makes 32 bits when it loads the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgebench.models.quantization.float_parts import ALL_PARTS
from edgebench.models.quantization.litert_chosen import quantized_where_chosen
from edgebench.models.quantization.litert_convert import LENGTHS_S, NEEDS
from edgebench.models.quantization.litert_parts import WEIGHTED
from edgebench.models.quantization.scheme import Scheme, Settings, Waveform, settings


def _quantize(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> bytes:
    return quantized_where_chosen(parent, settings, _choose)


def _choose(quantizer: Any, kind: str, pattern: str) -> None:
    from ai_edge_quantizer import qtyping  # noqa: PLC0415
    from ai_edge_quantizer.algorithm_manager import AlgorithmName  # noqa: PLC0415

    half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    quantizer.update_quantization_recipe(
        pattern,
        qtyping.TFLOperationName(kind),
        qtyping.OpQuantizationConfig(
            weight_tensor_config=half,
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        AlgorithmName.FLOAT_CASTING,
    )


SCHEME = Scheme(
    name="litert_fp16",
    summary="weights stored as 16-bit floats in a .tflite; float arithmetic",
    quantize=_quantize,
    settings=settings(
        converter="litert-torch",
        quantizer="ai-edge-quantizer",
        free_length=True,
        lengths_s=LENGTHS_S,
        operators=("CONV_2D", "FULLY_CONNECTED"),
        float_parts=("front_end", "narrow_convolutions"),
        weights="float16",
        arithmetic="float32",
    ),
    allowed={
        "converter": ("litert-torch",),
        "quantizer": ("ai-edge-quantizer",),
        "operators": tuple(WEIGHTED),
        "float_parts": ALL_PARTS,
        "weights": ("float16",),
        "arithmetic": ("float32",),
    },
    calibrated=False,
    format="tflite",
    needs=("torch", *NEEDS),
    extra="train,litert",
    of_own_nets=True,
)
