"""Products with 8-bit weights whose activations find their range anew in every inference.

No clip is needed, and no range can be wrong. Each product pays for finding its range, so narrow nets gain
little. Convolutions can be had, too (``operators=Conv,MatMul,Gemm``): they become ConvInteger, for which
onnxruntime has no fast kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgebench.models.quantization.dynamic import TYPES, quantized_without_ranges
from edgebench.models.quantization.float_parts import ALL_PARTS, nodes_to_quantize
from edgebench.models.quantization.scheme import Scheme, Settings, Waveform, settings
from edgebench.models.quantization.source import finished, source_model


def _quantize(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> bytes:
    source = source_model(parent)
    chosen = nodes_to_quantize(source, settings)
    made = quantized_without_ranges(source, settings, chosen, operators=settings["operators"])
    return finished(made, source)


SCHEME = Scheme(
    name="ort_dynamic",
    summary="int8 products, ranges of activations found at every inference; no clips needed",
    quantize=_quantize,
    settings=settings(
        operators=("MatMul", "Gemm"),
        float_parts=ALL_PARTS,
        float_nodes=(),
        # Unsigned: signed weights saturate without notice on AVX2, and ConvInteger takes no others.
        weights="uint8",
        per_channel=True,
        reduce_range=False,
    ),
    allowed={
        "operators": ("Conv", "MatMul", "Gemm"),
        "float_parts": ALL_PARTS,
        "weights": tuple(TYPES),
    },
    choices={
        "operators": (("MatMul", "Gemm"), ("Conv", "MatMul", "Gemm")),
        "per_channel": (True, False),
    },
    calibrated=False,
)
