"""How far two files are apart on the same waveforms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgebench.errors import ModelError


def outputs(model: bytes, waveforms: Sequence[NDArray[np.float32]]) -> list[list[NDArray[np.float32]]]:
    """For each waveform (samples,) the model's outputs in the file's order, by onnxruntime on one thread."""
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return [session.run(None, {name: waveform[np.newaxis, :]}) for waveform in waveforms]


def largest_difference(reference: bytes, other: bytes, waveforms: Sequence[NDArray[np.float32]]) -> float:
    """Largest absolute difference over all outputs and waveforms.

    Raises :class:`ModelError` where an output of either is not finite: such a file has no distance.
    """
    largest = 0.0
    for expected, found in zip(outputs(reference, waveforms), outputs(other, waveforms), strict=True):
        for a, b in zip(expected, found, strict=True):
            if not (np.isfinite(a).all() and np.isfinite(b).all()):
                raise ModelError("an output is not a finite number, so the two models cannot be compared.")
            largest = max(largest, float(np.abs(a - b).max()))
    return largest
