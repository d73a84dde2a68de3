"""A convolution over one axis as one over two, of which the first has length one.

Some runtimes have their fastest kernels for images only: onnxruntime's blocked layout on x86 is one. What
stands between two such convolutions and works on every number alone, or on every channel alone, stays in
two dimensions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgebench.models.rewrites.base import Pass, everywhere
from edgebench.models.rewrites.graph import (
    attributes,
    axes,
    constant,
    emit,
    is_op,
    producer,
    rank,
    replace,
    replaceable,
    sole_user,
)
from edgebench.models.rewrites.operators import again, elementwise_data

if TYPE_CHECKING:
    import onnx_ir as ir

_HEIGHT = np.array([2], np.int64)


def _lift(node: ir.Node) -> bool:
    if not is_op(node, "Conv") or rank(node.inputs[0]) != 3:
        return False
    weights = constant(node.inputs[1])
    if weights is None or weights.ndim != 3:
        return False
    data = emit(node, "Unsqueeze", [node.inputs[0], _HEIGHT])
    inputs = [data, weights[:, :, np.newaxis], *node.inputs[2:]]
    value = emit(node, "Conv", inputs, _two_dimensional(attributes(node)))
    replace(node.outputs[0], emit(node, "Squeeze", [value, _HEIGHT]))
    return True


def _two_dimensional(settings: dict[str, Any]) -> dict[str, Any]:
    for name in ("kernel_shape", "strides", "dilations"):
        if name in settings:
            settings[name] = [1, *settings[name]]
    if "pads" in settings:
        begin, end = settings["pads"]
        settings["pads"] = [0, begin, 0, end]
    return settings


def _squeeze_later(node: ir.Node) -> bool:
    """f(Squeeze(x)) = Squeeze(f(x)) for what works on every number, or on every channel, alone."""
    norm = is_op(node, "InstanceNormalization")
    data = node.inputs[0] if norm else elementwise_data(node)
    squeezed = producer(data, "Squeeze")
    if squeezed is None or data is None or sole_user(data) is None:
        return False
    listed = axes(squeezed)
    if listed is None or (norm and listed != [2]):
        return False
    value = again(node, squeezed.inputs[0], data)
    replace(node.outputs[0], emit(node, "Squeeze", [value, np.array(listed, np.int64)]))
    return True


def _cancel(node: ir.Node) -> bool:
    """Unsqueeze(Squeeze(x)) of the same axes is x."""
    squeezed = producer(node.inputs[0], "Squeeze") if is_op(node, "Unsqueeze") else None
    if squeezed is None:
        return False
    before, after = axes(squeezed), axes(node)
    if before is None or before != after or min(before) < 0:
        return False
    if not replaceable(node.outputs[0], squeezed.inputs[0]):
        return False
    replace(node.outputs[0], squeezed.inputs[0])
    return True


PASS = Pass(
    "conv_2d",
    "convolutions over one axis as convolutions over two",
    everywhere(_lift, _squeeze_later, _cancel),
)
