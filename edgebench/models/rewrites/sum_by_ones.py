"""A sum over the rows of matrices as a product with ones.

onnxruntime sums over an axis that is not the last one without the processor's vector units; a product of a
row of ones is as fast as memory allows.
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
    producer,
    rank,
    replace,
    same_shape,
)

if TYPE_CHECKING:
    import onnx_ir as ir


def _multiply(node: ir.Node) -> bool:
    reduced = axes(node) if is_op(node, "ReduceSum") else None
    number = rank(node.inputs[0]) if reduced else None
    if reduced is None or number is None or len(reduced) != 1 or not _floats(node.inputs[0]):
        return False
    if number < 3 or from_front(reduced[0], number) != number - 2:
        return False
    import onnx_ir as ir  # noqa: PLC0415

    data = node.inputs[0]
    ones = _known_ones(data)
    if ones is None:
        count = emit(node, "Shape", [data], {"start": number - 2, "end": number - 1})
        shape = emit(node, "Concat", [np.array([1], np.int64), count], {"axis": 0})
        ones = emit(node, "ConstantOfShape", [shape], {"value": ir.tensor(np.ones(1, np.float32))})
    value = emit(node, "MatMul", [ones, data])
    if not attribute(node, "keepdims", 1):
        value = emit(node, "Squeeze", [value, np.array([number - 2], np.int64)])
    replace(node.outputs[0], value)
    return True


def _known_ones(data: ir.Value) -> ir.Value | None:
    """The row of ones of another sum, over a value that ``data`` is a product of."""
    product = producer(data, "Mul")
    for factor in product.inputs if product is not None else ():
        for user in factor.consumers():
            if is_op(user, "MatMul") and user.inputs[1] is factor and same_shape(factor, data):
                ones = producer(user.inputs[0], "ConstantOfShape")
                if ones is not None:
                    return ones.outputs[0]
    return None


def _floats(value: ir.Value) -> bool:
    import onnx_ir as ir  # noqa: PLC0415

    return value.dtype in (None, ir.DataType.FLOAT)


PASS = Pass("sum_by_ones", "sums over the rows of matrices as products with ones", everywhere(_multiply))
