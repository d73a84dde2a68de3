"""Weights stored as 16-bit floats and cast to 32 bits when the file is loaded.

Half the bytes, and the answers of the parent to three digits. The arithmetic stays in 32 bits on purpose:
processors without 16-bit arithmetic (all Raspberry Pis before the 5, and onnxruntime's CPU kernels on most
others) would convert around every operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgebench.models.quantization.float_parts import ALL_PARTS
from edgebench.models.quantization.scheme import Scheme, Settings, Waveform, settings
from edgebench.models.quantization.source import finished, source_model
from edgebench.models.quantization.stored_weights import decode, replace_weight, weights_to_store


def _quantize(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> bytes:
    import onnx  # noqa: PLC0415

    model = source_model(parent)
    nodes = []
    for tensor, _ in weights_to_store(model, settings, least_axes=1):
        with np.errstate(over="ignore"):
            half = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        if not np.isfinite(half).all():
            continue  # beyond 65,504: 16 bits do not hold it
        name = tensor.name
        stored = replace_weight(model, tensor, fp16=half)["fp16"]
        nodes.append(onnx.helper.make_node("Cast", [stored], [name], to=onnx.TensorProto.FLOAT))
    decode(model, nodes)
    return finished(model, model)


SCHEME = Scheme(
    name="fp16",
    summary="weights stored as 16-bit floats, cast once at load; float arithmetic on any processor",
    quantize=_quantize,
    settings=settings(weights="float16", arithmetic="float32", float_parts=("front_end",), float_nodes=()),
    allowed={"weights": ("float16",), "arithmetic": ("float32",), "float_parts": ALL_PARTS},
    calibrated=False,
)
