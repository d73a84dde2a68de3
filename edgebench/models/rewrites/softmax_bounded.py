"""A softmax of numbers that are proved to be small needs no maximum, and its division can wait.

A softmax subtracts the largest number so that no exponential overflows. Between -60 and 60 none does, also
not in a sum of a million. Then softmax(x) = exp(x) / sum exp(x), and in a weighted sum the one division comes
after the sum: sum_t (e_t / s) y_t = (sum_t e_t y_t) / s. Such bounds come from ranges of 8 bits, from Clip,
or from functions like Tanh.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebench.models.rewrites.base import Pass, everywhere
from edgebench.models.rewrites.bounds import largest_magnitude
from edgebench.models.rewrites.graph import (
    attribute,
    axes,
    emit,
    from_front,
    is_op,
    only_reader,
    producer,
    rank,
    replace,
    same_size,
    sizes,
)

if TYPE_CHECKING:
    import onnx_ir as ir

_LIMIT = 60.0


def _plain(node: ir.Node) -> bool:
    """exp(x) / sum exp(x) for the softmax of a bounded x."""
    if not is_op(node, "Softmax"):
        return False
    magnitude = largest_magnitude(node.inputs[0])
    if magnitude is None or magnitude > _LIMIT:
        return False
    powers = emit(node, "Exp", [node.inputs[0]])
    axis = np.array([attribute(node, "axis", -1)], np.int64)
    total = emit(node, "ReduceSum", [powers, axis], {"keepdims": 1})
    replace(node.outputs[0], emit(node, "Div", [powers, total]))
    return True


def _divide_later(node: ir.Node) -> bool:
    """ReduceSum(Mul(e / s, y)) where s has one number along the axis that is summed over."""
    reduced = axes(node) if is_op(node, "ReduceSum") else None
    weighted = producer(node.inputs[0], "Mul")
    number = rank(node.inputs[0])
    if weighted is None or reduced is None or len(reduced) != 1 or number is None:
        return False
    axis = from_front(reduced[0], number)
    for quotient, other in (weighted.inputs, reversed(weighted.inputs)):
        divided = producer(quotient, "Div")
        if divided is None or not only_reader(node, weighted.outputs[0]):
            continue
        if producer(divided.inputs[0], "Exp") is None or producer(divided.inputs[1], "ReduceSum") is None:
            continue
        powers, total = divided.inputs
        shapes = [sizes(value) for value in (powers, total, other)]
        if any(shape is None or len(shape) != number for shape in shapes):
            continue
        of_powers, of_total, of_other = (shape or [] for shape in shapes)
        if of_total[axis] != 1 or not same_size(of_powers[axis], of_other[axis]):
            continue
        return _divided_later(node, powers, total, other, axis)
    return False


def _divided_later(node: ir.Node, powers: ir.Value, total: ir.Value, other: ir.Value, axis: int) -> bool:
    kept, place = attribute(node, "keepdims", 1), np.array([axis], np.int64)
    product = emit(node, "Mul", [powers, other])
    sum_ = emit(node, "ReduceSum", [product, place], {"keepdims": kept})
    if not kept:
        total = emit(node, "Squeeze", [total, place])
    replace(node.outputs[0], emit(node, "Div", [sum_, total]))
    return True


PASS = Pass(
    "softmax_bounded",
    "softmax without its maximum where its input is proved to be small; divide behind sums",
    everywhere(_plain, _divide_later),
)
