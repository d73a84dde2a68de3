"""Weights on a grid of a few levels, chosen for what a layer answers rather than for what it stores.

GPTQ (Frantar et al., 2023, arXiv:2210.17323): the entries of one output's weights are rounded one after
another, and each rounding error is passed on to the entries that are not rounded yet, so that the answer to
the layer's inputs changes least. The inputs are known by their second moment E[x x^T]. Here the scale of
each output is searched as well, and single codes are moved at the end while that lowers the error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebench.errors import ModelError

Array = NDArray[np.float64]

MOST_LEVELS = 255  # codes are decoded to int8
# Largest scale as a part of the one at which the largest weight is just reached.
_FACTORS = np.linspace(0.2, 1.05, 18)
# What is added to the diagonal of a moment before its inverse, as a part of the mean diagonal.
_DAMPING = 0.003
# A product larger than this is tried with the most promising scales alone.
_LARGE = 2**24
_FEW = 4
_LEAST_PEAK = 1e-4  # of the layer's largest weight
_BLOCK = 64
_SWEEPS = 3
_MOST_LOOKED_AT = 2**24  # codes in one sweep: each move of one code an output looks at all codes


@dataclass(frozen=True)
class Grid:
    """The integers ``lowest + step * digit`` for digits 0 to ``levels - 1``, symmetric about zero."""

    levels: int
    lowest: int
    step: int

    @property
    def highest(self) -> int:
        return -self.lowest


@dataclass(frozen=True)
class Quantized:
    """``codes`` (inputs, outputs) on a grid, ``scales`` (outputs,) that a float16 holds, and the error.

    The weight is ``codes * scales``. ``error`` (outputs,) is the mean squared change of the answers.
    """

    codes: NDArray[np.int8]
    scales: Array
    error: Array


def grid(levels: int) -> Grid:
    """An odd number of levels has zero among them and steps of one; an even one has 1, 3, 5 and so on.

    Raises ModelError for fewer than 2 levels and for a grid that int8 does not hold.
    """
    odd = levels % 2 == 1
    if not 2 <= levels <= (MOST_LEVELS if odd else 128):
        raise ModelError(
            f"weights of {levels} levels were asked for: int8 holds odd numbers of levels from 3 to "
            f"{MOST_LEVELS} and even ones from 2 to 128."
        )
    return Grid(levels, -(levels // 2), 1) if odd else Grid(levels, -(levels - 1), 2)


def quantize_weight(weight: Array, moment: Array, levels: int) -> Quantized:
    """Codes and scales of ``weight`` (inputs, outputs) under the second moment of the inputs.

    ``moment`` is (inputs, inputs), or (outputs, inputs, inputs) where each output has its own, or (inputs,)
    where only the diagonal is known. The result is never worse under the moment than rounding each weight to
    the nearest level at the best of the scales that are tried.
    """
    chosen = grid(levels)
    inputs, outputs = weight.shape
    weight = np.ascontiguousarray(weight.T, np.float64)  # (outputs, inputs) from here on
    moment = np.asarray(moment, np.float64)
    peak = np.abs(weight).max(axis=1)
    # A bias is counted in steps of the scale, so that even an output of zeros needs one that is not tiny.
    peak = np.where(peak == 0.0, peak.max() or 1.0, np.maximum(peak, _LEAST_PEAK * peak.max()))
    tried = as_float16(np.outer(_FACTORS, peak) / chosen.highest)
    if inputs * inputs * outputs > _LARGE:
        tried = _most_promising(weight, _diagonal(moment), tried, chosen)
    feedback = None if moment.ndim == 1 else _Feedback(moment, inputs)
    best = np.full(outputs, np.inf)
    codes = np.zeros((outputs, inputs))
    scales = tried[0].copy()
    for scale in tried:
        candidates = [_nearest(weight / scale[:, None], chosen)]
        if feedback is not None:
            candidates.append(feedback.round(weight, scale, chosen))
        for candidate in candidates:
            error = _error(candidate * scale[:, None] - weight, moment)
            better = error < best
            best[better], scales[better], codes[better] = error[better], scale[better], candidate[better]
    if moment.ndim > 1:
        for _ in range(_SWEEPS):
            _move_codes(codes, scales, weight, moment, chosen)
            _refit_scales(codes, scales, weight, moment)
    best = _error(codes * scales[:, None] - weight, moment)
    return Quantized(codes.T.astype(np.int8), scales, best)


def as_float16(scales: Array) -> Array:
    """Scales as the file stores them. One that float16 would round to zero or infinity keeps its value."""
    stored = scales.astype(np.float16).astype(np.float64)
    exact = np.abs(stored - scales) <= 2.0**-10 * scales
    return np.where(exact, stored, scales.astype(np.float32))


def _nearest(scaled: Array, chosen: Grid) -> Array:
    digits = np.round((scaled - chosen.lowest) / chosen.step)
    return chosen.lowest + chosen.step * np.clip(digits, 0, chosen.levels - 1)


def _diagonal(moment: Array) -> Array:
    """(inputs,) or (outputs, inputs)."""
    return moment if moment.ndim == 1 else np.diagonal(moment, axis1=-2, axis2=-1)


def _error(difference: Array, moment: Array) -> Array:
    """d^T H d for each row d of ``difference`` (outputs, inputs)."""
    error: Array = np.einsum("oi,oi->o", difference, _times(difference, moment))
    return error


def _times(rows: Array, moment: Array) -> Array:
    """Each output's row times its moment."""
    if moment.ndim < 3:
        return rows * moment if moment.ndim == 1 else rows @ moment
    product: Array = np.einsum("oi,oij->oj", rows, moment, optimize=True)
    return product


def _most_promising(weight: Array, diagonal: Array, tried: Array, chosen: Grid) -> Array:
    """The few scales of each output with the least error of rounding to the nearest."""
    errors = np.stack(
        [
            np.sum((_nearest(weight / s[:, None], chosen) * s[:, None] - weight) ** 2 * diagonal, axis=1)
            for s in tried
        ]
    )
    order = np.argsort(errors, axis=0)[:_FEW]
    return np.take_along_axis(tried, order, axis=0)


class _Feedback:
    """Rounding with error feedback; inputs of much energy come first."""

    def __init__(self, moment: Array, inputs: int) -> None:
        mean = moment if moment.ndim == 2 else moment.mean(axis=0)
        self._order = np.argsort(-np.diag(mean), kind="stable")
        self._back = np.argsort(self._order)
        damped = moment[..., self._order, :][..., self._order].copy()
        index = np.arange(inputs)
        level = np.diagonal(damped, axis1=-2, axis2=-1).mean(axis=-1)
        damped[..., index, index] += (_DAMPING * level + 1e-12)[..., None]
        inverse = np.linalg.inv(damped)
        lower = np.linalg.cholesky((inverse + np.swapaxes(inverse, -1, -2)) / 2)
        self._upper = np.swapaxes(lower, -1, -2)  # (inputs, inputs) or (outputs, inputs, inputs)

    def round(self, weight: Array, scale: Array, chosen: Grid) -> Array:
        """Codes (outputs, inputs) of ``weight`` at ``scale`` (outputs,)."""
        rest = weight[:, self._order].copy()
        codes = np.zeros_like(rest)
        upper = self._upper
        inputs = rest.shape[1]
        for first in range(0, inputs, _BLOCK):
            last = min(first + _BLOCK, inputs)
            passed = np.zeros((len(rest), last - first))
            for at in range(first, last):
                codes[:, at] = _nearest(rest[:, at] / scale, chosen)
                passed[:, at - first] = (rest[:, at] - codes[:, at] * scale) / upper[..., at, at]
                rest[:, at + 1 : last] -= passed[:, at - first, None] * upper[..., at, at + 1 : last]
            later = upper[..., first:last, last:]
            if later.ndim == 2:
                rest[:, last:] -= passed @ later
            else:
                rest[:, last:] -= np.matmul(passed[:, None, :], later)[:, 0]
        return codes[:, self._back]


def _move_codes(codes: Array, scales: Array, weight: Array, moment: Array, chosen: Grid) -> None:
    """Move one code of each output by one level, in place, for as long as that lowers its error."""
    outputs, inputs = codes.shape
    gradient = _times(codes * scales[:, None] - weight, moment)
    diagonal = np.broadcast_to(_diagonal(moment), (outputs, inputs))
    step = (chosen.step * scales)[:, None]
    rows = np.arange(outputs)
    for _ in range(min(inputs, _MOST_LOOKED_AT // weight.size)):
        up = np.where(codes < chosen.highest, 2 * step * gradient, np.inf)
        down = np.where(codes > chosen.lowest, -2 * step * gradient, np.inf)
        change = np.minimum(up, down) + step**2 * diagonal
        at = change.argmin(axis=1)
        won = change[rows, at] < -1e-9 * np.abs(step[:, 0] ** 2 * diagonal[rows, at])
        if not won.any():
            return
        moved, place = rows[won], at[won]
        sign = np.where(up[moved, place] <= down[moved, place], 1.0, -1.0)
        codes[moved, place] += sign * chosen.step
        columns = moment[:, place].T if moment.ndim == 2 else moment[moved, place]
        gradient[moved] += (sign * step[moved, 0])[:, None] * columns


def _refit_scales(codes: Array, scales: Array, weight: Array, moment: Array) -> None:
    """The best scale for the codes as they stand, in place, where the file's float16 keeps the gain."""
    read = _times(codes, moment)
    own, shared = np.sum(read * codes, axis=1), np.sum(read * weight, axis=1)
    fitted = as_float16(np.where((own > 0) & (shared > 0), shared / np.where(own > 0, own, 1.0), scales))
    before = _error(codes * scales[:, None] - weight, moment)
    after = _error(codes * fitted[:, None] - weight, moment)
    better = after < before
    scales[better] = fitted[better]
