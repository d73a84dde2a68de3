"""A sum of two halves before a product becomes a product of twice the length.

W (f(a) + f(b)) = [W W] f([a b]), where a and b are the halves of a Split. A power spectrum is made so: the
squares of cosine and sine parts are added and go into the mel product.

It saves the Split, one of the two functions and the sum, and multiplies twice as much: products of many
outputs stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebench.models.rewrites.base import Pass, everywhere
from edgebench.models.rewrites.graph import (
    attribute,
    attributes,
    constant,
    from_front,
    producer,
    rank,
    sizes,
    sole_user,
)
from edgebench.models.rewrites.operators import again, elementwise_data
from edgebench.models.rewrites.products import product_of, rebuild

if TYPE_CHECKING:
    import onnx_ir as ir

_MOST_OUTPUTS = 64  # about as many multiplications a core does in the time of what is saved


def _widen(node: ir.Node) -> bool:
    product = product_of(node)
    if product is None or product.group != 1 or len(product.weights) > _MOST_OUTPUTS:
        return False
    path: list[ir.Node] = []
    value = product.data
    number = rank(value)
    if number is None:
        return False
    axis = from_front(product.channels, number)
    while (moved := producer(value, "Transpose")) is not None and sole_user(value) is not None:
        path.append(moved)
        axis = list(attribute(moved, "perm", range(number)[::-1]))[axis]
        value = moved.inputs[0]
    added = producer(value, "Add")
    if added is None or sole_user(value) is None:
        return False
    split = _halves(added, axis)
    if split is None:
        return False
    part = _function(added.inputs[0])
    assert part is not None
    data = again(part, split.inputs[0], split.outputs[part.inputs[0].index()], node)
    for each in reversed(path):
        data = again(each, data, each.inputs[0], node)
    weights = np.concatenate([product.weights, product.weights], axis=1)
    return rebuild(product, data=data, weights=weights) is not None


def _halves(added: ir.Node, axis: int) -> ir.Node | None:
    """The Split whose two equal parts, after one and the same function, are what is added."""
    one, other = (_function(value) for value in added.inputs)
    if one is None or other is None or one is other or not _same(one, other):
        return None
    parts = [elementwise_data(node) for node in (one, other)]
    split = producer(parts[0], "Split")
    number = rank(added.outputs[0])
    if split is None or number is None or set(parts) != set(split.outputs) or len(split.outputs) != 2:
        return None
    if from_front(attribute(split, "axis", 0), number) != axis:
        return None
    lengths = constant(split.inputs[1]) if len(split.inputs) > 1 else None
    if lengths is None:
        halves = [sizes(part) for part in split.outputs]
        lengths = np.array([0 if half is None else half[axis] or 0 for half in halves])
    return split if len(set(lengths.tolist())) == 1 and all(lengths) else None


def _function(value: ir.Value | None) -> ir.Node | None:
    """The elementwise node of one data input that gives a value to the sum alone."""
    node = None if value is None else value.producer()
    if node is None or value is None or sole_user(value) is None or elementwise_data(node) is None:
        return None
    return node if elementwise_data(node) is node.inputs[0] else None


def _same(one: ir.Node, other: ir.Node) -> bool:
    """Whether two elementwise nodes are one function: operator, attributes and constants."""
    if one.op_type != other.op_type or attributes(one) != attributes(other):
        return False
    if len(one.inputs) != len(other.inputs):
        return False
    for a, b in zip(one.inputs[1:], other.inputs[1:], strict=True):
        if a is b:
            continue
        if (a is one.inputs[0]) != (b is other.inputs[0]):
            return False
        if a is one.inputs[0]:
            continue
        x, y = constant(a), constant(b)
        if x is None or y is None or not np.array_equal(x, y):
            return False
    return True


PASS = Pass(
    "sum_into_product",
    "add the halves of a Split inside the product that reads their sum",
    everywhere(_widen),
)
