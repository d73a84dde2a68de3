"""docs/results.svg: UA of every training on every corpus, as dots to look at.

Drawn by hand, since a picture in a page of Markdown must stand still and plotly's stills need a browser.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from benchmarks.results_page import Block
from edgebench.results.metrics.repeats import over_seeds

LEFT, WIDTH, ROW, HEAD, PAD = 190, 520, 22, 30, 14
LOW, HIGH = 0.2, 0.95
COLOURS = {"teacher": "#7a5195", "hard labels": "#888888", "soft labels": "#1f77b4", "adapted": "#2e8b57"}
BASELINE = "#c0392b"
CHANCE = 0.25


def plot(blocks: Sequence[Block]) -> str:
    """One panel a corpus, one row an arm (fp32): a dot a seed, the mean as a bar, its interval as a line."""
    parts: list[str] = []
    y = 46.0
    for block in blocks:
        arms = [arm for arm in block.arms if arm.precision != "small"]
        height = HEAD + ROW * len(arms)
        parts.append(_text(12, y + 16, block.title, bold=True))
        parts.append(_line(_x(CHANCE), y + HEAD - 8, _x(CHANCE), y + height - 6, "#bbbbbb", dash=True))
        for number, arm in enumerate(arms):
            at = y + HEAD + ROW * number + 4
            found = over_seeds(arm.trainings, block.corpus, "ua")
            colour = COLOURS.get(arm.name, BASELINE)
            parts.append(_text(LEFT - 12, at + 4, arm.name, end=True))
            if found.interval.lo is not None and found.interval.hi is not None:
                parts.append(_line(_x(found.interval.lo), at, _x(found.interval.hi), at, colour, thin=True))
            parts.append(_line(_x(found.mean), at - 7, _x(found.mean), at + 7, colour))
            parts += [
                f'<circle cx="{_x(value):.1f}" cy="{at:.1f}" r="4" fill="{colour}" fill-opacity="0.55"/>'
                for value in found.values
            ]
            parts.append(_text(LEFT + WIDTH + 14, at + 4, f"{found.mean:.3f}"))
        y += height + PAD
    axis = [_text(_x(tick / 10), y + 8, f".{tick}", middle=True) for tick in range(2, 10)]
    grid = [_line(_x(tick / 10), 46, _x(tick / 10), y - 6, "#eeeeee", thin=True) for tick in range(2, 10)]
    title = _text(
        12, 24, "UA on held-out speakers: a dot a training, a bar the mean, a line 95 % over speakers"
    )
    total = LEFT + WIDTH + 70
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {y + 24:.0f}" width="{total}" '
            'font-family="sans-serif" font-size="13" role="img">',
            f'<rect width="{total}" height="{y + 24:.0f}" fill="#ffffff"/>',
            *grid,
            title,
            *parts,
            *axis,
            "</svg>",
            "",
        ]
    )


def _x(value: float) -> float:
    return LEFT + WIDTH * (min(max(value, LOW), HIGH) - LOW) / (HIGH - LOW)


def _text(
    x: float, y: float, text: str, *, bold: bool = False, end: bool = False, middle: bool = False
) -> str:
    anchor = "end" if end else "middle" if middle else "start"
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#222222"{weight}>{escape(text)}</text>'
    )


def _line(
    x1: float, y1: float, x2: float, y2: float, colour: str, *, thin: bool = False, dash: bool = False
) -> str:
    style = ' stroke-dasharray="4 3"' if dash else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{1.2 if thin else 3}"{style}/>'
    )
