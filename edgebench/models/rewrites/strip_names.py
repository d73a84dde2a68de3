"""Short names for what only the file itself refers to, and nothing that no runtime reads.

Inputs and outputs of the graph keep their names, and so do their free sizes. Equal small tensors are stored
once. Attributes that say what the operator does without them go.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgebench.models.rewrites.base import Pass

if TYPE_CHECKING:
    import onnx_ir as ir

_KERNELS = ("AveragePool", "Conv", "ConvTranspose", "MaxPool")
_KERNEL_DEFAULTS = {
    "dilations": tuple((1,) * axes for axes in (1, 2, 3)),
    "strides": tuple((1,) * axes for axes in (1, 2, 3)),
    "pads": tuple((0,) * 2 * axes for axes in (1, 2, 3)),
}
_DIGITS = string.ascii_letters + string.digits


def _apply(model: ir.Model) -> int:
    from onnx_ir.passes import common  # noqa: PLC0415

    common.ClearMetadataAndDocStringPass()(model)
    common.DeduplicateInitializersPass()(model)
    graph = model.graph
    for node in graph.all_nodes():
        _drop_defaults(node, graph.opset_imports.get(node.domain, 0))
    seen = {value.name for value in [*graph.inputs, *graph.outputs]}
    names = (name for name in _short_names() if name not in seen)
    graph.name = "g"
    changed = 0
    for part in [graph, *graph.subgraphs()]:
        for value in _values(part):
            if value not in graph.outputs and value.name:
                value.name = next(names)
                changed += 1
        for node in part:
            node.name = ""
    return changed


def _drop_defaults(node: ir.Node, version: int) -> None:
    """Remove attributes that are the operator's defaults, by its schema and by its words for kernels."""
    import onnx  # noqa: PLC0415

    try:
        schema = onnx.defs.get_schema(node.op_type, version, node.domain)
    except onnx.defs.SchemaError:
        return
    for name, found in list(node.attributes.items()):
        known = schema.attributes.get(name)
        said = known is not None and bool(known.default_value.type)
        if (said and onnx.helper.get_attribute_value(known.default_value) == _encoded(found.value)) or (
            node.op_type in _KERNELS and found.value in _KERNEL_DEFAULTS.get(name, ())
        ):
            del node.attributes[name]


def _encoded(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    """What a graph stores and computes, without its inputs."""
    stored = [value for value in graph.initializers.values() if not value.is_graph_input()]
    yield from stored
    for node in graph:
        yield from node.outputs


def _short_names() -> Iterator[str]:
    for length in itertools.count(1):
        yield from map("".join, itertools.product(_DIGITS, repeat=length))


PASS = Pass("strip_names", "short names inside the file, no names of nodes, no notes", _apply)
