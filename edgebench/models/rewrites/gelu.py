"""The exact GELU in one operator: x / 2 (1 + erf(x / sqrt 2)) is ``Gelu`` since opset 20.

As five operators it is fused by some runtimes, until something, such as a quantizer, stands in between.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgebench.models.rewrites.base import Pass, everywhere
from edgebench.models.rewrites.graph import emit, is_op, producer, replace, sole_user
from edgebench.models.rewrites.operators import single

if TYPE_CHECKING:
    import onnx_ir as ir

_RELATIVE = 1e-6
OPSET = 20


def _fuse(node: ir.Node) -> bool:
    data = _erf_of(node) if is_op(node, "Erf") else None
    if data is None:
        return False
    added = _with_number(sole_user(node.outputs[0]), "Add", node.outputs[0], 1.0)
    if added is None:
        return False
    found = _times_half(added, data)
    if found is None:
        return False
    replace(found, emit(node, "Gelu", [data], {"approximate": "none"}))
    return True


def _erf_of(node: ir.Node) -> ir.Value | None:
    """x of Erf(x / sqrt 2)."""
    for operator, number in (("Div", math.sqrt(2.0)), ("Mul", math.sqrt(0.5))):
        scaled = producer(node.inputs[0], operator)
        if scaled is None:
            continue
        for at in (1, 0) if operator == "Mul" else (1,):
            if _is(scaled.inputs[at], number):
                data: ir.Value = scaled.inputs[1 - at]
                return data
    return None


def _times_half(value: ir.Value, data: ir.Value) -> ir.Value | None:
    """The value x * half * ``value``, multiplied in whatever order; all else on the way is read once."""
    factors = {"data": False, "half": False}
    while not all(factors.values()):
        node = sole_user(value)
        if node is None or not is_op(node, "Mul"):
            return None
        other = node.inputs[1] if node.inputs[0] is value else node.inputs[0]
        if other is data and not factors["data"]:
            factors["data"] = True
        elif _is(other, 0.5) and not factors["half"]:
            factors["half"] = True
        elif _is_half_of(other, data) and not any(factors.values()):
            factors = dict.fromkeys(factors, True)
        else:
            return None
        value = node.outputs[0]
    return value


def _is_half_of(value: ir.Value, data: ir.Value) -> bool:
    node = producer(value, "Mul", "Div")
    if node is None:
        return False
    pairs = [(0, 1), (1, 0)] if node.op_type == "Mul" else [(0, 1)]
    half = 0.5 if node.op_type == "Mul" else 2.0
    return any(node.inputs[a] is data and _is(node.inputs[b], half) for a, b in pairs)


def _with_number(node: ir.Node | None, operator: str, value: ir.Value, number: float) -> ir.Value | None:
    """The result of an operator on a value and a number."""
    if node is None or not is_op(node, operator):
        return None
    other = node.inputs[1] if node.inputs[0] is value else node.inputs[0]
    result: ir.Value = node.outputs[0]
    return result if _is(other, number) else None


def _is(value: ir.Value | None, number: float) -> bool:
    found = single(value)
    return found is not None and math.isclose(found, number, rel_tol=_RELATIVE)


PASS = Pass(
    "gelu", "the exact GELU as one operator (raises the file to opset 20)", everywhere(_fuse), opset=OPSET
)
