"""Single nodes of a float graph put between pairs of QuantizeLinear and DequantizeLinear.

What a node reads and gives is rounded to 8 bits by its range, its weights by one scale a channel, and
everything else stays float: the noise at the outputs is that of this node alone. The graph also answers
with the sums from which the noise of the rounded tensors themselves follows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

# Place of the weights among a node's inputs, and their axis of output channels.
_WEIGHTS = {"Conv": (1, 0), "ConvTranspose": (1, 1), "MatMul": (1, -1), "Gemm": (1, -1)}
SUMS = "@sums"  # one more output for each rounded tensor: (signal, noise, not zero, rounded to zero)


def float_tensors(model: onnx.ModelProto) -> set[str]:
    """Names of the values of the graph, stored or computed, that are 32-bit float."""
    import onnx  # noqa: PLC0415

    inferred = onnx.shape_inference.infer_shapes(model)
    values = [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]
    found = {v.name for v in values if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    return found | {t.name for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT}


def rounded_values(node: onnx.NodeProto, floats: Collection[str], stored: Collection[str]) -> list[str]:
    """The computed float values that a node reads and gives, each once."""
    names = [name for name in (*node.input, *node.output) if name in floats and name not in stored]
    return list(dict.fromkeys(names))


def with_ranges(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """The graph with the outputs ``NAME@min`` and ``NAME@max`` for each of ``names``."""
    import onnx  # noqa: PLC0415

    copy = _copy(model)
    for name in names:
        for kind, end in (("ReduceMin", "@min"), ("ReduceMax", "@max")):
            copy.graph.node.append(onnx.helper.make_node(kind, [name], [name + end], keepdims=0))
            copy.graph.output.append(_scalar(name + end))
    return copy


def with_pairs(
    model: onnx.ModelProto,
    chosen: Collection[str],
    *,
    ranges: Mapping[str, tuple[float, float]],
    float_outputs: Collection[str] = (),
    signed_weights: bool = True,
) -> tuple[onnx.ModelProto, list[str], dict[str, float]]:
    """The graph with the nodes ``chosen`` (names) in 8 bits.

    ``ranges``: smallest and largest value of each computed float tensor; a tensor without one stays float.
    ``float_outputs``: kinds of operators whose results are not rounded. Returns the graph, the names of the
    tensors whose sums it answers with (as ``NAME@sums``), and the signal-to-noise of the weights in dB by
    node name.
    """
    copy = _copy(model)
    stored = {tensor.name: tensor for tensor in copy.graph.initializer}
    weights_db: dict[str, float] = {}
    made: list[onnx.NodeProto] = []
    rounded: list[str] = []
    for node in copy.graph.node:
        if node.name not in chosen:
            made.append(node)
            continue
        for place, name in enumerate(node.input):
            if name not in ranges:
                continue
            if name not in rounded:
                made += _pair(copy, name, name + "@rounded", ranges[name])
                rounded.append(name)
            node.input[place] = name + "@rounded"
        weights_db |= _round_weights(copy, node, stored, signed=signed_weights)
        made.append(node)
        for place, name in enumerate(node.output):
            if name in ranges and node.op_type not in float_outputs:
                # The node's own result gets another name, and the rounded one takes its place.
                node.output[place] = name + "@float"
                made += _pair(copy, name + "@float", name, ranges[name])
                rounded.append(name + "@float")
    del copy.graph.node[:]
    copy.graph.node.extend(made)
    for name in rounded:
        _add_sums(copy, name, name.removesuffix("@float") if name.endswith("@float") else name + "@rounded")
    return copy, rounded, weights_db


def _pair(
    model: onnx.ModelProto, name: str, target: str, span: tuple[float, float]
) -> Iterable[onnx.NodeProto]:
    """QuantizeLinear and DequantizeLinear of unsigned 8 bits over ``span``, which is widened to hold 0."""
    import onnx  # noqa: PLC0415

    low, high = min(span[0], 0.0), max(span[1], 0.0)
    scale = (high - low) / 255 or 1.0
    zero = np.uint8(np.clip(round(-low / scale), 0, 255))
    for end, value in (("@scale", np.float32(scale)), ("@zero", zero)):
        if not any(tensor.name == target + end for tensor in model.graph.initializer):
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), target + end))
    ends = [target + "@scale", target + "@zero"]
    return (
        onnx.helper.make_node("QuantizeLinear", [name, *ends], [target + "@bytes"]),
        onnx.helper.make_node("DequantizeLinear", [target + "@bytes", *ends], [target]),
    )


def _round_weights(
    model: onnx.ModelProto, node: onnx.NodeProto, stored: Mapping[str, onnx.TensorProto], *, signed: bool
) -> dict[str, float]:
    """Give ``node`` a rounded copy of its weights; their signal-to-noise in dB by the node's name."""
    import onnx  # noqa: PLC0415

    place, axis = _WEIGHTS.get(node.op_type, (0, 0))
    if node.op_type not in _WEIGHTS or node.input[place] not in stored:
        return {}
    transposed = node.op_type == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute)
    values = onnx.numpy_helper.to_array(stored[node.input[place]])
    if values.dtype != np.float32 or values.ndim == 0:
        return {}
    found = rounded_weights(values, axis=0 if transposed else axis, signed=signed)
    name = f"{node.input[place]}@rounded@{node.output[0]}"
    model.graph.initializer.append(onnx.numpy_helper.from_array(found, name))
    node.input[place] = name
    noise = float(np.square(values.astype(np.float64) - found).sum())
    return {node.name: decibels(float(np.square(values.astype(np.float64)).sum()), noise)}


def rounded_weights(values: NDArray[np.float32], *, axis: int, signed: bool) -> NDArray[np.float32]:
    """Weights as 8 bits hold them, with a scale for each place of ``axis``: symmetric where ``signed``."""
    others = tuple(a for a in range(values.ndim) if a != axis % values.ndim)
    if signed:
        largest = np.abs(values).max(axis=others, keepdims=True)
        scale = np.where(largest > 0, largest / 127, 1.0)
        return np.asarray(np.clip(np.round(values / scale), -127, 127) * scale, np.float32)
    low = np.minimum(values.min(axis=others, keepdims=True), 0)
    high = np.maximum(values.max(axis=others, keepdims=True), 0)
    scale = np.where(high > low, (high - low) / 255, 1.0)
    zero = np.round(-low / scale)
    return np.asarray((np.clip(np.round(values / scale) + zero, 0, 255) - zero) * scale, np.float32)


def decibels(signal: float, noise: float) -> float:
    """Signal over noise in dB, within +-150: 150 for no noise, -150 for what is not a number.

    >>> decibels(100.0, 1.0)
    20.0
    """
    if not (np.isfinite(signal) and np.isfinite(noise)) or (signal <= 0 < noise):
        return -150.0
    if noise <= 0:
        return 150.0
    return float(np.clip(10 * np.log10(signal / noise), -150.0, 150.0))


def _add_sums(model: onnx.ModelProto, name: str, rounded: str) -> None:
    """Answer with four sums over the tensor ``name`` and its ``rounded`` form as ``NAME@sums``."""
    import onnx  # noqa: PLC0415

    node = onnx.helper.make_node
    one = f"{name}@one"
    tiny = f"{name}@none"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray([1], np.int64), one))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(0, np.float32), tiny))
    parts = [f"{name}@{part}" for part in ("signal", "noise", "nonzero", "lost")]
    model.graph.node.extend(
        [
            node("Sub", [name, rounded], [f"{name}@error"]),
            node("ReduceSumSquare", [name], [parts[0]], keepdims=0),
            node("ReduceSumSquare", [f"{name}@error"], [parts[1]], keepdims=0),
            node("Equal", [name, tiny], [f"{name}@iszero"]),
            node("Not", [f"{name}@iszero"], [f"{name}@isnot"]),
            node("Cast", [f"{name}@isnot"], [f"{name}@isnot_f"], to=1),
            node("ReduceSum", [f"{name}@isnot_f"], [parts[2]], keepdims=0),
            node("Equal", [rounded, tiny], [f"{name}@gone"]),
            node("And", [f"{name}@gone", f"{name}@isnot"], [f"{name}@lost_b"]),
            node("Cast", [f"{name}@lost_b"], [f"{name}@lost_f"], to=1),
            node("ReduceSum", [f"{name}@lost_f"], [parts[3]], keepdims=0),
            *(node("Reshape", [part, one], [f"{part}_1"]) for part in parts),
            node("Concat", [f"{part}_1" for part in parts], [name + SUMS], axis=0),
        ]
    )
    model.graph.output.append(_scalar(name + SUMS))


def _scalar(name: str) -> Any:
    """An output whose shape is left to the runtime."""
    import onnx  # noqa: PLC0415

    value = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
    value.type.tensor_type.ClearField("shape")
    return value


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = type(model)()
    copy.CopyFrom(model)
    return copy
