"""Second moments of what a site multiplies its weights with, over calibration clips.

A site's mean squared error is d^T E[x x^T] d for a change d of one output's weights. A convolution's x are
patches of its source, of which some are drawn from each clip.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.models.quantization.sites import Site, attributes

if TYPE_CHECKING:
    import onnx

Array = NDArray[np.float64]

_DRAWN = 2**17  # patches or rows, of all clips together
# A moment of more elements than this (512 MiB) is not made; its diagonal is taken.
MOST_ELEMENTS = 2**26


@dataclass(frozen=True)
class Moment:
    """``second``: (inputs, inputs), (outputs, inputs, inputs) or the diagonal (inputs,); ``mean`` (inputs,).

    ``mean`` is None where each output reads inputs of its own.
    """

    second: Array
    mean: Array | None


@dataclass(frozen=True)
class _Draw:
    """Which of so many patches of a clip are taken: all, or ``most`` of them."""

    most: int
    rng: np.random.Generator

    def __call__(self, count: int) -> NDArray[np.int64]:
        everything: NDArray[np.int64] = np.arange(count)
        return everything if count <= self.most else self.rng.choice(count, self.most, replace=False)


def input_moments(
    site: Site,
    node: onnx.NodeProto,
    shape: tuple[int, ...],
    sources: Iterable[NDArray[Any]],
    *,
    clips: int,
    seed: int,
) -> list[Moment]:
    """One moment for each group of the site's inputs, over the sources of all ``clips``.

    ``shape`` is the weight's.
    """
    rng = np.random.default_rng(seed)
    if site.kind == "rows":
        return [_by_row(sources, shape)]
    inputs = math.prod(shape) // shape[site.axis]
    diagonal = site.groups * inputs * inputs > MOST_ELEMENTS
    sums = [np.zeros(inputs if diagonal else (inputs, inputs)) for _ in range(site.groups)]
    means = [np.zeros(inputs) for _ in range(site.groups)]
    count = 0
    for source in sources:
        drawn = _rows(site, node, shape, source, _Draw(-(-_DRAWN // clips), rng))  # (groups, rows, inputs)
        count += drawn.shape[1]
        for group, rows in enumerate(drawn.astype(np.float64)):
            sums[group] += (rows * rows).sum(axis=0) if diagonal else rows.T @ rows
            means[group] += rows.sum(axis=0)
    return [Moment(total / count, mean / count) for total, mean in zip(sums, means, strict=True)]


def _by_row(sources: Iterable[NDArray[Any]], shape: tuple[int, ...]) -> Moment:
    """Each output's weights meet a row of their own."""
    outputs, inputs = shape
    whole = outputs * inputs * inputs <= MOST_ELEMENTS
    total = np.zeros((outputs, inputs, inputs) if whole else inputs)
    count = 0
    for source in sources:
        rows = source.reshape(-1, outputs, inputs).astype(np.float64)
        total += np.einsum("boi,boj->oij", rows, rows) if whole else (rows**2).sum(axis=(0, 1)) / outputs
        count += len(rows)
    return Moment(total / count, None)


def _rows(
    site: Site, node: onnx.NodeProto, shape: tuple[int, ...], source: NDArray[Any], draw: _Draw
) -> NDArray[Any]:
    """Some of what meets the weights in one clip: (groups, rows, inputs)."""
    if site.kind == "convolution":
        return _patches(node, shape, source, site.groups, draw)
    source = np.swapaxes(source, -1, -2) if site.left else source
    rows = source.reshape(-1, source.shape[-1])
    return rows[draw(len(rows))][np.newaxis]


def _patches(
    node: onnx.NodeProto, shape: tuple[int, ...], source: NDArray[Any], groups: int, draw: _Draw
) -> NDArray[Any]:
    """Patches of ``source`` (batch, channels, *space); ``shape``: (outputs, channels / groups, *kernel)."""
    kernel = shape[2:]
    known = attributes(node)
    strides = known.get("strides", [1] * len(kernel))
    dilations = known.get("dilations", [1] * len(kernel))
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    around = edges(known, source.shape[2:], reach, strides)
    padded = np.pad(source, [(0, 0), (0, 0), *around])
    counts = [
        (size - span) // step + 1 for size, span, step in zip(padded.shape[2:], reach, strides, strict=True)
    ]
    at = np.unravel_index(draw(math.prod([len(padded), *counts])), [len(padded), *counts])
    index: list[NDArray[np.int64]] = []
    for axis, (start, size) in enumerate(zip(at[1:], kernel, strict=True)):
        offsets = np.arange(size) * dilations[axis]
        spread = [1] * len(kernel)
        spread[axis] = size
        starts = (start * strides[axis]).reshape(-1, *[1] * len(kernel))
        index.append(starts + offsets.reshape(1, *spread))
    batch = at[0].reshape(-1, *[1] * len(kernel))
    drawn = np.moveaxis(padded, 1, -1)[(batch, *index)]  # (rows, *kernel, channels)
    drawn = np.moveaxis(drawn, -1, 1)
    rows = drawn.reshape(len(drawn), groups, -1)
    return np.swapaxes(rows, 0, 1)


def edges(
    known: dict[str, Any], sizes: Sequence[int], reach: Sequence[int], strides: Sequence[int]
) -> list[tuple[int, int]]:
    """The zeros that a convolution adds before and behind, by axis."""
    automatic = known.get("auto_pad", b"NOTSET")
    if automatic in (b"SAME_UPPER", b"SAME_LOWER"):
        found = []
        for size, span, step in zip(sizes, reach, strides, strict=True):
            total = max(0, (-(-size // step) - 1) * step + span - size)
            less, more = total // 2, total - total // 2
            found.append((less, more) if automatic == b"SAME_UPPER" else (more, less))
        return found
    pads = [0] * (2 * len(sizes)) if automatic == b"VALID" else known.get("pads", [0] * (2 * len(sizes)))
    return list(zip(pads[: len(sizes)], pads[len(sizes) :], strict=True))
