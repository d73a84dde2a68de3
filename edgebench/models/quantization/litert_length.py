"""One signature for inputs of every length, from two that the converter wrote for two lengths.

LiteRT's converter fixes every shape. Where the two graphs differ in nothing but lengths, the lengths are
what the input's length makes of them, and the runtime finds them anew when it is given another input: all it
needs is that no stored shape fixes them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

SIGNATURE = "serving_default"  # TensorFlow's name of a signature where a model has one
_FREE = -1
_SIZES = 2  # the third input of a slice


class FixedLengthError(ValueError):
    """The graph depends on the length of its input in more than its shapes; the text says where."""


def freed(model: Any) -> Any:
    """The model with its first signature alone, which takes every length. ``model`` is changed.

    It holds two signatures of the same net at two lengths. Raises FixedLengthError where the graphs differ
    in other things than shapes.
    """
    first, second = model.subgraphs
    for one, other in zip(first.operators, second.operators, strict=True):
        if one.opcodeIndex != other.opcodeIndex or _options(one) != _options(other):
            raise FixedLengthError("the two lengths have different operators")
    pairs = dict(_pairs(first, second))
    shapes = {one: _shape(model, first, second, one, other) for one, other in pairs.items()}
    for number, operator in enumerate(first.operators):
        for place, one in enumerate(list(operator.inputs)):
            if shapes.get(one) is not None:
                _free(model, first, number, place, shapes[one])
    for one, other in pairs.items():
        _declare(first, second, one, other)
    model.subgraphs = [first]
    model.signatureDefs = [model.signatureDefs[0]]
    model.signatureDefs[0].signatureKey = SIGNATURE
    return without_unused(model)


def _pairs(first: Any, second: Any) -> Iterator[tuple[int, int]]:
    """The tensors of the two graphs that stand in one place."""
    yield from zip(first.inputs, second.inputs, strict=True)
    for one, other in zip(first.operators, second.operators, strict=True):
        yield from zip(one.inputs, other.inputs, strict=True)
        yield from zip(one.outputs, other.outputs, strict=True)


def _declare(first: Any, second: Any, one: int, other: int) -> None:
    """Say of a tensor which of its dimensions are free: some operators check the others."""
    if one < 0:
        return
    tensor = first.tensors[one]
    shapes = [np.asarray(graph.tensors[at].shape, np.int32) for graph, at in ((first, one), (second, other))]
    if shapes[0].shape == shapes[1].shape and not np.array_equal(shapes[0], shapes[1]):
        tensor.shapeSignature = np.where(shapes[0] == shapes[1], shapes[0], _FREE).astype(np.int32)


def _shape(model: Any, first: Any, second: Any, one: int, other: int) -> Any:
    """Stored numbers that differ, with -1 where they do; None where nothing is stored or all is the same."""
    if one < 0:
        return None
    a, b = (_stored(model, graph.tensors[number]) for graph, number in ((first, one), (second, other)))
    if a is None and b is None:
        return None
    if a is None or b is None or len(a) != len(b):
        raise FixedLengthError("a constant has another size at another length")
    if np.array_equal(a, b):
        return None
    numbers = np.frombuffer(a, np.int32), np.frombuffer(b, np.int32)
    return np.where(numbers[0] == numbers[1], numbers[0], _FREE).astype(np.int32)


def _free(model: Any, graph: Any, number: int, place: int, shape: Any) -> None:
    """Give operator ``number`` its input ``place`` with -1 for what depends on the length.

    In the shape of a reshape that is what is left, once; among the sizes of a slice all up to the end.
    """
    from ai_edge_litert import schema_py_generated as schema  # noqa: PLC0415

    operator = graph.operators[number]
    code = model.operatorCodes[operator.opcodeIndex].builtinCode
    known = schema.BuiltinOperator
    if not (
        (code == known.RESHAPE and (shape == _FREE).sum() == 1)
        or (code == known.SLICE and place == _SIZES and _to_the_end(model, graph, operator, shape))
    ):
        raise FixedLengthError(f"operator {number} has a constant that depends on the length")
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(shape.tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor = copy.copy(graph.tensors[operator.inputs[place]])  # other operators may read it too
    tensor.buffer = len(model.buffers) - 1
    tensor.name = f"of_any_length_{len(graph.tensors)}"  # quantizers tell tensors apart by their names
    graph.tensors.append(tensor)
    operator.inputs = [*operator.inputs[:place], len(graph.tensors) - 1, *operator.inputs[place + 1 :]]
    if code == known.RESHAPE and operator.builtinOptions is not None:
        operator.builtinOptions.newShape = shape


def _to_the_end(model: Any, graph: Any, operator: Any, sizes: Any) -> bool:
    """Whether a slice takes all up to the end along every axis whose size depends on the length."""
    stored = [_stored(model, graph.tensors[number]) for number in operator.inputs[1:]]
    if None in stored:
        return False
    begin, size = (np.frombuffer(data, np.int32) for data in stored if data is not None)
    whole = np.asarray(graph.tensors[operator.inputs[0]].shape)
    return bool(((begin + size == whole) | (sizes != _FREE)).all())


def _options(operator: Any) -> dict[str, Any]:
    """The settings of an operator, but for the shape that a reshape has as an input too."""
    found = vars(operator.builtinOptions) if operator.builtinOptions else {}
    return {name: value for name, value in found.items() if name != "newShape"}


def _stored(model: Any, tensor: Any) -> bytes | None:
    data = model.buffers[tensor.buffer].data
    return None if data is None or len(data) == 0 else bytes(data)


def without_unused(model: Any) -> Any:
    """The model without buffers that nothing names; buffer 0 stays, as the format asks for it."""
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    named = [*tensors, *(model.metadata or [])]
    used = sorted({0, *(one.buffer for one in named)})
    places = {old: new for new, old in enumerate(used)}
    model.buffers = [model.buffers[old] for old in used]
    for one in named:
        one.buffer = places[one.buffer]
    return model
