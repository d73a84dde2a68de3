"""Rescaling between activations and weights that leaves every answer as it is (SmoothQuant).

x W = (x / s)(s W) for any positive s, one a channel. A channel of x that is far larger than the others makes
one scale too coarse for the rest; s moves a part of its size into the weights, which have a scale for each
output channel: s = max|x|^alpha / max|W|^(1 - alpha) (Xiao et al., SmoothQuant, ICML 2023, equation 4).

The division costs nothing where the node that makes x can take it into its own constants. Elsewhere a Mul
is put in front of products; convolutions are left alone there, since it would stand between two of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.models.quantization.float_parts import PRODUCTS, Graph
from edgebench.models.quantization.scheme import Waveform
from edgebench.models.quantization.source import arrays_of, inputs_of

if TYPE_CHECKING:
    import onnx

# Operators that a positive factor a channel may pass: f(x / s) = f(x) / s.
_PASSING = ("AveragePool", "GlobalAveragePool", "Identity", "LeakyRelu", "MaxPool", "Relu")
# Norms whose scale and offset stand at inputs 1 and 2.
_NORMS = ("BatchNormalization", "InstanceNormalization", "LayerNormalization")

Array = NDArray[Any]


@dataclass(frozen=True)
class _Group:
    """A value, its channel axis (1 or -1), and the chosen nodes that read it."""

    value: str
    axis: int
    readers: tuple[onnx.NodeProto, ...]


def smooth(
    model: onnx.ModelProto,
    waveforms: Sequence[Waveform],
    chosen: Sequence[str],
    *,
    alpha: float,
    least_outlier: float = 0.0,
) -> None:
    """Rescale, in place, what the nodes ``chosen`` (names) read; largest values come from ``waveforms``.

    A value whose largest channel is less than ``least_outlier`` times its median channel stays as it is.
    """
    groups = _groups(Graph(model), set(chosen))
    if not groups:
        return
    largest = _largest(model, groups, waveforms)
    for number, group in enumerate(groups):
        peaks = largest[group.value]
        if peaks.max() < least_outlier * np.median(peaks):
            continue
        arrays = arrays_of(model)
        of_weights = np.max([_by_input(node, arrays) for node in group.readers], axis=0)
        scale = _scale(largest[group.value], of_weights, alpha)
        graph = Graph(model)
        divided = _absorbed(graph, arrays, group, scale)
        if divided is None:
            if group.readers[0].op_type not in PRODUCTS:
                continue
            divided = {}
            _insert(model, group, scale, number)
        for node in group.readers:
            divided[node.input[1]] = _multiplied(node, arrays[node.input[1]], scale)
        _store(model, divided)


def _groups(graph: Graph, chosen: set[str]) -> list[_Group]:
    """Chosen nodes by what they read, where their weight is theirs alone and no group divides channels."""
    found: dict[tuple[str, int], list[onnx.NodeProto]] = {}
    for node in graph.nodes:
        shape = graph.weight_shape(node)
        if node.name not in chosen or shape is None or len(graph.consumers[node.input[1]]) > 1:
            continue
        if node.op_type == "Conv" and _attribute(node, "group", 1) == 1:
            found.setdefault((node.input[0], 1), []).append(node)
        elif (node.op_type == "MatMul" and len(shape) == 2) or (
            node.op_type == "Gemm" and not _attribute(node, "transA", 0)
        ):
            found.setdefault((node.input[0], -1), []).append(node)
    return [_Group(value, axis, tuple(nodes)) for (value, axis), nodes in found.items()]


def _largest(
    model: onnx.ModelProto, groups: Sequence[_Group], waveforms: Sequence[Waveform]
) -> Mapping[str, Array]:
    """The largest magnitude of each channel of the groups' values, over all clips."""
    import onnx  # noqa: PLC0415
    import onnxruntime  # noqa: PLC0415

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    names = sorted({group.value for group in groups})
    given = {value.name for value in [*watched.graph.output, *watched.graph.input]}
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in given)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        watched.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    axes = {group.value: group.axis for group in groups}
    found: dict[str, Array] = {}
    for waveform in waveforms:
        for name, value in zip(names, session.run(names, inputs_of(model, waveform)), strict=True):
            axis = axes[name] % value.ndim
            others = tuple(place for place in range(value.ndim) if place != axis)
            peaks = np.abs(value).max(axis=others)
            found[name] = np.maximum(found[name], peaks) if name in found else peaks
    return found


def _scale(activations: Array, weights: Array, alpha: float) -> Array:
    """One factor a channel; 1 where either side is all zeros."""
    used = (activations > 0) & (weights > 0)
    powers = np.power(np.where(used, activations, 1.0), alpha) / np.power(
        np.where(used, weights, 1.0), 1.0 - alpha
    )
    return np.where(used, powers, 1.0).astype(np.float32)


def _by_input(node: onnx.NodeProto, arrays: Mapping[str, Array]) -> Array:
    """The largest magnitude of a weight for each input channel."""
    weight = np.abs(arrays[node.input[1]])
    axis = _input_axis(node)
    peaks: Array = weight.max(axis=tuple(place for place in range(weight.ndim) if place != axis))
    return peaks


def _multiplied(node: onnx.NodeProto, weight: Array, scale: Array) -> Array:
    """s W: the scale along the weight's input channels."""
    shape = [1] * weight.ndim
    shape[_input_axis(node)] = -1
    return weight * scale.reshape(shape)


def _input_axis(node: onnx.NodeProto) -> int:
    if node.op_type == "Conv":
        return 1
    return 1 if node.op_type == "Gemm" and _attribute(node, "transB", 0) else 0


def _absorbed(
    graph: Graph, arrays: Mapping[str, Array], group: _Group, scale: Array
) -> dict[str, Array] | None:
    """The constants of the nodes before a value, divided by ``scale``; None where they cannot take it."""
    divided: dict[str, Array] = {}
    name, readers = group.value, len(group.readers)
    while True:
        node = graph.producers.get(name)
        shared = len(graph.consumers.get(name, ())) != readers or name in graph.outputs
        if node is None or shared:
            return None
        readers = 1
        if node.op_type in _PASSING and group.axis == 1:
            name = node.input[0]
            continue
        if node.op_type == "Relu":
            name = node.input[0]
            continue
        constants = _divisible(graph, node, group.axis)
        if constants is None:
            return None
        for place, axis in constants.items():
            array = arrays[node.input[place]]
            factor = scale.reshape([-1 if at == axis % array.ndim else 1 for at in range(array.ndim)])
            if array.ndim and array.shape[axis % array.ndim] not in (1, len(scale)):
                return None
            divided[node.input[place]] = (array / factor).astype(np.float32)
        if node.op_type != "Add":
            return divided
        name = next(read for read in node.input if read not in graph.shapes)


def _divisible(graph: Graph, node: onnx.NodeProto, axis: int) -> dict[int, int] | None:
    """Inputs of a node that hold a constant to divide -> the axis of its channels; None where none do."""
    places: dict[int, int] | None = None
    if axis == 1 and node.op_type == "Conv":
        places = {1: 0} | ({2: 0} if len(node.input) > 2 else {})
    elif axis == -1 and node.op_type == "MatMul":
        places = {1: -1}
    elif axis == -1 and node.op_type == "Gemm":
        places = {1: 0 if _attribute(node, "transB", 0) else 1} | ({2: -1} if len(node.input) > 2 else {})
    elif node.op_type in _NORMS and (axis == -1) == (node.op_type == "LayerNormalization"):
        places = {place: 0 for place in (1, 2) if place < len(node.input)}
        if node.op_type == "LayerNormalization" and _attribute(node, "axis", -1) != -1:
            return None
    elif node.op_type in ("Add", "Mul") and axis == -1:
        stored = [place for place, name in enumerate(node.input) if name in graph.shapes]
        places = {stored[0]: -1} if len(stored) == 1 else None
    if places is None:
        return None
    own = all(
        node.input[place] in graph.shapes
        and graph.shapes[node.input[place]]
        and len(graph.consumers[node.input[place]]) == 1
        for place in places
    )
    return places if own else None


def _insert(model: onnx.ModelProto, group: _Group, scale: Array, number: int) -> None:
    """A Mul by 1 / s between a value and the chosen nodes that read it."""
    import onnx  # noqa: PLC0415

    factor, smoothed = f"smoothing_{number}", f"{group.value}_smoothed_{number}"
    model.graph.initializer.append(onnx.numpy_helper.from_array((1.0 / scale).astype(np.float32), factor))
    names = {node.name for node in group.readers}
    nodes = list(model.graph.node)
    first = next(place for place, node in enumerate(nodes) if node.name in names)
    for node in nodes:
        if node.name in names:
            node.input[0] = smoothed
    nodes.insert(first, onnx.helper.make_node("Mul", [group.value, factor], [smoothed], name=factor))
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _store(model: onnx.ModelProto, arrays: Mapping[str, Array]) -> None:
    import onnx  # noqa: PLC0415

    for tensor in model.graph.initializer:
        if tensor.name in arrays:
            tensor.CopyFrom(onnx.numpy_helper.from_array(arrays[tensor.name].astype(np.float32), tensor.name))


def _attribute(node: onnx.NodeProto, name: str, otherwise: int) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), otherwise)
