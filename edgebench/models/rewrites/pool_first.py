"""A weighted sum over the rows of a product is taken before the product.

sum_t a_tc (X L)_tc = sum_k L_kc (At X)_ck. The left side computes a row of X L for every t, multiplies it and
adds; on the right the sum over t is a product itself, and what is left has one row a channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebench.models.rewrites.base import Pass, everywhere
from edgebench.models.rewrites.graph import (
    attribute,
    axes,
    emit,
    from_front,
    is_op,
    only_reader,
    opset,
    producer,
    rank,
    replace,
    same_size,
    sizes,
    sole_user,
    swap,
)
from edgebench.models.rewrites.products import Product, product_behind
from edgebench.models.rewrites.reshapes import join_transposes

if TYPE_CHECKING:
    import onnx_ir as ir


def _pool(node: ir.Node) -> bool:
    reduced = axes(node) if is_op(node, "ReduceSum") else None
    weighted = producer(node.inputs[0], "Mul")
    number = rank(node.inputs[0])
    if reduced is None or weighted is None or number is None or not only_reader(node, weighted.outputs[0]):
        return False
    if len(reduced) != 1 or from_front(reduced[0], number) != number - 2:
        return False
    for value, weights in (weighted.inputs, reversed(weighted.inputs)):
        product = product_behind(value)
        if product is None or not _fits(product, weights, number):
            continue
        turned = emit(node, "Transpose", [weights], {"perm": swap(number)})
        pooled = emit(node, "MatMul", [turned, product.data])
        scaled = emit(node, "Mul", [pooled, product.weights.astype(np.float32)])
        replace(node.outputs[0], _summed(node, scaled))
        return True
    return False


def _fits(product: Product, weights: ir.Value, number: int) -> bool:
    """Whether a plain X L and its weights have one shape, and nobody else reads the product."""
    if not is_op(product.node, "MatMul") or product.position != 1 or product.bias is not None:
        return False
    if sole_user(product.output) is None or rank(product.data) != number or rank(weights) != number:
        return False
    own, data = sizes(weights), sizes(product.data)
    assert own is not None and data is not None
    pairs = zip([*data[:-1], len(product.weights)], own, strict=True)
    return all(same_size(a, b) for a, b in pairs)


def _summed(node: ir.Node, value: ir.Value) -> ir.Value:
    """The sum over the last axis, by the ReduceSum of opset 13 and later."""
    kept = attribute(node, "keepdims", 1)
    assert opset(node) >= 13
    total = emit(node, "ReduceSum", [value, np.array([-1], np.int64)], {"keepdims": kept})
    if not kept:
        return total
    number = rank(node.inputs[0])
    assert number is not None
    return emit(node, "Transpose", [total], {"perm": swap(number)})


PASS = Pass(
    "pool_first",
    "take a weighted sum over time before the product, not behind it",
    everywhere(_pool, join_transposes),
)
