"""Short names for what only the file itself refers to, and nothing that no runtime reads.

Inputs and outputs of the graph keep their names. Sizes of inputs and outputs keep theirs too.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgebench.models.rewrites.base import Pass

if TYPE_CHECKING:
    import onnx_ir as ir

_DIGITS = string.ascii_letters + string.digits


def _apply(model: ir.Model) -> int:
    from onnx_ir.passes import common  # noqa: PLC0415

    common.ClearMetadataAndDocStringPass()(model)
    graph = model.graph
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
