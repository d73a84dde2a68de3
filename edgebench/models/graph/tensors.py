"""Every tensor that an ONNX file stores, wherever it stands.

Weights are initializers, or values of Constant nodes, of the graph itself, of a branch or body (If, Loop,
Scan) or of a function that the file defines. Exporters use all of these places.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

_CONSTANT = "Constant"


def nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """All nodes: of the graph, of its subgraphs at any depth, and of the file's functions."""
    yield from _nodes(model.graph.node)
    for function in model.functions:
        yield from _nodes(function.node)


def _nodes(found: Sequence[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in found:
        yield node
        for graph in _subgraphs(node):
            yield from _nodes(graph.node)


def _subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def stored_tensors(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """(name, tensor) of everything stored; a Constant's tensor has the name of the node's output.

    A sparse tensor gives its values, without the indices.
    """
    yield from _initializers(model.graph)
    for node in nodes(model):
        for graph in _subgraphs(node):
            yield from _initializers(graph)
        for attribute in node.attribute:
            name = node.output[0] if node.op_type == _CONSTANT else node.name
            tensors = [*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors]
            if attribute.HasField("sparse_tensor"):
                tensors.append(attribute.sparse_tensor.values)
            yield from ((name, tensor) for tensor in tensors)


def _initializers(graph: onnx.GraphProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    yield from ((tensor.name, tensor) for tensor in graph.initializer)
    yield from ((tensor.values.name, tensor.values) for tensor in graph.sparse_initializer)


def constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Output name -> tensor, of the graph's own Constant nodes that hold a dense tensor or numbers."""
    import onnx  # noqa: PLC0415

    found = {}
    for node in model.graph.node:
        if node.op_type != _CONSTANT:
            continue
        values = {attribute.name: attribute for attribute in node.attribute}
        if "value" in values:
            found[node.output[0]] = values["value"].t
        elif "value_int" in values or "value_ints" in values:
            ints = values["value_ints"].ints if "value_ints" in values else values["value_int"].i
            found[node.output[0]] = onnx.numpy_helper.from_array(_array(ints, "int64"))
        elif "value_float" in values or "value_floats" in values:
            floats = values["value_floats"].floats if "value_floats" in values else values["value_float"].f
            found[node.output[0]] = onnx.numpy_helper.from_array(_array(floats, "float32"))
    return found


def _array(values: object, dtype: str):  # type: ignore[no-untyped-def]
    import numpy as np  # noqa: PLC0415

    return np.asarray(values, dtype=dtype)


def count_parameters(model: onnx.ModelProto) -> int:
    """Elements of the stored weights: of all tensors but scalars, shapes, indices, scales and zero points."""
    import onnx  # noqa: PLC0415

    scales = {
        name
        for node in nodes(model)
        if node.op_type in ("QuantizeLinear", "DequantizeLinear")
        for name in list(node.input)[1:]
    }
    indices = (onnx.TensorProto.INT64, onnx.TensorProto.BOOL, onnx.TensorProto.STRING)
    return sum(
        math.prod(tensor.dims)
        for name, tensor in stored_tensors(model)
        if tensor.dims and name not in scales and tensor.data_type not in indices
    )


def external_places(model: onnx.ModelProto) -> set[str]:
    """The files beside this one in which it keeps tensors."""
    import onnx  # noqa: PLC0415

    return {
        entry.value
        for _, tensor in stored_tensors(model)
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
