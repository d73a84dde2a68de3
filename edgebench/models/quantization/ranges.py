"""The range of a value over calibration clips, as scale and zero point of uint8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.errors import UsageError
from edgebench.models.quantization.pieces import Values, piece, run
from edgebench.models.quantization.scheme import Waveform

if TYPE_CHECKING:
    import onnx

METHODS = ("mse", "min_max")
_DRAWN = 8000  # values of each clip that a range is fitted to
_LEVELS = 255  # steps of uint8
_PARTS = np.linspace(0.25, 1.0, 76)


@dataclass
class Seen:
    """The extremes of a value over clips, zero among them, and some of its elements."""

    least: float = 0.0
    most: float = 0.0
    drawn: list[NDArray[Any]] = field(default_factory=list)

    def add(self, value: NDArray[Any], rng: np.random.Generator) -> None:
        """Take the value of one more clip."""
        flat = value.ravel()
        self.least, self.most = min(self.least, float(flat.min())), max(self.most, float(flat.max()))
        self.drawn.append(flat if flat.size <= _DRAWN else flat[rng.integers(0, flat.size, _DRAWN)])


def value_ranges(
    model: onnx.ModelProto, groups: Sequence[Sequence[str]], waveforms: Sequence[Waveform], method: str
) -> list[tuple[np.float32, np.uint8]]:
    """Scale and zero point for each group of values, which share one.

    ``method``: ``min_max`` covers all that was seen; ``mse`` gives up extremes where the mean squared error
    of all elements is less so. Raises UsageError for another.
    """
    names = sorted({name for group in groups for name in group})
    seen = {name: Seen() for name in names}
    given: list[Values] = [{model.graph.input[0].name: waveform[np.newaxis]} for waveform in waveforms]
    session = piece(model, model.graph.node, names, given[0])
    rng = np.random.default_rng(0)
    for clip in given:
        for name, value in run(session, names, clip).items():
            seen[name].add(value, rng)
    return [fit(_together([seen[name] for name in group]), method) for group in groups]


def _together(group: Sequence[Seen]) -> Seen:
    return Seen(
        min(one.least for one in group),
        max(one.most for one in group),
        [part for one in group for part in one.drawn],
    )


def fit(seen: Seen, method: str) -> tuple[np.float32, np.uint8]:
    """Scale and zero point; zero is always one of the levels."""
    if method not in METHODS:
        raise UsageError(f"activation_range {method!r} is not known. Known: {', '.join(METHODS)}.")
    if seen.least == seen.most:  # zeros alone
        return np.float32(1.0), np.uint8(0)
    if method == "min_max":
        return _parameters(seen.least, seen.most)
    drawn = np.concatenate(seen.drawn).astype(np.float64)
    tried = [_parameters(seen.least * part, seen.most * part) for part in _PARTS]
    return min(tried, key=lambda parameters: _error(drawn, *parameters))


def _parameters(least: float, most: float) -> tuple[np.float32, np.uint8]:
    scale = np.float32((most - least) / _LEVELS)
    return scale, np.uint8(np.clip(round(-least / float(scale)), 0, _LEVELS))


def _error(drawn: NDArray[np.float64], scale: np.float32, zero: np.uint8) -> float:
    levels = np.clip(np.round(drawn / float(scale)) + int(zero), 0, _LEVELS)
    return float(np.mean(((levels - int(zero)) * float(scale) - drawn) ** 2))
