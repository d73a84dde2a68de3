"""The shape of every tensor of an ONNX graph at one input length, without touching its weights.

onnx's own inference follows sizes through additions and multiplications and stops at a division. Nets
with strided convolutions and attention compute a frame count that way, so what a graph computes from
the size of its input alone is computed here first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgebench.errors import ModelError
from edgebench.models.formats.waveform import samples_axis
from edgebench.models.graph.tensors import constants

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

_SMALL = 64  # elements: sizes and axes are smaller, weights that a shape depends on do not exist
# What exporters build sizes with.
_SIZES = {
    *("Abs", "Add", "Cast", "Ceil", "Concat", "Div", "Floor", "Gather", "Identity", "Max", "Min", "Mod"),
    *("Mul", "Neg", "Reshape", "Slice", "Squeeze", "Sub", "Unsqueeze"),
}


def outline(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with its weights as inputs without content: what checks and inference need, in kilobytes."""
    import onnx  # noqa: PLC0415

    light = onnx.ModelProto(ir_version=model.ir_version, producer_name=model.producer_name)
    light.opset_import.extend(model.opset_import)
    light.functions.extend(model.functions)
    light.graph.name = model.graph.name
    values = constants(model)  # a constant of the graph is a weight that stands among the nodes
    light.graph.node.extend(node for node in model.graph.node if not values.keys() & set(node.output))
    light.graph.input.extend(model.graph.input)
    light.graph.output.extend(model.graph.output)
    named = {value.name for value in model.graph.input}
    stored = {tensor.name: tensor for tensor in model.graph.initializer} | values
    for name, tensor in stored.items():
        if _count(tensor.dims) <= _SMALL:
            light.graph.initializer.add().CopyFrom(tensor)
            light.graph.initializer[-1].name = name
        elif name not in named:
            value = onnx.helper.make_tensor_value_info(name, tensor.data_type, tensor.dims)
            light.graph.input.append(value)
    return light


def shapes_at(
    model: onnx.ModelProto, *, samples: int, others: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, tuple[int, ...]]:
    """Shapes by tensor, as far as inference finds them, with the waveform fixed to ``samples`` at batch 1.

    ``others``: the shapes of further inputs, such as states; integer inputs besides are single numbers.
    Raises :class:`ModelError` where inference fails altogether.
    """
    import onnx  # noqa: PLC0415

    fixed = outline(model)
    stored = {tensor.name: tensor for tensor in model.graph.initializer} | constants(model)
    weights = {name: tuple(tensor.dims) for name, tensor in stored.items()}
    given = {}
    for value in fixed.graph.input:
        if value.name in weights:
            continue
        sizes = _sizes_of_input(value, samples=samples, others=others or {})
        given[value.name] = sizes
        for dimension, size in zip(value.type.tensor_type.shape.dim, sizes, strict=True):
            dimension.dim_value = size
    # Shapes that the exporter wrote down hold names for lengths; they must not outvote the numbers.
    for output in fixed.graph.output:
        output.type.tensor_type.ClearField("shape")
    _compute_sizes(fixed, weights | given)
    try:
        inferred = onnx.shape_inference.infer_shapes(fixed, strict_mode=False, data_prop=True)
    except Exception as error:  # onnx raises several classes of its own here
        raise ModelError(f"MACs cannot be counted: shape inference failed: {error}.") from None
    found = dict(weights)
    for value in [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]:
        known = _dimensions(value)
        if known is not None:
            found[value.name] = known
    return found


def _sizes_of_input(
    value: onnx.ValueInfoProto, *, samples: int, others: Mapping[str, tuple[int, ...]]
) -> tuple[int, ...]:
    """An input's shape: as given, or ``samples`` on the axis of a waveform and 1 on every other."""
    dimensions = value.type.tensor_type.shape.dim
    if value.name in others:
        return others[value.name]
    declared = tuple(d.dim_value if d.dim_value > 0 else None for d in dimensions)  # -1 is written too
    axis = samples_axis(declared)
    return tuple(samples if place == axis else 1 for place in range(len(dimensions)))


def _compute_sizes(graph: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Replace every node that depends on known shapes and small constants alone by its result."""
    import numpy as np  # noqa: PLC0415
    import onnx  # noqa: PLC0415
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415

    known: dict[str, NDArray[Any]] = {
        tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.graph.initializer
    }
    left, sizes = [], []
    for node in graph.graph.node:  # in the order of their computation
        if node.op_type == "Shape" and node.input[0] in shapes:
            ends = {attribute.name: attribute.i for attribute in node.attribute}
            kept = slice(ends.get("start", 0), ends.get("end"))
            known[node.output[0]] = np.array(shapes[node.input[0]][kept], dtype=np.int64)
            sizes.append(node.output[0])
        elif node.op_type in _SIZES and all(name in known for name in node.input if name):
            single = onnx.helper.make_graph(
                [node], "size", [], [onnx.ValueInfoProto(name=name) for name in node.output]
            )
            single.initializer.extend(
                onnx.numpy_helper.from_array(known[name], name) for name in node.input if name
            )
            body = onnx.helper.make_model(single, opset_imports=graph.opset_import)
            results = ReferenceEvaluator(body).run(None, {})
            known.update(zip(node.output, results, strict=True))
            sizes.extend(node.output)
        else:
            left.append(node)
    outputs = {value.name for value in graph.graph.output}
    del graph.graph.node[:]
    graph.graph.node.extend(left)
    used = {name for node in left for name in node.input} | outputs
    graph.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(known[name]), name) for name in sizes if name in used
    )


def _count(dimensions: Any) -> int:
    total = 1
    for size in dimensions:
        total *= size
    return total


def _dimensions(value: Any) -> tuple[int, ...] | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    if not all(dimension.HasField("dim_value") for dimension in tensor.shape.dim):
        return None
    return tuple(dimension.dim_value for dimension in tensor.shape.dim)
