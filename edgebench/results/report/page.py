"""The HTML page of a run: one file that holds everything, asks the network for nothing, and says
what every table says, with Pareto plots.

A content security policy in the page forbids every request, so that this is not only a promise.
"""

from __future__ import annotations

import html
import json
from dataclasses import replace
from importlib import resources
from typing import Any

from edgebench.results.metrics import METRICS
from edgebench.results.report.conditions import board_name, command_text, conditions
from edgebench.results.report.plots import ACCURACIES, COSTS, corpora, lengths, plot_data
from edgebench.results.report.tables import (
    SYNTHETIC_NOTE,
    Cell,
    Section,
    findings,
    not_judged,
    overhead_sentence,
    sections,
)
from edgebench.results.summary import SYNTHETIC, RunSummary

_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:"
)


def run_page(summary: RunSummary) -> str:
    """The page of a run as text (about 5 MB: the plotting library is in it)."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415

    title = f"edgebench: {summary.header.device.name}, run {summary.run_id}"
    body = "\n".join(
        [
            *_head(summary, title),
            *_planes(summary),
            *_latency(summary),
            *(_section(section) for section in sections(summary)),
            *_verdicts(summary),
            *_conditions(summary),
        ]
    )
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            # An empty icon: else a browser asks for /favicon.ico.
            '<link rel="icon" href="data:,">',
            f"<title>{_e(title)}</title>",
            f"<style>{_asset('page.css')}</style>",
            "</head>",
            f"<body>\n<main>\n{body}\n</main>",
            f'<script type="application/json" id="plot-data">{_json(plot_data(summary))}</script>',
            f"<script>{get_plotlyjs()}</script>",
            f"<script>{_asset('page.js')}</script>",
            "</body>",
            "</html>\n",
        ]
    )


def _head(summary: RunSummary, title: str) -> list[str]:
    header = summary.header
    board = header.device.fingerprint
    parts = [f"<h1>{_e(title)}</h1>"]
    # Said once where the model is not known, as on most desktops and servers.
    names = dict.fromkeys([board_name(board), board.cpu_model or board.machine])
    parts.append(f'<p class="soft">{", ".join(map(_e, names))}</p>')
    if header.device.emulated:
        parts.append('<p class="warning">EMULATED: its speed says nothing about a real board.</p>')
    if summary.status != "complete":
        parts.append(f'<p class="warning">This run is not complete: {_e(summary.status)}.</p>')
    valid = sum(row.verdict.valid for row in summary.rows)
    parts.append(
        f"<p>{valid} of {len(summary.rows)} conditions are VALID. {_e(overhead_sentence(summary))}</p>"
        f"<pre>{_e(command_text(summary))}</pre>"
    )
    return parts


def _planes(summary: RunSummary) -> list[str]:
    names = corpora(summary)
    heading = "<h2>Which one to ship: cost against accuracy</h2>"
    if not names or not lengths(summary):
        return [
            heading,
            "<p>No corpus was predicted in this run, so there is no accuracy to set cost against.</p>",
        ]
    titles = {name: _corpus_title(summary, name) for name in names}
    middle = 5.0 if 5.0 in lengths(summary) else lengths(summary)[-1]
    controls = [
        _choice("corpus", "Corpus", [(name, titles[name]) for name in names], names[0]),
        _choice("accuracy", "Accuracy", [(name, METRICS[name].title) for name in ACCURACIES], ACCURACIES[0]),
        _choice("length", "Input length", [(f"{n:g}", f"{n:g} s") for n in lengths(summary)], f"{middle:g}"),
    ]
    plots = "".join(f'<div class="plot" id="plane-{name}"></div>' for name in COSTS)
    return [
        heading,
        f'<div class="controls">{"".join(controls)}</div>',
        '<p class="note" id="corpus-note"></p>',
        '<div class="legend artifacts"></div>',
        f'<div class="plots">{plots}</div>',
        '<p class="note">Filled: on the front (dotted line). Hollow: dominated, another artifact is at least '
        "as good in both and better in one. Red cross: a code speaks against one of "
        "the two figures and keeps it off the front; hover for the code. "
        "Bars: 95 % intervals, over process launches across and over speakers upwards; size and MACs are "
        "exact.</p>",
        "<noscript><p>The plots need JavaScript; the tables below say the same.</p></noscript>",
    ]


def _latency(summary: RunSummary) -> list[str]:
    if not lengths(summary):
        return []
    return [
        "<h2>Latency by input length</h2>",
        '<div class="legend artifacts"></div>',
        '<div class="plot wide" id="latency-plot"></div>',
        '<p class="note">Bars: 95 % intervals over process launches. Red cross: not valid. '
        "Other dashes: other numbers of threads.</p>",
    ]


def _corpus_title(summary: RunSummary, name: str) -> str:
    corpus = next((corpus for corpus in summary.header.corpora if corpus.name == name), None)
    if corpus is not None and corpus.label_source == SYNTHETIC:
        return f"{name} (pipeline check)"
    return f"{name} (recorded speech)"


def _choice(name: str, title: str, options: list[tuple[str, str]], chosen: str) -> str:
    entries = "".join(
        f'<option value="{_e(value)}"{" selected" if value == chosen else ""}>{_e(text)}</option>'
        for value, text in options
    )
    return f'<label>{_e(title)} <select id="choose-{name}" autocomplete="off">{entries}</select></label>'


def _section(section: Section) -> str:
    section = _verdict_second(section)
    sides = [' class="right"' if column.right else "" for column in section.columns]
    head = "".join(
        f"<th{side}>{_e(column.title)}</th>" for side, column in zip(sides, section.columns, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(f"<td{side}>{_cell(cell)}</td>" for side, cell in zip(sides, row, strict=True))
        + "</tr>"
        for row in section.rows
    )
    notes = "".join(
        f'<p class="{"warning" if note.startswith("SEEN") else "note"}">{_e(note)}</p>'
        for note in section.notes
    )
    return (
        f"<section><h2>{_e(section.title)}</h2>"
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
        return f'<span class="badge {_e(cell.status)}">{_e(status)}</span>{_e(codes)}'
    value, bracket, interval = cell.text.partition(" [")
    text = _e(value) + (f' <span class="interval">[{_e(interval)}</span>' if bracket else "")
    return f'<span title="{_e(cell.reason)}">{text}</span>' if cell.reason else text


def _verdicts(summary: RunSummary) -> list[str]:
    parts = []
    broken = findings(summary)
    if broken:
        lines = "".join(
            f'<li><b class="warning">{_e(code)}</b> {_e(condition)}: {_e(evidence)}. <i>{_e(action)}</i></li>'
            for condition, code, evidence, action in broken
        )
        parts.append(f'<h2>What is wrong and what to do</h2><ul class="findings">{lines}</ul>')
    left = not_judged(summary)
    if left:
        text = "; ".join(f"{code} ({reason})" for code, reason in left)
        parts.append(f'<p class="note">Not judged: {_e(text)}.</p>')
    return parts


def _conditions(summary: RunSummary) -> list[str]:
    rows = "".join(f"<dt>{_e(title)}</dt><dd>{_e(text)}</dd>" for title, text in conditions(summary))
    synthetic = any(corpus.label_source == SYNTHETIC for corpus in summary.header.corpora)
    note = f'<p class="note">{_e(SYNTHETIC_NOTE)}</p>' if synthetic else ""
    return ["<h2>Conditions</h2>", f"<dl>{rows}</dl>", note]


def _e(text: str) -> str:
    return html.escape(text, quote=True)


def _json(data: dict[str, Any]) -> str:
    """JSON that no HTML parser ends early: no "<" in it."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return resources.files("edgebench.results.report").joinpath(name).read_text(encoding="utf-8")
