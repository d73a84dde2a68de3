"""Channels between convolutions filled up with zeros to a multiple that suits a processor's kernels.

13 channels become 16: more to multiply, in kernels that work on sixteen at a time. The new channels are zeros
from the convolution that writes them to those that read them, so nothing but what keeps zeros may stand in
between. It pays on some processors and costs on others.

onnxruntime's blocked layout on x86 takes convolutions of any number of channels, and poolings of aligned ones
alone. So there is a pass for all such channels, and one for those that go through a pooling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edgebench.models.rewrites.base import Pass, everywhere
from edgebench.models.rewrites.graph import is_op, producer, same_size, sizes
from edgebench.models.rewrites.operators import elementwise_data, keeps_zeros
from edgebench.models.rewrites.products import Product, product_behind, product_of, rebuild

if TYPE_CHECKING:
    import onnx_ir as ir

MULTIPLE = 16
_POOLINGS = ("MaxPool", "AveragePool")
_TWO_INPUTS = ("Add", "Sub", "Mul", "Max", "Min")  # zeros of zeros, channel by channel


@dataclass
class _Region:
    """Values that share their channels, with the convolutions that write and read them."""

    values: list[ir.Value] = field(default_factory=list)
    writers: dict[ir.Node, Product] = field(default_factory=dict)
    readers: dict[ir.Node, Product] = field(default_factory=dict)

    @property
    def channels(self) -> int:
        """How many channels the values have; 0 where the convolutions do not agree."""
        counts = {len(product.weights) for product in self.writers.values()}
        counts |= {product.weights.shape[1] for product in self.readers.values()}
        return counts.pop() if len(counts) == 1 else 0


def _rule(multiple: int, *, pooled: bool) -> Callable[[ir.Node], bool]:
    def fill(node: ir.Node) -> bool:
        product = _plain_convolution(node)
        if product is None or len(product.weights) % multiple == 0:
            return False
        region = _region(product.output)
        if region is None or not region.readers or not region.channels:
            return False
        if pooled and not any(producer(value, *_POOLINGS) for value in region.values):
            return False
        more = -region.channels % multiple
        for value in region.values:
            value.shape = None
        # subtle: a convolution that both reads and writes the region is rebuilt once, with both.
        for each in {**region.writers, **region.readers}.values():
            rows = more if each.node in region.writers else 0
            columns = more if each.node in region.readers else 0
            pads = [(0, rows), (0, columns)] + [(0, 0)] * (each.weights.ndim - 2)
            bias = None if each.bias is None else np.pad(each.bias, (0, rows))
            rebuild(each, weights=np.pad(each.weights, pads), bias=bias)
        return True

    return fill


def _region(start: ir.Value) -> _Region | None:
    """What shares its channels with ``start``; None where something else than convolutions sees them."""
    region = _Region()
    rest = [start]
    while rest:
        value = rest.pop()
        if value in region.values:
            continue
        region.values.append(value)
        more = None if value.is_graph_output() else _neighbours(value, region)
        if more is None:
            return None
        rest += more
    return region


def _neighbours(value: ir.Value, region: _Region) -> list[ir.Value] | None:
    """The values that must have the channels of this one; writers and readers are noted in the region."""
    found: list[ir.Value] = []
    writer = product_behind(value)
    if writer is not None and _plain_convolution(writer.node) is not None:
        region.writers[writer.node] = writer
    else:
        node = value.producer()
        sources = None if node is None else _channelwise(node)
        if sources is None:
            return None
        found += sources
    for user in value.consumers():
        if user.graph is not value.graph:
            return None
        reader = _plain_convolution(user)
        if reader is not None and reader.data is value:
            region.readers[user] = reader
        elif (sources := _channelwise(user)) is not None and value in sources:
            found += user.outputs
        else:
            return None
    return found


def _plain_convolution(node: ir.Node) -> Product | None:
    product = product_of(node) if is_op(node, "Conv") else None
    return product if product is not None and product.group == 1 else None


def _channelwise(node: ir.Node) -> list[ir.Value] | None:
    """What a node reads, where it works channel by channel and makes zeros of zeros."""
    if is_op(node, *_POOLINGS) and len(node.outputs) == 1:
        return [node.inputs[0]]
    data = elementwise_data(node)
    if data is not None:
        return [data] if keeps_zeros(node) else None
    if is_op(node, *_TWO_INPUTS) and len(node.inputs) == 2:
        one, other = (sizes(value) for value in node.inputs)
        if one and other and len(one) == len(other) and same_size(one[1], other[1]):
            return list(node.inputs)
    return None


def _all(multiple: int) -> Callable[[ir.Model], int]:
    return everywhere(_rule(multiple, pooled=False))


def _pooled(multiple: int) -> Callable[[ir.Model], int]:
    return everywhere(_rule(multiple, pooled=True))


PASS = Pass(
    "pad_channels",
    "fill channels between convolutions up with zeros to a multiple of 16, or of :N",
    _all(MULTIPLE),
    with_number=_all,
)
POOLED = Pass(
    "pad_pooled",
    "the same for channels that go through a pooling alone",
    _pooled(MULTIPLE),
    with_number=_pooled,
)
