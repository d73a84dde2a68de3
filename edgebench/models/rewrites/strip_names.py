"""Short names for what only the file itself refers to, and nothing that no runtime reads.

Inputs and outputs of the graph keep their names, and so do their free sizes. Equal small tensors are stored
once. Attributes that say what the operator does without them go.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator
from typing import TYPE_CHECKING

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
    changed = sum(_drop_defaults(node, graph.opset_imports.get(node.domain, 0)) for node in graph.all_nodes())
    graph.name = "g"
    parts = [graph, *graph.subgraphs()]
    kept = {value.name for part in parts for value in part.inputs} | {value.name for value in graph.outputs}
    values = [value for part in parts for value in _values(part) if value.name and value not in graph.outputs]
    before = [value.name for value in values]
    for number, value in enumerate(values):
        value.name = f"~{number}"  # a short name may be one that another value still has
    for value, name in zip(values, (name for name in _short_names() if name not in kept), strict=False):
        value.name = name
    changed += sum(value.name != name for value, name in zip(values, before, strict=True))
    for node in graph.all_nodes():
        changed += bool(node.name)
        node.name = ""
    return int(changed)


def _drop_defaults(node: ir.Node, version: int) -> int:
    """Remove attributes that say what the operator does without them, and count them."""
    import onnx  # noqa: PLC0415

    try:
        schema = onnx.defs.get_schema(node.op_type, version, node.domain)
    except onnx.defs.SchemaError:
        return 0
    before = len(node.attributes)
    for name, found in list(node.attributes.items()):
        known = schema.attributes.get(name)
        said = known is not None and bool(known.default_value.type)
        defaults = [onnx.helper.get_attribute_value(known.default_value)] if said else []
        if node.op_type in _KERNELS:
            defaults += _KERNEL_DEFAULTS.get(name, ())  # by the standard's words, not by the schema
        value = found.value.encode() if isinstance(found.value, str) else found.value
        if value in defaults:
            del node.attributes[name]
    return before - len(node.attributes)


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
