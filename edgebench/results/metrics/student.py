"""Student's t distribution for any number of degrees of freedom, without scipy.

The measuring side installs no scipy (35 MB for one function). The tail is the regularised
incomplete beta function, computed by its continued fraction (Numerical Recipes, section 6.4); the
quantile is found from the tail by Newton's method. Tests hold both to scipy's values.
"""

from __future__ import annotations

import math
from functools import lru_cache

# Relative change of the continued fraction at which it has converged, and the steps it may take.
_CONVERGED = 3e-16
_MAX_STEPS = 10_000
# Stands for zero in the continued fraction's denominators.
_TINY = 1e-300
# Relative step at which the quantile has converged.
_STOP = 1e-14


def two_sided_p(t: float, df: float) -> float:
    """The probability of a value at least as far from 0 as ``t``, for ``df`` > 0 degrees of freedom.

    >>> round(two_sided_p(2.2621571628, 9), 6)
    0.05
    """
    if math.isnan(t) or not df > 0:
        raise ValueError(f"no t distribution has the value {t} with {df} degrees of freedom")
    if math.isinf(t):
        return 0.0
    return _incomplete_beta(df / 2, 0.5, df / (df + t * t))


@lru_cache(maxsize=4096)
def two_sided_quantile(p: float, df: float) -> float:
    """The ``t`` that is exceeded on both sides together with probability ``p`` (0 < p < 1).

    >>> round(two_sided_quantile(0.05, 9), 4)
    2.2622
    """
    if not 0 < p < 1:
        raise ValueError(f"a probability lies between 0 and 1, not at {p}")
    t = 0.0
    # Newton's method; the tail is convex, so the steps come from below and grow smaller.
    for _ in range(_MAX_STEPS):
        step = (two_sided_p(t, df) - p) / (2 * _density(t, df))
        t += step
        if step <= _STOP * t:
            return t
    raise ArithmeticError(f"the t quantile of {p} with {df} degrees of freedom did not converge")


def _density(t: float, df: float) -> float:
    logs = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(df * math.pi) / 2
    return math.exp(logs - (df + 1) / 2 * math.log1p(t * t / df))


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    # The fraction converges fast below the mean of the beta distribution; above it, use the symmetry.
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method."""
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, _MAX_STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for numerator in (even, odd):
            d = 1 / _not_zero(1 + numerator * d)
            c = _not_zero(1 + numerator / c)
            found *= d * c
        if abs(d * c - 1) < _CONVERGED:
            return found
    raise ArithmeticError(f"the incomplete beta function of {a}, {b}, {x} did not converge")


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
