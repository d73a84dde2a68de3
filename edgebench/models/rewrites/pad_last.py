"""A convolution's outputs filled up with zeros that a Slice takes away again.

What reads the convolution may count on its channels, which keeps ``pad_channels`` from it. Where the kernel
for a multiple of channels saves more than a copy costs, the additional outputs pay all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from edgebench.models.rewrites.base import Pass, everywhere
from edgebench.models.rewrites.graph import (
    attribute,
    attributes,
    emit,
    float_constant,
    is_op,
    replace,
    sole_user,
)

if TYPE_CHECKING:
    import onnx_ir as ir

MULTIPLE = 16
_FEW = 4  # a convolution of fewer input channels gains nothing


def _rule(multiple: int) -> Callable[[ir.Node], bool]:
    def fill(node: ir.Node) -> bool:
        weights = float_constant(node.inputs[1]) if is_op(node, "Conv") else None
        if weights is None or attribute(node, "group", 1) != 1 or weights.shape[1] < _FEW:
            return False
        outputs = len(weights)
        more = -outputs % multiple
        if not more or more > outputs:
            return False
        inputs: list[ir.Value | np.ndarray | None] = [node.inputs[0], _filled(weights, more)]
        if len(node.inputs) > 2 and node.inputs[2] is not None:
            bias = float_constant(node.inputs[2])
            if bias is None:
                return False
            inputs.append(_filled(bias, more))
        user = sole_user(node.outputs[0])
        value = emit(node, "Conv", inputs, attributes(node))
        old = node.outputs[0]
        if is_op(user, "Relu"):
            assert user is not None
            value, old = emit(user, "Relu", [value]), user.outputs[0]
        ends = (np.array([number], np.int64) for number in (0, outputs, 1))
        replace(old, emit(user if old is not node.outputs[0] and user else node, "Slice", [value, *ends]))
        return True

    return fill


def _filled(array: np.ndarray, more: int) -> np.ndarray:
    return np.pad(array.astype(np.float32), [(0, more), *[(0, 0)] * (array.ndim - 1)])


def _with_multiple(multiple: int) -> Callable[[ir.Model], int]:
    return everywhere(_rule(multiple))


PASS = Pass(
    "pad_last",
    "fill a convolution's outputs up with zeros that a Slice takes away, to a multiple of :16 or another",
    _with_multiple(MULTIPLE),
    with_number=_with_multiple,
)
