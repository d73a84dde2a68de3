"""Products with constant weights: Conv, Gemm and MatMul, seen as one thing.

Weights are (outputs, inputs of a group, *kernel). A MatMul whose result goes to nothing but the addition of
a constant vector is seen together with it, as a product with a bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.models.rewrites.graph import (
    attribute,
    attributes,
    emit,
    float_constant,
    is_op,
    rank,
    replace,
    sole_user,
)
from edgebench.models.rewrites.operators import along

if TYPE_CHECKING:
    import onnx_ir as ir

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Product:
    """A product by constant weights.

    ``node`` is the product, ``added`` the addition behind it that holds the bias of a MatMul. ``position`` is
    the place of the weights among the node's inputs: 0 in a MatMul with weights on the left.
    """

    node: ir.Node
    added: ir.Node | None
    weights: Array
    bias: Array | None
    position: int = 1

    @property
    def data(self) -> ir.Value:
        """What is multiplied with the weights."""
        value: ir.Value = self.node.inputs[1 - self.position]
        return value

    @property
    def output(self) -> ir.Value:
        """What the product and its bias give."""
        value: ir.Value = (self.added or self.node).outputs[0]
        return value

    @property
    def channels(self) -> int:
        """The axis of inputs in ``data``, and of outputs in ``output``."""
        if self.node.op_type != "MatMul":
            return 1
        return -1 if self.position == 1 else -2

    @property
    def group(self) -> int:
        """In how many groups the channels of a convolution are taken."""
        return int(attribute(self.node, "group", 1)) if self.node.op_type == "Conv" else 1

    @property
    def pads_with_zeros(self) -> bool:
        """Whether a convolution reads zeros beside its data, or may."""
        if self.node.op_type != "Conv":
            return False
        automatic = attribute(self.node, "auto_pad", "NOTSET")
        return automatic not in ("NOTSET", "VALID") or any(attribute(self.node, "pads", ()))


def product_of(node: ir.Node) -> Product | None:
    """The product that a node is, or None."""
    if is_op(node, "Conv"):
        return _conv(node)
    if is_op(node, "Gemm"):
        return _gemm(node)
    return _matmul(node) if is_op(node, "MatMul") else None


def product_behind(value: ir.Value) -> Product | None:
    """The product whose output, bias included, is ``value``."""
    node = value.producer()
    if node is None:
        return None
    if is_op(node, "Add"):
        for item in node.inputs:
            source = None if item is None else item.producer()
            product = product_of(source) if is_op(source, "MatMul") else None
            if product is not None and product.added is node:
                return product
        return None
    product = product_of(node)
    return product if product is not None and product.output is value else None


def rebuild(
    product: Product,
    *,
    data: ir.Value | None = None,
    weights: Array | None = None,
    bias: Array | None = None,
    changed: dict[str, Any] | None = None,
) -> ir.Value | None:
    """Put the same product with other data, weights, bias or attributes in the place of this one.

    What is None stays as it is. Gives the new output; None, with nothing changed, where a number does not
    fit 32 bits.
    """
    rows = len(product.weights if weights is None else weights)
    bias = product.bias if bias is None else bias
    stored = product.node.inputs[product.position] if weights is None else _laid_out(product, weights)
    added = None if bias is None else _fitted(bias)
    if stored is None or (bias is not None and added is None):
        return None
    before = product.added or product.node
    data = product.data if data is None else data
    settings = attributes(product.node) | (changed or {})
    if product.node.op_type == "MatMul":
        value = _emit_matmul(before, product, data, stored, added)
    else:
        inputs = [data, stored] if added is None else [data, stored, added]
        value = emit(before, product.node.op_type, inputs, settings)
    if data is product.data and rows == len(product.weights):
        value.shape, value.dtype = product.output.shape, product.output.dtype
    replace(product.output, value)
    return value


def _emit_matmul(
    before: ir.Node,
    product: Product,
    data: ir.Value,
    weights: ir.Value | NDArray[Any],
    bias: NDArray[Any] | None,
) -> ir.Value:
    if product.position == 1:
        value = emit(before, "MatMul", [data, weights])
        return value if bias is None else emit(before, "Add", [value, bias])
    value = emit(before, "MatMul", [weights, data])
    return value if bias is None else emit(before, "Add", [value, bias[:, np.newaxis]])


def _laid_out(product: Product, weights: Array) -> NDArray[np.float32] | None:
    """Weights as the product's operator stores them."""
    narrow = _fitted(weights)
    node = product.node
    if narrow is None or node.op_type == "Conv" or product.position == 0 or attribute(node, "transB", 0):
        return narrow
    return narrow.T


def _fitted(array: Array) -> NDArray[np.float32] | None:
    """The numbers in 32 bits; None where one of them is too large, or so small that it would vanish."""
    with np.errstate(over="ignore", under="ignore"):
        narrow = array.astype(np.float32)
    whole = np.isfinite(narrow).all() and np.count_nonzero(narrow) == np.count_nonzero(array)
    return narrow if whole else None


def _conv(node: ir.Node) -> Product | None:
    weights = float_constant(node.inputs[1])
    bias, known = _bias(node)
    if weights is None or not known:
        return None
    return Product(node, None, weights, bias)


def _gemm(node: ir.Node) -> Product | None:
    weights = float_constant(node.inputs[1])
    bias, known = _bias(node)
    plain = attribute(node, "alpha", 1.0) == attribute(node, "beta", 1.0) == 1.0
    if weights is None or not known or not plain or attribute(node, "transA", 0):
        return None
    weights = weights if attribute(node, "transB", 0) else weights.T
    if bias is not None:
        if bias.size not in (1, len(weights)):
            return None
        bias = np.broadcast_to(bias.ravel(), (len(weights),))
    return Product(node, None, weights, bias)


def _bias(node: ir.Node) -> tuple[Array | None, bool]:
    """The third input, and whether it is either a constant or not there."""
    given = node.inputs[2] if len(node.inputs) > 2 else None
    bias = float_constant(given)
    return bias, given is None or bias is not None


def _matmul(node: ir.Node) -> Product | None:
    for position in (1, 0):
        weights, data = float_constant(node.inputs[position]), node.inputs[1 - position]
        axes = rank(data)
        if weights is None or weights.ndim != 2 or axes is None or axes < 2:
            continue
        outputs = weights.T if position == 1 else weights
        added, bias = _addition(node, axes, channels=-1 if position == 1 else -2, outputs=len(outputs))
        return Product(node, added, outputs, bias, position)
    return None


def _addition(
    node: ir.Node, axes: int, *, channels: int, outputs: int
) -> tuple[ir.Node | None, Array | None]:
    """The addition of a constant, one number an output, that alone reads a product's result."""
    user = sole_user(node.outputs[0])
    if not is_op(user, "Add"):
        return None, None
    assert user is not None
    other = user.inputs[1] if user.inputs[0] is node.outputs[0] else user.inputs[0]
    array = float_constant(other)
    vector = None if array is None else along(array, axes, channels)
    if vector is None:
        return None, None
    return user, np.broadcast_to(vector, (outputs,))
