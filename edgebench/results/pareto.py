"""Pareto fronts: which artifacts no other beats in every respect.

One point dominates another when it is at least as good in every metric and better in one; good is
what the table of ``metrics`` says (lower or higher). Points without a value in some metric, and
points with a code against one of the two metrics, neither stand on a front nor push another off it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgebench.results.metrics.table import METRICS, Figure
from edgebench.results.summary import Row, RunSummary


def front(values: npt.ArrayLike, metrics: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which of ``values (points, metrics)`` no other dominates: ``(points,)``.

    Equal points do not dominate each other. A row with a NaN is never on the front.

    >>> front([[1.0, 0.8], [2.0, 0.9], [3.0, 0.7]], ["size_bytes", "ua"]).tolist()
    [True, True, False]
    """
    signs = np.array([1.0 if METRICS[name].better == "lower" else -1.0 for name in metrics])
    costs = np.asarray(values, dtype=np.float64).reshape(-1, len(metrics)) * signs
    whole: npt.NDArray[np.bool_] = ~np.isnan(costs).any(axis=1)
    found = whole.copy()
    for number in np.flatnonzero(whole):
        others = costs[whole]
        no_worse = np.all(others <= costs[number], axis=1)
        better = np.any(others < costs[number], axis=1)
        found[number] = not np.any(no_worse & better)
    return found


@dataclass(frozen=True)
class Point:
    """One artifact in one plane. ``problems``: the codes that keep it off the front."""

    artifact: str
    threads: int
    cost: Figure
    accuracy: Figure
    problems: tuple[str, ...]
    on_front: bool


def plane(summary: RunSummary, *, cost: str, accuracy: str, corpus: str, input_s: float) -> tuple[Point, ...]:
    """The points of one plot: a cost metric at one input length against accuracy on one corpus.

    Cost comes from the single_stream row of ``input_s``, accuracy from the offline row of
    ``corpus``, of the same artifact and threads on the same device. A pair without both values is
    left out; a pair with a code against one of the two figures is kept and is never on the front.
    """
    pairs: list[tuple[Row, Row]] = []
    problems: list[tuple[str, ...]] = []
    values: list[tuple[float, float]] = []
    for offline in summary.rows:
        if offline.is_null or offline.condition.corpus != corpus:
            continue
        single = _single_stream(summary, offline, input_s)
        if single is None:
            continue
        x, y = single.figures[cost].value, offline.figures[accuracy].value
        if x is None or y is None:
            continue
        codes = tuple(dict.fromkeys(single.verdict.against(cost) + offline.verdict.against(accuracy)))
        pairs.append((single, offline))
        problems.append(codes)
        values.append((np.nan, np.nan) if codes else (float(x), float(y)))
    on_front = front(values, [cost, accuracy])
    return tuple(
        Point(
            offline.condition.artifact,
            offline.condition.threads,
            single.figures[cost],
            offline.figures[accuracy],
            codes,
            bool(best),
        )
        for (single, offline), codes, best in zip(pairs, problems, on_front, strict=True)
    )


def _single_stream(summary: RunSummary, offline: Row, input_s: float) -> Row | None:
    wanted = (offline.condition.artifact, offline.condition.artifact_sha256, offline.condition.threads)
    for row in summary.rows:
        found = (row.condition.artifact, row.condition.artifact_sha256, row.condition.threads)
        if row.condition.scenario == "single_stream" and row.condition.input_s == input_s and found == wanted:
            return row
    return None
