"""One condition measured twice: what changed in each metric, and whether a word may be said of it.

``changes_of`` finds ratios and differences with their intervals and p-values; ``decided`` says the
words over all conditions of a comparison together, so that they hold for the whole of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgebench.results.metrics import accuracy
from edgebench.results.metrics.energy import Energy, energy_of
from edgebench.results.metrics.families import FAMILY_ERROR, holm
from edgebench.results.metrics.in_time import ENERGIES
from edgebench.results.metrics.intervals import Estimate
from edgebench.results.metrics.metric import Figure, Metric
from edgebench.results.metrics.ratios import Ratio, paired_ratio, unpaired_ratio
from edgebench.results.metrics.table import METRICS
from edgebench.results.summary import Row, predictions_of, tasks_of
from edgebench.results.verdicts.ratios import LEFT_TO_THE_PAIRS, LIMITS, judge_ratio
from edgebench.results.verdicts.verdict import Verdict

INCONCLUSIVE = "inconclusive"
NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class Change:
    """One metric of two rows.

    ``ratio``: after / before for costs; ``difference``: after - before for accuracy; the 95 % interval
    ``lo``..``hi`` is that of whichever is given, and of this metric alone. ``clusters``: the pairs,
    launches or speakers it stands on. ``p_value``: of "nothing changed", this metric alone;
    ``p_adjusted``: for all metrics of the comparison together. ``outcome``: better, worse, inconclusive,
    same, changed, or not judged; ``reason`` says why there is no interval or no judgement.
    ``verdict``: a paired ratio's own.
    """

    metric: str
    before: Figure
    after: Figure
    ratio: float | None = None
    difference: float | None = None
    lo: float | None = None
    hi: float | None = None
    outcome: str = INCONCLUSIVE
    reason: str | None = None
    clusters: int | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    verdict: Verdict | None = None

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        found = dict(vars(self))
        found["before"], found["after"] = self.before.to_json(), self.after.to_json()
        found["verdict"] = None if self.verdict is None else self.verdict.to_json()
        return found


def changes_of(before: Row, after: Row, *, paired: bool) -> tuple[Change, ...]:
    """What changed from ``before`` to ``after``, metric by metric, no word said yet but of exact ones.

    ``paired``: both rows are of one run, and launches of one round are pairs.
    """
    drops = _drops(before, after)
    found = []
    for name, metric in METRICS.items():
        a, b = before.figures.get(name), after.figures.get(name)
        if not metric.compared or a is None or b is None or a.value is None or b.value is None:
            continue
        if metric.exact:
            change = _exact_change(metric, a, b)
        elif metric.statistic == "clips":
            if drops is None:
                continue
            change = _difference(name, a, b, drops)
        else:
            change = _ratio(metric, a, b, before, after, paired=paired)
            if metric.name in ENERGIES and (why := _unlike_power(before, after)):
                change = replace(change, outcome=NOT_JUDGED, reason=why)
        if change.verdict is None:
            change = _spoilt(change, before.verdict, after.verdict, paired=paired)
        found.append(change)
    return tuple(found)


def _unlike_power(before: Row, after: Row) -> str | None:
    """Why two energies cannot be compared: by other rails, or by a meter in one run; None where they can."""
    read = [
        {
            (found.coverage.source, found.coverage.rails)
            for line in row.energy
            if isinstance(found := energy_of(line.trial), Energy)
        }
        for row in (before, after)
    ]
    if read[0] == read[1] and len(read[0]) == 1:
        return None
    words = [" or ".join(" + ".join(rails) for _, rails in sorted(one)) for one in read]
    return f"power was read otherwise: {words[0]} against {words[1]}"


def decided(conditions: Sequence[Sequence[Change]]) -> list[tuple[Change, ...]]:
    """The changes of every condition with their words, which hold family-wise (see ``families``)."""
    tests = [
        (place, number)
        for place, changes in enumerate(conditions)
        for number, change in enumerate(changes)
        if change.p_value is not None and change.outcome == INCONCLUSIVE
    ]
    adjusted = holm([conditions[place][number].p_value or 0.0 for place, number in tests])
    found = [list(changes) for changes in conditions]
    for (place, number), p_value in zip(tests, adjusted, strict=True):
        change = replace(found[place][number], p_adjusted=p_value)
        if p_value <= FAMILY_ERROR and change.reason is None:
            change = replace(change, outcome=_word(change))
        found[place][number] = change
    return [tuple(changes) for changes in found]


def _word(change: Change) -> str:
    lower = change.ratio < 1 if change.ratio is not None else (change.difference or 0.0) < 0
    return "better" if lower == (METRICS[change.metric].better == "lower") else "worse"


def _exact_change(metric: Metric, a: Figure, b: Figure) -> Change:
    assert a.value is not None and b.value is not None
    ratio = b.value / a.value if a.value else None
    if a.value == b.value:
        outcome = "same"
    elif metric.statistic == "parity":
        # The last bit decides it; the verdict says whether it is too large.
        outcome = "changed"
    else:
        outcome = "better" if (b.value < a.value) == (metric.better == "lower") else "worse"
    return Change(metric.name, a, b, ratio=ratio, outcome=outcome)


def _ratio(metric: Metric, a: Figure, b: Figure, before: Row, after: Row, *, paired: bool) -> Change:
    assert a.value is not None and b.value is not None
    lines = before.launches_of(metric), after.launches_of(metric)
    ratio: Ratio = (paired_ratio if paired else unpaired_ratio)(metric, *lines)
    interval = ratio.interval
    value = ratio.value
    if value is None and a.value:
        value = b.value / a.value
    p_value = None if ratio.estimate is None else ratio.estimate.p_value()
    change = Change(
        metric.name,
        a,
        b,
        ratio=value,
        lo=interval.lo,
        hi=interval.hi,
        reason=interval.reason,
        clusters=ratio.clusters,
        p_value=p_value,
    )
    if metric.unit == "ns" and abs(b.value - a.value) < LIMITS.floor_ns:
        change = replace(change, reason="a difference below 1 µs is not told from the clock's ticks")
    if not paired:
        return _above_the_counters(change, metric, before, after)
    verdict = judge_ratio(metric, ratio, before.verdict, after.verdict)
    if verdict.valid:
        return replace(change, verdict=verdict)
    reason = f"the ratio is INVALID ({', '.join(verdict.codes)})"
    return replace(change, verdict=verdict, outcome=NOT_JUDGED, reason=reason)


def _above_the_counters(change: Change, metric: Metric, before: Row, after: Row) -> Change:
    """The change, without a word where memory of two runs differs by less than the kernel counts."""
    pages = [t.memory.page_bytes for row in (before, after) for t in row.good if t.memory]
    a, b = change.before.value, change.after.value
    if metric.aspect != "memory" or not pages or a is None or b is None:
        return change
    floor_bytes = LIMITS.floor_pages * max(pages)
    if abs(b - a) >= floor_bytes:
        return change
    floor = f"{floor_bytes / 1000:.0f} kB"
    return replace(
        change, reason=f"a difference below {floor} between runs is not told from the kernel's counters"
    )


def _difference(name: str, a: Figure, b: Figure, drops: Mapping[str, accuracy.Drop] | str) -> Change:
    """after - before of one accuracy; ``drops`` is a text where nothing pairs the two."""
    assert a.value is not None and b.value is not None
    change = Change(name, a, b, difference=b.value - a.value)
    if isinstance(drops, str):
        return replace(change, reason=drops)
    estimate = drops[name].estimate
    if estimate is None:
        return replace(change, reason=drops[name].figure.reason)
    turned = Estimate(-estimate.value, estimate.error, estimate.df, estimate.clusters, estimate.cluster)
    interval = turned.interval()
    same = interval.lo == interval.hi == 0
    return replace(
        change,
        lo=interval.lo,
        hi=interval.hi,
        reason=interval.reason,
        clusters=turned.clusters,
        p_value=None if same else turned.p_value(),
        outcome="same" if same else INCONCLUSIVE,
    )


def _drops(before: Row, after: Row) -> Mapping[str, accuracy.Drop] | str | None:
    """before - after of each accuracy, paired over speakers; None without predictions."""
    first, second = predictions_of(before.trials), predictions_of(after.trials)
    if before.corpus is None or after.corpus is None or first is None or second is None:
        return None
    if {clip.id: clip for clip in before.corpus.clips} != {clip.id: clip for clip in after.corpus.clips}:
        return "the two runs scored other clips of this corpus, so nothing pairs them"
    return accuracy.drops(first, second, before.corpus, tasks_of(before.artifact), tasks_of(after.artifact))


def _spoilt(change: Change, before: Verdict, after: Verdict, *, paired: bool) -> Change:
    """The change, not judged where a code spoils what the metric measures in either row."""
    names = ("the reference", "the artifact") if paired else ("the first run", "the second run")
    left = LEFT_TO_THE_PAIRS if paired else frozenset()
    invalid = [
        f"{which} is {verdict.status} ({', '.join(codes)})"
        for which, verdict in zip(names, (before, after), strict=True)
        if (codes := [code for code in verdict.against(change.metric) if code not in left])
    ]
    return replace(change, outcome=NOT_JUDGED, reason=" and ".join(invalid)) if invalid else change
