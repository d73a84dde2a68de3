"""What each setting of a runtime does to the memory and the time of a model: the table of docs/memory.md.

``python -m benchmarks.runtime_options [--model FILE ...] [--input-s 5] [--launches 5] [--page]`` launches
each model under each setting in turn, as the agent does in any run. ``--page`` renews the page.
"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.progress import track

from benchmarks import report
from benchmarks.launch import SAMPLE_RATE_HZ, Work, exact, local_board, run_plan, scratch, trial_plan
from benchmarks.schemes_table import markdown, renewed
from edgebench.agent.runtimes.base import SESSION
from edgebench.models import load_artifact, packaged_artifacts

PAGE = Path("docs/memory.md")
COMMAND = "python -m benchmarks.runtime_options"
MB = 1e6
ONNXRUNTIME: tuple[Mapping[str, Any], ...] = (
    {},
    {"mem_pattern": False},
    {"mem_pattern": False, "prepacking": False},
    {"mem_pattern": False, "mapped_weights": True},
    {"mem_pattern": False, "mapped_weights": True, "prepacking": False},
    {"arena": False},
    {"arena": False, "mem_pattern": False, "return_memory": True},
)
LITERT: tuple[Mapping[str, Any], ...] = ({}, {"xnnpack": False}, {"return_memory": True})
HEAD = (
    "file",
    "settings",
    "peak of the model, MB",
    "resident after it, MB",
    "of that no file, MB",
    "CPU time over default",
)


def main() -> None:
    """Measure, print the table, and renew the page where that is asked for."""
    arguments = _arguments()
    facts = report.machine(datetime.datetime.now(datetime.UTC), report.load_average())
    rows = list(_rows(arguments))
    table = markdown(HEAD, rows)
    print(table)
    if arguments.page:
        count = f"launches of each: {arguments.launches}, of {arguments.input_s:g} s"
        told = "".join(f"- {line}\n" for line in (*(f"{name}: {value}" for name, value in facts), count))
        text = f"{table}\n{told}"
        PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), COMMAND, text), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--model", action="append", help="file; the packaged ones without it")
    parser.add_argument("--input-s", type=float, default=5.0, help="seconds of sound (default: 5)")
    parser.add_argument("--launches", type=int, default=5, help="launches of each (default: 5)")
    parser.add_argument("--count", type=int, default=10, help="inferences of a launch (default: 10)")
    parser.add_argument("--page", action="store_true", help=f"renew {PAGE}")
    return parser.parse_args()


def _rows(arguments: argparse.Namespace) -> Iterator[list[str]]:
    artifacts = [load_artifact(name) for name in arguments.model or packaged_artifacts()]
    with scratch() as folder, local_board(folder, artifacts) as board:
        for artifact in artifacts:
            work = Work(artifact, arguments.input_s, Path(), 3, arguments.count)
            if artifact.lengths and round(work.input_s * SAMPLE_RATE_HZ) not in artifact.lengths:
                raise SystemExit(f"{artifact.path} takes no input of {work.input_s:g} s.")
            board.send({artifact.sha256: artifact.path})
            options = ONNXRUNTIME if work.runtime == "onnxruntime" else LITERT
            plan = trial_plan(work)
            found: list[list[dict[str, Any]]] = [[] for _ in options]
            for launch in track(range(arguments.launches), artifact.key):
                # In turns, and back the next time: a machine that drifts drifts for all of them.
                for at in range(len(options))[:: 1 if launch % 2 == 0 else -1]:
                    change = {**exact(work), "session": {**SESSION, **options[at]}}
                    found[at] += run_plan(board, plan, change)
            for option, trials in zip(options, found, strict=True):
                yield [f"`{artifact.path.name}`", _told(option), *_cells(trials, found[0])]


def _told(option: Mapping[str, Any]) -> str:
    return ", ".join(f"`{key}={'on' if value else 'off'}`" for key, value in option.items()) or "default"


def _cells(trials: Sequence[Mapping[str, Any]], default: Sequence[Mapping[str, Any]]) -> list[str]:
    """Medians over launches; the ratio is that of launches of one turn."""
    grown = [_grown(trial["memory"]["marks"]) for trial in trials]
    ratios = [
        np.median(one["samples_cpu_ns"]) / np.median(other["samples_cpu_ns"])
        for one, other in zip(trials, default, strict=True)
    ]
    return [*(f"{median(column) / MB:.1f}" for column in zip(*grown, strict=True)), f"{median(ratios):.2f}"]


def _grown(marks: Mapping[str, Mapping[str, int]]) -> tuple[int, int, int]:
    """Bytes beyond the runtime's own: the peak, what is resident at the end, and its anonymous part."""
    before, after = marks["runtime"], marks["end"]
    peak = after["hwm_bytes"] - before["hwm_bytes"]
    return peak, after["rss_bytes"] - before["rss_bytes"], after["anon_bytes"] - before["anon_bytes"]


if __name__ == "__main__":
    main()
