"""The ratios of a run's artifacts, paired by round, as one section of its report."""

from __future__ import annotations

from edgebench.errors import UsageError
from edgebench.results.changes import NOT_JUDGED, Change
from edgebench.results.compare import ComparedRow, compare_artifacts
from edgebench.results.metrics.table import METRICS
from edgebench.results.report.comparison import comparison_notes, effect_text
from edgebench.results.report.tables import Cell, Column, Section, runtime_cells, runtime_columns
from edgebench.results.report.words import NOTHING, seconds
from edgebench.results.summary import RunSummary

# Metrics shown, the first that the row has of each group, with the priority of their column.
_SHOWN: tuple[tuple[str, int, tuple[str, ...]], ...] = (
    ("Wall time", 0, ("latency_p50_ns", "throughput_utterances_per_s")),
    ("CPU time", 1, ("cpu_p50_ns", "cpu_mean_ns")),
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
        Column("Ratio's verdict", right=False),
    )
    rows = tuple(_cells(row, runtime_cells(shown, row.after)) for row in comparison.rows)
    wall = (
        "Wall time is the ratio of latency p50, over a corpus that of the time an utterance. "
        "`edgebench compare RUN` shows every metric."
    )
    return [
        Section("Side by side: ratios to the reference", columns, rows, (wall, *comparison_notes(comparison)))
    ]


def _cells(row: ComparedRow, runtime: tuple[Cell, ...]) -> tuple[Cell, ...]:
    condition = row.after.condition
    changes = {change.metric: change for change in row.changes}
    shown = [next((changes[name] for name in names if name in changes), None) for _, _, names in _SHOWN]
    codes = list(
        dict.fromkeys(code for change in shown if change and change.verdict for code in change.verdict.codes)
    )
    status = "INVALID" if codes else "VALID"
    return (
        Cell(condition.artifact),
        *runtime,
        Cell(_reference(row)),
        Cell(condition.corpus or seconds(condition.input_s)),
        Cell(str(condition.threads)),
        *(_cell(change) for change in shown),
        Cell(f"{status}: {', '.join(codes)}" if codes else status, status=status),
    )


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
    word = "" if change.outcome == NOT_JUDGED else f" {change.outcome}"
    return Cell(f"{effect_text(change)}{word}", short=f"{change.ratio:.3f}{word}")
