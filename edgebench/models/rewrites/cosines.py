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
_ROUGHLY = 1e-3  # of a row's largest number, divided by the window
_CLEAR = 0.1  # of a window's largest number: a float's rounding is not blown up by more than ten
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
    largest = np.abs(table).max(initial=0.0)
    if rows < 2 or columns < 8 or not largest > 0:
        return None
    full = np.abs(table).max(axis=1) > _CLOSE * largest
    for a in _WINDOWS:
        for window_period in (columns, columns - 1) if a != 1.0 else (columns,):
            window = a - (1 - a) * np.cos(2 * np.pi * np.arange(columns) / window_period)
            # One row decides in most cases, so it is tried alone.
            if _angles(table[full][:1], window) is None or (angles := _angles(table[full], window)) is None:
                continue
            for period in (columns, 2 * columns, 4 * columns):
                found = _whole(table, full, window, angles, period)
                if found is not None:
                    steps, starts, amplitude = found
                    return Cosines(steps, starts, columns, period, amplitude, a, window_period)
    return None


def _angles(rows: Array, window: Array) -> Array | None:
    """The angle from one column to the next of rows that are cosines under a window; None where one is not.

    A cosine's neighbours on both sides add up to 2 cos(angle) times itself.
    """
    clear = window > _CLEAR * window.max()
    within = clear[:-2] & clear[1:-1] & clear[2:]
    plain = rows / np.where(clear, window, 1.0)
    own, neighbours = plain[:, 1:-1][:, within], (plain[:, :-2] + plain[:, 2:])[:, within]
    twice = (own * neighbours).sum(axis=1) / np.maximum((own**2).sum(axis=1), np.finfo(float).tiny)
    rest = np.abs(neighbours - twice[:, np.newaxis] * own).max(axis=1)
    if (rest > _ROUGHLY * np.abs(own).max(axis=1)).any():
        return None
    angles: Array = np.arccos(np.clip(twice / 2, -1.0, 1.0))
    return angles


def _whole(
    table: Array, full: NDArray[np.bool_], window: Array, angles: Array, period: int
) -> tuple[_Whole, _Whole, float] | None:
    """Whole steps and starts of every row, and the amplitude of all; None where there are none.

    ``angles`` are those of the rows that are ``full``; the others are zeros.
    """
    if not full.all() and period % 4:
        return None
    # A row of zeros is a cosine that starts at a quarter turn and stays there.
    steps, starts = np.zeros(len(table), np.int64), np.full(len(table), period // 4)
    steps[full] = np.round(angles / (2 * np.pi) * period)
    phases = np.outer(steps[full], np.arange(len(window))) % period
    waves = window * np.exp(2j * np.pi * phases / period)
    fitted = _fitted(table[full], waves)
    starts[full] = np.round(np.angle(fitted) / (2 * np.pi) * period).astype(np.int64) % period
    amplitude = float(np.median(np.abs(fitted)))
    shifts = np.exp(2j * np.pi * starts[full] / period)[:, np.newaxis]
    if np.abs(amplitude * (shifts * waves).real - table[full]).max() > _CLOSE * np.abs(table).max():
        return None
    return steps, starts, _rounded(amplitude)


def _fitted(rows: Array, waves: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """For each row the complex amplitude c of Re(c wave) that fits it best."""
    cosine, sine = waves.real, -waves.imag
    cc, ss, cs = (cosine**2).sum(axis=1), (sine**2).sum(axis=1), (cosine * sine).sum(axis=1)
    rc, rs = (rows * cosine).sum(axis=1), (rows * sine).sum(axis=1)
    determinant = cc * ss - cs**2
    single = determinant <= _CLOSE * cc * np.maximum(cc, ss)  # a wave without a sine part
    safe = np.where(single, 1.0, determinant)
    x = np.where(single, rc / cc, (rc * ss - rs * cs) / safe)
    y = np.where(single, 0.0, (rs * cc - rc * cs) / safe)
    found: NDArray[np.complex128] = x + 1j * y
    return found


def _rounded(amplitude: float) -> float:
    """An amplitude that is a whole number up to a float's rounding, as that number."""
    return float(round(amplitude)) if abs(amplitude - round(amplitude)) < _CLOSE else amplitude
