"""Many tests in one comparison: p-values adjusted so that the words hold for all of them together."""

from __future__ import annotations

from collections.abc import Sequence

# The most of comparisons of two identical files in which any metric may be called better or worse.
FAMILY_ERROR = 0.05


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given (Holm 1979, Scandinavian J. of Statistics 6, 65-70).

    Calling those at most FAMILY_ERROR different makes one mistake or more with at most that
    probability, however the tests depend on each other.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, (len(p_values) - rank) * p_values[place])
        adjusted[place] = min(1.0, largest)
    return adjusted
