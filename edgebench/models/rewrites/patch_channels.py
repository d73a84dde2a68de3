"""A small convolution of few channels as a 1 x 1 convolution of its shifted input.

Integer kernels multiply four channels at once, and a convolution of one channel wastes three of them. Its
input, shifted by every step of the kernel and joined along the channels, has kernel size times as many. The
copies are cheap in 8 bits; in float the pass gains nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebench.models.rewrites.base import Pass, everywhere
from edgebench.models.rewrites.graph import attribute, emit, float_constant, is_op, rank, replace

if TYPE_CHECKING:
    import onnx_ir as ir

_FEW = 4  # channels that an integer kernel multiplies at once
_MOST = 32  # channels that the shifted input may have
_TO_THE_END = np.iinfo(np.int64).max


def _spread(node: ir.Node) -> bool:
    weights = float_constant(node.inputs[1]) if is_op(node, "Conv") else None
    if weights is None or rank(node.inputs[0]) != 4 or weights.ndim != 4:
        return False
    outputs, channels, height, width = weights.shape
    area = height * width
    plain = (
        attribute(node, "group", 1) == 1
        and set(attribute(node, "strides", [1])) == {1}
        and set(attribute(node, "dilations", [1])) == {1}
        and attribute(node, "auto_pad", "NOTSET") in ("NOTSET", "VALID")
    )
    if not plain or channels >= _FEW or area == 1 or channels * area > _MOST:
        return False
    data = _padded(node)
    for axis, size in ((3, width), (2, height)):
        data = _shifted(node, data, axis, size)
    # The shifts along the height were joined last, so their steps count slowest.
    matrix = weights.transpose(0, 2, 3, 1).reshape(outputs, channels * area)
    filling = -matrix.shape[1] % _FEW
    if filling:  # channels that meet zeros
        start, end, axis_1 = (np.array([number], np.int64) for number in (0, filling, 1))
        data = emit(node, "Concat", [data, emit(node, "Slice", [data, start, end, axis_1])], {"axis": 1})
        matrix = np.pad(matrix, [(0, 0), (0, filling)])
    kernel = matrix.astype(np.float32)[:, :, np.newaxis, np.newaxis]
    value = emit(node, "Conv", [data, kernel, *node.inputs[2:]], {"kernel_shape": [1, 1]})
    replace(node.outputs[0], value)
    return True


def _padded(node: ir.Node) -> ir.Value:
    """The convolution's input with the zeros that it reads beside it."""
    data: ir.Value = node.inputs[0]
    pads = attribute(node, "pads", [0] * 4)
    if attribute(node, "auto_pad", "NOTSET") == "VALID" or not any(pads):
        return data
    top, left, bottom, right = pads
    return emit(node, "Pad", [data, np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)])


def _shifted(node: ir.Node, data: ir.Value, axis: int, size: int) -> ir.Value:
    """``data`` from each of ``size`` places on, all of one length, joined along the channels."""
    if size == 1:
        return data
    parts = []
    for start in range(size):
        left = size - 1 - start
        numbers = (start, -left if left else _TO_THE_END, axis)
        parts.append(emit(node, "Slice", [data, *(np.array([number], np.int64) for number in numbers)]))
    return emit(node, "Concat", parts, {"axis": 1})


PASS = Pass(
    "patch_channels",
    "a small convolution of few channels as a 1 x 1 convolution of its shifted input",
    everywhere(_spread),
)
