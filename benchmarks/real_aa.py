"""The same files measured again and again on this machine: how often a comparison says a word.

``python -m benchmarks.real_aa [--runs 20] [--store FOLDER]`` makes the runs that the folder lacks, one
after the other, and compares them. It can be stopped and started again: finished runs count.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import report
from benchmarks.common import MissingError, Result, Row, Settings, Spread, Target, Tick, bars, show
from edgebench.results import RunSummary, Store, summarise
from edgebench.results.compare import Comparison, compare

COMPARED = (
    "Runs of the packaged suite with the packaged models, made one after the other on this machine and "
    "compared two by two: to call a metric better or worse is a mistake. Pairs are disjoint (first and "
    "second, third and fourth, ...) or all neighbours. Launches of two runs are not paired, so what changes "
    "on the machine between two runs is in their ratio."
)
STORE = Path("build") / "real_aa"
RUNS = 20
SELDOM = Target("at most 5", 0, 5)
WORDS = ("better", "worse")


def run(settings: Settings, tick: Tick) -> Iterator[Row]:
    """The table of the runs in STORE. Raises MissingError where there are fewer than two."""
    del settings
    return rows(finished(Store(STORE)), tick)


def finished(store: Store) -> list[RunSummary]:
    """The complete runs of a store that measured what its newest one measured, oldest first."""
    ids = [info.run_id for info in reversed(store.runs()) if info.status == "complete"]
    found = [summarise(store.run(run_id)) for run_id in ids]
    return [one for one in found if one.header.suite_sha256 == found[-1].header.suite_sha256]


def rows(runs: Sequence[RunSummary], tick: Tick) -> Iterator[Row]:
    """How often words are said of disjoint pairs and of neighbours."""
    if len(runs) < 2:
        raise MissingError(f"{STORE} holds {len(runs)} runs; make them with python -m benchmarks.real_aa")
    neighbours = []
    for number in range(len(runs) - 1):
        tick(number, len(runs) - 1)
        neighbours.append(compare(runs[number], runs[number + 1]))
    yield _row("disjoint pairs of runs", neighbours[::2])
    yield _row("neighbouring runs", neighbours)


def _row(what: str, comparisons: Sequence[Comparison]) -> Row:
    said = sum(any(word in WORDS for word in _outcomes(one)) for one in comparisons)
    counts = collections.Counter(outcome for one in comparisons for outcome in _outcomes(one))
    told = ", ".join(f"{word} {counts[word]}" for word in sorted(counts))
    detail = (
        f"{said} of {len(comparisons)} comparisons say better or worse; metrics: {told}{_named(comparisons)}"
    )
    share = 100 * said / len(comparisons)
    return Row(what, Spread(share, share, share, len(comparisons)), "%", SELDOM, detail)


def _outcomes(comparison: Comparison) -> list[str]:
    return [change.outcome for row in comparison.rows for change in row.changes]


def _named(comparisons: Sequence[Comparison]) -> str:
    """Which metrics a word was said of, and how often."""
    names = collections.Counter(
        change.metric
        for one in comparisons
        for row in one.rows
        for change in row.changes
        if change.outcome in WORDS
    )
    return "; said of " + ", ".join(f"{name} {count}" for name, count in names.most_common()) if names else ""


def main() -> None:
    """Make the missing runs and compare all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_aa", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help=f"how many runs in all (default {RUNS})")
    parser.add_argument("--store", type=Path, default=STORE, help=f"folder of the runs (default {STORE})")
    parser.add_argument("--suite", default="packaged", help="packaged suite or TOML file (default packaged)")
    parser.add_argument("--page", action="store_true", help="renew this section of docs/benchmarks.md")
    arguments = parser.parse_args()
    facts = report.machine(datetime.datetime.now(datetime.UTC), report.load_average())
    console = Console()
    store = Store(arguments.store)
    with bars(console) as progress:
        task = progress.add_task("runs", total=arguments.runs)
        while (done := len(finished(store))) < arguments.runs:
            progress.update(task, completed=done)
            progress.console.print(f"run {done + 1} of {arguments.runs}", highlight=False)
            command = [sys.executable, "-m", "edgebench", "run", "--suite", arguments.suite]
            subprocess.run(
                [*command, "--store", str(arguments.store), "--json"],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        comparing = progress.add_task("comparisons", total=None)

        def tick(number: int, total: int) -> None:
            progress.update(comparing, completed=number, total=total)

        found = tuple(rows(finished(store)[: arguments.runs], tick))
    result = Result("real_aa", COMPARED, found)
    show(result, console)
    if arguments.page:
        text = report.renewed(report.PATH.read_text(encoding="utf-8"), [result], facts, Settings())
        report.PATH.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
