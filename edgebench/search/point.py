"""One file that a search made: what it is, and what was measured of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Point:
    """``ratio``: processor time over that of the parent, on the device. ``ua_loss``, ``ccc_loss``,
    ``changed``: as :class:`edgebench.search.losses.Losses`, over validation speakers. ``run_id``: the run of
    the search's store that holds the launches. ``file``: its name in the search's folder."""

    settings: str
    file: str
    sha256: str
    size_bytes: int
    ratio: float
    ratio_lo: float | None
    ratio_hi: float | None
    verdict: str
    ua_loss: float
    ccc_loss: float
    changed: int
    parity_max_abs: float
    run_id: str

    def to_json(self) -> dict[str, Any]:
        """Plain values by name."""
        return asdict(self)

    @property
    def costs(self) -> tuple[float, float, float]:
        """What is minimised: bytes, time over the parent's, and the larger loss of accuracy."""
        return float(self.size_bytes), self.ratio, max(self.ua_loss, self.ccc_loss, 0.0)


def front(points: Sequence[Point]) -> list[Point]:
    """The points that no other is at least as good as in every cost and better in one, smallest first.

    Of points with the same costs the first is kept.

    >>> front([])
    []
    """
    kept: list[Point] = []
    for point in sorted(points, key=lambda one: one.costs):
        if not any(_no_worse(other.costs, point.costs) for other in kept):
            kept.append(point)
    return kept


def _no_worse(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True))
