"""The HTML page of a run: what every table says, with Pareto plots."""

from __future__ import annotations

from typing import Any

from edgebench.results.metrics.table import METRICS
from edgebench.results.report.conditions import board_name, command_text, conditions
from edgebench.results.report.document import asset, document, escape, section_html
from edgebench.results.report.in_time import course_data
from edgebench.results.report.notes import SYNTHETIC_NOTE
from edgebench.results.report.plots import (
    ACCURACIES,
    corpora,
    costs,
    lengths,
    plot_data,
    times_are_believed,
)
from edgebench.results.report.sections import sections
from edgebench.results.report.tables import (
    findings,
    not_judged,
    overhead_sentence,
)
from edgebench.results.report.timeline import timeline_data
from edgebench.results.summary import SYNTHETIC, RunSummary


def run_page(summary: RunSummary, *, relative_to: str | None = None) -> str:
    """The page of a run as text (about 5 MB: the plotting library is in it).

    ``relative_to``: the artifact that the planes are drawn relative to when the page opens. Without
    one they open as measured, unless no latency of the run can be believed.
    """
    title = f"edgebench: {summary.header.device.name}, run {summary.run_id}"
    data = plot_data(summary, relative_to=relative_to) | {
        "timeline": timeline_data(summary),
        "courses": course_data(summary),
    }
    body = "\n".join(
        [
            *_head(summary, title),
            *_planes(summary, data["reference"], opened=relative_to is not None),
            *_latency(summary),
            *_sustained(data["courses"]),
            *_state(data["timeline"]),
            *(section_html(section) for section in sections(summary, relative_to=relative_to)),
            *_verdicts(summary),
            *_conditions(summary),
        ]
    )
    return document(title, body, data, asset("page.js"))


def _head(summary: RunSummary, title: str) -> list[str]:
    header = summary.header
    board = header.device.fingerprint
    parts = [f"<h1>{escape(title)}</h1>"]
    # Said once where the model is not known, as on most desktops and servers.
    names = dict.fromkeys([board_name(board), board.cpu_model or board.machine])
    parts.append(f'<p class="soft">{", ".join(map(escape, names))}</p>')
    if header.device.emulated:
        parts.append('<p class="warning">EMULATED: its speed says nothing about a real board.</p>')
    if summary.status != "complete":
        parts.append(f'<p class="warning">This run is not complete: {escape(summary.status)}.</p>')
    valid = sum(row.verdict.valid for row in summary.rows)
    parts.append(
        f"<p>{valid} of {len(summary.rows)} conditions are VALID. {escape(overhead_sentence(summary))}</p>"
        f"<pre>{escape(command_text(summary))}</pre>"
    )
    return parts


def _planes(summary: RunSummary, reference: str | None, *, opened: bool) -> list[str]:
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
        _reference_choice(reference, opened=opened or not times_are_believed(summary)),
    ]
    plots = "".join(f'<div class="plot" id="plane-{name}"></div>' for name in costs(summary))
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
        "exact. Relative planes show ratios of launches of one round, which have a verdict of their own, and "
        "differences of accuracy on the same clips.</p>",
        "<noscript><p>The plots need JavaScript; the tables below say the same.</p></noscript>",
    ]


def _reference_choice(reference: str | None, *, opened: bool) -> str:
    """As measured, or relative to ``reference``; ``opened``: the latter is what the page shows first."""
    options = [("", "as measured")]
    if reference is not None:
        options.append((reference, f"relative to {reference}"))
    return _choice("reference", "Drawn", options, reference if reference and opened else "")


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


def _sustained(courses: list[dict[str, Any]] | None) -> list[str]:
    if courses is None:
        return []
    return [
        "<h2>Sustained: latency, clock, temperature and power in time</h2>",
        '<div class="legend artifacts"></div>',
        '<div class="plot tall" id="course-plot"></div>',
        '<p class="note">Latency: the median of each stretch. Dashed: from here on it stays within 5 % of '
        "the last fifth's median; a launch without such a line never settled. A panel that is not there: the "
        "board does not tell it.</p>",
    ]


def _state(timeline: dict[str, Any] | None) -> list[str]:
    if timeline is None:
        return []
    return [
        "<h2>The board over the run</h2>",
        '<div class="plot wide" id="state-plot"></div>',
        '<p class="note">Temperature: the hottest zone of the processors. Clock: the fastest measured '
        "processor, as the kernel shows it; diamonds: as the firmware measured it between launches. Red: "
        "launches in which a code of the board's state holds.</p>",
    ]


def _corpus_title(summary: RunSummary, name: str) -> str:
    corpus = next((corpus for corpus in summary.header.corpora if corpus.name == name), None)
    if corpus is not None and corpus.label_source == SYNTHETIC:
        return f"{name} (pipeline check)"
    return f"{name} (recorded speech)"


def _choice(name: str, title: str, options: list[tuple[str, str]], chosen: str) -> str:
    entries = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(text)}</option>'
        for value, text in options
    )
    return f'<label>{escape(title)} <select id="choose-{name}" autocomplete="off">{entries}</select></label>'


def _verdicts(summary: RunSummary) -> list[str]:
    parts = []
    broken = findings(summary)
    if broken:
        lines = "".join(
            f'<li><b class="warning">{escape(code)}</b> {escape(condition)}: {escape(evidence)}. '
            f"<i>{escape(action)}</i></li>"
            for condition, code, evidence, action in broken
        )
        parts.append(f'<h2>What is wrong and what to do</h2><ul class="findings">{lines}</ul>')
    left = not_judged(summary)
    if left:
        text = "; ".join(f"{code} ({reason})" for code, reason in left)
        parts.append(f'<p class="note">Not judged: {escape(text)}.</p>')
    return parts


def _conditions(summary: RunSummary) -> list[str]:
    rows = "".join(f"<dt>{escape(title)}</dt><dd>{escape(text)}</dd>" for title, text in conditions(summary))
    synthetic = any(corpus.label_source == SYNTHETIC for corpus in summary.header.corpora)
    note = f'<p class="note">{escape(SYNTHETIC_NOTE)}</p>' if synthetic else ""
    return ["<h2>Conditions</h2>", f"<dl>{rows}</dl>", note]
