"""A copy of a model whose every node and tensor is named by a number, to be traced in its place.

onnxruntime names the kernels of its optimized graph after nodes or tensors of the file, with endings of its
own, and files may have no names at all. In the copy each of these names holds the number of the node that
it comes from. Names change nothing else: the copy is computed by the same kernels.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import ModelError
from edgebench.files import write_bytes

if TYPE_CHECKING:
    import onnx

_LARGEST_BYTES = (1 << 31) - 1  # of one protocol buffer
_LAUNCHES = 3
_SMALL_BYTES = 8 << 20  # of larger ones one copy is enough to send
_NUMBERED = re.compile(r"@(\d{1,7})@")


def number_in(name: str) -> int | None:
    """The number of the node that a kernel is named after; None for a name of the runtime's own.

    >>> number_in("@12@_nchwc"), number_in("Conv/@3@_token_7"), number_in("ReorderOutput_token_25")
    (12, 3, None)
    """
    found = _NUMBERED.search(name)
    return int(found.group(1)) if found else None


def numbered(model: onnx.ModelProto) -> onnx.ModelProto:
    """The copy. Inputs, outputs and weights keep their names, and so does what a subgraph may use."""
    copy = type(model)()
    copy.CopyFrom(model)
    del copy.metadata_props[:]
    kept = {value.name for value in [*copy.graph.input, *copy.graph.output]}
    branches = any(
        attribute.HasField("g") or attribute.graphs
        for node in copy.graph.node
        for attribute in node.attribute
    )
    names: dict[str, str] = {}
    for number, node in enumerate(copy.graph.node):
        node.name = f"@{number}@"
        for place, output in enumerate(node.output):
            if output and output not in kept and not branches:
                names[output] = f"@{number}@" if place == 0 else f"@{number}@.{place}"
    for node in copy.graph.node:
        for own in (node.input, node.output):
            own[:] = [names.get(name, name) for name in own]
    del copy.graph.value_info[:]
    return copy


def write_numbered(model: onnx.ModelProto, key: str, folder: Path) -> list[Path]:
    """Write copies to trace into ``folder``, named after ``key``.

    The times of two launches of one file may differ by a factor of two on some machines. So there are three
    copies of a small file, each of which gets a launch: they differ in what they call their producer. Raises
    ModelError for a model above 2 GB, which is no single file.
    """
    if model.ByteSize() > _LARGEST_BYTES:
        raise ModelError(
            f"model {key} has {model.ByteSize():,} bytes with its weights; `edgebench explain` traces models "
            "up to 2 GB. Explain a smaller one of the same architecture."
        )
    copy = numbered(model)
    paths = []
    for launch in range(_LAUNCHES if model.ByteSize() <= _SMALL_BYTES else 1):
        copy.producer_version = str(launch)
        paths.append(folder / f"{key}.trace{launch}.onnx")
        write_bytes(paths[-1], copy.SerializeToString())
    return paths
