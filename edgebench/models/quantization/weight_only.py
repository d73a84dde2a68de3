"""Weights of 8 bits with one scale for each output channel, made float when the file is loaded.

A quarter of the bytes, without a rounded activation: what is lost is lost by the weights alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgebench.models.quantization.float_parts import ALL_PARTS
from edgebench.models.quantization.scheme import Scheme, Settings, Waveform, settings
from edgebench.models.quantization.source import finished, source_model
from edgebench.models.quantization.stored_weights import decode, replace_weight, weights_to_store

_LARGEST = 127  # of a signed byte; -128 is not used, so that the codes are symmetric


def _quantize(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> bytes:
    import onnx  # noqa: PLC0415

    model = source_model(parent)
    nodes = []
    for tensor, axis in weights_to_store(model, settings, least_axes=2):
        weight = onnx.numpy_helper.to_array(tensor)
        codes, scale = symmetric(weight, axis if settings["per_channel"] else None)
        name = tensor.name
        stored = replace_weight(model, tensor, codes=codes, scale=scale)
        nodes.append(
            onnx.helper.make_node("Cast", [stored["codes"]], [f"{name}_float"], to=onnx.TensorProto.FLOAT)
        )
        nodes.append(onnx.helper.make_node("Mul", [f"{name}_float", stored["scale"]], [name]))
    decode(model, nodes)
    return finished(model, model)


def symmetric(weight: NDArray[np.float32], axis: int | None) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes of -127 to 127 and the scale that makes them float again, of a shape that broadcasts.

    One scale for each index of ``axis``, or one in all for None; a channel of zeros has the scale 1.
    """
    others = None if axis is None else tuple(place for place in range(weight.ndim) if place != axis)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    scale = np.where(largest > 0, largest / _LARGEST, 1.0).astype(np.float32)
    codes = np.clip(np.rint(weight / scale), -_LARGEST, _LARGEST).astype(np.int8)
    return codes, scale if axis is not None else scale.reshape(())


SCHEME = Scheme(
    name="weight_only",
    summary="8-bit weights, made float once at load; float arithmetic",
    quantize=_quantize,
    settings=settings(
        weights="int8",
        arithmetic="float32",
        per_channel=True,
        # Narrow convolutions have few weights, and every other layer builds on what they give.
        float_parts=("front_end", "narrow_convolutions"),
        float_nodes=(),
    ),
    allowed={"weights": ("int8",), "arithmetic": ("float32",), "float_parts": ALL_PARTS},
    choices={"per_channel": (True, False)},
    calibrated=False,
)
