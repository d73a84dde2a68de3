"""docs/results.svg: UA of every training on every corpus."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.results_page import Arm, Block
from edgebench.results.metrics.repeats import over_seeds

COLOURS = {"teacher": "#7a5195", "hard labels": "#888888", "soft labels": "#1f77b4", "adapted": "#2e8b57"}
BASELINE = "#c0392b"
CHANCE = 0.25
RANGE = (0.2, 0.95)
ROW_IN, TITLE_IN, WIDTH_IN = 0.24, 0.55, 8.0
TITLE = "UA on held-out speakers: a dot a training, a bar the mean, a line its 95 % interval over speakers"
# The same blocks give the same bytes: no date, and ids that do not change.
STILL = {"svg.hashsalt": "edgebench", "svg.fonttype": "none", "font.size": 9}


def plot(blocks: Sequence[Block]) -> str:
    """An SVG with one panel a corpus and one row an arm (fp32)."""
    arms = [[arm for arm in block.arms if arm.precision != "small"] for block in blocks]
    heights = [ROW_IN * len(rows) + TITLE_IN for rows in arms]
    with matplotlib.rc_context(STILL):
        figure = Figure(figsize=(WIDTH_IN, sum(heights) + TITLE_IN), layout="constrained")
        figure.suptitle(TITLE, x=0.01, ha="left")
        panels = figure.subplots(len(blocks), squeeze=False, sharex=True, height_ratios=heights)[:, 0]
        for block, rows, panel in zip(blocks, arms, panels, strict=True):
            _draw(panel, block, rows)
        picture = io.StringIO()
        figure.savefig(picture, format="svg", metadata={"Date": None})
    return picture.getvalue()


def _draw(panel: Axes, block: Block, arms: Sequence[Arm]) -> None:
    panel.set_title(block.title, loc="left", fontweight="bold")
    panel.axvline(CHANCE, color="#bbbbbb", linestyle="--", linewidth=1)
    for place, arm in enumerate(arms):
        found, colour = (
            over_seeds(arm.trainings, block.corpus, "ua"),
            COLOURS.get(arm.name, BASELINE),
        )
        low, high = found.interval.lo, found.interval.hi
        if low is not None and high is not None:
            panel.hlines(place, low, high, colors=colour, linewidth=1.2)
        panel.vlines(found.mean, place - 0.3, place + 0.3, colors=colour, linewidth=3)
        panel.scatter(found.values, [place] * len(found.values), s=22, color=colour, alpha=0.55, gid=arm.name)
        panel.annotate(f"{found.mean:.3f}", (1.01, place), xycoords=("axes fraction", "data"), va="center")
    panel.set_yticks(range(len(arms)), [arm.name for arm in arms])
    panel.set_ylim(len(arms) - 0.5, -0.5)
    panel.set_xlim(*RANGE)
    panel.grid(axis="x", color="#eeeeee")
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)
