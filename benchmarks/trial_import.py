"""What the agent itself costs a trial's process: its lines and the milliseconds of importing them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import edgebench
from benchmarks.common import Row, Settings, Spread, Target, Tick, main
from benchmarks.launch import local_board, scratch, subjects, trial_spec, works

COMPARED = (
    "The modules of the agent that a trial's process holds after it has measured, in a fresh process: their "
    "lines that are not blank, and the time of importing them from the agent's zip, which keeps no bytecode "
    "(without numpy and the runtime's library)."
)
LAUNCHES = 10
LINES = Target("at most 1,000", hi=1000)

# A real trial, but for the end of its process. The agent is imported as the supervisor has it imported.
SCRIPT = """
import sys
before = set(sys.modules)
import time
sys.path.insert(0, sys.argv[1])
begun = time.perf_counter()
from edgebench.agent import __main__, trial
seconds = time.perf_counter() - begun
own = sorted(set(sys.modules) - before)
import json
task = json.loads(sys.argv[2])
record = trial.blank(task)
trial.measure(task, record, lambda stage: None)
modules = sorted(name for name in sys.modules if name.partition(".")[0] == "edgebench")
print(json.dumps({"seconds": seconds, "before_runtime": own, "modules": modules}))
"""


@dataclass(frozen=True)
class Imported:
    """``modules``: those of edgebench after the trial. ``before_runtime``: all that importing the agent
    brought along, the standard library's included. ``lines`` are those of ``modules``."""

    modules: tuple[str, ...]
    before_runtime: tuple[str, ...]
    lines: int
    seconds: float


def imported_by(python: str, trial: Mapping[str, Any], agent: str, *, blobs: str) -> Imported:
    """Do a trial in a fresh process of this interpreter, by the agent's zip; what it has imported."""
    root = Path(edgebench.__file__).parents[1]
    task = json.dumps({"cpus": [], **trial, "blobs": blobs})
    done = subprocess.run(
        [python, "-I", "-c", SCRIPT, agent, task], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the trial failed: {done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    lines = sum(_lines(root, name) for name in found["modules"])
    return Imported(tuple(found["modules"]), tuple(found["before_runtime"]), lines, found["seconds"])


def _lines(root: Path, module: str) -> int:
    path = root / Path(*module.split("."))
    source = path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"
    return sum(bool(line.strip()) for line in source.read_text(encoding="utf-8").splitlines())


def run(settings: Settings, tick: Tick) -> Iterator[Row]:
    """Lines and milliseconds by runtime."""
    artifacts = subjects(settings)
    with scratch() as folder, local_board(folder, artifacts) as board:
        # One model a runtime: what a trial imports does not depend on the file.
        todo = {work.runtime: work for work in works(folder, artifacts, warmup_count=1, count=1)}
        done = 0
        for runtime, work in todo.items():
            board.send({work.artifact.sha256: work.artifact.path})
            spec = trial_spec(board, work)
            found = []
            for _ in range(LAUNCHES):
                found.append(imported_by(board.pythons[runtime], spec, board.agent, blobs=board.facts.blobs))
                done += 1
                tick(done, LAUNCHES * len(todo))
            names = ", ".join(name.removeprefix("edgebench.agent.") for name in found[0].modules[2:])
            yield Row(f"{runtime}: lines", Spread.of([one.lines for one in found]), "lines", LINES, names)
            yield Row(f"{runtime}: import", Spread.of([one.seconds for one in found]), "s")


if __name__ == "__main__":
    main("trial_import", __doc__)
