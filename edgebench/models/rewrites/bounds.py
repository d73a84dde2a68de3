"""Between which numbers a value lies, whatever the input: proved from constants and from operators alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgebench.models.rewrites.graph import constant, is_op
from edgebench.models.rewrites.operators import single
from edgebench.models.rewrites.products import Product, product_behind

if TYPE_CHECKING:
    import onnx_ir as ir

Bounds = tuple[float, float]

_Known = dict["ir.Value", "Bounds | None"]

# Results that lie between two numbers whatever goes in.
_ALWAYS = {
    **dict.fromkeys(("Sigmoid", "HardSigmoid", "Softmax"), (0.0, 1.0)),
    **dict.fromkeys(("Tanh", "Erf", "Sin", "Cos"), (-1.0, 1.0)),
}
# Results that are some of the numbers that go in, or means of them.
_PICKING = {
    *("Flatten", "GlobalAveragePool", "GlobalMaxPool", "Identity", "ReduceMax", "ReduceMean", "ReduceMin"),
    *("Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze", "MaxPool"),
}


def bounds(value: ir.Value | None) -> Bounds | None:
    """The smallest and the largest number that a value can hold; None where one of them is not known."""
    return _finite(_bounds(value, {}))


def largest_magnitude(value: ir.Value | None) -> float | None:
    """The largest absolute number that a value can hold, or None."""
    found = bounds(value)
    return None if found is None else max(abs(found[0]), abs(found[1]))


def _finite(found: Bounds | None) -> Bounds | None:
    return found if found is not None and all(map(math.isfinite, found)) else None


def _bounds(value: ir.Value | None, known: _Known) -> Bounds | None:
    if value is None:
        return None
    if value not in known:
        array = constant(value)
        if array is None:
            known[value] = _of_node(value, known)
        else:
            known[value] = (float(array.min()), float(array.max())) if array.size else None
    return known[value]


def _of_node(value: ir.Value, known: _Known) -> Bounds | None:
    node = value.producer()
    if node is None or node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type in _ALWAYS:
        return _ALWAYS[node.op_type]
    if node.op_type in _PICKING:
        return _bounds(node.inputs[0], known)
    handler = {"DequantizeLinear": _codes, "Clip": _clipped, "Relu": _clipped}.get(node.op_type)
    if handler is not None:
        return handler(node, known)
    product = product_behind(value)
    if product is not None:
        return _product(product, known)
    return _arithmetic(node, known) if is_op(node, "Add", "Sub", "Mul", "Div") else None


def _codes(node: ir.Node, known: _Known) -> Bounds | None:
    """All codes of a quantized value, by its scale and zero point."""
    scale = single(node.inputs[1])
    zero = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if scale is None or zero is None or zero.size != 1 or zero.dtype not in (np.int8, np.uint8):
        return None
    codes = np.iinfo(zero.dtype)
    ends = [scale * (float(code) - float(zero.ravel()[0])) for code in (codes.min, codes.max)]
    return min(ends), max(ends)


def _clipped(node: ir.Node, known: _Known) -> Bounds | None:
    """What a Clip or Relu lets through: known limits, and the bounds of its data where it has some."""
    floor, ceiling = 0.0, math.inf
    if is_op(node, "Clip"):
        given = [*node.inputs[1:], None, None][:2]
        limits = [single(value) for value in given]
        if any(limit is None and value is not None for limit, value in zip(limits, given, strict=True)):
            return None
        floor = -math.inf if limits[0] is None else limits[0]
        ceiling = math.inf if limits[1] is None else limits[1]
    before = _bounds(node.inputs[0], known) or (-math.inf, math.inf)
    low, high = (min(max(number, floor), ceiling) for number in before)
    return None if (low, high) == (-math.inf, math.inf) else (low, high)


def _product(product: Product, known: _Known) -> Bounds | None:
    """Each output at worst: the sum of what each weight makes of the lowest or the highest input."""
    data = _finite(_bounds(product.data, known))
    if data is None:
        return None
    low, high = data
    if product.pads_with_zeros:
        low, high = min(low, 0.0), max(high, 0.0)
    weights: NDArray[np.float64] = product.weights.reshape(len(product.weights), -1)
    bias = 0.0 if product.bias is None else product.bias
    smallest = np.minimum(weights * low, weights * high).sum(axis=1) + bias
    largest = np.maximum(weights * low, weights * high).sum(axis=1) + bias
    return float(smallest.min()), float(largest.max())


def _arithmetic(node: ir.Node, known: _Known) -> Bounds | None:
    one, other = (_finite(_bounds(value, known)) for value in node.inputs)
    if one is None or other is None:
        return None
    if node.op_type == "Add":
        return one[0] + other[0], one[1] + other[1]
    if node.op_type == "Sub":
        return one[0] - other[1], one[1] - other[0]
    if node.op_type == "Div":
        if other[0] <= 0 <= other[1]:
            return None
        other = (1 / other[1], 1 / other[0])
    corners = [a * b for a in one for b in other]
    return min(corners), max(corners)
