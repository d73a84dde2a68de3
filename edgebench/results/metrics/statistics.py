"""Quantiles and spread of samples. Intervals are in ``intervals``.

Quantiles are Hyndman and Fan's type 7 (linear interpolation between order statistics, numpy's
default; Hyndman and Fan 1996, The American Statistician 50, 361-365).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def quantile(samples: npt.ArrayLike, q: float) -> float:
    """The ``q`` quantile (0..1) of ``samples (n,)``, type 7. Raises ValueError for no samples."""
    values = np.asarray(samples, dtype=np.float64)
    if values.size == 0:
        raise ValueError("no samples to take a quantile of")
    return float(np.quantile(values, q))


def mad(samples: npt.ArrayLike) -> float:
    """Median absolute deviation from the median, not scaled, in the unit of ``samples (n,)``."""
    values = np.asarray(samples, dtype=np.float64)
    return float(np.median(np.abs(values - np.median(values))))
