"""A softmax over the rows of a product is computed over the last axis of the transposed product.

softmax(X W, over rows) = softmax(Wt Xt, over columns), transposed. Runtimes have fast kernels for the last
axis alone, and transpose to and fro for others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebench.models.rewrites.base import Pass, everywhere
from edgebench.models.rewrites.graph import attribute, emit, from_front, is_op, rank, replace, sole_user, swap
from edgebench.models.rewrites.products import product_behind

if TYPE_CHECKING:
    import onnx_ir as ir


def _turn(node: ir.Node) -> bool:
    number = rank(node.inputs[0]) if is_op(node, "Softmax") else None
    if number is None or from_front(attribute(node, "axis", -1), number) != number - 2:
        return False
    product = product_behind(node.inputs[0])
    if product is None or not is_op(product.node, "MatMul") or product.position != 1:
        return False
    if sole_user(product.output) is None or rank(product.data) != number:
        return False
    turned = emit(node, "Transpose", [product.data], {"perm": swap(number)})
    value = emit(node, "MatMul", [product.weights.astype("float32"), turned])
    if product.bias is not None:
        value = emit(node, "Add", [value, product.bias.astype("float32")[:, None]])
    value = emit(node, "Softmax", [value], {"axis": -1})
    replace(node.outputs[0], emit(node, "Transpose", [value], {"perm": swap(number)}))
    return True


PASS = Pass("softmax_last", "softmax over the rows of a product by its transpose", everywhere(_turn))
