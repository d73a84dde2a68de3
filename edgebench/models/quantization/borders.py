"""Where a net turns from float to integers and back, for the sites that compute in 8 bits.

A value is quantized as early as it can be: what only moves elements about (Slice, Concat, Reshape and their
kind) gives the same in integers from fewer bytes. A convolution's result is always quantized, since
onnxruntime has no integer convolution with a float result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgebench.models.quantization.sites import Site, attributes

if TYPE_CHECKING:
    import onnx

# Operators that give elements of their input and nothing else, on uint8 as on float. Pad: with zeros.
_MOVING = {"Concat", "Flatten", "MaxPool", "Pad", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
# Operators that read no element.
SHAPE_ALONE = {"Shape", "Size"}
# What onnxruntime takes into the convolution before it when a QuantizeLinear follows.
_ACTIVATIONS = {"Relu", "Clip"}
# Fewer input channels than the integer kernels multiply at once.
_LEAST_CHANNELS = 4


@dataclass(frozen=True)
class Borders:
    """``groups``: values to quantize, in groups that share a range. ``moving``: nodes that run on integers.

    ``results``: those of the values that an integer convolution gives, so that what is left in float reads
    them dequantized.
    """

    groups: list[list[str]]
    moving: frozenset[int]
    results: frozenset[str]


def integer_sites(model: onnx.ModelProto, sites: Sequence[Site]) -> list[Site]:
    """The sites that can compute in 8 bits with a gain; heads and products of a softmax's weights do not.

    A head's few outputs cost no time, and what a softmax gives is too small for a scale of 8 bits.
    """
    graph = _Graph(model)
    return [site for site in sites if not site.head and graph.fits(site)]


def find_borders(model: onnx.ModelProto, sites: Sequence[Site]) -> Borders:
    """The borders around ``sites``, which all compute in 8 bits."""
    graph = _Graph(model)
    results = {graph.result(site) for site in sites if site.kind == "convolution"}
    moved = graph.movable({site.place: site.source for site in sites}, results)
    groups = _Groups()
    moving: set[int] = set()
    for site in sites:
        roots, passed = graph.roots(site.source, moved)
        moving |= passed
        groups.join(roots)
    for result in sorted(results):
        groups.join([result])
    return Borders(groups.all(), frozenset(moving), frozenset(results))


class _Graph:
    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        self.producers = {name: at for at, node in enumerate(self.nodes) for name in node.output}
        self.users: dict[str, list[int]] = defaultdict(list)
        for at, node in enumerate(self.nodes):
            for name in node.input:
                self.users[name].append(at)
        self.outputs = {value.name for value in model.graph.output}

    def fits(self, site: Site) -> bool:
        if site.kind == "convolution":
            channels = self.tensors[site.weight].dims[1] * site.groups
            return channels >= _LEAST_CHANNELS and self.result(site) not in self.outputs
        if site.kind == "rows" or site.left:
            return False
        producer = self.producers.get(site.source)
        return producer is None or self.nodes[producer].op_type != "Softmax"

    def result(self, site: Site) -> str:
        """What a convolution gives, after the activation that is all that reads it."""
        name: str = self.nodes[site.place].output[0]
        users = self.users[name]
        alone = len(users) == 1 and name not in self.outputs
        if alone and self.nodes[users[0]].op_type in _ACTIVATIONS:
            name = self.nodes[users[0]].output[0]
        return name

    def movable(self, reads: dict[int, str], results: set[str]) -> set[str]:
        """Values that integers alone can carry: each use is a site's source or moves it to such a value."""
        found: set[str] = set()
        for at in range(len(self.nodes) - 1, -1, -1):
            for name in self.nodes[at].output:
                users = self.users[name]
                carried = all(
                    reads.get(user) == name
                    or self.nodes[user].op_type in SHAPE_ALONE
                    or (self._moves(user, name) and self.nodes[user].output[0] in found)
                    for user in users
                )
                if users and carried and name not in self.outputs and name not in results:
                    found.add(name)
        return found

    def _moves(self, at: int, name: str) -> bool:
        """Whether a node gives elements of the value ``name`` alone."""
        node = self.nodes[at]
        if node.op_type not in _MOVING or node.domain not in ("", "ai.onnx") or len(node.output) > 1:
            return False
        data = list(node.input) if node.op_type == "Concat" else node.input[:1]
        if name in node.input[len(data) :] or any(part in self.tensors for part in data):
            return False
        return node.op_type != "Pad" or self._pads_zeros(node)

    def _pads_zeros(self, node: onnx.NodeProto) -> bool:
        from onnx import numpy_helper  # noqa: PLC0415

        if (
            attributes(node).get("mode", b"constant") != b"constant"
            or len(node.input) < 3
            or not node.input[2]
        ):
            return True
        value = self.tensors.get(node.input[2])
        return value is not None and not np.any(numpy_helper.to_array(value))

    def roots(self, name: str, moved: set[str]) -> tuple[list[str], set[int]]:
        """The values to quantize for a site that reads ``name``, and the nodes between."""
        at = self.producers.get(name)
        if name not in moved or at is None:
            return [name], set()
        node = self.nodes[at]
        data = list(node.input) if node.op_type == "Concat" else list(node.input[:1])
        if not all(self._moves(at, part) for part in data):
            return [name], set()
        found: list[str] = []
        passed = {at}
        for part in data:
            roots, nodes = self.roots(part, moved)
            found += roots
            passed |= nodes
        return found, passed


class _Groups:
    """Values that must share a range, because one operator joins them."""

    def __init__(self) -> None:
        self._groups: list[list[str]] = []

    def join(self, names: Sequence[str]) -> None:
        met = [group for group in self._groups if set(group) & set(names)]
        self._groups = [group for group in self._groups if group not in met]
        self._groups.append(sorted({*names, *(name for group in met for name in group)}))

    def all(self) -> list[list[str]]:
        return sorted(self._groups)
