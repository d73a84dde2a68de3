"""Quantization of chosen operators of a converted net by ai-edge-quantizer, without ranges."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgebench.errors import ModelError
from edgebench.models.quantization.litert_convert import convert, quiet
from edgebench.models.quantization.litert_parts import operators_to_quantize
from edgebench.models.quantization.litert_tidy import tidied
from edgebench.models.quantization.scheme import Settings
from edgebench.models.quantization.source import third_party


def quantized_where_chosen(
    parent: Path, settings: Settings, choose: Callable[[Any, str, str], None]
) -> bytes:
    """Convert in float and quantize ``operators`` outside of ``float_parts``.

    ``choose(quantizer, kind, pattern)`` gives the quantizer the rule of one operator.
    """
    model = convert(parent, settings["lengths_s"], free_length=settings["free_length"])
    with tempfile.TemporaryDirectory() as folder, third_party("ai-edge-quantizer"), quiet():
        from ai_edge_quantizer import quantizer as quantizers  # noqa: PLC0415

        source = Path(folder) / "float.tflite"
        source.write_bytes(model)
        chosen = operators_to_quantize(source, settings["operators"], settings["float_parts"])
        quantizer = quantizers.Quantizer(str(source))
        for kind, pattern in chosen:
            choose(quantizer, kind, pattern)
        quantized = quantizer.quantize().quantized_model
    if quantized is None:
        raise ModelError(f"model {parent}: the quantizer gave no file.")
    return tidied(bytes(quantized))
