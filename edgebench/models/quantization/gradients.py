"""How far the net's answers move with one value inside it: reverse differentiation of a graph's tail.

Only operators that stand between a product and a net's outputs are known. A tail that has another one gives
no gradient, and whoever asked does without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.models.quantization.sites import attributes

if TYPE_CHECKING:
    import onnx

Array = NDArray[Any]
# (node's attributes, inputs, outputs, gradients of the outputs) -> gradients of the inputs that carry one
Rule = Callable[[dict[str, Any], list[Any], list[Array], list[Array]], list[Array | None]]


def differentiable(nodes: Sequence[onnx.NodeProto], target: str) -> bool:
    """Whether all of ``nodes`` that depend on ``target`` have a rule."""
    moved = {target}
    for node in nodes:
        if moved.intersection(node.input):
            if node.op_type not in _RULES or node.domain not in ("", "ai.onnx"):
                return False
            moved.update(node.output)
    return True


def gradient(
    nodes: Sequence[onnx.NodeProto], values: Mapping[str, Array], target: str, seeds: Mapping[str, Array]
) -> Array:
    """The gradient of sum(seed * output) by the value ``target``, in its shape.

    ``values`` holds every input and output of ``nodes``, which stand in an order that can run; ``seeds``
    holds the weights of the net's outputs.
    """
    moved = {target}
    for node in nodes:
        if moved.intersection(node.input):
            moved.update(node.output)
    found: dict[str, Array] = {name: np.asarray(seed, np.float64) for name, seed in seeds.items()}
    for node in reversed(nodes):
        if not any(name in moved and name in found for name in node.output):
            continue
        inputs = [values[name] if name else None for name in node.input]
        outputs = [values[name] for name in node.output]
        after = [found.get(name, np.zeros(values[name].shape)) for name in node.output]
        before = _RULES[node.op_type](attributes(node), inputs, outputs, after)
        for name, part in zip(node.input, before, strict=False):
            if part is not None and name in moved and name != "":
                whole = _unbroadcast(part, values[name].shape)
                found[name] = found[name] + whole if name in found else whole
    return found.get(target, np.zeros(values[target].shape))


def _unbroadcast(part: Array, shape: tuple[int, ...]) -> Array:
    """Sum over the axes that broadcasting added or stretched."""
    extra = part.ndim - len(shape)
    part = part.sum(axis=tuple(range(extra))) if extra > 0 else part
    stretched = tuple(at for at, size in enumerate(shape) if size == 1 and part.shape[at] != 1)
    return part.sum(axis=stretched, keepdims=True) if stretched else part


def _swapped(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def _reshaped(_: dict[str, Any], x: list[Any], __: list[Array], g: list[Array]) -> list[Array | None]:
    return [g[0].reshape(x[0].shape)]


def _matmul(_: dict[str, Any], x: list[Any], __: list[Array], g: list[Array]) -> list[Array | None]:
    left, right, after = x[0], x[1], g[0]
    if right.ndim == 1:
        right, after = right[:, None], after[..., None]
    if left.ndim == 1:
        left, after = left[None], after[..., None, :]
    to_left, to_right = np.matmul(after, _swapped(right)), np.matmul(_swapped(left), after)
    return [
        to_left[..., 0, :] if x[0].ndim == 1 else to_left,
        to_right[..., 0] if x[1].ndim == 1 else to_right,
    ]


def _gemm(a: dict[str, Any], x: list[Any], _: list[Array], g: list[Array]) -> list[Array | None]:
    left = x[0].T if a.get("transA") else x[0]
    right = x[1].T if a.get("transB") else x[1]
    scaled = a.get("alpha", 1.0) * g[0]
    to_left, to_right = scaled @ right.T, left.T @ scaled
    return [
        to_left.T if a.get("transA") else to_left,
        to_right.T if a.get("transB") else to_right,
        a.get("beta", 1.0) * g[0],
    ]


def _softmax(a: dict[str, Any], _: list[Any], y: list[Array], g: list[Array]) -> list[Array | None]:
    axis = a.get("axis", -1)
    return [y[0] * (g[0] - (g[0] * y[0]).sum(axis=axis, keepdims=True))]


def _axes(a: dict[str, Any], x: list[Any]) -> tuple[int, ...]:
    given = x[1] if len(x) > 1 and x[1] is not None else a.get("axes")
    return tuple(range(x[0].ndim)) if given is None else tuple(int(i) % x[0].ndim for i in given)


def _sum(a: dict[str, Any], x: list[Any], _: list[Array], g: list[Array]) -> list[Array | None]:
    after = g[0] if a.get("keepdims", 1) else np.expand_dims(g[0], _axes(a, x))
    return [np.broadcast_to(after, x[0].shape)]


def _mean(a: dict[str, Any], x: list[Any], y: list[Array], g: list[Array]) -> list[Array | None]:
    (after,) = _sum(a, x, y, g)
    assert after is not None
    return [after * (y[0].size / x[0].size)]


def _transpose(a: dict[str, Any], x: list[Any], _: list[Array], g: list[Array]) -> list[Array | None]:
    order = a.get("perm", list(range(x[0].ndim))[::-1])
    return [np.transpose(g[0], np.argsort(order))]


def _split(a: dict[str, Any], _: list[Any], __: list[Array], g: list[Array]) -> list[Array | None]:
    return [np.concatenate(g, axis=a.get("axis", 0))]


def _concat(a: dict[str, Any], x: list[Any], _: list[Array], g: list[Array]) -> list[Array | None]:
    sizes = np.cumsum([part.shape[a["axis"]] for part in x])[:-1]
    return list(np.split(g[0], sizes, axis=a["axis"]))


_RULES: dict[str, Rule] = {
    "Identity": lambda a, x, y, g: [g[0]],
    "Add": lambda a, x, y, g: [g[0], g[0]],
    "Sub": lambda a, x, y, g: [g[0], -g[0]],
    "Mul": lambda a, x, y, g: [g[0] * x[1], g[0] * x[0]],
    "Div": lambda a, x, y, g: [g[0] / x[1], -g[0] * y[0] / x[1]],
    "Exp": lambda a, x, y, g: [g[0] * y[0]],
    "Sqrt": lambda a, x, y, g: [g[0] / (2 * y[0])],
    "Relu": lambda a, x, y, g: [g[0] * (x[0] > 0)],
    "Sigmoid": lambda a, x, y, g: [g[0] * y[0] * (1 - y[0])],
    "Tanh": lambda a, x, y, g: [g[0] * (1 - y[0] ** 2)],
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Softmax": _softmax,
    "ReduceSum": _sum,
    "ReduceMean": _mean,
    "Reshape": _reshaped,
    "Flatten": _reshaped,
    "Squeeze": _reshaped,
    "Unsqueeze": _reshaped,
    "Transpose": _transpose,
    "Split": _split,
    "Concat": _concat,
}
