"""Pages of single figures: plots said as plain traces, and the tables that belong to them.

What is drawn is exactly what the traces hold; the page's script (``chart.js``) only draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edgebench.results.report.document import asset, document, escape, section_html
from edgebench.results.report.tables import Section

Symbol = Literal["circle", "circle-open", "x-thin", "diamond"]


@dataclass(frozen=True)
class Trace:
    """Points, or a line, or both, in one colour (a number of the page's palette; None: grey).

    ``y_lo``, ``y_hi``: ends of an interval, None where a point has none. ``hover``: a text a point,
    lines parted by newlines. ``labels`` stand beside the points, at ``label_sides``.
    """

    x: Sequence[float | None]
    y: Sequence[float | None]
    colour: int | None
    mode: Literal["markers", "lines", "lines+markers"] = "markers"
    symbol: Symbol = "circle"
    dash: Literal["solid", "dot", "dash"] = "solid"
    size: float = 10.0
    opacity: float = 1.0
    y_lo: Sequence[float | None] | None = None
    y_hi: Sequence[float | None] | None = None
    hover: Sequence[str] = ()
    labels: Sequence[str] = ()
    label_sides: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """What the script reads; texts are escaped for plotly's pseudo-HTML."""
        return {
            "x": list(self.x),
            "y": list(self.y),
            "y_lo": None if self.y_lo is None else list(self.y_lo),
            "y_hi": None if self.y_hi is None else list(self.y_hi),
            "colour": self.colour,
            "mode": self.mode,
            "symbol": self.symbol,
            "dash": self.dash,
            "size": self.size,
            "opacity": self.opacity,
            "hover": [escape(text).replace("\n", "<br>") for text in self.hover],
            "labels": [escape(text) for text in self.labels],
            "label_sides": list(self.label_sides),
        }


@dataclass(frozen=True)
class Axis:
    """``limits``: fixed ends, else those of the values (logarithmic over more than a decade).

    ``from_zero``: linear, from 0. ``ticks``: where to put them.
    """

    title: str
    limits: tuple[float, float] | None = None
    from_zero: bool = False
    ticks: Sequence[float] | None = None

    def to_json(self) -> dict[str, Any]:
        """What the script reads."""
        return {
            "title": self.title,
            "limits": None if self.limits is None else list(self.limits),
            "from_zero": self.from_zero,
            "ticks": None if self.ticks is None else list(self.ticks),
        }


@dataclass(frozen=True)
class Plot:
    """One plot. ``wide``: the whole width of the page, else two stand side by side."""

    title: str
    x: Axis
    y: Axis
    traces: Sequence[Trace]
    wide: bool = False


@dataclass(frozen=True)
class Key:
    """One entry of the legend."""

    name: str
    colour: int
    hollow: bool = False


def figure_page(
    title: str,
    lead: Sequence[str],
    plots: Sequence[Plot],
    legend: Sequence[Key],
    sections: Sequence[Section],
    *,
    notes: Sequence[str] = (),
) -> str:
    """The page as text: what it shows (``lead``), the plots, how to read them (``notes``), the tables."""
    places = "".join(
        f'<div class="plot{" wide" if plot.wide else ""}" id="plot-{number}"></div>'
        for number, plot in enumerate(plots)
    )
    body = [
        f"<h1>{escape(title)}</h1>",
        *(f"<p>{escape(text)}</p>" for text in lead),
        '<div class="legend artifacts"></div>',
        f'<div class="figures">{places}</div>',
        *(f'<p class="note">{escape(text)}</p>' for text in notes),
        "<noscript><p>The plots need JavaScript; the tables below say the same.</p></noscript>",
        *map(section_html, sections),
    ]
    data = {
        "plots": [
            {
                "title": escape(plot.title),
                "x": plot.x.to_json(),
                "y": plot.y.to_json(),
                "traces": [trace.to_json() for trace in plot.traces],
            }
            for plot in plots
        ],
        "legend": [{"name": key.name, "number": key.colour, "hollow": key.hollow} for key in legend],
    }
    return document(title, "\n".join(body), data, asset("chart.js"))
