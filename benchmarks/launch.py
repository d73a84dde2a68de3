"""Launching the two sides of a comparison: a trial by the agent as in any run, and a bare process."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.common import MissingError, Settings
from edgebench.agent import waveform
from edgebench.agent.runtimes.table import runtimes_for
from edgebench.devices import resolve_device
from edgebench.harness.board import Board, open_board
from edgebench.harness.events import Silent
from edgebench.harness.follow import run_to_end
from edgebench.harness.plan import Plan, Subject, make_plan
from edgebench.harness.suite import load_suite
from edgebench.models import Artifact, default_artifacts, load_artifact
from edgebench.results import new_run_id

BASELINES = Path(__file__).parent / "baselines"
LENGTHS_S = (1.0, 5.0)
SAMPLE_RATE_HZ = 16_000
LIMIT_S = 600.0


@dataclass(frozen=True)
class Work:
    """What both sides do: one model on one input, the same number of times, on the same processor."""

    artifact: Artifact
    input_s: float
    input_path: Path
    warmup_count: int
    count: int

    @property
    def runtime(self) -> str:
        """The runtime that measures it."""
        return runtimes_for(self.artifact.format)[0]

    @property
    def title(self) -> str:
        """``wav2small.fp32 (onnxruntime), 5 s``."""
        return f"{self.artifact.key} ({self.runtime}), {self.input_s:g} s"


@contextmanager
def local_board(folder: Path, artifacts: Sequence[Artifact] = ()) -> Iterator[Board]:
    """This machine as a board, with everything that is written to it below ``folder``.

    It has the runtimes of ``artifacts``. Raises MissingError where one cannot be installed.
    """
    formats = dict.fromkeys(["onnx", *(artifact.format for artifact in artifacts)])
    with (
        mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(folder)}),
        open_board(
            resolve_device("local"),
            runtimes=[runtimes_for(model_format)[0] for model_format in formats],
            cache=folder / "host",
            offline=True,
            events=Silent(),
        ) as board,
    ):
        for why in board.failed.values():
            raise MissingError(why)
        yield board


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder."""
    with tempfile.TemporaryDirectory(prefix="edgebench-benchmark-") as name:
        yield Path(name)


def subjects(settings: Settings | None = None) -> list[Artifact]:
    """The packaged models and those that --model named. Raises MissingError where the checkout has none."""
    keys = default_artifacts()
    if not keys:
        raise MissingError(
            "this checkout has no packaged models; make them with `edgebench train wav2small`."
        )
    return [load_artifact(key) for key in (*keys, *(settings.models if settings else ()))]


def works(folder: Path, artifacts: Sequence[Artifact], *, warmup_count: int, count: int) -> list[Work]:
    """Every model at every length that it takes, with the agent's own generated input in a file."""
    seed = load_suite("packaged").seed
    found = []
    for input_s in LENGTHS_S:
        path = folder / f"input-{input_s:g}.f32"
        samples = round(input_s * SAMPLE_RATE_HZ)
        waveform.generate(samples, seed=seed).tofile(path)
        found += [
            Work(artifact, input_s, path, warmup_count, count)
            for artifact in artifacts
            if not artifact.lengths or samples in artifact.lengths
        ]
    return found


def trial_plan(work: Work) -> Plan:
    """A plan of one trial as `edgebench run` would launch it, but with counts in place of seconds."""
    suite = load_suite(
        "packaged",
        scenarios=["single_stream"],
        input_s=[work.input_s],
        launches=1,
        min_count=work.count,
        null_runtime=False,
        # A cap that is over at once leaves the minimum count: both sides warm up equally often.
        warmup={"min_count": work.warmup_count, "max_s": 1e-9},
    )
    return make_plan(suite, [Subject.of(work.artifact)], [], device="local")


def trial_spec(board: Board, work: Work) -> dict[str, Any]:
    """That trial as its process is told of it."""
    [spec] = message_of(board, trial_plan(work))["trials"]
    return {**spec, **exact(work)}


def exact(work: Work) -> dict[str, Any]:
    """What makes a trial measure as often as it was asked to, and no longer."""
    return {"min_duration_s": 0.0, "max_count": work.count}


def agent_trial(board: Board, work: Work) -> dict[str, Any]:
    """One trial as `edgebench run` would launch it, but with counts in place of seconds."""
    board.send({work.artifact.sha256: work.artifact.path})
    [trial] = run_plan(board, trial_plan(work), exact(work))
    if len(trial["samples_ns"]) != work.count or len(trial["warmup_ns"]) != work.warmup_count:
        found = (len(trial["warmup_ns"]), len(trial["samples_ns"]))
        raise RuntimeError(f"{work.title}: the agent warmed up and measured {found}, not as often as asked")
    return trial


def run_plan(board: Board, plan: Plan, change: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Start a plan, follow it to its end, and return its trials. Raises RuntimeError if one failed."""
    message = message_of(board, plan)
    message["trials"] = [{**spec, **(change or {})} for spec in message["trials"]]
    said: list[dict[str, Any]] = []
    ending = run_to_end(board, message, said.append)
    trials = [line for line in said if line["kind"] == "trial"]
    errors = [trial["error"] for trial in trials if trial["error"]]
    if errors or ending.status != "complete":
        raise RuntimeError(f"the agent's run did not complete: {errors or ending.message}")
    return trials


def message_of(board: Board, plan: Plan) -> dict[str, Any]:
    """A plan as the agent of this board reads it."""
    return plan.message(
        run_id=new_run_id(), root=board.facts.root, user=getpass.getuser(), pythons=board.pythons
    )


def bare(script: str, words: Sequence[object], *, python: str = sys.executable) -> dict[str, Any]:
    """Run a baseline in a fresh process, isolated as trials are; what it prints is JSON."""
    result = subprocess.run(
        [python, "-I", str(BASELINES / script), *map(str, words)],
        capture_output=True,
        timeout=LIMIT_S,
        cwd="/",
        check=False,
    )
    if result.returncode != 0:
        raise RuntimeError(f"{script} failed: {result.stderr.decode(errors='replace')[-2000:]}")
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def bare_model(board: Board, script: str, work: Work, *more: object) -> dict[str, Any]:
    """Run a baseline on a model, in the interpreter and on the processor that the agent would choose."""
    cpu = max(os.sched_getaffinity(0))
    words = (work.artifact.path.resolve(), work.input_path.resolve(), cpu, work.warmup_count, work.count)
    return bare(script, (*words, *more), python=board.pythons[work.runtime])
