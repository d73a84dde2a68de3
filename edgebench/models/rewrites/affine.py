"""Steps y = s x + b by constants go into the product before them or behind them.

- Mul, Div, Add, Sub and BatchNormalization by one number a channel, behind a Conv, Gemm or MatMul, or behind
  an InstanceNormalization or LayerNormalization: into its weights (its scale) and its bias.
- Mul and Div before a Conv, Gemm or MatMul: into its weights; one number for all passes through whatever
  keeps a scale, such as Reshape or Relu.
- Mul and Div by one number behind a product of two values, as attention has: into the weights of the first.
- Add and Sub before a product: into its bias; not where a convolution reads zeros beside its data, which are
  zeros after the step and not before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgebench.models.rewrites.base import Pass, everywhere
from edgebench.models.rewrites.graph import (
    attribute,
    attributes,
    emit,
    float_constant,
    from_front,
    is_op,
    only_reader,
    producer,
    rank,
    replace,
    replaceable,
    sizes,
    sole_user,
)
from edgebench.models.rewrites.operators import again, along, carries_scale, single
from edgebench.models.rewrites.products import Product, product_behind, product_of, rebuild

if TYPE_CHECKING:
    import onnx_ir as ir

Array = NDArray[np.float64]
_ZERO, _ONE = np.zeros(1), np.ones(1)


@dataclass(frozen=True)
class _Step:
    """y = scale * x + shift along one axis, in place of a node; vectors hold one number or one a channel."""

    data: ir.Value
    scale: Array
    shift: Array


def _step(node: ir.Node, axis: int) -> _Step | None:
    """The step that a node is along ``axis`` of its result, or None. It leaves its data's shape."""
    if is_op(node, "BatchNormalization"):
        return _batch_norm(node, axis)
    if not is_op(node, "Mul", "Div", "Add", "Sub"):
        return None
    swaps = node.op_type in ("Mul", "Add")
    for at, other in ((0, 1), (1, 0)) if swaps else ((0, 1),):
        data, array = node.inputs[at], float_constant(node.inputs[other])
        shape = sizes(data)
        if array is None or shape is None:
            continue
        vector = along(array, len(shape), from_front(axis, len(shape)))
        if vector is None or vector.size not in (1, shape[axis]):
            continue
        return _step_by(node.op_type, data, vector)
    return None


def _step_by(operator: str, data: ir.Value, vector: Array) -> _Step | None:
    if operator == "Mul":
        return _Step(data, vector, _ZERO)
    if operator == "Div":
        return _Step(data, 1 / vector, _ZERO) if vector.all() else None
    return _Step(data, _ONE, vector if operator == "Add" else -vector)


def _batch_norm(node: ir.Node, axis: int) -> _Step | None:
    number = rank(node.inputs[0])
    if number is None or from_front(axis, number) != 1 or attribute(node, "training_mode", 0):
        return None
    values = [float_constant(value) for value in node.inputs[1:5]]
    gamma, beta, mean, variance = values
    if gamma is None or beta is None or mean is None or variance is None:
        return None
    scale = gamma / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
    return _Step(node.inputs[0], scale, beta - mean * scale)


def _behind_product(node: ir.Node) -> bool:
    """A step that alone reads a product's result."""
    for item in node.inputs[:2]:
        product = None if item is None else product_behind(item)
        if product is None or not only_reader(node, product.output):
            continue
        step = _step(node, product.channels)
        if step is None or step.data is not product.output:
            continue
        if product.bias is None and product.node.op_type == "MatMul" and step.shift.any():
            return False  # that step is all the bias a MatMul can have
        shape = (-1,) + (1,) * (product.weights.ndim - 1)
        bias = None
        if product.bias is not None or step.shift.any():
            before = np.zeros(len(product.weights)) if product.bias is None else product.bias
            bias = before * step.scale + step.shift
        value = rebuild(product, weights=product.weights * step.scale.reshape(shape), bias=bias)
        if value is not None:
            replace(node.outputs[0], value)
        return value is not None
    return False


def _behind_norm(node: ir.Node) -> bool:
    """A step that alone reads a norm with a scale and a bias of its own."""
    for item in node.inputs[:2]:
        norm = producer(item, "InstanceNormalization", "LayerNormalization")
        if norm is None or not only_reader(node, norm.outputs[0]) or len(norm.outputs) > 1:
            continue
        if is_op(norm, "LayerNormalization") and attribute(norm, "axis", -1) != -1:
            continue
        step = _step(node, 1 if is_op(norm, "InstanceNormalization") else -1)
        scale = float_constant(norm.inputs[1])
        given = norm.inputs[2] if len(norm.inputs) > 2 else None
        bias = np.zeros_like(scale) if given is None and scale is not None else float_constant(given)
        if step is None or scale is None or bias is None or step.data is not norm.outputs[0]:
            continue
        numbers = [scale * step.scale, bias * step.scale + step.shift]
        inputs = [norm.inputs[0], *(array.astype(np.float32) for array in numbers)]
        replace(node.outputs[0], emit(norm, norm.op_type, inputs, attributes(norm)))
        return True
    return False


def _before_product(node: ir.Node) -> bool:
    """A step along the channels that a product reads."""
    product = product_of(node)
    before = None if product is None else product.data.producer()
    if product is None or before is None:
        return False
    step = _step(before, product.channels)
    if step is None:
        return False
    weights = None if (step.scale == 1).all() else product.weights * _for_inputs(product, step.scale)
    bias = product.bias
    if step.shift.any():
        if product.pads_with_zeros or (bias is None and node.op_type == "MatMul"):
            return False
        bias = (0.0 if bias is None else bias) + _summed(product, step.shift)
    return rebuild(product, data=step.data, weights=weights, bias=bias) is not None


def _for_inputs(product: Product, vector: Array) -> Array:
    """One number an input channel, laid out to be multiplied with the weights."""
    weights, group = product.weights, product.group
    inputs = group * weights.shape[1]
    numbers = np.broadcast_to(vector, (inputs,)).reshape(group, 1, weights.shape[1])
    rows = np.repeat(numbers, len(weights) // group, axis=1).reshape(len(weights), weights.shape[1])
    return rows.reshape(rows.shape + (1,) * (weights.ndim - 2))


def _summed(product: Product, shift: Array) -> Array:
    """What a shift of the inputs adds to each output."""
    found: Array = (
        (product.weights * _for_inputs(product, shift)).reshape(len(product.weights), -1).sum(axis=1)
    )
    return found


def _scale_from_afar(node: ir.Node) -> bool:
    """A factor that reaches a product through nodes that keep a scale, and reaches nothing else."""
    product = product_of(node)
    if product is None:
        return False
    path: list[ir.Node] = []
    value = product.data
    while True:
        before = value.producer()
        if before is None or sole_user(value) is None or before.graph is not node.graph:
            return False
        scale = _factor(before)
        if scale is not None:
            break
        if not carries_scale(before, 1.0):
            return False
        path.append(before)
        value = before.inputs[0]
    data = before.inputs[0] if single(before.inputs[1]) is not None else before.inputs[1]
    if not path or not replaceable(value, data) or not all(carries_scale(each, scale) for each in path):
        return False
    for each in reversed(path):
        data = again(each, data, each.inputs[0], node)
    return rebuild(product, data=data, weights=product.weights * scale) is not None


def _scale_to_afar(node: ir.Node) -> bool:
    """A factor that goes back to a product through nodes that keep a scale, and through a product of two.

    Attention scales Q K so; the factor fits into the weights of Q.
    """
    scale = _factor(node)
    if scale is None:
        return False
    data = node.inputs[0] if single(node.inputs[1]) is not None else node.inputs[1]
    product = _product_before(data, scale)
    if product is None or not only_reader(node, data) or not replaceable(node.outputs[0], data):
        return False
    bias = None if product.bias is None else product.bias * scale
    if rebuild(product, weights=product.weights * scale, bias=bias) is None:
        return False
    replace(node.outputs[0], data)
    return True


def _product_before(value: ir.Value, scale: float) -> Product | None:
    """The product by constants whose scale a value has, with nobody else on the way who would see it."""
    while sole_user(value) is not None:
        product = product_behind(value)
        if product is not None:
            return product
        node = value.producer()
        if node is None or not (carries_scale(node, scale) or is_op(node, "MatMul")):
            return None
        value = node.inputs[0]
    return None


def _factor(node: ir.Node) -> float | None:
    """The number by which a node multiplies its one data input, whose shape it keeps."""
    if not is_op(node, "Mul", "Div"):
        return None
    for at in (1, 0) if node.op_type == "Mul" else (1,):
        number, axes, own = single(node.inputs[at]), rank(node.inputs[1 - at]), rank(node.inputs[at])
        if number is None or axes is None or own is None or own > axes:
            continue
        if node.op_type == "Mul":
            return number
        return 1 / number if number else None
    return None


PASS = Pass(
    "affine",
    "constant factors and sums into the product or norm before or behind them",
    everywhere(_behind_product, _behind_norm, _before_product, _scale_from_afar, _scale_to_afar),
)
