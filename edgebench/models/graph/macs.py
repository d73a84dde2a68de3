"""Multiply-accumulates of an ONNX file, counted on the graph at a given input length.

Rule: every Conv, ConvTranspose, Gemm and MatMul, each output element times the length of the sum that
makes it (attention products are MatMuls and count). Bias additions, norms, softmax, pooling,
elementwise operators and Q/DQ pairs do not count, so a quantized file counts as its parent does. This
is half of what torch's flop counter gives with eager attention; onnx-tool counts 2-5 % more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebench.errors import ModelError
from edgebench.models.graph.shapes import shapes_at
from edgebench.models.graph.spelling import standard_spelling

if TYPE_CHECKING:
    import onnx

RULE = "conv+gemm+matmul"

# Quantized spellings of the same sums, and where their operands stand: (left, right).
_PRODUCTS = {"MatMul": (0, 1), "MatMulInteger": (0, 1), "QLinearMatMul": (0, 3)}
_CONVOLUTIONS = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3}  # place of the weight
# Operators that multiply and add by rules of their own: a count that skipped them would be too small.
_UNCOUNTED = ("Attention", "DFT", "DeformConv", "Einsum", "GRU", "LSTM", "RNN", "STFT")


@dataclass(frozen=True)
class MacCount:
    """``value`` multiply-accumulates at ``input_s`` seconds of input, batch 1."""

    value: int
    input_s: float
    rule: str = RULE


def count_macs(model: onnx.ModelProto, *, input_s: float, sample_rate_hz: int = 16_000) -> MacCount:
    """Count by shape inference with the first input fixed to ``input_s`` seconds at batch 1.

    Raises :class:`ModelError` where a shape that the count needs cannot be inferred, or where an
    operator does work that the rule does not cover (recurrent layers, other domains, subgraphs).
    """
    return MacCount(value=macs_at(model, samples=round(input_s * sample_rate_hz)), input_s=input_s)


def macs_at(
    model: onnx.ModelProto, *, samples: int, others: Mapping[str, tuple[int, ...]] | None = None
) -> int:
    """Multiply-accumulates of ``samples`` of waveform; raises likewise. ``others``: other inputs' shapes."""
    model = standard_spelling(model)
    _refuse_uncounted(model)
    shapes = shapes_at(model, samples=samples, others=others)
    return sum(_node_macs(node, shapes) for node in model.graph.node)


def macs_by_node(
    model: onnx.ModelProto, *, samples: int, others: Mapping[str, tuple[int, ...]] | None = None
) -> list[int | None]:
    """Multiply-accumulates of each node of the graph, in its order; 0 where the rule counts none.

    None where the rule does not cover the operator, or a shape that it needs is not known. Raises
    :class:`ModelError` where shape inference fails altogether.
    """
    shapes = shapes_at(model, samples=samples, others=others)
    found: list[int | None] = []
    for node in model.graph.node:
        try:
            _refuse_uncounted_node(node)
            found.append(_node_macs(node, shapes))
        except ModelError:
            found.append(None)
    return found


def _refuse_uncounted(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        _refuse_uncounted_node(node)


def _refuse_uncounted_node(node: onnx.NodeProto) -> None:
    subgraphs = any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)
    if node.op_type in _UNCOUNTED or node.domain not in ("", "ai.onnx") or subgraphs:
        kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        raise ModelError(
            f"MACs cannot be counted: the rule {RULE!r} does not cover operator {kind} ({node.name!r})."
        )


def _node_macs(node: onnx.NodeProto, shapes: Mapping[str, Sequence[int]]) -> int:
    def shape(name: str) -> Sequence[int]:
        if name not in shapes:
            raise ModelError(
                f"MACs cannot be counted: the shape of {name!r}, which {node.op_type} {node.name!r} needs, "
                "is not known at this input length. Export a graph that shape inference can follow."
            )
        return shapes[name]

    if node.op_type in _CONVOLUTIONS:
        kernel = shape(node.input[_CONVOLUTIONS[node.op_type]])  # (out, in / groups, *kernel)
        return math.prod(shape(node.output[0])) * math.prod(kernel[1:])
    if node.op_type == "ConvTranspose":
        kernel = shape(node.input[1])  # (in, out / groups, *kernel): each input element meets all of it
        return math.prod(shape(node.input[0])) * math.prod(kernel[1:])
    if node.op_type in _PRODUCTS:
        left, right = (shape(node.input[place]) for place in _PRODUCTS[node.op_type])
        return math.prod(shape(node.output[0])) * (left[-1] if len(left) > 1 else right[0])
    if node.op_type == "Gemm":
        transposed = any(a.name == "transA" and a.i for a in node.attribute)
        left = shape(node.input[0])
        return math.prod(shape(node.output[0])) * left[0 if transposed else 1]
    return 0
