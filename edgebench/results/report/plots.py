"""The data of the page's plots: points with intervals, fronts and hover texts, as plain JSON.

The fronts are computed here (see ``pareto``); the page's script only draws.
"""

from __future__ import annotations

import html
from itertools import product
from typing import Any

from edgebench.errors import UsageError
from edgebench.results.compare import Comparison, compare_artifacts
from edgebench.results.metrics.table import METRICS, Figure
from edgebench.results.pareto import Point, default_reference, plane, relative_plane
from edgebench.results.report.notes import SYNTHETIC_NOTE
from edgebench.results.report.words import figure_text
from edgebench.results.summary import SYNTHETIC, Row, RunSummary

# Cost metric -> (axis title, divisor).
COSTS = {
    "size_bytes": ("Size (kB)", 1e3),
    "latency_p50_ns": ("Latency p50 (ms)", 1e6),
    "cpu_p50_ns": ("CPU time p50 (ms)", 1e6),
    "peak_rss_bytes": ("Peak RSS (MB)", 1e6),
    "macs": ("MACs (millions)", 1e6),
    "energy_mj": ("Energy (mJ)", 1.0),
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


def costs(summary: RunSummary) -> list[str]:
    """The costs that are drawn against accuracy: energy only where a run measured it."""
    measured = any(row.figures["energy_mj"].value is not None for row in _single(summary))
    return [name for name in COSTS if measured or name != "energy_mj"]


def plot_data(summary: RunSummary, *, relative_to: str | None = None) -> dict[str, Any]:
    """Everything the page's script draws.

    ``relative_to``: the artifact of the planes that show ratios; without one, a parent or the first.
    ``reference`` is its key, None where the run leaves nothing to compare. Raises UsageError for an
    artifact that the run did not measure.
    """
    names = list(dict.fromkeys(row.condition.artifact for row in summary.rows if not row.is_null))
    reference = relative_to or default_reference(summary)
    comparison = None
    if reference is not None:
        try:
            comparison = compare_artifacts(summary, against=reference)
        except UsageError:
            if relative_to:
                raise
    views = _views(summary, names, None)
    if comparison is not None:
        views |= {f"{key}{reference}": view for key, view in _views(summary, names, comparison).items()}
    return {
        "artifacts": names,
        "accuracies": [{"name": name, "title": METRICS[name].title} for name in ACCURACIES],
        "costs": [
            {"name": name, "title": METRICS[name].title, "axis": COSTS[name][0]} for name in costs(summary)
        ],
        "corpus_notes": {name: _note(summary, name) for name in corpora(summary)},
        "latency": _latency(summary, names),
        "reference": None if comparison is None else reference,
        "planes": views or None,
    }


def _views(summary: RunSummary, names: list[str], comparison: Comparison | None) -> dict[str, Any]:
    """``corpus|accuracy|length|`` -> cost -> points, as measured or of a comparison."""
    found: dict[str, Any] = {}
    for corpus, accuracy, length in product(corpora(summary), ACCURACIES, lengths(summary)):
        view = {}
        for cost in costs(summary):
            if comparison is None:
                points = plane(summary, cost=cost, accuracy=accuracy, corpus=corpus, input_s=length)
            else:
                points = relative_plane(
                    comparison, cost=cost, accuracy=accuracy, corpus=corpus, input_s=length
                )
            relative = comparison is not None
            view[cost] = [_plane_point(p, cost, accuracy, names, relative=relative) for p in points]
        found[f"{corpus}|{accuracy}|{length:g}|"] = view
    return found


def times_are_believed(summary: RunSummary) -> bool:
    """Whether any latency of the run can be believed as it was measured."""
    return any(not row.verdict.against("latency_p50_ns") for row in _single(summary))


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


def _plane_point(
    point: Point, cost: str, accuracy: str, names: list[str], *, relative: bool
) -> dict[str, Any]:
    """``relative``: cost is a ratio and accuracy a difference, neither in its metric's unit."""
    state = "invalid" if point.problems else ("front" if point.on_front else "dominated")
    word = {"front": "on the front", "dominated": "dominated"}.get(
        state, f"not valid: {', '.join(point.problems)}"
    )
    of = (" ratio", " difference") if relative else ("", "")
    lines = [
        _name(point.artifact, point.runtime, point.threads),
        f"{METRICS[cost].title}{of[0]}: {figure_text(point.cost)}",
        f"{METRICS[accuracy].title}{of[1]}: {figure_text(point.accuracy, bounded=True)}",
        word,
    ]
    return {
        "artifact": names.index(point.artifact),
        "state": state,
        "hover": _hover(lines),
        **_axis("x", point.cost, 1.0 if relative else COSTS[cost][1]),
        **_axis("y", point.accuracy, 1.0),
    }


def _latency(summary: RunSummary, names: list[str]) -> list[dict[str, Any]]:
    """One line for each artifact, runtime and thread count: latency p50 in ms by input length."""
    lines: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for row in _single(summary):
        figure = row.figures["latency_p50_ns"]
        if figure.value is None:
            continue
        condition = row.condition
        problems = row.verdict.against("latency_p50_ns")
        text = [
            _name(condition.artifact, condition.runtime, condition.threads),
            f"{condition.input_s:g} s: {figure_text(figure)}",
        ]
        text.append(f"not valid: {', '.join(problems)}" if problems else "valid")
        lines.setdefault((condition.artifact, condition.runtime, condition.threads), []).append(
            {
                "x": condition.input_s,
                "x_lo": None,
                "x_hi": None,
                **_axis("y", figure, 1e6),
                "state": "invalid" if problems else "front",
                "hover": _hover(text),
            }
        )
    threads = sorted({threads for _, _, threads in lines})
    return [
        {
            "artifact": names.index(name),
            "dash": _DASHES[threads.index(count) % len(_DASHES)],
            "points": points,
        }
        for (name, _, count), points in lines.items()
    ]


def _axis(axis: str, figure: Figure, divisor: float) -> dict[str, float | None]:
    assert figure.value is not None  # planes and lines hold measured points only
    lo = None if figure.lo is None else figure.lo / divisor
    hi = None if figure.hi is None else figure.hi / divisor
    return {axis: figure.value / divisor, f"{axis}_lo": lo, f"{axis}_hi": hi}


def _name(artifact: str, runtime: str, threads: int) -> str:
    return f"{artifact}, {runtime}, {threads} thread{'s' if threads > 1 else ''}"


def _hover(lines: list[str]) -> str:
    """Lines for plotly, which reads its own subset of HTML."""
    return "<br>".join(html.escape(line, quote=False) for line in lines)
