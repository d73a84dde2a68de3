"""Tables of triangular filters, as a mel spectrum uses: recognised, and computed by operators.

The corners of the triangles are equally spaced on one of the two mel scales in use, and are looked for among
the sampling rates, transforms and ranges in use. The rows of the table are bins of a Fourier transform, in
any order, possibly twice (once for its cosines and once for its sines), possibly not all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgebench.models.rewrites.graph import emit, store

if TYPE_CHECKING:
    import onnx_ir as ir

Array = NDArray[np.float64]

_CLOSE = 1e-6  # of the largest number
_RATES_HZ = (16_000, 8_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_TRANSFORMS = (64, 128, 200, 256, 320, 400, 512, 640, 800, 1024, 2048)  # samples
_MOST_UNREAD = 4  # of so many bins one at least is in the table
_LOWEST_HZ = (0.0, 20.0, 50.0)
_FLOAT = 1  # onnx's number for the type


@dataclass(frozen=True)
class Triangles:
    """``height_m relu(min((b_r - c_m) / (c_m+1 - c_m), (c_m+2 - b_r) / (c_m+2 - c_m+1)))``, in bins.

    ``area`` is that of every triangle where the heights keep it equal; None where all heights are one.
    """

    bins: NDArray[np.int64]  # (rows,)
    corners: Array  # (filters + 2,), in bins
    area: float | None

    def emit(self, before: ir.Node) -> ir.Value:
        """The table (rows, filters), computed before a node."""
        filters = len(self.corners) - 2
        small = self.bins.astype(np.min_scalar_type(int(self.bins.max())))[:, np.newaxis]
        bins = emit(before, "Cast", [small], {"to": _FLOAT})
        assert before.graph is not None
        corners = store(before.graph, self.corners.astype(np.float32))
        low, centre, high = (
            emit(before, "Slice", [corners, *(np.array([at], np.int64) for at in (start, start + filters))])
            for start in range(3)
        )

        def ratio(a: ir.Value, b: ir.Value, c: ir.Value, d: ir.Value) -> ir.Value:
            return emit(before, "Div", [emit(before, "Sub", [a, b]), emit(before, "Sub", [c, d])])

        sides = [ratio(bins, low, centre, low), ratio(high, bins, high, centre)]
        table = emit(before, "Relu", [emit(before, "Min", sides)])
        if self.area is None:
            return table
        width = emit(before, "Sub", [high, low])
        return emit(before, "Mul", [table, emit(before, "Div", [np.array(2 * self.area, np.float32), width])])


def find_triangles(table: Array) -> Triangles | None:
    """The triangles that a table (rows of bins, filters) holds, or None."""
    rows, filters = table.shape
    largest = table.max()
    if rows < 4 or filters < 4 or table.min() < 0 or not largest > 0:
        return None
    if (table > _CLOSE * largest).sum(axis=1).max() > 2:
        return None  # a frequency lies in two triangles at most
    distinct = len(np.unique(table, axis=0))
    for corners, area, bins in _candidates(filters):
        if not distinct <= bins <= _MOST_UNREAD * distinct:
            continue
        whole = _filters(corners, area, bins)
        if np.abs(whole.max() - largest) > _CLOSE * largest:
            continue
        nearest = _nearest(table, whole)
        if np.abs(whole[nearest] - table).max() <= _CLOSE * largest:
            return Triangles(nearest.astype(np.int64), corners, area)
    return None


def _candidates(filters: int) -> Iterator[tuple[Array, float | None, int]]:
    """Corners in bins, the triangles' area in bins, and the number of bins."""
    for rate, samples, slaney in itertools.product(_RATES_HZ, _TRANSFORMS, (True, False)):
        bin_hz = rate / samples
        for lowest, highest in itertools.product(_LOWEST_HZ, {rate / 2, min(8000.0, rate / 2)}):
            low, high = _mel(np.array([lowest, highest]), slaney=slaney).tolist()
            corners = _hz(np.linspace(low, high, filters + 2), slaney=slaney) / bin_hz
            for area in (1 / bin_hz, None):
                yield corners, area, samples // 2 + 1


def _filters(corners: Array, area: float | None, bins: int) -> Array:
    at = np.arange(bins)[:, np.newaxis]
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    found: Array = np.maximum(0.0, np.minimum((at - low) / (centre - low), (high - at) / (high - centre)))
    return found if area is None else found * 2 * area / (high - low)


def _nearest(table: Array, whole: Array) -> NDArray[np.intp]:
    """For each row of the table the nearest row of the whole filter bank."""
    distance: Array = (whole**2).sum(axis=1) - 2 * table @ whole.T
    nearest: NDArray[np.intp] = distance.argmin(axis=1)
    return nearest


def _mel(hz: Array, *, slaney: bool) -> Array:
    """Mel of frequencies: Slaney's scale is linear below 1 kHz, the other is HTK's."""
    if not slaney:
        return np.asarray(2595.0 * np.log10(1.0 + hz / 700.0))
    above = 15.0 + 27.0 * np.log(np.maximum(hz, 1000.0) / 1000.0) / np.log(6.4)
    return np.where(hz < 1000.0, 3.0 * hz / 200.0, above)


def _hz(mel: Array, *, slaney: bool) -> Array:
    """Frequencies of mels, the inverse of :func:`_mel`."""
    if not slaney:
        return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    return np.where(mel < 15.0, 200.0 * mel / 3.0, 1000.0 * np.exp((mel - 15.0) * np.log(6.4) / 27.0))
