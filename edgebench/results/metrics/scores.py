"""Accuracy as functions of sums: what clips add to a confusion matrix or to the moments of a correlation.

Arrays are batched: sums ``(..., k)`` give values ``(...)``, so that a jackknife is one call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgebench.results.metrics.statistics import Floats

Statistic = Callable[[Floats], Floats]


def recall_mean(confusion: Floats) -> Floats:
    """UA of ``confusion (..., classes, classes)``: mean recall over the classes in the truth."""
    return _mean_over_present(confusion, _divide(_diagonal(confusion), confusion.sum(axis=-1)))


def accuracy(confusion: Floats) -> Floats:
    """WA of ``confusion (..., classes, classes)``."""
    return _divide(_diagonal(confusion).sum(axis=-1), confusion.sum(axis=(-2, -1)))


def f1_per_class(confusion: Floats) -> Floats:
    """F1 ``(..., classes)``; 0 where a class was never predicted rightly, NaN where it is nowhere."""
    return _divide(2 * _diagonal(confusion), confusion.sum(axis=-1) + confusion.sum(axis=-2))


def f1_mean(confusion: Floats) -> Floats:
    """Macro F1 over the classes in the truth."""
    return _mean_over_present(confusion, f1_per_class(confusion))


def concordance(moments: Floats) -> Floats:
    """CCC of ``moments (..., 6)``: n, sums of t, p, tt, pp, tp (Lin 1989, Biometrics 45, 255-268)."""
    n, t, p, tt, pp, tp = np.moveaxis(moments, -1, 0)
    return _divide(2 * (tp - t * p / n), (tt - t * t / n) + (pp - p * p / n) + (t - p) ** 2 / n)


def category_statistic(name: str, labels: Sequence[str]) -> Statistic:
    """The statistic ``name`` of flattened confusion matrices ``(..., classes ** 2)``."""
    classes = len(labels)

    def statistic(sums: Floats) -> Floats:
        confusion = sums.reshape(*sums.shape[:-1], classes, classes)
        if name == "ua":
            return recall_mean(confusion)
        if name == "wa":
            return accuracy(confusion)
        if name == "macro_f1":
            return f1_mean(confusion)
        return f1_per_class(confusion)[..., labels.index(name.removeprefix("f1_"))]

    return statistic


def _diagonal(confusion: Floats) -> Floats:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _divide(a: Floats, b: Floats) -> Floats:
    """a / b, NaN where b is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(b == 0, np.nan, a / b)


def _mean_over_present(confusion: Floats, values: Floats) -> Floats:
    """Mean of ``values (..., classes)`` over the classes that the truth holds."""
    present = confusion.sum(axis=-1) > 0
    return _divide(np.where(present, np.nan_to_num(values), 0.0).sum(axis=-1), present.sum(axis=-1))
