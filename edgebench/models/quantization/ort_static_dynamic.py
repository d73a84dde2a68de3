"""Convolutions with ranges from clips, products with ranges found in every inference: for transformers.

Their attention has outliers that no fixed range fits, and products wide enough to pay for finding one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.models.quantization.dynamic import TYPES, quantized_without_ranges
from edgebench.models.quantization.float_parts import CONVOLUTIONS, PRODUCTS, nodes_to_quantize
from edgebench.models.quantization.ort_static import ALLOWED, CHOICES, STATIC
from edgebench.models.quantization.scheme import Scheme, Settings, Waveform, settings
from edgebench.models.quantization.source import finished
from edgebench.models.quantization.static_qdq import quantized_by_ranges, rewritten_source

if TYPE_CHECKING:
    import onnx


def _quantize(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> bytes:
    source = rewritten_source(parent, settings)
    return finished(static_and_dynamic(source, waveforms, settings), source)


def static_and_dynamic(
    source: onnx.ModelProto, waveforms: Sequence[Waveform], settings: Settings
) -> onnx.ModelProto:
    """``source`` with convolutions between pairs and products that find their ranges themselves."""
    kinds = {node.name: node.op_type for node in source.graph.node}
    chosen = nodes_to_quantize(source, settings)
    static = [name for name in chosen if kinds[name] not in PRODUCTS]
    dynamic = [name for name in chosen if kinds[name] in PRODUCTS]
    made = source
    if any(kinds[name] in CONVOLUTIONS for name in static):
        made = quantized_by_ranges(source, waveforms, settings, static)
    if dynamic:
        changed = {**settings, "weights": settings["dynamic_weights"]}
        made = quantized_without_ranges(made, changed, dynamic, operators=PRODUCTS)
    return made


SCHEME = Scheme(
    name="ort_static_dynamic",
    summary="int8 convolutions with ranges from clips, int8 products with ranges found at every inference",
    quantize=_quantize,
    settings=settings(**{**STATIC, "passes": (), "dynamic_weights": "uint8"}),
    allowed={**ALLOWED, "dynamic_weights": tuple(TYPES)},
    choices={**CHOICES, "dynamic_weights": tuple(TYPES)},
    calibrated=True,
)
