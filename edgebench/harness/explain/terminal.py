"""An explanation on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edgebench.harness.explain.explanation import Explanation
from edgebench.harness.explain.text import (
    ACCURACY_HEADING,
    TIME_HEADING,
    causes_text,
    facts,
    headline,
    lossy_text,
    operator_section,
)
from edgebench.results.report.terminal import render_section


def print_explanation(explanation: Explanation, console: Console) -> None:
    """Print the sentence, the facts and the operators."""
    console.print(Text(headline(explanation), style="bold"))
    if explanation.emulated:
        console.print(Text("EMULATED: its speed says nothing about a real board.", style="yellow"))
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for title, text in facts(explanation):
        table.add_row(Text(title), Text(text))
    console.print(table)
    for heading, found in (
        (TIME_HEADING, causes_text(explanation)),
        (ACCURACY_HEADING, lossy_text(explanation)),
    ):
        if found:
            console.print(Text(f"\n{heading}", style="bold underline"))
        for place, (title, text) in enumerate(found, 1):
            console.print(Text(f"{place}. {title}", style="bold"))
            console.print(Padding(Text(text), (0, 0, 0, 3)))
    console.print(render_section(operator_section(explanation), width=console.width))
    for note in explanation.notes:
        console.print(Text(note, style="dim"))
