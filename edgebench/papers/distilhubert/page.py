"""The DistilHuBERT paper's Table II and Fig. 1 as sections and pages, from what ``table2`` found.

The values are the JSON of the command; here they only become text and plots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final

from edgebench.results.report.document import document, escape, section_html
from edgebench.results.report.tables import Cell, Column, Section, make_section
from edgebench.results.report.words import NOTHING

TITLE: Final = "DistilHuBERT, Table II"
FIG1: Final = "DistilHuBERT, Fig. 1"
_ARMS: Final = ("alone", "joined")
_LEAKS: Final = (
    "SEEN SPEAKERS: clips are divided without regard to speakers, so that speakers tested were seen in "
    "training. No estimate for a new speaker."
)

Values = Mapping[str, Any]


def table2_sections(table: Values) -> list[Section]:
    """For each divided corpus the figures beside the paper's, then the gain of the second corpus."""
    found = []
    for corpus, values in table["corpora"].items():
        rows = values["rows"]
        arms = [arm for arm in _ARMS if any(row[arm]["n"] for row in rows)]
        found += [_figures(table, corpus, arm, rows) for arm in arms]
        if len(arms) == len(_ARMS):
            found.append(_gains(table, corpus, rows))
    return found


def figure1_sections(figure: Values) -> list[Section]:
    """The recalls and accuracies of Fig. 1, each model beside the paper."""
    columns = (Column("Figure", right=False), Column("Ours"), Column("Paper"), Column("Difference"))
    sections = []
    for key, model in figure["models"].items():
        ours = {"UA": model["ua"]["value"], "WA": model["wa"]["value"]}
        printed = {"UA": "ua", "WA": "wa"}
        for label, value in model["recall"].items():
            ours[f"recall of {label}"] = value
            printed[f"recall of {label}"] = f"recall_{label}"
        paper, difference = model["paper"] or {}, model["difference"] or {}
        rows = [
            (
                Cell(title),
                Cell(_three(value)),
                Cell(_three(paper.get(printed[title]))),
                Cell(_signed(difference.get(printed[title]))),
            )
            for title, value in ours.items()
        ]
        merged = f"; {', '.join(figure['as_neutral'])} counts as neutral" if figure["as_neutral"] else ""
        sections.append(
            make_section(
                f"{FIG1}: {key} on {figure['corpus']}",
                columns,
                rows,
                f"{model['clips']} clips of {model['speakers']} speakers, none of them seen{merged}.",
            )
        )
    return sections


def table2_page(table: Values, production: Values | None) -> str:
    """The page of Table II: a plot of every figure with its deviation, and the tables."""
    plots = [_plot(table, corpus, values["rows"]) for corpus, values in table["corpora"].items()]
    drawn = {(series["colour"], series["hollow"]) for plot in plots for series in plot["series"]}
    names = {
        (0, False): "ours, the corpus alone",
        (1, False): "ours, with the second corpus",
        (0, True): "paper, IEMOCAP alone",
        (1, True): "paper, with CREMA-D",
    }
    legend = [
        {"name": name, "number": number, "hollow": hollow}
        for (number, hollow), name in names.items()
        if (number, hollow) in drawn
    ]
    sections = table2_sections(table)
    if production is not None:
        sections.append(production_section(production))
    lead = f"Mean over the folds; bars: one deviation ({table['deviation']})."
    return _page(TITLE, lead, plots, legend, sections, wide=True)


def figure1_page(figure: Values) -> str:
    """The page of Fig. 1: one confusion matrix a model, rows to 1, and the recalls."""
    plots = [_matrix(key, model) for key, model in figure["models"].items()]
    lead = "Rows are the truth, columns the model's answers; each row's fractions, the clips in brackets."
    return _page(FIG1, lead, plots, [], figure1_sections(figure), wide=False)


def production_section(production: Values) -> Section:
    """What the production model reaches on the clips held out of its own corpora."""
    columns = (Column("Figure", right=False), Column("Ours"), Column("Paper"), Column("Difference"))
    rows = [
        (
            Cell(f"{name.upper()} of {key}"),
            Cell(_interval(model[name]), short=_three(model[name]["value"])),
            Cell(_three((model["paper"] or {}).get(name))),
            Cell(_signed((model["difference"] or {}).get(name))),
        )
        for key, model in production["models"].items()
        for name in ("ua", "wa")
    ]
    return make_section(
        "Production model",
        columns,
        rows,
        f"On {production['clips']['test']} clips held out of {sum(production['clips'].values())}.",
        _LEAKS,
    )


def _figures(table: Values, corpus: str, arm: str, rows: Sequence[Values]) -> Section:
    columns = (Column("Figure", right=False), Column("Ours"), Column("Paper"), Column("Difference"))
    cells = [
        (
            Cell(row["title"]),
            Cell(_plus_minus(row[arm]), reason=row[arm].get("reason")),
            Cell(_plus_minus(row[arm]["paper"])),
            Cell(_signed(row[arm]["difference"])),
        )
        for row in rows
    ]
    second = " alone" if arm == "alone" else f" + {', '.join(table['train_only'])}"
    folds = max(row[arm]["n"] for row in rows)
    protocol = table["protocol"].replace("_", " ")
    notes = [f"Mean ± deviation {table['deviation']}; {folds} folds ({protocol})."]
    if table["leaks_speakers"]:
        notes.append(_LEAKS)
    return make_section(f"{TITLE}: {corpus}{second}", columns, cells, *notes)


def _gains(table: Values, corpus: str, rows: Sequence[Values]) -> Section:
    columns = (
        Column("Figure", right=False),
        *map(Column, ("Gain", "Paper", "Difference")),
        Column("All folds pooled", 1),
        *map(Column, ("Deviation", "Paper")),
    )
    cells = []
    for row in rows:
        gain, spread = row["gain"], row["spread"]
        cells.append(
            (
                Cell(row["title"]),
                Cell(_signed(gain["value"])),
                Cell(_signed(gain["paper"])),
                Cell(_signed(gain["difference"])),
                Cell(_interval(gain["pooled"], signed=True) if "pooled" in gain else NOTHING),
                Cell(_percent(spread["deviation_change"])),
                Cell(_percent(spread["paper_deviation_change"])),
            )
        )
    return make_section(
        f"{TITLE}: what {', '.join(table['train_only'])} adds to {corpus}",
        columns,
        cells,
        "Pooled: the same clips, paired, with a 95 % interval over speakers. Deviation: how that "
        "over the folds changes, which the paper calls a reduction of variance.",
    )


def _plot(table: Values, corpus: str, rows: Sequence[Values]) -> dict[str, Any]:
    series = []
    for number, arm in enumerate(_ARMS):
        for hollow in (False, True):
            # Four points a figure, side by side: ours and the paper's, alone and joined.
            shift = (number - 0.5) * 0.36 + (0.12 if hollow else 0.0) - 0.06
            found = [
                (place, row, row[arm]["paper"] if hollow else row[arm])
                for place, row in enumerate(rows)
                if (row[arm]["paper"] if hollow else row[arm]["mean"]) is not None
            ]
            if not found:
                continue
            who = "paper" if hollow else "ours"
            series.append(
                {
                    "x": [place + shift for place, _, _ in found],
                    "y": [value["mean"] for _, _, value in found],
                    "deviation": [value["deviation"] for _, _, value in found],
                    "colour": number,
                    "hollow": hollow,
                    "hover": [
                        escape(f"{row['title']}, {who}: {_plus_minus(value)}") for _, row, value in found
                    ],
                }
            )
    return {
        "kind": "points",
        "title": escape(f"{corpus}, {table['protocol'].replace('_', ' ')}"),
        "y": "",
        "names": [escape(row["title"]) for row in rows],
        "series": series,
    }


def _matrix(key: str, model: Values) -> dict[str, Any]:
    totals = [sum(row) for row in model["confusion"]]
    share = [
        [count / total if total else 0.0 for count in row]
        for row, total in zip(model["confusion"], totals, strict=True)
    ]
    labels = model["labels"]
    return {
        "kind": "matrix",
        "title": escape(f"{key}: UA {_three(model['ua']['value'])}, WA {_three(model['wa']['value'])}"),
        "labels": [escape(label) for label in labels],
        "share": share,
        "text": [
            [f"{part:.2f} ({count})" for part, count in zip(parts, counts, strict=True)]
            for parts, counts in zip(share, model["confusion"], strict=True)
        ],
        "hover": [
            [
                escape(f"{count} of {total} clips of {truth} were called {said}")
                for said, count in zip(labels, row, strict=True)
            ]
            for truth, row, total in zip(labels, model["confusion"], totals, strict=True)
        ],
    }


def _page(
    title: str,
    lead: str,
    plots: Sequence[Values],
    legend: Sequence[Values],
    sections: Sequence[Section],
    *,
    wide: bool,
) -> str:
    places = "".join(
        f'<div class="plot{" wide" if wide else ""}" id="plot-{number}"></div>'
        for number in range(len(plots))
    )
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(lead)}</p>",
        '<div class="legend artifacts"></div>',
        f'<div class="{"figures" if wide else "plots"}">{places}</div>',
        "<noscript><p>The plots need JavaScript; the tables below say the same.</p></noscript>",
        *map(section_html, sections),
    ]
    return document(
        title,
        "\n".join(body),
        {"plots": list(plots), "legend": list(legend)},
        resources.files(__package__) / "page.js",
    )


def _plus_minus(value: Values | None) -> str:
    if value is None or value["mean"] is None:
        return NOTHING
    deviation = value["deviation"]
    return _three(value["mean"]) + (f" ± {deviation:.3f}" if deviation is not None else "")


def _interval(figure: Values, *, signed: bool = False) -> str:
    if figure["value"] is None:
        return NOTHING
    plus = "+" if signed else ""
    text = f"{figure['value']:{plus}.3f}"
    if figure["lo"] is None or figure["hi"] is None:
        return text
    return f"{text} [{figure['lo']:{plus}.3f}, {figure['hi']:{plus}.3f}]"


def _three(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return NOTHING if value is None else f"{value:+.3f}"


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:+.0%}"
