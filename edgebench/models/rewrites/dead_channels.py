"""Channels between two products that are always zero, or that nobody reads, are dropped from both.

The sine rows of bin 0 and of the last bin of a Fourier transform are zeros; the outermost bins are read by no
mel filter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgebench.models.rewrites.base import Pass, everywhere
from edgebench.models.rewrites.graph import (
    attribute,
    axes,
    from_front,
    is_op,
    rank,
    sole_user,
)
from edgebench.models.rewrites.operators import again, elementwise_data, keeps_zeros
from edgebench.models.rewrites.products import product_behind, product_of, rebuild

if TYPE_CHECKING:
    import onnx_ir as ir


def _drop(node: ir.Node) -> bool:
    reader = product_of(node)
    number = None if reader is None else rank(reader.data)
    if reader is None or number is None or reader.group != 1:
        return False
    path: list[ir.Node] = []
    value, axis = reader.data, from_front(reader.channels, number)
    while (writer := product_behind(value)) is None:
        step = _channel_before(value, axis)
        if step is None:
            return False
        before, axis = step
        path.append(before)
        data = _data(before)
        assert data is not None
        value = data
    number = rank(value)
    if sole_user(value) is None or number is None or from_front(writer.channels, number) != axis:
        return False
    if writer.group != 1 or len(writer.weights) != reader.weights.shape[1]:
        return False
    dead: np.ndarray = ~_any(reader.weights.swapaxes(0, 1))
    if all(map(_zero_safe, path)):
        zero = ~_any(writer.weights)
        if writer.bias is not None:
            zero &= writer.bias == 0
        dead |= zero
    if not dead.any() or dead.all():
        return False
    kept = ~dead
    bias = None if writer.bias is None else writer.bias[kept]
    data = rebuild(writer, weights=writer.weights[kept], bias=bias)
    assert data is not None
    for each in reversed(path):
        old = _data(each)
        assert old is not None
        data = again(each, data, old, node)
    return rebuild(reader, data=data, weights=reader.weights[:, kept]) is not None


def _any(weights: NDArray[np.float64]) -> NDArray[np.bool_]:
    """For each row, whether it holds a number other than zero."""
    found: NDArray[np.bool_] = (weights.reshape(len(weights), -1) != 0).any(axis=1)
    return found


def _zero_safe(node: ir.Node) -> bool:
    return is_op(node, "Transpose", "Squeeze", "Unsqueeze") or keeps_zeros(node)


def _data(node: ir.Node) -> ir.Value | None:
    """The value that a node of the path works on."""
    if is_op(node, "Transpose", "Squeeze", "Unsqueeze", "MaxPool"):
        value: ir.Value = node.inputs[0]
        return value
    return elementwise_data(node)


def _channel_before(value: ir.Value, axis: int) -> tuple[ir.Node, int] | None:
    """The node that makes a value channel by channel for one reader, and the channels' axis before it."""
    node, number = value.producer(), rank(value)
    if node is None or number is None or sole_user(value) is None or _data(node) is None:
        return None
    if is_op(node, "Transpose"):
        return node, list(attribute(node, "perm", range(number)[::-1]))[axis]
    if is_op(node, "Squeeze", "Unsqueeze"):
        moved, before = axes(node), rank(node.inputs[0])
        if moved is None or before is None:
            return None
        return _through(node, [from_front(each, max(number, before)) for each in moved], axis)
    if is_op(node, "MaxPool") and axis != 1:
        return None
    return node, axis


def _through(node: ir.Node, moved: list[int], axis: int) -> tuple[ir.Node, int] | None:
    """The axis on the other side of a Squeeze or Unsqueeze of the axes ``moved``."""
    if is_op(node, "Unsqueeze"):
        return None if axis in moved else (node, axis - sum(each < axis for each in moved))
    there = axis
    for each in sorted(moved):
        if each <= there:
            there += 1
    return node, there


PASS = Pass("dead_channels", "drop channels that are always zero or never read", everywhere(_drop))
