"""``python -m benchmarks``: all of them, one after the other, and docs/benchmarks.md."""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

from rich.console import Console

from benchmarks import NAMES, report
from benchmarks.common import Settings, add_arguments, bars, measure, show


def main() -> None:
    """Run every benchmark, print its table, write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add_arguments(parser)
    parser.add_argument(
        "--output", type=Path, default=report.PATH, help="the page (default: docs/benchmarks.md)"
    )
    arguments = parser.parse_args()
    settings = Settings.of(arguments)
    console = Console()
    load = report.load_average()
    facts = report.machine(datetime.datetime.now(datetime.UTC), load)
    results = []
    with bars(console) as progress:
        whole = progress.add_task("benchmarks", total=len(NAMES))
        for name in NAMES:
            result = measure(name, settings, progress)
            results.append(result)
            show(result, progress.console)
            progress.advance(whole)
    arguments.output.write_text(report.page(results, facts, settings), encoding="utf-8")
    console.print(f"wrote {arguments.output}", highlight=False)


if __name__ == "__main__":
    main()
