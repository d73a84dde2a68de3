"""A comparison as sections, for the terminal, Markdown and the page."""

from __future__ import annotations

from edgebench.results.changes import NOT_JUDGED, Change
from edgebench.results.compare import ComparedRow, Comparison
from edgebench.results.metrics.families import FAMILY_ERROR
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
_PAIRED_COLUMNS = (
    Column("Metric", right=False),
    Column("Reference", 2),
    Column("Artifact", 2),
    Column("Ratio or difference"),
    Column("Pairs", 3),
    Column("Ratio's verdict", 1, right=False),
    Column("Outcome", right=False),
)


def comparison_title(comparison: Comparison) -> str:
    """What is compared with what."""
    if not comparison.paired:
        return f"{comparison.before.run_id} against {comparison.after.run_id}"
    return f"Artifacts of run {comparison.before.run_id} side by side"


def comparison_notes(comparison: Comparison) -> tuple[str, ...]:
    """What has to be known to read the ratios and the words."""
    if comparison.paired:
        ratios = (
            "Ratios are paired by round: launches of one round are neighbours in time, so what drifts or "
            "disturbs both leaves their ratio alone. Each ratio has a verdict of its own, by the number and "
            "the scatter of its pairs."
        )
    else:
        ratios = (
            "Ratios between two runs are not paired: what changed between the runs is in the ratio and not "
            "in its interval. To compare two files, measure both in one run."
        )
    if not comparison.tests:
        return ratios, "No ratio or difference of this comparison could be tested, so none is called."
    words = (
        f'"Better" and "worse" hold for all {comparison.tests} tests of this comparison together (Holm): of '
        f"two identical files, at most {FAMILY_ERROR:.0%} of comparisons say either anywhere. Each interval "
        "is a 95 % interval of its own, so some of many leave 1 out by chance."
    )
    return ratios, words


def comparison_sections(comparison: Comparison) -> list[Section]:
    """One section for each condition that both have, and one for what only one of two runs measured."""
    found = [_section(row, paired=comparison.paired) for row in comparison.rows]
    alone = [("first", row) for row in comparison.only_before] + [
        ("second", row) for row in comparison.only_after
    ]
    if alone:
        columns = (Column("Condition", right=False), Column("Only in the", right=False))
        rows = tuple((Cell(row_name(row)), Cell(f"{which} run")) for which, row in alone)
        found.append(Section("Not in both runs", columns, rows))
    return found


def _section(row: ComparedRow, *, paired: bool) -> Section:
    reasons = dict.fromkeys(
        f"{METRICS[c.metric].title}: {c.reason}" for c in row.changes if c.reason and c.outcome != NOT_JUDGED
    )
    invalid = dict.fromkeys(c.reason for c in row.changes if c.outcome == NOT_JUDGED and c.reason)
    notes = (*(f"Not judged: {reason}." for reason in invalid), *(f"{reason}." for reason in reasons))
    title = row_name(row.after)
    if paired:
        title = f"{title}, against {row.before.condition.artifact}"
    cells = tuple(_cells(change, paired=paired) for change in row.changes)
    return Section(title, _PAIRED_COLUMNS if paired else _COLUMNS, cells, notes)


def _cells(change: Change, *, paired: bool) -> tuple[Cell, ...]:
    metric = METRICS[change.metric]
    bounded = change.difference is not None
    figures = (
        Cell(metric.title),
        Cell(figure_text(change.before, interval=False, bounded=bounded)),
        Cell(figure_text(change.after, interval=False, bounded=bounded)),
        Cell(effect_text(change)),
    )
    outcome = Cell(change.outcome, status=change.outcome)
    if not paired:
        return (*figures, outcome)
    if change.verdict is None:
        return (*figures, Cell(""), Cell(""), outcome)
    codes = ", ".join(change.verdict.codes)
    verdict = f"{change.verdict.status}: {codes}" if codes else change.verdict.status
    return (*figures, Cell(str(change.clusters)), Cell(verdict, status=change.verdict.status), outcome)


def effect_text(change: Change) -> str:
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
