"""What an operator is for, told from its neighbours alone: the parts of speech nets that 8 bits hurt."""

from __future__ import annotations

from collections.abc import Callable

from edgebench.harness.explain.operators import Graph, Operator

WAVEFORM = "the waveform before any layer"
SPECTRUM = "power spectrum up to its logarithm"
POOLING = "pooling weighted by a softmax"
OTHER = "layers"

# Operators that only move numbers: the way leads through them.
_MOVES = {
    *("Cast", "Concat", "Expand", "Flatten", "Identity", "Pad", "Reshape", "Slice", "Split", "Squeeze"),
    *("Transpose", "Unsqueeze"),
}
_FAR = 8
_SUMS = ("ReduceSum", "MatMul", "ReduceMean", "GlobalAveragePool", "Gemm")


def roles(graph: Graph) -> dict[int, str]:
    """Number of each operator -> its part of the net, one of the texts above."""
    found: dict[int, str] = {}
    layered = _behind_layers(graph)
    for operator in graph.operators:
        found[operator.number] = OTHER if operator.number in layered or operator.macs else WAVEFORM
    for operator in graph.operators:
        if _is_square(operator):
            found |= dict.fromkeys(_spectrum(graph, operator), SPECTRUM)
        if operator.kind == "Softmax":
            found |= dict.fromkeys(_pooling(graph, operator), POOLING)
    return found


def _is_square(operator: Operator) -> bool:
    """x * x, or a power (of two, in practice)."""
    return operator.kind == "Pow" or (operator.kind == "Mul" and len(set(operator.inputs)) == 1)


def _spectrum(graph: Graph, square: Operator) -> list[int]:
    """The transform before a square and what follows up to a logarithm; nothing where none follows."""
    after: list[int] = []
    step = [square]
    for _ in range(_FAR):
        after += [operator.number for operator in step]
        if any(operator.kind == "Log" for operator in step):
            return [*after, *(o.number for o in _past_moves(square, graph.before) if o.macs)]
        step = [user for operator in step for user in graph.after(operator)]
    return []


def _pooling(graph: Graph, softmax: Operator) -> list[int]:
    """A softmax whose values weigh others in a product, and the sum behind it; nothing for attention.

    Attention multiplies matrices right behind the softmax; pooling multiplies value by value and sums.
    """
    products = [o for o in _past_moves(softmax, graph.after) if o.kind == "Mul"]
    sums = [o for product in products for o in _past_moves(product, graph.after) if o.kind in _SUMS]
    if not sums:
        return []
    return [softmax.number, *(o.number for o in (*products, *sums) if not o.macs)]


def _past_moves(operator: Operator, step: Callable[[Operator], list[Operator]]) -> list[Operator]:
    """The neighbours of an operator, looking through those that only move numbers."""
    found: list[Operator] = []
    left = [(other, 0) for other in step(operator)]
    while left:
        other, far = left.pop()
        if other.kind in _MOVES and far < _FAR:
            left += [(beyond, far + 1) for beyond in step(other)]
        else:
            found.append(other)
    return found


def _behind_layers(graph: Graph) -> set[int]:
    """Operators whose input depends on a product or convolution. Files list operators in their order."""
    found: set[int] = set()
    for operator in graph.operators:
        made = graph.before(operator)
        if any(other.macs or other.number in found for other in made):
            found.add(operator.number)
    return found
