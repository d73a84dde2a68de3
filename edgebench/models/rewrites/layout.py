"""Which axis is last in memory: Transposes move towards the answers, or towards the waveform.

A net that makes frames along the last axis and transposes them to stand before their features runs its
convolutions with the long axis first. Moved behind the convolutions, the Transpose leaves time on the last
axis, where kernels have long runs, and often meets another one that undoes it. Some kernels of 8 bits want it
the other way round, so there is a pass for each way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebench.models.rewrites.base import Pass, everywhere
from edgebench.models.rewrites.graph import (
    attribute,
    attributes,
    axes,
    constant,
    emit,
    from_front,
    is_op,
    only_reader,
    producer,
    rank,
    replace,
    swap,
)
from edgebench.models.rewrites.operators import again, elementwise_data
from edgebench.models.rewrites.products import product_of
from edgebench.models.rewrites.reshapes import join_transposes

if TYPE_CHECKING:
    import onnx_ir as ir

_Moved = tuple["ir.Value", list[int]]


def _behind(node: ir.Node) -> bool:
    """Compute a node from what a Transpose reads, and transpose its result."""
    for value in dict.fromkeys(node.inputs):
        turned = producer(value, "Transpose")
        if turned is None or not only_reader(node, turned.outputs[0]):
            continue
        number = rank(turned.outputs[0])
        if number is None:
            continue
        perm = list(attribute(turned, "perm", range(number)[::-1]))
        moved = _moved(node, turned, perm)
        if moved is None:
            continue
        result, after = moved
        if after != sorted(after):
            result = emit(node, "Transpose", [result], {"perm": after})
        replace(node.outputs[0], result)
        return True
    return False


def _moved(node: ir.Node, turned: ir.Node, perm: list[int]) -> _Moved | None:
    """The node's result before the Transpose, and the permutation due after it; None where it is bound."""
    if len(node.outputs) != 1:
        return None
    if elementwise_data(node) is turned.outputs[0]:
        return again(node, turned.inputs[0], turned.outputs[0]), perm
    handler = _HANDLERS.get(node.op_type) if node.domain == "" else None
    return None if handler is None else handler(node, turned, perm)


def _with_table(node: ir.Node, turned: ir.Node, perm: list[int]) -> _Moved | None:
    """Add, Mul and the like with a stored table: the table is transposed back."""
    at = 0 if node.inputs[0] is turned.outputs[0] else 1
    table = constant(node.inputs[1 - at])
    if table is None or table.ndim > len(perm):
        return None
    padded = table.reshape((1,) * (len(perm) - table.ndim) + table.shape)
    back = padded.transpose(np.argsort(perm))
    shape = turned.outputs[0].shape
    if shape is None or any(size not in (1, there) for size, there in zip(padded.shape, shape, strict=True)):
        return None  # the table makes the data larger
    inputs: list[Any] = [turned.inputs[0], back] if at == 0 else [back, turned.inputs[0]]
    return emit(node, node.op_type, inputs, attributes(node)), perm


def _unsqueeze(node: ir.Node, turned: ir.Node, perm: list[int]) -> _Moved | None:
    new = axes(node)
    if new is None or node.inputs[0] is not turned.outputs[0]:
        return None
    number = len(perm) + len(new)
    new = [from_front(axis, number) for axis in new]
    old = [axis for axis in range(number) if axis not in new]
    after = list(range(number))
    for at, source in enumerate(perm):
        after[old[at]] = old[source]
    return emit(node, "Unsqueeze", [turned.inputs[0], np.array(new, np.int64)]), after


def _matmul(node: ir.Node, turned: ir.Node, perm: list[int]) -> _Moved | None:
    """X W = (Wt Xt)t for stored weights W, where the Transpose exchanges the last two axes."""
    product = product_of(node)
    if product is None or product.position != 1 or perm != swap(len(perm)):
        return None
    return emit(node, "MatMul", [product.weights.astype(np.float32), turned.inputs[0]]), perm


def _image(node: ir.Node, turned: ir.Node, perm: list[int]) -> _Moved | None:
    """Convolutions and poolings whose two axes are exchanged: so are kernels, strides and pads."""
    if perm != [0, 1, 3, 2] or node.inputs[0] is not turned.outputs[0]:
        return None
    inputs: list[Any] = [turned.inputs[0], *node.inputs[1:]]
    if is_op(node, "Conv"):
        weights = constant(node.inputs[1])
        if weights is None:
            return None
        inputs[1] = weights.swapaxes(2, 3)
    settings = attributes(node)
    if settings.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or settings.get("storage_order", 0):
        return None
    for name in ("kernel_shape", "strides", "dilations"):
        if name in settings:
            settings[name] = list(settings[name])[::-1]
    if "pads" in settings:
        top, left, bottom, right = settings["pads"]
        settings["pads"] = [left, top, right, bottom]
    return emit(node, node.op_type, inputs, settings), perm


_HANDLERS: dict[str, Callable[[ir.Node, ir.Node, list[int]], _Moved | None]] = {
    **dict.fromkeys(("Add", "Div", "Mul", "Sub"), _with_table),
    **dict.fromkeys(("AveragePool", "Conv", "MaxPool"), _image),
    "MatMul": _matmul,
    "Unsqueeze": _unsqueeze,
}


def _before(node: ir.Node) -> bool:
    """Transpose what a node reads, where its transposed result is all that is read.

    The data is transposed to and fro in front of the node; the second of these moves behind it and cancels.
    """
    if not is_op(node, "Transpose") or not only_reader(node, node.inputs[0]):
        return False
    number, first = rank(node.inputs[0]), node.inputs[0].producer()
    if number is None or first is None:
        return False
    perm = list(attribute(node, "perm", range(number)[::-1]))
    if is_op(first, "Unsqueeze"):
        return _before_unsqueeze(node, first, perm)
    for value in dict.fromkeys(first.inputs):
        if value is None or rank(value) != number or constant(value) is not None:
            continue
        forth = emit(first, "Transpose", [value], {"perm": perm})
        back = emit(first, "Transpose", [forth], {"perm": np.argsort(perm).tolist()})
        back.shape = value.shape
        for place, other in enumerate(first.inputs):
            if other is value:
                first.replace_input_with(place, back)
        turned = back.producer()
        assert turned is not None
        moved = _swapped_product(first, turned, perm) or _moved(first, turned, np.argsort(perm).tolist())
        if moved is not None:
            replace(node.outputs[0], moved[0])
            return True
        for place, other in enumerate(first.inputs):
            if other is back:
                first.replace_input_with(place, value)
        # Left in the graph, they would look like Transposes to join, and the pass would never end.
        _remove(turned, forth.producer())
    return False


def _remove(*nodes: ir.Node | None) -> None:
    """Remove nodes that nobody reads, the last one of a row first."""
    for node in nodes:
        assert node is not None and node.graph is not None
        node.graph.remove(node, safe=True)


def _before_unsqueeze(node: ir.Node, first: ir.Node, perm: list[int]) -> bool:
    """Exchange axes before new ones come between them, where the new ones stay in their places."""
    new = axes(first)
    new = None if new is None else [from_front(axis, len(perm)) for axis in new]
    if new is None or any(perm[axis] != axis for axis in new):
        return False
    old = [axis for axis in range(len(perm)) if axis not in new]
    before = [old.index(perm[axis]) for axis in old]
    turned = emit(node, "Transpose", [first.inputs[0]], {"perm": before})
    replace(node.outputs[0], emit(node, "Unsqueeze", [turned, np.array(new, np.int64)]))
    return True


def _swapped_product(node: ir.Node, turned: ir.Node, perm: list[int]) -> _Moved | None:
    """(W X)t = Xt Wt for stored weights W on the left."""
    product = product_of(node)
    if product is None or product.node.op_type != "MatMul" or product.position != 0:
        return None
    if perm != swap(len(perm)):
        return None
    return emit(node, "MatMul", [turned.inputs[0], product.weights.T.astype(np.float32)]), perm


LAST = Pass(
    "time_last",
    "layout: Transposes move behind the products and convolutions that follow",
    everywhere(_behind, join_transposes),
)
FIRST = Pass(
    "time_first",
    "layout: Transposes move before the products and convolutions that precede",
    everywhere(_before, join_transposes),
)
