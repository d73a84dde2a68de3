"""Tables whose rows are windowed cosines: recognised, and computed by operators.

Row r of the table is ``w_n cos(2 pi (k_r n + s_r) / period)`` with whole numbers k and s: the rows of a
Fourier or cosine transform. Phases are whole numbers modulo the period, so no more than a float's rounding
is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgebench.models.rewrites.graph import emit

if TYPE_CHECKING:
    import onnx_ir as ir

Array = NDArray[np.float64]
_Whole = NDArray[np.int64]

_CLOSE = 1e-6  # of the largest number
# Generalised cosine windows a - (1 - a) cos: none, Hann, Hamming as written and as first published.
_WINDOWS = (1.0, 0.5, 0.54, 25 / 46)
_FLOAT, _INT64 = 1, 7  # onnx's numbers for these types


@dataclass(frozen=True)
class Cosines:
    """``amplitude (a - (1 - a) cos(2 pi n / window_period)) cos(2 pi (k_r n + s_r) / period)``."""

    frequencies: NDArray[np.int64]  # (rows,)
    starts: NDArray[np.int64]  # (rows,)
    columns: int
    period: int
    amplitude: float
    window: float
    window_period: int

    def emit(self, before: ir.Node) -> ir.Value:
        """The table (rows, columns), computed before a node."""
        zero, one = np.array(0, np.int64), np.array(1, np.int64)
        n = emit(before, "Range", [zero, np.array(self.columns, np.int64), one])
        steps, starts = (
            emit(before, "Cast", [_small(numbers)[:, np.newaxis]], {"to": _INT64})
            for numbers in (self.frequencies, self.starts)
        )
        phase = emit(before, "Add", [emit(before, "Mul", [steps, n]), starts])
        table = _cosine(before, emit(before, "Mod", [phase, np.array(self.period, np.int64)]), self.period)
        a, amplitude = self.window, self.amplitude
        if a != 1.0:
            swing = _times(before, _cosine(before, n, self.window_period), amplitude * (1 - a))
            window = emit(before, "Sub", [np.array(amplitude * a, np.float32), swing])
            return emit(before, "Mul", [table, window])
        return table if amplitude == 1.0 else _times(before, table, amplitude)


def _cosine(before: ir.Node, phase: ir.Value, period: int) -> ir.Value:
    turns = emit(before, "Cast", [phase], {"to": _FLOAT})
    return emit(before, "Cos", [_times(before, turns, 2 * np.pi / period)])


def _times(before: ir.Node, value: ir.Value, number: float) -> ir.Value:
    return emit(before, "Mul", [value, np.array(number, np.float32)])


def _small(numbers: NDArray[np.int64]) -> NDArray[np.unsignedinteger]:
    """Whole numbers from 0 in as few bytes as they need."""
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))


def find_cosines(table: Array) -> Cosines | None:
    """The cosines that a table (rows, columns) holds, or None."""
    rows, columns = table.shape
    if rows < 2 or columns < 8 or not np.abs(table).max() > 0:
        return None
    for a in _WINDOWS:
        for window_period in (columns, columns - 1) if a != 1.0 else (columns,):
            window = a - (1 - a) * np.cos(2 * np.pi * np.arange(columns) / window_period)
            for period in (columns, 2 * columns, 4 * columns):
                found = _rows(table, window, period)
                if found is not None:
                    steps, starts, amplitude = found
                    return Cosines(steps, starts, columns, period, amplitude, a, window_period)
    return None


def _rows(
    table: Array, window: Array, period: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], float] | None:
    """Whole steps and starts of every row, and the amplitude of all; None where a row is something else."""
    largest = np.abs(table).max()
    full = np.abs(table).max(axis=1) > _CLOSE * largest
    if not full.all() and period % 4:
        return None
    # A row of zeros is a cosine that starts at a quarter turn and stays there.
    best, starts = np.zeros(len(table), np.int64), np.full(len(table), period // 4)
    waves = window * np.exp(
        2j * np.pi * np.outer(np.arange(period // 2 + 1), np.arange(len(window))) / period
    )
    amplitude = 0.0
    # One row decides in most cases, so it is tried alone.
    for rows in (np.flatnonzero(full)[:1], np.flatnonzero(full)):
        best[rows], fitted = _nearest(table[rows], waves)
        turns = np.angle(fitted) / (2 * np.pi) * period
        starts[rows] = np.round(turns).astype(np.int64) % period
        amplitude = float(np.median(np.abs(fitted)))
        shifts = np.exp(2j * np.pi * starts[rows] / period)[:, np.newaxis]
        if np.abs(amplitude * (shifts * waves[best[rows]]).real - table[rows]).max() > _CLOSE * largest:
            return None
    return best, starts, _rounded(amplitude)


def _nearest(rows: Array, waves: NDArray[np.complex128]) -> tuple[NDArray[np.intp], NDArray[np.complex128]]:
    """For each row the wave that fits best, and the complex amplitude c of Re(c wave) that fits it best."""
    cosine, sine = waves.real, -waves.imag
    cc, ss, cs = (cosine**2).sum(1), (sine**2).sum(1), (cosine * sine).sum(1)
    rc, rs = rows @ cosine.T, rows @ sine.T
    determinant = cc * ss - cs**2
    single = determinant <= 1e-9 * cc * np.maximum(cc, ss)  # a wave without a sine part
    safe = np.where(single, 1.0, determinant)
    x = np.where(single, rc / np.where(cc > 0, cc, 1.0), (rc * ss - rs * cs) / safe)
    y = np.where(single, 0.0, (rs * cc - rc * cs) / safe)
    best = (x * rc + y * rs).argmax(axis=1)  # the energy that each fit explains
    at = np.arange(len(rows))
    return best, x[at, best] + 1j * y[at, best]


def _rounded(amplitude: float) -> float:
    """An amplitude that is a whole number up to a float's rounding, as that number."""
    return float(round(amplitude)) if abs(amplitude - round(amplitude)) < _CLOSE else amplitude
