"""Quantiles and spread of samples. Intervals are in ``intervals``.

Quantiles are Hyndman and Fan's type 7 (linear interpolation between order statistics, numpy's
default; Hyndman and Fan 1996, The American Statistician 50, 361-365).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def quantile(samples: npt.ArrayLike, q: float) -> float:
    """The ``q`` quantile (0..1) of ``samples (n,)``, type 7. Raises ValueError for no samples.

    It is ``numpy.quantile`` to the bit, a NaN among the samples included. A report asks for hundreds
    of quantiles of short arrays, for which numpy's own way to one takes ten times longer.
    """
    values = np.asarray(samples, dtype=np.float64)
    if values.size == 0:
        raise ValueError("no samples to take a quantile of")
    position = (values.size - 1) * q
    low = int(position)
    high = min(low + 1, values.size - 1)
    parted = np.partition(values, (low, high, values.size - 1))  # NaN goes to the end
    below, above, share = float(parted[low]), float(parted[high]), position - low
    if math.isnan(parted[-1]):
        return math.nan
    step = above - below
    return above - step * (1 - share) if share >= 0.5 else below + step * share


def mad(samples: npt.ArrayLike) -> float:
    """Median absolute deviation from the median, not scaled, in the unit of ``samples (n,)``."""
    values = np.asarray(samples, dtype=np.float64)
    return quantile(np.abs(values - quantile(values, 0.5)), 0.5)
