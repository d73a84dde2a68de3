"""Distributions over classes: from logits, and aligned so that every class is equally frequent.

Source of the alignment: Berthelot et al., "ReMixMatch", ICLR 2020, Sec. 3.1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def softmax(logits: Array, *, temperature: float) -> Array:
    """Distributions (batch, classes) of logits divided by ``temperature``."""
    scaled = logits / temperature
    raised = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    spread: Array = (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
    return spread


def even_factors(distributions: Array) -> Array:
    """Factors (classes,) by which distributions (rows, classes) say every class equally often in the mean.

    Each row is scaled to a sum of 1 after its factors. ReMixMatch scales once; this goes on until it holds.
    The factors sum to 1.
    """
    rows = np.maximum(distributions.astype(np.float64), 1e-6)  # a class that is never given has no factor
    factors = np.full(rows.shape[1], 1.0 / rows.shape[1])
    for _ in range(1000):
        scaled = rows * factors
        mean = (scaled / scaled.sum(axis=1, keepdims=True)).mean(axis=0)
        if np.abs(mean * len(factors) - 1.0).max() < 1e-4:
            break
        factors = factors / mean
        factors /= factors.sum()
    found: Array = factors.astype(np.float32)
    return found
