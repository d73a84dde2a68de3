"""Runs, comparisons and evaluations on the terminal: tables that give up columns, not break lines."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edgebench.results.compare import Comparison
from edgebench.results.evaluation import Evaluation
from edgebench.results.report.comparison import comparison_notes, comparison_sections, comparison_title
from edgebench.results.report.conditions import board_name, conditions
from edgebench.results.report.evaluation import evaluation_sections
from edgebench.results.report.sections import sections
from edgebench.results.report.tables import (
    Cell,
    Section,
    findings,
    not_judged,
    overhead_sentence,
)
from edgebench.results.summary import RunSummary

COLOURS = {
    "VALID": "green",
    "INVALID": "red",
    "UNSUPPORTED": "magenta",
    "INCOMPLETE": "yellow",
    "better": "green",
    "worse": "red",
}
# Blanks between two columns.
_BETWEEN = 3
# Columns above this priority give way before any interval does.
_MINOR = 5
# Names longer than this are folded.
_LONG_NAME = 40


def print_run(summary: RunSummary, console: Console, *, relative_to: str | None = None) -> None:
    """Print the tables, the verdicts' evidence and the conditions of a run.

    ``relative_to``: the artifact that ratios are made against.
    """
    for part in render_run(summary, width=console.width, relative_to=relative_to):
        console.print(part)


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print two runs, or the artifacts of one, side by side."""
    console.print(Text(comparison_title(comparison), style="bold"))
    for title, lines in (("DIFFERING (forced)", comparison.differing), ("Also differing", comparison.notes)):
        for line in lines:
            console.print(Text(f"{title}: {line}", style="yellow"))
    for section in comparison_sections(comparison):
        console.print(render_section(section, width=console.width))
    for note in comparison_notes(comparison):
        console.print(Padding(Text(f"\n{note}", style="dim"), (0, 0, 0, 2)))


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """Print what models reach on corpora."""
    print_sections(evaluation_sections(evaluation), console)


def print_sections(found: Iterable[Section], console: Console) -> None:
    """Print tables one under the other."""
    for section in found:
        console.print(render_section(section, width=console.width))


def render_run(summary: RunSummary, *, width: int, relative_to: str | None = None) -> list[RenderableType]:
    """The parts of a run's report for a terminal of ``width`` columns."""
    header = summary.header
    name = f"Run {summary.run_id} on {header.device.name} ({board_name(header.device.fingerprint)})"
    parts: list[RenderableType] = [Text(name, style="bold")]
    if header.device.emulated:
        parts.append(Text("EMULATED: its speed says nothing about a real board.", style="yellow"))
    found = sections(summary, relative_to=relative_to)
    parts += [render_section(section, width=width) for section in found]
    parts += _verdicts(summary)
    if not any(section.title.startswith("The harness") for section in found):
        parts.append(Text(overhead_sentence(summary), style="dim"))
    table = Table(box=None, show_header=False, padding=(0, 1), expand=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for title, text in conditions(summary):
        if title != "Null runtime":
            table.add_row(Text(title), Text(text))
    parts.append(Group(Text("\nConditions", style="bold"), table))
    return parts


def render_section(section: Section, *, width: int) -> RenderableType:
    """One section, without the columns that a terminal of ``width`` cannot hold (it says which)."""
    shown = fitting_columns(section, width)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    for number in shown:
        column = section.columns[number]
        wide = any(len(row[number].text) > _LONG_NAME for row in section.rows)
        table.add_column(
            Text(column.title),
            justify="right" if column.right else "left",
            # A verdict breaks between its codes; a name only where it is very long.
            no_wrap=column.right or (column.title in ("Artifact", "Runtime") and not wide),
            overflow="fold",
        )
    for row in section.rows:
        table.add_row(*(_text(row[number], short=shown[number]) for number in shown))
    notes = list(section.notes)
    dropped = [column.title for number, column in enumerate(section.columns) if number not in shown]
    if dropped:
        notes.append(f"Not shown at this width: {', '.join(dropped)}.")
    parts: list[RenderableType] = [Text(f"\n{section.title}\n", style="bold"), table, Text()]
    parts += [Padding(Text(note, style="dim"), (0, 0, 0, 2)) for note in notes]
    return Group(*parts)


def fitting_columns(section: Section, width: int) -> dict[int, bool]:
    """The columns to show -> whether without their intervals.

    Minor columns go first, then the intervals of all but the main ones, then further columns, and
    the intervals of the main ones (priority 0) last; those columns always stay.
    """
    shown = dict.fromkeys(range(len(section.columns)), False)

    def needed() -> int:
        widths = [_width(section, number, short=short) for number, short in shown.items()]
        return sum(widths) + _BETWEEN * (len(widths) - 1)

    def drop(above: int) -> None:
        for number in sorted(shown, key=lambda n: -section.columns[n].priority):
            if needed() <= width or section.columns[number].priority <= above:
                return
            del shown[number]

    drop(_MINOR)
    if needed() > width:
        shown = {number: section.columns[number].priority > 0 for number in shown}
    drop(0)
    return shown if needed() <= width else dict.fromkeys(shown, True)


def _width(section: Section, number: int, *, short: bool) -> int:
    column = section.columns[number]
    texts = [_shown(row[number], short=short) for row in section.rows]
    if column.title == "Verdict":
        texts = [word for text in texts for word in text.split()]
    elif not column.right:
        texts = [text[:_LONG_NAME] for text in texts]
    return max(len(text) for text in [column.title, *texts])


def _shown(cell: Cell, *, short: bool) -> str:
    return cell.short if short and cell.short is not None else cell.text


def _text(cell: Cell, *, short: bool) -> Text:
    # Text, not markup: an artifact may be called "[red]".
    return Text(_shown(cell, short=short), style=COLOURS.get(cell.status or "", ""))


def _verdicts(summary: RunSummary) -> list[RenderableType]:
    parts: list[RenderableType] = []
    broken = findings(summary)
    if broken:
        lines: list[RenderableType] = [Text("\nWhat is wrong and what to do", style="bold")]
        for code, places in _by_code(broken).items():
            condition, evidence, action = places[0]
            more = f" (and {len(places) - 1} more; the page lists them)" if len(places) > 1 else ""
            line = Text.assemble((code, "bold red"), f" {condition}: {evidence}{more}. ", (action, "italic"))
            lines.append(Padding(line, (0, 0, 0, 2)))
        parts.append(Group(*lines))
    left = not_judged(summary)
    if left:
        text = "; ".join(f"{code} ({reason})" for code, reason in left)
        parts.append(Text(f"\nNot judged: {text}.", style="dim"))
    return parts


def _by_code(broken: Iterable[tuple[str, str, str, str]]) -> dict[str, list[tuple[str, str, str]]]:
    """Findings under their code: on a busy machine every condition says the same."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for condition, code, evidence, action in broken:
        found.setdefault(code, []).append((condition, evidence, action))
    return found
