"""Which operators of a .tflite are quantized: by the rules of ``float_parts``, read from its graph.

A converter's graph is written down in ONNX's words, as far as the rules look at it: kinds, edges, and the
shapes of stored weights. Nothing computes with that graph.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import ModelError
from edgebench.models.formats.tflite_graph import Graph as TfliteGraph
from edgebench.models.formats.tflite_graph import read_tflite
from edgebench.models.quantization.float_parts import float_nodes

if TYPE_CHECKING:
    import onnx

# With a weight at their second input.
WEIGHTED = {"CONV_2D": "Conv", "DEPTHWISE_CONV_2D": "Conv", "FULLY_CONNECTED": "Gemm"}
_OTHERS = {
    "ELU": "Elu",
    "GELU": "Gelu",
    "HARD_SWISH": "HardSwish",
    "LEAKY_RELU": "LeakyRelu",
    "LOG": "Log",
    "LOGISTIC": "Sigmoid",
    "RELU": "Relu",
    "SOFTMAX": "Softmax",
    "TANH": "Tanh",
}


def operators_to_quantize(
    path: Path, kinds: Sequence[str], float_parts: Sequence[str]
) -> list[tuple[str, str]]:
    """Kind and exact pattern of each operator of ``kinds`` with a stored weight that may be quantized.

    The pattern fits the name by which ai-edge-quantizer knows an operator: that of its result. Raises
    ModelError where there is none.
    """
    found: dict[tuple[str, str], None] = {}
    for graph in read_tflite(path).graphs:
        model = _in_onnx_words(graph)
        kept = float_nodes(model, {"float_parts": tuple(float_parts)})
        for number, kind in _weighted(graph):
            if kind in kinds and _edge(graph, number) not in kept:
                found[kind, f"^{re.escape(graph.tensors[number].name)};$"] = None
    if not found:
        raise ModelError(
            f"the converted net has no {' or '.join(kinds)} with a stored weight outside of what stays float "
            f"({', '.join(float_parts) or 'nothing'})."
        )
    return list(found)


def _weighted(graph: TfliteGraph) -> Iterator[tuple[int, str]]:
    """Number of the result and kind, of each operator that has a stored weight."""
    for operator in graph.operators:
        if operator.kind in WEIGHTED and graph.tensors[operator.inputs[1]].stored is not None:
            yield operator.outputs[0], operator.kind


def _in_onnx_words(graph: TfliteGraph) -> onnx.ModelProto:
    import onnx  # noqa: PLC0415

    made = onnx.ModelProto()
    for operator in graph.operators:
        outputs = [_edge(graph, number) for number in operator.outputs]
        inputs = [_edge(graph, number) for number in operator.inputs if number >= 0]
        kind = WEIGHTED.get(operator.kind) or _OTHERS.get(operator.kind, operator.kind)
        node = onnx.helper.make_node(kind, inputs, outputs, name=outputs[0])
        if operator.kind == "DEPTHWISE_CONV_2D":
            channels = graph.tensors[operator.inputs[0]].shape[-1]
            node.attribute.append(onnx.helper.make_attribute("group", channels))
        made.graph.node.append(node)
        if operator.kind in WEIGHTED:
            _store(made, graph, operator.kind, operator.inputs[1])
    made.graph.output.extend(
        onnx.ValueInfoProto(name=_edge(graph, number)) for number in graph.outputs.values()
    )
    return made


def _store(made: onnx.ModelProto, graph: TfliteGraph, kind: str, number: int) -> None:
    """The weight's shape in ONNX's order: output channels, then input channels (of a group)."""
    import onnx  # noqa: PLC0415

    tensor = graph.tensors[number]
    if tensor.stored is None:
        return
    shape = list(tensor.shape)
    if kind == "CONV_2D":  # out, height, width, in
        shape = [shape[0], shape[3], *shape[1:3]]
    elif kind == "DEPTHWISE_CONV_2D":  # 1, height, width, out
        shape = [shape[3], 1, *shape[1:3]]
    made.graph.initializer.append(
        onnx.TensorProto(name=_edge(graph, number), data_type=onnx.TensorProto.FLOAT, dims=shape)
    )


def _edge(graph: TfliteGraph, number: int) -> str:
    """A value by its number: names of a file need not be unique."""
    return f"{number}:{graph.tensors[number].name}"
