"""Pareto fronts: which artifacts no other beats in every respect.

One point dominates another when it is at least as good in every metric and better in one; good is
what the table of ``metrics`` says (lower or higher). Points without a value in some metric, and
points with a code against one of the two metrics, neither stand on a front nor push another off it.

A plane shows figures as measured (``plane``), or ratios and differences to a reference artifact of the
same run (``relative_plane``). Such a ratio has a verdict of its own, so that a front can be drawn
where no absolute time can be believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edgebench.results.changes import NOT_JUDGED, Change
from edgebench.results.compare import ComparedRow, Comparison
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
    runtime: str
    threads: int
    cost: Figure
    accuracy: Figure
    problems: tuple[str, ...]
    on_front: bool = False


def plane(summary: RunSummary, *, cost: str, accuracy: str, corpus: str, input_s: float) -> tuple[Point, ...]:
    """The points of one plot: a cost metric at one input length against accuracy on one corpus.

    Cost comes from the single_stream row of ``input_s``, accuracy from the offline row of
    ``corpus``, of the same artifact, runtime and threads. A pair without both values is left out; a
    pair with a code against one of the two figures is kept and is never on the front.
    """
    found = []
    for offline in summary.rows:
        if offline.is_null or offline.condition.corpus != corpus:
            continue
        single = _single_stream(summary.rows, offline, input_s)
        if single is None or cost not in single.figures:
            continue
        problems = single.verdict.against(cost) + offline.verdict.against(accuracy)
        found.append(_point(offline, single.figures[cost], offline.figures[accuracy], problems))
    return _with_front(found, cost, accuracy)


def relative_plane(
    comparison: Comparison, *, cost: str, accuracy: str, corpus: str, input_s: float
) -> tuple[Point, ...]:
    """The same plot relative to the reference of a comparison within one run (``compare_artifacts``).

    ``cost``: the ratio to the reference, paired by round. ``accuracy``: the difference from the
    reference on the same clips. The reference itself stands at (1, 0).
    """
    singles = {id(row.after): row for row in comparison.rows}
    after = [row.after for row in comparison.rows]
    found: dict[tuple[str, str, int], Point] = {}
    for offline in comparison.rows:
        if offline.after.condition.corpus != corpus:
            continue
        row = _single_stream(after, offline.after, input_s)
        x = None if row is None else _change(singles[id(row)], cost)
        y = _change(offline, accuracy)
        if row is None or x is None or y is None:
            continue
        base = _point(offline.before, Figure(1.0, "1"), Figure(0.0, "1"), ())
        found.setdefault((base.artifact, base.runtime, base.threads), base)
        problems = _problems(x, singles[id(row)]) + _problems(y, offline)
        ratio = Figure(x.ratio, "1", x.lo, x.hi, x.clusters or 0, x.reason)
        difference = Figure(y.difference, "1", y.lo, y.hi, y.clusters or 0, y.reason)
        point = _point(offline.after, ratio, difference, problems)
        found[point.artifact, point.runtime, point.threads] = point
    return _with_front(list(found.values()), cost, accuracy)


def default_reference(summary: RunSummary) -> str | None:
    """The artifact that others are drawn relative to: a parent of one of them, else the first.

    None where the run measured fewer than two artifacts.
    """
    measured = {row.condition.artifact for row in summary.rows if not row.is_null}
    artifacts = [artifact for artifact in summary.header.artifacts if artifact.key in measured]
    parents = {(artifact.manifest or {}).get("parent") for artifact in artifacts}
    keys = [artifact.key for artifact in artifacts if artifact.sha256 in parents]
    keys += [artifact.key for artifact in artifacts]
    return keys[0] if len(artifacts) > 1 else None


def _point(row: Row, cost: Figure, accuracy: Figure, problems: tuple[str, ...]) -> Point:
    condition = row.condition
    codes = tuple(dict.fromkeys(problems))
    return Point(condition.artifact, condition.runtime, condition.threads, cost, accuracy, codes)


def _with_front(points: Sequence[Point], cost: str, accuracy: str) -> tuple[Point, ...]:
    """The points that have both values, each told whether it is on the front."""
    whole: list[Point] = []
    values: list[tuple[float, float]] = []
    for point in points:
        x, y = point.cost.value, point.accuracy.value
        if x is not None and y is not None:
            whole.append(point)
            values.append((np.nan, np.nan) if point.problems else (float(x), float(y)))
    on_front = front(values, [cost, accuracy])
    return tuple(replace(point, on_front=bool(best)) for point, best in zip(whole, on_front, strict=True))


def _change(row: ComparedRow, metric: str) -> Change | None:
    return next((change for change in row.changes if change.metric == metric), None)


def _problems(change: Change, row: ComparedRow) -> tuple[str, ...]:
    """The codes that speak against a ratio or a difference."""
    if change.outcome != NOT_JUDGED:
        return ()
    if change.verdict is not None:
        return change.verdict.codes
    return row.before.verdict.against(change.metric) + row.after.verdict.against(change.metric)


def _single_stream(rows: Sequence[Row], offline: Row, input_s: float) -> Row | None:
    """The row of the same artifact, runtime and threads at one input length."""
    alike = {"scenario": "single_stream", "input_s": input_s, "corpus": None}
    wanted = offline.condition.model_copy(update=alike)
    # Clips of a corpus are never paced.
    return next((row for row in rows if row.condition.model_copy(update={"rate_hz": None}) == wanted), None)
