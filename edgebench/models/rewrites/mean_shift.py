"""What is added before a weighted mean may be added after it, because the weights sum to one.

sum_t p_t (x_t + b) = sum_t p_t x_t + b, where p is a softmax over t. So it is with the plain mean. Behind
the mean there is one vector where there were many, and the next product may take the bias in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgebench.models.rewrites.base import Pass, everywhere
from edgebench.models.rewrites.graph import (
    attribute,
    attributes,
    axes,
    emit,
    float_constant,
    from_front,
    is_op,
    producer,
    rank,
    replace,
    sizes,
    sole_user,
)

if TYPE_CHECKING:
    import onnx_ir as ir

Array = NDArray[np.float64]


def _mean(node: ir.Node) -> bool:
    """ReduceMean(x + b) over axes along which b does not change."""
    if not is_op(node, "ReduceMean"):
        return False
    reduced = axes(node)
    found = None if reduced is None else _shifted(node.inputs[0])
    if found is None or reduced is None:
        return False
    added, data, bias = found
    return _move(node, reduced, bias, [data if value is added else value for value in node.inputs])


def _weighted_sum(node: ir.Node) -> bool:
    """ReduceSum(p * (x + b)) over the axis of the softmax p."""
    if not is_op(node, "ReduceSum"):
        return False
    reduced, weighted = axes(node), producer(node.inputs[0], "Mul")
    if reduced is None or len(reduced) != 1 or weighted is None or sole_user(weighted.outputs[0]) is None:
        return False
    number = rank(weighted.outputs[0])
    for weights, sum_ in ((weighted.inputs[0], weighted.inputs[1]), (weighted.inputs[1], weighted.inputs[0])):
        softmax, found = producer(weights, "Softmax"), _shifted(sum_)
        if softmax is None or found is None or number is None or rank(weights) != number:
            continue
        axis = from_front(attribute(softmax, "axis", -1), number)
        _, data, bias = found
        if axis != from_front(reduced[0], number) or bias.ndim != number:
            continue
        # subtle: weights of one frame that meet data of many would sum to more than one.
        shape, other = sizes(weights), sizes(data)
        if shape is None or other is None or (shape[axis] != other[axis] or shape[axis] is None):
            continue
        if bias.shape[axis] != 1:
            continue
        product = emit(node, "Mul", [weights, data])
        product.shape = weighted.outputs[0].shape
        return _move(node, reduced, bias, [product, *node.inputs[1:]])
    return False


def _attention(node: ir.Node) -> bool:
    """MatMul(p, x + b), p a softmax over its last axis, b the same along the axis that is summed over."""
    if not is_op(node, "MatMul"):
        return False
    softmax, found = producer(node.inputs[0], "Softmax"), _shifted(node.inputs[1])
    number = rank(node.inputs[0])
    if softmax is None or found is None or number is None:
        return False
    _, data, bias = found
    if from_front(attribute(softmax, "axis", -1), number) != number - 1 or bias.shape[-2] != 1:
        return False
    value = emit(node, "MatMul", [node.inputs[0], data])
    replace(node.outputs[0], emit(node, "Add", [value, bias.astype(np.float32)]))
    return True


def _shifted(value: ir.Value | None) -> tuple[ir.Value, ir.Value, Array] | None:
    """(x + b, x, b) of a constant b that has x's rank and makes it no larger; None for another value."""
    added = producer(value, "Add")
    if added is None:
        return None
    for data, other in (added.inputs, reversed(added.inputs)):
        bias, shape = float_constant(other), sizes(data)
        if bias is None or shape is None or not 2 <= len(shape) >= bias.ndim:
            continue
        bias = bias.reshape((1,) * (len(shape) - bias.ndim) + bias.shape)
        if all(size in (1, there) for size, there in zip(bias.shape, shape, strict=True)):
            return added.outputs[0], data, bias
    return None


def _move(node: ir.Node, reduced: list[int], bias: Array, inputs: list[ir.Value]) -> bool:
    places = [from_front(axis, bias.ndim) for axis in reduced]
    if any(bias.shape[axis] != 1 for axis in places):
        return False
    if not attribute(node, "keepdims", 1):
        bias = bias.reshape([size for axis, size in enumerate(bias.shape) if axis not in places])
    value = emit(node, node.op_type, inputs, attributes(node))
    value.shape = node.outputs[0].shape
    replace(node.outputs[0], emit(node, "Add", [value, bias.astype(np.float32)]))
    return True


PASS = Pass(
    "mean_shift",
    "add a constant behind a mean or a softmax-weighted sum, not before it",
    everywhere(_mean, _weighted_sum, _attention),
)
