"""What the standard operators keep: which work on every number alone, and which leave zeros zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebench.models.rewrites.graph import (
    attributes,
    constant,
    emit,
    float_constant,
    is_op,
    rank,
)

if TYPE_CHECKING:
    import onnx_ir as ir

# f(0) = 0.
_ZERO_KEEPING = {
    *("Abs", "Celu", "Ceil", "Elu", "Erf", "Floor", "Gelu", "HardSwish", "Identity", "LeakyRelu", "Mish"),
    *("Neg", "Relu", "Round", "Selu", "Sign", "Sin", "Softsign", "Sqrt", "Tanh"),
}
_ELEMENTWISE = {
    *_ZERO_KEEPING,
    *("Cos", "Exp", "HardSigmoid", "Log", "Reciprocal", "Sigmoid", "Softplus", "ThresholdedRelu"),
}
# f(s x) = s f(x) for s > 0.
_POSITIVELY_HOMOGENEOUS = {"Abs", "Identity", "LeakyRelu", "Neg", "Relu"}
# Operators of one data input that move numbers, or pick and average them, and compute with nothing else.
_MOVING = {"AveragePool", "Flatten", "GlobalAveragePool", "MaxPool", "Reshape", "Squeeze", "Transpose"}
_MOVING |= {"Unsqueeze", "GlobalMaxPool"}
_ARITHMETIC = {"Add", "Div", "Mul", "Sub"}


def single(value: ir.Value | None) -> float | None:
    """A stored finite float that is a single number, whatever its rank."""
    array = float_constant(value)
    return float(array.ravel()[0]) if array is not None and array.size == 1 else None


def elementwise_data(node: ir.Node) -> ir.Value | None:
    """The one value that a node works on number by number, with single constants beside it at most.

    The result has that value's shape. ``Mul(x, x)`` counts.
    """
    if not node.inputs or node.inputs[0] is None or len(node.outputs) != 1:
        return None
    data: ir.Value = node.inputs[0]
    if is_op(node, *_ELEMENTWISE) and len(node.inputs) == 1:
        return data
    if is_op(node, "Clip", "Pow"):
        bounds = [value for value in node.inputs[1:] if value is not None]
        return data if all(_fits(value, data) for value in bounds) else None
    if is_op(node, *_ARITHMETIC):
        other: ir.Value = node.inputs[1]
        if other is data or _fits(other, data):
            return data
        return other if _fits(data, other) else None
    return None


def _fits(number: ir.Value, data: ir.Value) -> bool:
    """Whether ``number`` is a single constant that gives the result no more axes than ``data`` has."""
    array = constant(number)
    axes = rank(data)
    return array is not None and array.size == 1 and (array.ndim == 0 or (axes or 0) >= array.ndim)


def keeps_zeros(node: ir.Node) -> bool:
    """Whether an elementwise node, or a pooling, makes zeros of zeros."""
    if is_op(node, "MaxPool"):
        return len(node.outputs) == 1
    if is_op(node, "Mul"):
        return elementwise_data(node) is not None
    if is_op(node, "Div"):
        return single(node.inputs[1]) not in (None, 0.0)
    if is_op(node, "Pow"):
        return (single(node.inputs[1]) or 0.0) > 0.0
    return is_op(node, *_ZERO_KEEPING)


def carries_scale(node: ir.Node, scale: float) -> bool:
    """Whether f(scale * x) = scale * f(x) for a node of one data input."""
    if is_op(node, *_MOVING) and len(node.outputs) == 1:
        return scale > 0 or not is_op(node, "MaxPool", "GlobalMaxPool")
    return scale > 0 and is_op(node, *_POSITIVELY_HOMOGENEOUS)


def again(node: ir.Node, data: ir.Value, old: ir.Value, before: ir.Node | None = None) -> ir.Value:
    """The result of the same operator on ``data`` in the place of ``old``."""
    inputs = [data if value is old else value for value in node.inputs]
    return emit(before or node, node.op_type, inputs, attributes(node))


def along(array: np.ndarray, number_of_axes: int, axis: int) -> np.ndarray | None:
    """A constant as one number for each position of ``axis``, or one for all; None where it varies else.

    ``number_of_axes`` is the rank of what it is broadcast against.
    """
    if array.ndim > number_of_axes:
        return None
    padded = array.reshape((1,) * (number_of_axes - array.ndim) + array.shape)
    return padded.ravel() if padded.size == padded.shape[axis] else None
