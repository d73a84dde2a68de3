"""One HTML file that holds everything and asks the network for nothing: tables, and plots by plotly.

A content security policy in the page forbids every request, so that this is not only a promise.
"""

from __future__ import annotations

import html
import json
from dataclasses import replace
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from edgebench.results.report.tables import Cell, Section

_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:"
)


def document(title: str, body: str, plots: dict[str, Any], script: Traversable) -> str:
    """The page as text (about 5 MB: the plotting library is in it).

    ``body`` is HTML; ``plots`` is what ``script`` draws.
    """
    from plotly.offline import get_plotlyjs  # noqa: PLC0415

    return "\n".join(
        [
            *_opening(title, body),
            f'<script type="application/json" id="plot-data">{_json(plots)}</script>',
            f"<script>{get_plotlyjs()}</script>",
            f"<script>{_text(asset('plots.js'))}</script>",
            f"<script>{_text(script)}</script>",
            "</body>",
            "</html>\n",
        ]
    )


def plain_document(title: str, body: str) -> str:
    """A page without plots as text, of some kilobytes; ``body`` is HTML."""
    return "\n".join([*_opening(title, body), "</body>", "</html>\n"])


def _opening(title: str, body: str) -> list[str]:
    """The page up to the end of its content."""
    return [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        # An empty icon: else a browser asks for /favicon.ico.
        '<link rel="icon" href="data:,">',
        f"<title>{escape(title)}</title>",
        f"<style>{_text(asset('page.css'))}</style>",
        "</head>",
        f"<body>\n<main>\n{body}\n</main>",
    ]


def section_html(section: Section) -> str:
    """One table with its title and notes; the verdict stands beside the name."""
    section = _verdict_second(section)
    sides = [' class="right"' if column.right else "" for column in section.columns]
    head = "".join(
        f"<th{side}>{escape(column.title)}</th>" for side, column in zip(sides, section.columns, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(f"<td{side}>{_cell(cell)}</td>" for side, cell in zip(sides, row, strict=True))
        + "</tr>"
        for row in section.rows
    )
    notes = "".join(
        f'<p class="{"warning" if note.startswith("SEEN") else "note"}">{escape(note)}</p>'
        for note in section.notes
    )
    return (
        f"<section><h2>{escape(section.title)}</h2>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f"{notes}</section>"
    )


def _verdict_second(section: Section) -> Section:
    """The verdict beside the name: a table that scrolls must not hide it."""
    order = list(range(len(section.columns)))
    order.sort(
        key=lambda number: 0 if number == 0 else 1 if section.columns[number].title == "Verdict" else 2
    )
    return replace(
        section,
        columns=tuple(section.columns[number] for number in order),
        rows=tuple(tuple(row[number] for number in order) for row in section.rows),
    )


def _cell(cell: Cell) -> str:
    if cell.status is not None:
        status, _, codes = cell.text.partition(":")
        return f'<span class="badge {escape(cell.status)}">{escape(status)}</span>{escape(codes)}'
    value, bracket, interval = cell.text.partition(" [")
    text = escape(value) + (f' <span class="interval">[{escape(interval)}</span>' if bracket else "")
    return f'<span title="{escape(cell.reason)}">{text}</span>' if cell.reason else text


def escape(text: str) -> str:
    """Text that no HTML parser reads as anything else."""
    return html.escape(text, quote=True)


def _json(data: dict[str, Any]) -> str:
    """JSON that no HTML parser ends early: no "<" in it."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def asset(name: str) -> Traversable:
    """A file of this package that pages hold: a script or a style sheet."""
    return resources.files("edgebench.results.report") / name


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
