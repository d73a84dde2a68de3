"""Every quantization scheme of one model: the tables of docs/quantization.md.

``python -m benchmarks.schemes --corpus emodb=PATH [--corpus ...] [--python PYTHON] [--page]`` makes a file by
each scheme (ranges from training speakers) and judges it on validation speakers, then measures all of them in
turn with their parent, and last predicts the test speakers. What is done is kept in build/schemes and not
done again, so a call that was cut off goes on where it stood. ``--python`` names the Python of another
environment, for schemes whose packages are missing here. ``--page`` renews the page.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import report
from benchmarks.schemes_make import Made, make
from benchmarks.schemes_run import ACCURACY, COST, Runs, batches
from benchmarks.schemes_table import (
    COST_HEAD,
    LOSS_HEAD,
    cost_cells,
    lines,
    loss_cells,
    markdown,
    refusals,
    renewed,
)
from edgebench.agent.runtimes.table import RUNTIMES
from edgebench.models import Artifact, load_artifact
from edgebench.models.quantization import SCHEMES, scheme_named
from edgebench.results import RunSummary

PAGE = Path("docs/quantization.md")
BUILD = Path("build") / "schemes"
COMMAND = "python -m benchmarks.schemes"
STEPS = ("make", "cost", "accuracy")


def main() -> None:
    """Make, measure, predict; print the tables, and renew the page where that is asked for."""
    arguments = _arguments()
    steps = arguments.step or STEPS
    facts = report.machine(datetime.datetime.now(datetime.UTC), report.load_average())
    console = Console()
    parent = load_artifact(arguments.model)
    made = _make(parent, arguments, console, now="make" in steps)
    files = [load_artifact(path) for path in (*(one.path for one in made if one.path), *arguments.also)]
    runs = Runs(BUILD, runtimes=arguments.runtime or [name for name, formats in RUNTIMES.items() if formats])
    costs = _costs(runs, parent, files, arguments, now="cost" in steps)
    everything = [parent, *files]
    found = runs.measured if "accuracy" in steps and arguments.corpus else runs.found
    accuracy = found(ACCURACY, everything, arguments.corpus)
    table = lines(
        costs,
        accuracy,
        {file.sha256: file for file in everything},
        {one.sha256: one for one in made if one.sha256},
        parent,
    )
    cost_rows, loss_rows = [cost_cells(line) for line in table], [loss_cells(line) for line in table]
    _show(COST_HEAD, cost_rows, console)
    _show(LOSS_HEAD, loss_rows, console)
    console.print(refusals(made), highlight=False, markup=False)
    if arguments.page:
        told = [f"{name}: {value}" for name, value in facts]
        dates = {run.run_id: run.date for run in runs.all}
        shown = [one.run_id for one in (*costs, accuracy) if one]
        told.append(f"runs: {', '.join(f'{run_id} ({dates[run_id]})' for run_id in shown)}")
        told.append(f"runs of this command that predicted test speakers: {runs.looks}")
        parts = (
            markdown(COST_HEAD, cost_rows),
            markdown(LOSS_HEAD, loss_rows),
            refusals(made),
            "".join(f"- {line}\n" for line in told),
        )
        text = "\n".join(part for part in parts if part)
        PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), COMMAND, text), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--model", default="wav2small.fp32", help="fp32 model (default: the packaged one)")
    parser.add_argument("--corpus", action="append", default=[], help="NAME=PATH; repeat for several")
    parser.add_argument("--scheme", action="append", default=[], help="scheme; all without it")
    parser.add_argument("--also", action="append", default=[], help="another file; repeat for several")
    parser.add_argument(
        "--python", action="append", default=[], help="Python with more packages; repeat for several"
    )
    parser.add_argument("--runtime", action="append", choices=RUNTIMES, help="runtime; all without it")
    parser.add_argument("--step", action="append", choices=STEPS, help="do this step alone; repeat for more")
    parser.add_argument("--batch", type=int, default=8, help="files measured in one run (default: 8)")
    parser.add_argument("--batches", type=int, help="measure the cost of this many batches now, at most")
    parser.add_argument("--page", action="store_true", help=f"renew {PAGE}")
    return parser.parse_args()


def _make(parent: Artifact, arguments: argparse.Namespace, console: Console, *, now: bool) -> list[Made]:
    """A file of each scheme; without ``now`` those that are there."""
    schemes = [scheme_named(name) for name in arguments.scheme] or list(SCHEMES.values())
    folder = BUILD / "files" / parent.sha256[:16]
    folder.mkdir(parents=True, exist_ok=True)
    pythons = (sys.executable, *arguments.python) if now else ()
    found = []
    for scheme in track(schemes, "files", console=console):
        one = make(scheme, parent, arguments.corpus, folder, pythons)
        if one is not None:
            found.append(one)
    return found


def _costs(
    runs: Runs, parent: Artifact, files: Sequence[Artifact], arguments: argparse.Namespace, *, now: bool
) -> list[RunSummary]:
    """The runs of the batches: those that are there and, with ``now``, as many more as are asked for."""
    done = []
    left = itertools.count() if arguments.batches is None else range(arguments.batches)
    more = iter(left if now else ())
    for batch in batches(parent, files, arguments.batch):
        found = runs.found(COST, batch)
        if found is None and next(more, None) is not None:
            found = runs.measured(COST, batch)
        if found is not None:
            done.append(found)
    return done


def _show(head: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    table = Table()
    for title in head:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
