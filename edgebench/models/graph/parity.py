"""How far two files are apart on the same waveforms."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgebench.errors import ModelError
from edgebench.models.host import HostModel

Waveform = NDArray[np.float32]
Model = Path | bytes  # a file, or the bytes of one


def outputs(model: Model, waveforms: Sequence[Waveform]) -> list[list[NDArray[np.float32]]]:
    """For each waveform (samples,) the model's outputs in the file's order, on one thread."""
    if isinstance(model, Path):
        return [list(answers.values()) for answers in map(HostModel(model), waveforms)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        path.write_bytes(model)
        return outputs(path, waveforms)


def largest_difference(reference: Model, other: Model, waveforms: Sequence[Waveform]) -> float:
    """Largest absolute difference over the outputs of one name and all waveforms.

    Raises :class:`ModelError` where an output of either is not finite: such a file has no distance.
    """
    largest = 0.0
    for expected, found in zip(outputs(reference, waveforms), outputs(other, waveforms), strict=True):
        for a, b in zip(expected, found, strict=True):
            if not (np.isfinite(a).all() and np.isfinite(b).all()):
                raise ModelError("an output is not a finite number, so the two models cannot be compared.")
            largest = max(largest, float(np.abs(a - b).max()))
    return largest
