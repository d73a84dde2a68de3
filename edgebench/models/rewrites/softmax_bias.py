"""A constant added before a softmax cancels where it is the same along the softmax's axis.

exp(x + b) / sum exp(x + b) = exp(x) / sum exp(x), with b constant over the sum. So does its logarithm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebench.models.rewrites.base import Pass, everywhere
from edgebench.models.rewrites.graph import (
    attribute,
    float_constant,
    from_front,
    is_op,
    producer,
    sizes,
)

if TYPE_CHECKING:
    import onnx_ir as ir


def _cancel(node: ir.Node) -> bool:
    if not is_op(node, "Softmax", "LogSoftmax"):
        return False
    added = producer(node.inputs[0], "Add", "Sub")
    if added is None:
        return False
    orders = [(0, 1), (1, 0)] if added.op_type == "Add" else [(0, 1)]
    for kept, dropped in orders:
        data, bias = added.inputs[kept], float_constant(added.inputs[dropped])
        shape = sizes(data)
        if bias is None or shape is None or bias.ndim > len(shape):
            continue
        padded = (1,) * (len(shape) - bias.ndim) + bias.shape
        axis = from_front(attribute(node, "axis", -1), len(shape))
        # A bias that makes the data larger by broadcasting must stay.
        fits = all(size in (1, there) for size, there in zip(padded, shape, strict=True))
        if fits and padded[axis] == 1:
            node.replace_input_with(0, data)
            return True
    return False


PASS = Pass(
    "softmax_bias", "drop what is added before a softmax and is the same along its axis", everywhere(_cancel)
)
