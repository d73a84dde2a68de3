"""Two runs side by side as sections, for the terminal and for Markdown."""

from __future__ import annotations

from edgebench.results.compare import Change, Comparison
from edgebench.results.metrics.table import METRICS
from edgebench.results.report.tables import Cell, Column, Section, row_name
from edgebench.results.report.words import NOTHING, figure_text

_COLUMNS = (
    Column("Metric", right=False),
    Column("Before", 2),
    Column("After", 2),
    Column("Ratio or difference"),
    Column("Outcome", right=False),
)


def comparison_sections(comparison: Comparison) -> list[Section]:
    """One section for each condition that both runs measured, and one for what only one did."""
    found = []
    for row in comparison.rows:
        reasons = dict.fromkeys(
            f"{METRICS[c.metric].title}: {c.reason}"
            for c in row.changes
            if c.reason and c.outcome != "not judged"
        )
        invalid = dict.fromkeys(c.reason for c in row.changes if c.outcome == "not judged" and c.reason)
        notes = (*(f"Not judged: {reason}." for reason in invalid), *(f"{reason}." for reason in reasons))
        found.append(Section(row_name(row.after), _COLUMNS, tuple(_cells(c) for c in row.changes), notes))
    alone = [("first", row) for row in comparison.only_before] + [
        ("second", row) for row in comparison.only_after
    ]
    if alone:
        columns = (Column("Condition", right=False), Column("Only in the", right=False))
        rows = tuple((Cell(row_name(row)), Cell(f"{which} run")) for which, row in alone)
        found.append(Section("Not in both runs", columns, rows))
    return found


def _cells(change: Change) -> tuple[Cell, ...]:
    metric = METRICS[change.metric]
    bounded = change.difference is not None
    return (
        Cell(metric.title),
        Cell(figure_text(change.before, interval=False, bounded=bounded)),
        Cell(figure_text(change.after, interval=False, bounded=bounded)),
        Cell(_effect(change)),
        Cell(change.outcome, status=change.outcome),
    )


def _effect(change: Change) -> str:
    """The ratio as "0.750 [0.740, 0.760]", a difference as "+0.010 [-0.005, +0.020]"."""
    if change.difference is not None:
        text, form = f"{change.difference:+.3f}", "+.3f"
    elif change.ratio is not None:
        text, form = f"{change.ratio:.3f}", ".3f"
    else:
        return NOTHING
    if change.lo is None or change.hi is None:
        return text
    return f"{text} [{change.lo:{form}}, {change.hi:{form}}]"
