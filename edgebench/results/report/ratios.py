"""The ratios of a run's artifacts, paired by round, as one section of its report."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.errors import UsageError
from edgebench.results.changes import INCONCLUSIVE, NOT_JUDGED, Change
from edgebench.results.compare import ComparedRow, compare_artifacts
from edgebench.results.metrics.table import METRICS
from edgebench.results.records.record import Condition
from edgebench.results.report.comparison import comparison_notes, effect_text
from edgebench.results.report.tables import Cell, Column, Section, runtime_cells, runtime_columns
from edgebench.results.report.words import NOTHING, seconds
from edgebench.results.summary import RunSummary

# Metrics shown, the first that the row has of each group, with the priority of their column. CPU time
# comes first: on a host that others use as well it is the one that can be believed.
_SHOWN: tuple[tuple[str, int, tuple[str, ...]], ...] = (
    ("CPU time", 0, ("cpu_p50_ns", "cpu_mean_ns")),
    ("Wall time", 1, ("latency_p50_ns", "throughput_utterances_per_s")),
    ("Peak RSS", 2, ("peak_rss_bytes",)),
    ("Load", 3, ("load_ns",)),
)


def ratio_sections(summary: RunSummary, *, against: str | None = None) -> list[Section]:
    """The section, or none for a run that leaves nothing to compare.

    ``against``: the reference, else each artifact's parent (see ``compare_artifacts``). Raises
    UsageError where it was not measured.
    """
    try:
        comparison = compare_artifacts(summary, against=against)
    except UsageError:
        if against is not None:
            raise
        return []
    shown = [row for pair in comparison.rows for row in (pair.before, pair.after)]
    columns = (
        Column("Artifact", right=False),
        *runtime_columns(shown),
        Column("Against", 4, right=False),
        Column("Input"),
        Column("Threads", 5),
        *(Column(title, priority) for title, priority, _ in _SHOWN),
        Column("Verdict", right=False),
    )
    rows = tuple(_cells(row, runtime_cells(shown, row.after)) for row in comparison.rows)
    notes = (
        "Wall time is the ratio of latency p50, over a corpus that of the time an utterance. A ratio without "
        "a word is inconclusive. `edgebench compare RUN` shows every metric.",
        *_invalid_notes(comparison.rows),
        *comparison_notes(comparison),
    )
    return [Section("Side by side: ratios to the reference", columns, rows, notes)]


def _shown(row: ComparedRow) -> dict[str, Change | None]:
    """Title of a column -> what the row has of it."""
    changes = {change.metric: change for change in row.changes}
    return {
        title: next((changes[name] for name in names if name in changes), None) for title, _, names in _SHOWN
    }


def _codes(change: Change | None) -> tuple[str, ...]:
    return change.verdict.codes if change is not None and change.verdict is not None else ()


def _inside(title: str) -> str:
    """A column's title inside of a sentence: "wall time", "CPU time"."""
    return title if title[:2].isupper() else title[0].lower() + title[1:]


def _invalid_notes(rows: Sequence[ComparedRow]) -> list[str]:
    """Which ratios are not valid, by what codes."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for title, change in _shown(row).items():
            found.setdefault(title, {}).update(dict.fromkeys(_codes(change)))
    texts = [f"{_inside(title)} ({', '.join(codes)})" for title, codes in found.items() if codes]
    return [f"Not valid in some rows: {'; '.join(texts)}."] if texts else []


def _cells(row: ComparedRow, runtime: tuple[Cell, ...]) -> tuple[Cell, ...]:
    condition = row.after.condition
    shown = _shown(row)
    measured = {title: change for title, change in shown.items() if change is not None}
    invalid = [title for title, change in measured.items() if _codes(change)]
    status = "INVALID" if invalid and len(invalid) == len(measured) else "VALID"
    but = f" but for {', '.join(map(_inside, invalid))}" if invalid and status == "VALID" else ""
    return (
        Cell(condition.artifact),
        *runtime,
        Cell(_reference(row)),
        Cell(condition.corpus or _input(condition)),
        Cell(str(condition.threads)),
        *(_cell(change) for change in shown.values()),
        Cell(f"{status}{but}", status=status),
    )


def _input(condition: Condition) -> str:
    text = seconds(condition.input_s)
    return f"{text}, sustained" if condition.scenario == "sustained" else text


def _reference(row: ComparedRow) -> str:
    """What the row is compared with, and its runtime where that is another one."""
    before, after = row.before.condition, row.after.condition
    return before.artifact if before.runtime == after.runtime else f"{before.artifact} ({before.runtime})"


def _cell(change: Change | None) -> Cell:
    """The ratio with the word that may be said of it; throughput is turned over into time."""
    if change is None or change.ratio is None:
        return Cell(NOTHING)
    if METRICS[change.metric].better == "higher":
        turned = (None if end is None else 1 / end for end in (change.hi, change.lo))
        lo, hi = turned
        change = Change(
            change.metric,
            change.before,
            change.after,
            ratio=1 / change.ratio,
            lo=lo,
            hi=hi,
            outcome=change.outcome,
        )
    if change.outcome == NOT_JUDGED:
        return Cell(f"{effect_text(change)} not valid", short="not valid")
    word = "" if change.outcome == INCONCLUSIVE else f" {change.outcome}"
    return Cell(f"{effect_text(change)}{word}", short=f"{change.ratio:.3f}{word}")
