"""What every benchmark shares: settings, interleaving, paired ratios, rows with targets, the table."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from edgebench.results.metrics import intervals

T = TypeVar("T")
# Called with the steps done and the steps in all.
Tick = Callable[[int, int], None]


class MissingError(Exception):
    """A benchmark cannot run here; the text says what is missing and how to get it."""


@dataclass(frozen=True)
class Settings:
    """How much to measure. ``quick`` only shows that a benchmark works.

    ``models``: files to run the agent on, beside the packaged models.
    """

    quick: bool = False
    models: tuple[Path, ...] = ()

    @staticmethod
    def of(arguments: argparse.Namespace) -> Settings:
        """What the command line said."""
        return Settings(quick=arguments.quick, models=tuple(arguments.model))

    @property
    def pairs(self) -> int:
        """Pairs of launches a case; even, since they come as A B B A."""
        return 2 if self.quick else 10

    @property
    def launch_s(self) -> float:
        """Seconds of measuring a launch."""
        return 0.2 if self.quick else 2.0


@dataclass(frozen=True)
class Spread:
    """Least, middle and largest of ``n`` values.

    ``interval``: the 95 % interval of their geometric mean, where they are ratios of pairs that are
    judged by it.
    """

    lo: float
    median: float
    hi: float
    n: int
    interval: tuple[float, float] | None = None

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        """Raises ValueError for no values."""
        if not values:
            raise ValueError("a spread of no values")
        return Spread(min(values), statistics.median(values), max(values), len(values))

    @staticmethod
    def of_ratios(values: Sequence[float]) -> Spread:
        """With the interval of the geometric mean, where there are enough values for one."""
        found = intervals.mean_of([math.log(value) for value in values], cluster="pair").exp_interval()
        ends = None if found.lo is None or found.hi is None else (found.lo, found.hi)
        return dataclasses.replace(Spread.of(values), interval=ends)


def paired(first: Sequence[float], second: Sequence[float]) -> Spread:
    """The ratios ``first[i] / second[i]``, pair by pair: what drifts, drifts for both of a pair.

    Raises ValueError where the two are not of one length.
    """
    return Spread.of([a / b for a, b in zip(first, second, strict=True)])


def interleave(
    first: Callable[[], T], second: Callable[[], T], *, pairs: int, step: Callable[[], None]
) -> tuple[list[T], list[T]]:
    """Call both ``pairs`` times in the order A B B A A B B A ...; element i of both is one pair.

    ``step`` is called after each pair.
    """
    firsts: list[T] = []
    seconds: list[T] = []
    for pair in range(pairs):
        if pair % 2 == 0:
            firsts.append(first())
            seconds.append(second())
        else:
            seconds.append(second())
            firsts.append(first())
        step()
    return firsts, seconds


@dataclass(frozen=True)
class Target:
    """The range promised, both ends included: of the whole interval where there is one, else of the
    median, or of ``every`` value. ``holds``: a value that the interval must hold.
    """

    text: str
    lo: float = float("-inf")
    hi: float = float("inf")
    every: bool = False
    holds: float | None = None

    def met(self, spread: Spread) -> bool:
        """Whether a spread keeps the promise."""
        if self.holds is not None:
            return spread.interval is not None and spread.interval[0] <= self.holds <= spread.interval[1]
        if spread.interval is not None:
            return self.lo <= spread.interval[0] and spread.interval[1] <= self.hi
        if self.every:
            return self.lo <= spread.lo and spread.hi <= self.hi
        return self.lo <= spread.median <= self.hi


@dataclass(frozen=True)
class Row:
    """One figure. ``unit`` is ratio, %, ns, s, bytes or lines; ``detail`` is what stands behind it."""

    what: str
    spread: Spread
    unit: str
    target: Target | None = None
    detail: str = ""

    @property
    def verdict(self) -> str:
        """``met``, ``NOT MET``, or nothing where nothing was promised."""
        if self.target is None:
            return ""
        return "met" if self.target.met(self.spread) else "NOT MET"


@dataclass(frozen=True)
class Result:
    """What a benchmark found; ``skipped`` says why it found nothing."""

    name: str
    compared: str
    rows: tuple[Row, ...] = ()
    skipped: str | None = None


# How figures of each unit are written.
FORMATS = {
    "ratio": "{:.4f}",
    "%": "{:.2f}",
    "ns": "{:,.0f}",
    "s": "{:.3f}",
    "bytes": "{:,.0f}",
    "lines": "{:,.0f}",
}
HEADINGS = ("case", "unit", "min", "median", "max", "95 % interval", "n", "target", "", "behind it")


def cells(row: Row) -> list[str]:
    """A row as text, under HEADINGS."""
    spread, show = row.spread, FORMATS[row.unit].format
    target = row.target.text if row.target else "-"
    ends = "-" if spread.interval is None else " to ".join(map(show, spread.interval))
    figures = [show(spread.lo), show(spread.median), show(spread.hi), ends, str(spread.n)]
    return [row.what, row.unit, *figures, target, row.verdict, row.detail]


def show(result: Result, console: Console) -> None:
    """Print a result as a table."""
    if result.skipped:
        console.print(f"[bold]{result.name}[/]: [yellow]not run:[/] {result.skipped}", highlight=False)
        return
    table = Table(title=f"{result.name}: {result.compared}", title_justify="left", title_style="")
    for heading in HEADINGS[:-1]:
        right = heading in ("min", "median", "max", "95 % interval", "n")
        table.add_column(
            heading, justify="right" if right else "left", no_wrap=heading not in ("case", "target")
        )
    for row in result.rows:
        table.add_row(*cells(row)[:-1], style="red" if row.verdict == "NOT MET" else None)
    console.print(table)
    for row in result.rows:
        if row.detail:
            console.print(f"{row.what}: {row.detail}", highlight=False, style="dim")


def measure(name: str, settings: Settings, progress: Progress) -> Result:
    """Run one benchmark by name, under a bar of its own."""
    module = importlib.import_module(f"benchmarks.{name}")
    task = progress.add_task(name, total=None)

    def tick(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total)

    try:
        return Result(name, module.COMPARED, tuple(module.run(settings, tick)))
    except MissingError as reason:
        return Result(name, module.COMPARED, skipped=str(reason))
    finally:
        progress.remove_task(task)


def bars(console: Console) -> Progress:
    """Bars that redraw once a second: they share the machine with the measurement."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    shown = console.is_terminal
    return Progress(*columns, console=console, refresh_per_second=1, transient=True, disable=not shown)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What every benchmark may be told; `Settings.of` reads it."""
    parser.add_argument("--quick", action="store_true", help="try it out; the figures mean nothing")
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        type=Path,
        help="a model file beside the packaged models, such as a .tflite; repeat for several",
    )


def main(name: str, description: str | None) -> None:
    """``python -m benchmarks.NAME [--quick]``: one benchmark on the terminal; `python -m benchmarks NAME`
    also renews its section of docs/benchmarks.md."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    add_arguments(parser)
    settings = Settings.of(parser.parse_args())
    console = Console()
    with bars(console) as progress:
        result = measure(name, settings, progress)
    show(result, console)
