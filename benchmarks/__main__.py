"""``python -m benchmarks [NAME...]``: all of them, or those named, into docs/benchmarks.md."""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

from rich.console import Console

from benchmarks import NAMES, report
from benchmarks.common import Settings, add_arguments, bars, measure, show


def main() -> None:
    """Run the benchmarks, print their tables, write the page or renew their sections of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help="which (default: all)", metavar="NAME")
    add_arguments(parser)
    parser.add_argument(
        "--output", type=Path, default=report.PATH, help="the page (default: docs/benchmarks.md)"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    settings = Settings.of(arguments)
    console = Console()
    load = report.load_average()
    facts = report.machine(datetime.datetime.now(datetime.UTC), load)
    results = []
    with bars(console) as progress:
        names = arguments.names or NAMES
        whole = progress.add_task("benchmarks", total=len(names))
        for name in names:
            result = measure(name, settings, progress)
            results.append(result)
            show(result, progress.console)
            progress.advance(whole)
    if arguments.names:
        text = report.renewed(arguments.output.read_text(encoding="utf-8"), results, facts, settings)
    else:
        text = report.page(results, facts, settings)
    arguments.output.write_text(text, encoding="utf-8")
    console.print(f"wrote {arguments.output}", highlight=False)


if __name__ == "__main__":
    main()
