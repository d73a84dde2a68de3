"""A .tflite with 8-bit weights whose activations find their range anew in every inference.

XNNPACK, LiteRT's library of kernels, computes such convolutions and products in integers. No clip is needed.
"""

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
    quantizer.add_dynamic_config(pattern, kind, num_bits=8)


SCHEME = Scheme(
    name="litert_dynamic",
    summary="int8 convolutions and products as .tflite, ranges found at every inference",
    quantize=_quantize,
    settings=settings(
        converter="litert-torch",
        quantizer="ai-edge-quantizer",
        free_length=True,
        lengths_s=LENGTHS_S,
        operators=("CONV_2D", "FULLY_CONNECTED"),
        float_parts=ALL_PARTS,
        weights="int8",
        per_channel=True,
    ),
    allowed={
        "converter": ("litert-torch",),
        "quantizer": ("ai-edge-quantizer",),
        "operators": tuple(WEIGHTED),
        "float_parts": ALL_PARTS,
        "weights": ("int8",),
        "per_channel": (True,),
    },
    calibrated=False,
    format="tflite",
    needs=("torch", *NEEDS),
    extra="train,litert",
    of_own_nets=True,
)
