"""Where a net multiplies by learnt weights, found by the graph's structure and by no name.

A site is a convolution, a product (MatMul, Gemm) or a product row by row (Mul, then a sum over the last
axis) with one operand that the file stores. What stands before the first logarithm is the front end: its
tables are no learnt weights, and a power spectrum spans more than 8 bits hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

Kind = Literal["convolution", "product", "rows"]
# A stored operand smaller than this has no size to give: a gain, a window.
_LEAST_ELEMENTS = 32


@dataclass(frozen=True)
class Site:
    """One use of stored weights.

    ``place`` is the node's index; ``source`` the value that is multiplied and ``weight`` the stored tensor,
    ``bias`` the stored tensor that is added to the result, if there is one. ``axis`` of the weight counts
    the outputs. ``first`` says that no other site stands before, ``head`` that none stands behind, ``left``
    that the weight is the left operand of its product, which then sums over the source's rows.
    """

    place: int
    kind: Kind
    source: str
    weight: str
    axis: int
    bias: str | None
    groups: int
    first: bool = False
    head: bool = False
    left: bool = False

    def matrix(self, weight: NDArray[Any]) -> NDArray[Any]:
        """The weight as (summed over, outputs)."""
        outputs = weight.shape[self.axis]
        return np.moveaxis(weight, self.axis, 0).reshape(outputs, -1).T

    def shaped(self, matrix: NDArray[Any], like: tuple[int, ...]) -> NDArray[Any]:
        """``matrix`` (summed over, outputs) in the shape of the weight; undoes :meth:`matrix`."""
        moved = (like[self.axis], *(size for at, size in enumerate(like) if at != self.axis))
        return np.moveaxis(matrix.T.reshape(moved), 0, self.axis)


def find_sites(model: onnx.ModelProto) -> list[Site]:
    """The sites in the graph's order, without those of the front end."""
    graph = _Graph(model)
    front = graph.front_end()
    found = [site for at in range(len(graph.nodes)) if at not in front and (site := graph.site(at))]
    places = [site.place for site in found]
    behind = {site.place: graph.behind([site.place]) for site in found}
    return [
        replace(
            site,
            first=not any(site.place in behind[other] for other in places),
            head=not any(other in behind[site.place] for other in places),
        )
        for site in found
    ]


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes as Python values."""
    import onnx  # noqa: PLC0415

    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


class _Graph:
    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.shapes = {t.name: tuple(t.dims) for t in model.graph.initializer if t.data_type == 1}
        self.users: dict[str, list[int]] = defaultdict(list)
        for at, node in enumerate(self.nodes):
            for name in node.input:
                self.users[name].append(at)
        self.outputs = {value.name for value in model.graph.output}

    def behind(self, places: Iterable[int]) -> set[int]:
        """The nodes that depend on these."""
        found: set[int] = set()
        waiting = list(places)
        while waiting:
            for name in self.nodes[waiting.pop()].output:
                for user in self.users[name]:
                    if user not in found:
                        found.add(user)
                        waiting.append(user)
        return found

    def front_end(self) -> set[int]:
        """What the first logarithm that products follow depends on."""
        for at, node in enumerate(self.nodes):
            if node.op_type == "Log" and any(self.site(other) for other in self.behind([at])):
                producers = {name: n for n, other in enumerate(self.nodes) for name in other.output}
                found: set[int] = set()
                waiting = [at]
                while waiting:
                    place = waiting.pop()
                    found.add(place)
                    waiting += [producers[i] for i in self.nodes[place].input if i in producers]
                return found
        return set()

    def site(self, at: int) -> Site | None:
        node = self.nodes[at]
        if node.domain not in ("", "ai.onnx"):
            return None
        make = {"Conv": self._convolution, "MatMul": self._matmul, "Gemm": self._gemm, "Mul": self._rows}
        return make[node.op_type](at, node) if node.op_type in make else None

    def _stored(self, name: str, rank: int | None = 2) -> bool:
        """Whether the file stores this operand for this one use, and it is worth a code."""
        shape = self.shapes.get(name)
        return (
            shape is not None
            and (rank is None or len(shape) == rank)
            and int(np.prod(shape)) >= _LEAST_ELEMENTS
            and len(self.users[name]) == 1
        )

    def _bias(self, node: onnx.NodeProto, place: int) -> str | None:
        """The stored operand ``place`` of a node, or of the addition that is all that reads its result."""
        if len(node.input) > place and node.input[place]:
            name = node.input[place]
            return name if name in self.shapes and len(self.users[name]) == 1 else None
        users = self.users[node.output[0]]
        if len(users) != 1 or node.output[0] in self.outputs or self.nodes[users[0]].op_type != "Add":
            return None
        added = [name for name in self.nodes[users[0]].input if name != node.output[0]]
        single = len(added) == 1 and len(self.shapes.get(added[0], ())) == 1
        return added[0] if single and len(self.users[added[0]]) == 1 else None

    def _convolution(self, at: int, node: onnx.NodeProto) -> Site | None:
        if not self._stored(node.input[1], None) or node.input[0] in self.shapes:
            return None
        bias = self._bias(node, 2) if len(node.input) > 2 else None
        groups = attributes(node).get("group", 1)
        return Site(at, "convolution", node.input[0], node.input[1], 0, bias, groups)

    def _matmul(self, at: int, node: onnx.NodeProto) -> Site | None:
        left, right = node.input
        if self._stored(right) and left not in self.shapes:
            bias = self._bias(node, 2)
            fits = bias is None or self.shapes[bias] == self.shapes[right][1:]
            return Site(at, "product", left, right, 1, bias if fits else None, 1)
        if self._stored(left) and right not in self.shapes:
            return Site(at, "product", right, left, 0, None, 1, left=True)
        return None

    def _gemm(self, at: int, node: onnx.NodeProto) -> Site | None:
        known = attributes(node)
        plain = known.get("alpha", 1.0) == known.get("beta", 1.0) == 1.0 and not known.get("transA", 0)
        if not plain or not self._stored(node.input[1]) or node.input[0] in self.shapes:
            return None
        axis = 0 if known.get("transB", 0) else 1
        bias = self._bias(node, 2)
        fits = bias is None or self.shapes[bias] == (self.shapes[node.input[1]][axis],)
        return Site(at, "product", node.input[0], node.input[1], axis, bias if fits else None, 1)

    def _rows(self, at: int, node: onnx.NodeProto) -> Site | None:
        """A product row by row: all that reads it sums over the last axis."""
        users = self.users[node.output[0]]
        stored = [name for name in node.input if self._stored(name)]
        if len(stored) != 1 or len(users) != 1 or self.nodes[users[0]].op_type != "ReduceSum":
            return None
        source = next(name for name in node.input if name != stored[0])
        return Site(at, "rows", source, stored[0], 0, None, 1) if source not in self.shapes else None
