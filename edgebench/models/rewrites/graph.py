"""What the passes ask of a graph and do to it, over onnx_ir's values, which know their users.

Only constants that nobody can override count: a stored tensor that is also an input of the graph is none.
New values get names that no other value has. Shapes are onnx's: an int, a name that stands for one size
wherever it occurs, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx_ir as ir

Rule = Callable[["ir.Node"], bool]

_PREFIX = "rewritten_"
_COUNT = "edgebench.names"  # the key of graph.meta under which the last number given is kept


def is_op(node: ir.Node | None, *names: str) -> bool:
    """Whether the node is one of these standard operators."""
    return node is not None and node.domain in ("", "ai.onnx") and node.op_type in names


def producer(value: ir.Value | None, *names: str) -> ir.Node | None:
    """The node that computes a value, where it is one of these standard operators."""
    node = None if value is None else value.producer()
    return node if is_op(node, *names) else None


def constant(value: ir.Value | None) -> NDArray[Any] | None:
    """The array of a stored tensor; None for every other value."""
    if value is None or value.const_value is None or not value.is_initializer() or value.is_graph_input():
        return None
    array: NDArray[Any] = value.const_value.numpy()
    return array


def float_constant(value: ir.Value | None) -> NDArray[np.float64] | None:
    """A stored tensor of finite 32-bit floats, in 64 bits to compute with; None for every other value."""
    array = constant(value)
    if array is None or array.dtype != np.float32 or not np.isfinite(array).all():
        return None
    return array.astype(np.float64)


def attribute(node: ir.Node, name: str, default: Any = None) -> Any:
    """An attribute's value as a number, text or list."""
    found = node.attributes.get(name)
    return default if found is None else found.value


def attributes(node: ir.Node) -> dict[str, Any]:
    """All attributes, to make a similar node with."""
    return {name: found.value for name, found in node.attributes.items()}


def opset(node: ir.Node) -> int:
    """The version of the standard operators in the node's graph."""
    graph = node.graph
    assert graph is not None
    return int(graph.opset_imports.get("", 0))


def rank(value: ir.Value | None) -> int | None:
    """How many axes a value has, where that is known."""
    return None if value is None or value.shape is None else len(value.shape)


def sizes(value: ir.Value | None) -> list[int | str | None] | None:
    """A value's shape: numbers, names of free sizes, and None; None where nothing is known."""
    if value is None or value.shape is None:
        return None
    return [size if isinstance(size, int) else size.value for size in value.shape]


def same_size(one: int | str | None, other: int | str | None) -> bool:
    """Whether two sizes are known to be the same."""
    return one is not None and one == other


def same_shape(one: ir.Value, other: ir.Value) -> bool:
    """Whether two values are known to have the same shape."""
    a, b = sizes(one), sizes(other)
    return a is not None and b is not None and len(a) == len(b) and all(map(same_size, a, b))


def axes(node: ir.Node, *, at: int = 1) -> list[int] | None:
    """The axes of a reduction, Squeeze or Unsqueeze, which are an attribute or, later, an input.

    None where they are not constant, or where none are given.
    """
    listed = attribute(node, "axes")
    if listed is None and len(node.inputs) > at:
        array = constant(node.inputs[at])
        listed = None if array is None else array.ravel().tolist()
    return None if listed is None else [int(axis) for axis in listed]


def from_front(axis: int, number: int) -> int:
    """An axis counted from the first one."""
    return axis + number if axis < 0 else axis


def swap(number: int) -> list[int]:
    """The permutation of ``number`` axes that exchanges the last two."""
    return [*range(number - 2), number - 1, number - 2]


def sole_user(value: ir.Value) -> ir.Node | None:
    """The one node that reads a value, possibly twice; None where others or the caller see it too."""
    users = value.consumers()
    if len(users) != 1 or value.is_graph_output():
        return None
    producing = value.producer()
    user: ir.Node = users[0]
    return user if producing is None or user.graph is producing.graph else None


def only_reader(node: ir.Node, value: ir.Value) -> bool:
    """Whether a node alone reads a value."""
    return sole_user(value) is node


def used(node: ir.Node) -> bool:
    """Whether anything reads what a node computes."""
    return node.graph is not None and any(v.uses() or v.is_graph_output() for v in node.outputs)


def store(graph: ir.Graph, array: NDArray[Any]) -> ir.Value:
    """A new stored tensor."""
    import onnx_ir as ir  # noqa: PLC0415

    # subtle: np.ascontiguousarray would give a scalar an axis.
    tensor = ir.tensor(np.array(array, order="C"))
    value = ir.val(_free_name(graph), const_value=tensor)
    graph.register_initializer(value)
    return value


def emit(
    before: ir.Node,
    operator: str,
    inputs: Sequence[ir.Value | NDArray[Any] | None],
    attributes: Mapping[str, Any] | None = None,
) -> ir.Value:
    """The result of a new node that stands before another one; arrays among its inputs are stored."""
    return emit_many(before, operator, inputs, attributes, outputs=1)[0]


def emit_many(
    before: ir.Node,
    operator: str,
    inputs: Sequence[ir.Value | NDArray[Any] | None],
    attributes: Mapping[str, Any] | None = None,
    *,
    outputs: int,
) -> list[ir.Value]:
    """As :func:`emit`, for an operator of several results."""
    import onnx_ir as ir  # noqa: PLC0415

    graph = before.graph
    assert graph is not None
    values = [store(graph, item) if isinstance(item, np.ndarray) else item for item in inputs]
    node = ir.node(operator, values, dict(attributes or {}), num_outputs=outputs, name="")
    for value in node.outputs:
        value.name = _free_name(graph)
    graph.insert_before(before, node)
    return list(node.outputs)


def replaceable(old: ir.Value, new: ir.Value) -> bool:
    """Whether ``new`` may stand for ``old``: an output of the graph keeps its name, and is no input."""
    return not old.is_graph_output() or not (
        new.is_graph_output() or new.is_graph_input() or new.is_initializer()
    )


def replace(old: ir.Value, new: ir.Value) -> None:
    """Let everybody who reads ``old`` read ``new``; a name that the caller sees moves with it."""
    if old.is_graph_output():
        assert replaceable(old, new) and old.graph is not None
        name, old.name = old.name, _free_name(old.graph)
        new.name, new.type, new.shape = name, old.type, old.shape
    old.replace_all_uses_with(new, replace_graph_outputs=True)


def _free_name(graph: ir.Graph) -> str:
    if _COUNT not in graph.meta:
        taken = [value.name or "" for node in graph for value in node.outputs]
        numbers = [
            int(name.removeprefix(_PREFIX))
            for name in [*taken, *graph.initializers, *(value.name or "" for value in graph.inputs)]
            if name.startswith(_PREFIX) and name.removeprefix(_PREFIX).isdecimal()
        ]
        graph.meta[_COUNT] = max(numbers, default=-1)
    graph.meta[_COUNT] += 1
    return f"{_PREFIX}{graph.meta[_COUNT]}"
