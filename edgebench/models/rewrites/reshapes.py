"""Reshapes whose target is known before the run: constants in the place of sizes computed from the input.

An exporter writes ``Reshape(x, [Shape(input)[0], -1, 169])``. Where the first axis of ``x`` is known to be
that very size, ``0`` says "as it is". A Reshape, or another change of shape, that changes nothing goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebench.models.rewrites.base import Pass, everywhere
from edgebench.models.rewrites.graph import (
    attribute,
    constant,
    emit,
    is_op,
    producer,
    rank,
    replace,
    replaceable,
    same_shape,
    same_size,
    sizes,
)

if TYPE_CHECKING:
    import onnx_ir as ir

_KEPT = 0  # "this size as it is", where allowzero is 0
_Size = int | str | None


def _constant_target(node: ir.Node) -> bool:
    if not is_op(node, "Reshape") or constant(node.inputs[1]) is not None:
        return False
    data, wanted = sizes(node.inputs[0]), _entries(node.inputs[1])
    if data is None or wanted is None or 0 in wanted:
        return False
    target = [
        _KEPT if isinstance(size, str) and at < len(data) and same_size(size, data[at]) else size
        for at, size in enumerate(wanted)
    ]
    open_ = [at for at, size in enumerate(target) if not isinstance(size, int)]
    if len(open_) + target.count(-1) > 1:
        return False
    numbers = [-1 if at in open_ else size for at, size in enumerate(target)]
    value = emit(node, "Reshape", [node.inputs[0], np.array(numbers, np.int64)])
    replace(node.outputs[0], value)
    return True


def _entries(value: ir.Value | None) -> list[_Size] | None:
    """What a vector of sizes holds: numbers, names of free sizes, None where a size has no name."""
    array = constant(value)
    if array is not None:
        return [int(size) for size in array.ravel()] if array.dtype == np.int64 else None
    if (node := producer(value, "Shape")) is not None:
        shape = sizes(node.inputs[0])
        if shape is None:
            return None
        start, end = attribute(node, "start", 0), attribute(node, "end", len(shape))
        return shape[start:end]
    if (node := producer(value, "Concat")) is not None:
        parts = [_entries(part) for part in node.inputs]
        return None if None in parts else [size for part in parts if part is not None for size in part]
    return None


def _nothing_changed(node: ir.Node) -> bool:
    """A Reshape to the shape that its data has, or a Transpose that leaves every axis in its place."""
    if not is_op(node, "Reshape", "Transpose") or not replaceable(node.outputs[0], node.inputs[0]):
        return False
    if is_op(node, "Transpose"):
        perm = attribute(node, "perm")
        same = perm is not None and list(perm) == sorted(perm)
    else:
        same = same_shape(node.inputs[0], node.outputs[0]) or _keeps_shape(node)
    if same:
        replace(node.outputs[0], node.inputs[0])
    return same


def _keeps_shape(node: ir.Node) -> bool:
    """Whether all sizes but one are known to stay: then the last one stays too."""
    data, target = sizes(node.inputs[0]), _entries(node.inputs[1])
    if data is None or target is None or len(data) != len(target):
        return False
    zero_is_kept = not attribute(node, "allowzero", 0)
    kept = [
        (size == _KEPT and zero_is_kept) or same_size(size, there)
        for size, there in zip(target, data, strict=True)
    ]
    return all(kept) or (kept.count(False) == 1 and target[kept.index(False)] == -1)


def join_transposes(node: ir.Node) -> bool:
    """A rule: two Transposes in a row are one, or none."""
    first = producer(node.inputs[0], "Transpose") if is_op(node, "Transpose") else None
    number = None if first is None else rank(first.inputs[0])
    if first is None or number is None:
        return False
    inner, outer = (list(attribute(each, "perm", range(number)[::-1])) for each in (first, node))
    perm = [inner[axis] for axis in outer]
    if perm == sorted(perm) and replaceable(node.outputs[0], first.inputs[0]):
        replace(node.outputs[0], first.inputs[0])
    else:
        replace(node.outputs[0], emit(node, "Transpose", [first.inputs[0]], {"perm": perm}))
    return True


PASS = Pass(
    "reshapes",
    "constant targets of Reshape; drop what changes no shape",
    everywhere(_constant_target, _nothing_changed, join_transposes),
)
