"""The harness's own share of a run's wall time: the packaged suite, once, through the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import Row, Settings, Spread, Target, Tick, main
from benchmarks.launch import scratch, subjects

COMPARED = (
    "Share of the wall time of `edgebench run` (the packaged suite on this machine, store and cache empty) "
    "during which the agent was not at work: 1 - agent_wall_s / wall_s of the stored `run_end` line. One run."
)
TARGET = Target("at most 10", hi=10.0)
QUICK_SUITE = 'name = "quick"\ninput_s = [1.0]\nlaunches = 1\nmin_duration_s = 1.0\nmin_count = 8\n'


def run(settings: Settings, tick: Tick) -> Iterator[Row]:
    """The share promised, and two that put it in perspective."""
    subjects()  # without models there is no packaged run
    with scratch() as folder:
        begun = time.monotonic()
        lines = _run(folder, settings)
        command_s = time.monotonic() - begun
        tick(1, 1)
    end = next(line for line in lines if line["kind"] == "run_end")
    loops_s = sum(line["trial"]["elapsed_ns"] for line in lines if line["kind"] == "trial") / 1e9
    wall_s, agent_s = end["host"]["wall_s"], end["agent_wall_s"]
    seconds = f"{wall_s:.1f} s, the agent at work {agent_s:.1f} s"
    yield _row("harness, of the run", 1 - agent_s / wall_s, seconds, TARGET)
    yield _row(
        "harness, of the whole command",
        1 - agent_s / command_s,
        f"{command_s:.1f} s, start and reports included",
    )
    yield _row(
        "all but the measured loops, of the run",
        1 - loops_s / wall_s,
        f"{loops_s:.1f} s measured; the rest is the harness, launches, loading and warm-up",
    )


def _row(what: str, share: float, detail: str, target: Target | None = None) -> Row:
    return Row(what, Spread.of([100 * share]), "%", target, detail)


def _run(folder: Path, settings: Settings) -> list[dict[str, Any]]:
    """The stored lines of one run."""
    argv = [sys.executable, "-m", "edgebench", "run", "--store", str(folder / "store")]
    if settings.quick:
        (folder / "quick.toml").write_text(QUICK_SUITE)
        argv += ["--suite", str(folder / "quick.toml")]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    result = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"edgebench run ended with status {result.returncode}: {result.stderr[-2000:]}")
    text = (folder / "store" / "records.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


if __name__ == "__main__":
    main("harness_share", __doc__)
