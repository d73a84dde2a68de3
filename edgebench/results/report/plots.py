"""The data of the page's plots: points with intervals, fronts and hover texts, as plain JSON.

The fronts are computed here (see ``pareto``); the page's script only draws.
"""

from __future__ import annotations

import html
from typing import Any

from edgebench.results.metrics.table import METRICS, Figure
from edgebench.results.pareto import Point, plane
from edgebench.results.report.tables import SYNTHETIC_NOTE
from edgebench.results.report.words import figure_text
from edgebench.results.summary import SYNTHETIC, Row, RunSummary

# Cost metric -> (axis title, divisor).
COSTS = {
    "size_bytes": ("Size (kB)", 1e3),
    "latency_p50_ns": ("Latency p50 (ms)", 1e6),
    "peak_rss_bytes": ("Peak RSS (MB)", 1e6),
    "macs": ("MACs (millions)", 1e6),
}
ACCURACIES = ("ua", "ccc_arousal", "ccc_dominance", "ccc_valence")
_DASHES = ("solid", "dash", "dot", "dashdot")


def corpora(summary: RunSummary) -> list[str]:
    """Corpora that were predicted, recorded speech first."""
    rows = [row for row in summary.rows if row.condition.corpus and not row.is_null]
    names = dict.fromkeys(str(row.condition.corpus) for row in rows)
    made = {row.condition.corpus for row in rows if row.corpus and row.corpus.label_source == SYNTHETIC}
    return sorted(names, key=lambda name: name in made)


def lengths(summary: RunSummary) -> list[float]:
    """Input lengths of the single_stream rows, in seconds."""
    return sorted({row.condition.input_s for row in _single(summary) if row.condition.input_s is not None})


def plot_data(summary: RunSummary) -> dict[str, Any]:
    """Everything the page's script draws."""
    names = list(dict.fromkeys(row.condition.artifact for row in summary.rows if not row.is_null))
    found: dict[str, Any] = {
        "artifacts": names,
        "accuracies": [{"name": name, "title": METRICS[name].title} for name in ACCURACIES],
        "costs": [{"name": name, "title": METRICS[name].title, "axis": COSTS[name][0]} for name in COSTS],
        "corpus_notes": {name: _note(summary, name) for name in corpora(summary)},
        "latency": _latency(summary, names),
        "planes": None,
    }
    views = {
        f"{corpus}|{accuracy}|{length:g}": {
            cost: [
                _plane_point(point, cost, accuracy, names)
                for point in plane(summary, cost=cost, accuracy=accuracy, corpus=corpus, input_s=length)
            ]
            for cost in COSTS
        }
        for corpus in corpora(summary)
        for accuracy in ACCURACIES
        for length in lengths(summary)
    }
    if views:
        found["planes"] = views
    return found


def _single(summary: RunSummary) -> list[Row]:
    return [row for row in summary.rows if row.condition.scenario == "single_stream" and not row.is_null]


def _note(summary: RunSummary, name: str) -> str:
    row = next(row for row in summary.rows if row.condition.corpus == name and not row.is_null)
    if row.corpus is None:
        return ""
    if row.corpus.label_source == SYNTHETIC:
        return SYNTHETIC_NOTE
    seen = row.scoring.seen if row.scoring else 0
    text = f"Recorded speech, label_source = {row.corpus.label_source}."
    return f"{text} SEEN IN TRAINING: {seen} clips; this is not held-out accuracy." if seen else text


def _plane_point(point: Point, cost: str, accuracy: str, names: list[str]) -> dict[str, Any]:
    state = "invalid" if point.problems else ("front" if point.on_front else "dominated")
    word = {"front": "on the front", "dominated": "dominated"}.get(
        state, f"not valid: {', '.join(point.problems)}"
    )
    lines = [
        _name(point.artifact, point.threads),
        f"{METRICS[cost].title}: {figure_text(point.cost)}",
        f"{METRICS[accuracy].title}: {figure_text(point.accuracy, bounded=True)}",
        word,
    ]
    return {
        "artifact": names.index(point.artifact),
        "state": state,
        "hover": _hover(lines),
        **_axis("x", point.cost, COSTS[cost][1]),
        **_axis("y", point.accuracy, 1.0),
    }


def _latency(summary: RunSummary, names: list[str]) -> list[dict[str, Any]]:
    """One line for each artifact and thread count: latency p50 in ms by input length."""
    lines: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in _single(summary):
        figure = row.figures["latency_p50_ns"]
        if figure.value is None:
            continue
        condition = row.condition
        problems = row.verdict.against("latency_p50_ns")
        text = [
            _name(condition.artifact, condition.threads),
            f"{condition.input_s:g} s: {figure_text(figure)}",
        ]
        text.append(f"not valid: {', '.join(problems)}" if problems else "valid")
        lines.setdefault((condition.artifact, condition.threads), []).append(
            {
                "x": condition.input_s,
                "x_lo": None,
                "x_hi": None,
                **_axis("y", figure, 1e6),
                "state": "invalid" if problems else "front",
                "hover": _hover(text),
            }
        )
    threads = sorted({threads for _, threads in lines})
    return [
        {
            "artifact": names.index(name),
            "dash": _DASHES[threads.index(count) % len(_DASHES)],
            "points": points,
        }
        for (name, count), points in lines.items()
    ]


def _axis(axis: str, figure: Figure, divisor: float) -> dict[str, float | None]:
    assert figure.value is not None  # planes and lines hold measured points only
    lo = None if figure.lo is None else figure.lo / divisor
    hi = None if figure.hi is None else figure.hi / divisor
    return {axis: figure.value / divisor, f"{axis}_lo": lo, f"{axis}_hi": hi}


def _name(artifact: str, threads: int) -> str:
    return f"{artifact}, {threads} thread{'s' if threads > 1 else ''}"


def _hover(lines: list[str]) -> str:
    """Lines for plotly, which reads its own subset of HTML."""
    return "<br>".join(html.escape(line, quote=False) for line in lines)
