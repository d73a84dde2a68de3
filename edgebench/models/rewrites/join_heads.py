"""Products that read one vector become one product, and its result is split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebench.models.rewrites.base import Pass, everywhere
from edgebench.models.rewrites.graph import emit, emit_many, is_op, rank, replace
from edgebench.models.rewrites.products import Product, product_of

if TYPE_CHECKING:
    import onnx_ir as ir


def _join(node: ir.Node) -> bool:
    first = _head(node)
    if first is None:
        return False
    found = [_head(user) for user in first.data.consumers() if user.graph is node.graph]
    heads = [head for head in found if head is not None]
    order = {each: at for at, each in enumerate(node.graph)}
    heads.sort(key=lambda head: order[head.node])
    if len(heads) < 2 or heads[0].node is not node:
        return False
    weights = np.concatenate([head.weights for head in heads])
    bias = np.concatenate([np.zeros(len(h.weights)) if h.bias is None else h.bias for h in heads])
    inputs = [first.data, weights.T.astype(np.float32), bias.astype(np.float32)]
    joined = emit(node, "Gemm", inputs)
    lengths = np.array([len(head.weights) for head in heads], np.int64)
    parts = emit_many(node, "Split", [joined, lengths], {"axis": 1}, outputs=len(heads))
    for head, part in zip(heads, parts, strict=True):
        replace(head.output, part)
    return True


def _head(node: ir.Node) -> Product | None:
    """A product of one vector an item of the batch."""
    product = product_of(node) if is_op(node, "Gemm", "MatMul") else None
    if product is None or product.position != 1 or rank(product.data) != 2:
        return None
    return product


PASS = Pass("join_heads", "one product for several that read the same vector", everywhere(_join))
