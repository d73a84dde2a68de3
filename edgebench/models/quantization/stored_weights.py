"""Weights stored in few bits and decoded by plain operators, so that the arithmetic stays float.

The decoding reads constants alone: a runtime that folds constants does it once, when it loads the file, and
then runs its float kernels on any processor. The file is smaller; memory and time are those of the parent.
Cast and Mul are used, since onnxruntime leaves a DequantizeLinear in the graph, where it hides the weight
from the kernels of convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.errors import ModelError
from edgebench.models.quantization.float_parts import Graph, float_nodes
from edgebench.models.quantization.scheme import Settings

if TYPE_CHECKING:
    import onnx

LEAST_ELEMENTS = 64  # a smaller tensor costs more in nodes than it saves in bytes


def weights_to_store(
    model: onnx.ModelProto, settings: Settings, *, least_axes: int
) -> Iterator[tuple[onnx.TensorProto, int | None]]:
    """The float weights that may be stored otherwise, each with the axis of its output channels.

    Left out are those of nodes that stay float, small ones, and those with fewer than ``least_axes`` axes.
    The axis is None where an operator is not known. Raises ModelError where nothing is left.
    """
    import onnx  # noqa: PLC0415

    kept = float_nodes(model, settings)
    graph = Graph(model)
    outputs = set(graph.outputs) | {value.name for value in model.graph.input}
    found = False
    for tensor in list(model.graph.initializer):
        users = graph.consumers.get(tensor.name, [])
        if (
            tensor.data_type != onnx.TensorProto.FLOAT
            or math.prod(tensor.dims) < LEAST_ELEMENTS
            or len(tensor.dims) < least_axes
            or not users
            or any(user.name in kept for user in users)
            or tensor.name in outputs
        ):
            continue
        found = True
        yield tensor, _channel_axis(users[0], tensor.name, len(tensor.dims))
    if not found:
        raise ModelError(
            f"this file has no float weight of {LEAST_ELEMENTS} numbers or more outside of what stays float "
            f"({', '.join(settings.get('float_parts', ())) or 'nothing'}), so there is nothing to store."
        )


def decode(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    """Put decoding nodes in front of the graph, where every other node finds what they make."""
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])


def replace_weight(
    model: onnx.ModelProto, tensor: onnx.TensorProto, **arrays: NDArray[Any]
) -> dict[str, str]:
    """Take a weight out and store ``arrays`` in its place; word -> name of what was stored."""
    import onnx  # noqa: PLC0415

    name = tensor.name
    model.graph.initializer.remove(tensor)
    names = {}
    for word, array in arrays.items():
        names[word] = f"{name}_{word}"
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), names[word]))
    return names


def _channel_axis(user: onnx.NodeProto, name: str, axes: int) -> int | None:
    """The axis of the output channels of a weight, by what reads it."""
    if user.op_type == "Conv":
        return 0
    if user.op_type == "ConvTranspose":
        return 1
    if user.op_type == "MatMul":
        return axes - 1 if user.input[1] == name else axes - 2
    if user.op_type == "Gemm":
        transposed = any(attribute.name == "transB" and attribute.i for attribute in user.attribute)
        return 0 if transposed else 1
    return 0 if user.op_type == "Gather" else None
