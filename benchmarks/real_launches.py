"""Launches of two copies of one file, measured side by side, as numbers for ``coverage`` to draw from.

``python -m benchmarks.real_launches`` measures them anew (five minutes) and writes
benchmarks/data/real_launches.json, which is kept: coverage by real launches then needs no measurement.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.launch import scratch, subjects
from edgebench.results import METRICS, RunSummary, Store, summarise
from edgebench.results.metrics.cost import launch_values
from edgebench.results.metrics.ratios import by_round

PATH = Path(__file__).parent / "data" / "real_launches.json"
COPIES = ("copy_a", "copy_b")
DRAWN = ("latency_p50_ns", "cpu_p50_ns", "load_ns", "first_inference_ns", "peak_rss_bytes")
SUITE = """\
name = "real_launches"
scenarios = ["single_stream"]
input_s = [1.0, 5.0]
launches = {rounds}
min_duration_s = {seconds}
corpora = []
null_runtime = false

[repeats]
budget = 0.0
"""


def table(summary: RunSummary) -> dict[str, Any]:
    """Metric -> values ``(input lengths, copies, rounds)`` of the rounds that hold a launch of all."""
    lengths = sorted({row.condition.input_s or 0.0 for row in summary.rows})
    rows = {(row.condition.input_s, row.condition.artifact): row for row in summary.rows}
    launches = {key: by_round(row.trials) for key, row in rows.items()}
    rounds = sorted(set.intersection(*(set(found) for found in launches.values())))

    def values(name: str, key: tuple[float | None, str]) -> list[float | None]:
        trials = [launches[key][number].trial for number in rounds]
        return [
            None if value is None else float(f"{value:.7g}")
            for value in launch_values(METRICS[name], rows[key].condition, trials)
        ]

    return {
        "rounds": len(rounds),
        "processor": summary.header.device.fingerprint.cpu_model,
        "values": {
            name: [[values(name, (length, copy)) for copy in COPIES] for length in lengths] for name in DRAWN
        },
    }


def logs() -> dict[str, Any]:
    """Metric -> logarithms of the kept values, ``(input lengths, copies, rounds)``."""
    stored = json.loads(PATH.read_text(encoding="utf-8"))
    return {name: np.log(np.array(values, dtype=np.float64)) for name, values in stored["values"].items()}


def main() -> None:
    """Measure, and write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_launches", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60, help="launches of each copy (default 60)")
    parser.add_argument("--output", type=Path, default=PATH, help="the file to write")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with scratch() as folder:
        models = []
        for copy in COPIES:
            models += ["--model", str(shutil.copy(subjects()[0].path, folder / f"{copy}.onnx"))]
        suite = folder / "suite.toml"
        suite.write_text(SUITE.format(rounds=arguments.rounds, seconds=arguments.rounds / 2))
        command = [sys.executable, "-m", "edgebench", "run", *models]
        subprocess.run([*command, "--suite", str(suite), "--store", str(folder / "store"), "--json"],
                       check=True, stdout=subprocess.DEVNULL)  # fmt: skip
        found = table(summarise(Store(folder / "store").run("last")))
    found = {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), "load_average": load, **found}
    arguments.output.write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
