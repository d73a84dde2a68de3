"""What the tests of the agent share: a board on this machine, and tiny models."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from onnx import TensorProto, helper, numpy_helper

Message = dict[str, Any]


class Board:
    """A folder laid out as on a board; every verb is a process of the agent's zip."""

    def __init__(self, agent: Path, root: Path) -> None:
        self.root = root
        (root / "blobs").mkdir(parents=True)
        data = agent.read_bytes()
        self.agent = root / "blobs" / hashlib.sha256(data).hexdigest()
        self.agent.write_bytes(data)
        self.python = sys.executable
        self.runs: list[Path] = []

    def blob(self, data: bytes) -> str:
        name = hashlib.sha256(data).hexdigest()
        (self.root / "blobs" / name).write_bytes(data)
        return name

    def verb(self, *arguments: object) -> list[Message]:
        argv = [self.python, str(self.agent), *map(str, arguments)]
        done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
        assert not done.stderr, done.stderr.decode()
        return [json.loads(line) for line in done.stdout.splitlines()]

    def plan(self, *trials: Message, **changes: Any) -> tuple[Path, Path]:
        """Write a plan; returns its path and the run's folder."""
        run_dir = self.root / "runs" / f"run{len(self.runs)}"
        run_dir.mkdir(parents=True)
        self.runs.append(run_dir)
        plan = {
            "protocol": 2,
            "run_id": run_dir.name,
            "root": str(self.root),
            "user": "tester",
            "telemetry_hz": 10.0,
            "trials": [{"python": self.python, **one} for one in trials],
            **changes,
        }
        (run_dir / "plan.json").write_text(json.dumps(plan))
        return run_dir / "plan.json", run_dir

    def start(self, *trials: Message) -> Path:
        plan, run_dir = self.plan(*trials)
        (answer,) = self.verb("start", plan, run_dir)
        assert answer["kind"] == "started", answer
        return run_dir

    def run(self, *trials: Message) -> list[Message]:
        """The whole run: every message of its journal."""
        return self.verb("follow", self.start(*trials), 0)

    def results(self, *trials: Message) -> list[Message]:
        messages = self.run(*trials)
        assert messages[-1]["kind"] == "end", messages[-1]
        assert messages[-1]["status"] == "complete", messages[-1]["message"]
        return [message for message in messages if message["kind"] == "trial"]

    def supervisor(self, run_dir: Path) -> psutil.Process:
        return psutil.Process(int((run_dir / "pid").read_text().split()[0]))

    def wait_for_trial(self, run_dir: Path, trial_id: str) -> psutil.Process:
        """The process of a trial, once it measures (it is pinned before it imports anything)."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            journal = run_dir / "journal.jsonl"
            begun = journal.exists() and f'"id":"{trial_id}","index"' in journal.read_text()
            children = self.supervisor(run_dir).children() if begun else []
            if children and len(children[0].cpu_affinity() or []) == 1 and "numpy" in maps(children[0]):
                return children[0]
            time.sleep(0.05)
        raise AssertionError(f"trial {trial_id} never began")

    def close(self) -> None:
        for run_dir in self.runs:
            if (run_dir / "pid").exists():
                self.verb("cancel", run_dir)


def maps(process: psutil.Process) -> str:
    return Path(f"/proc/{process.pid}/maps").read_text()


def trial(artifact: str | None, **changes: Any) -> Message:
    """A short trial on 0.1 s of generated input."""
    return {
        "id": "t0000",
        "runtime": "onnxruntime" if artifact else "null",
        "artifact": artifact,
        "scenario": "single_stream",
        "input_s": 0.1,
        "sample_rate_hz": 16000,
        "pack": None,
        "threads": 1,
        "pin": True,
        "session": {"graph_level": "all", "arena": True, "mem_pattern": True},
        "trace": False,
        "preparation": [],
        "warmup": {"min_count": 5, "max_s": 0.2, "window": 10, "tolerance": 0.05},
        "min_duration_s": 0.1,
        "min_count": 16,
        "max_count": 200000,
        "timeout_s": 60.0,
        "seed": 7,
        **changes,
    }


def endless(artifact: str, **changes: Any) -> Message:
    """A trial that goes on until somebody ends it."""
    return trial(artifact, min_duration_s=60.0, max_count=20_000_000, **changes)


def model(
    *, axes: tuple[object, ...] = ("batch", "samples"), inputs: int = 1, nan: bool = False, ballast: int = 0
) -> bytes:
    """An ONNX file: mean and mean square of a waveform; ``ballast`` bytes of weights that are used."""
    weights = [numpy_helper.from_array(np.array([len(axes) - 1]), "axis")]
    nodes = [
        helper.make_node("Mul", ["waveform", "waveform" if inputs == 1 else "other"], ["square"]),
        helper.make_node("ReduceMean", ["waveform"], ["mean"], axes=[len(axes) - 1], keepdims=0),
        helper.make_node("ReduceMean", ["square"], ["power"], axes=[len(axes) - 1], keepdims=0),
    ]
    if nan:
        weights.append(numpy_helper.from_array(np.array(-1.0, np.float32), "minus"))
        nodes[2].output[0] = "positive"
        nodes.append(helper.make_node("Mul", ["positive", "minus"], ["negative"]))
        nodes.append(helper.make_node("Sqrt", ["negative"], ["power"]))
    if ballast:
        values = np.random.default_rng(0).standard_normal(ballast // 4).astype(np.float32)
        weights.append(numpy_helper.from_array(values, "ballast"))
        nodes[1].output[0] = "bare"
        nodes.append(helper.make_node("Add", ["bare", "ballast"], ["sum"]))
        nodes.append(helper.make_node("ReduceMax", ["sum"], ["mean"], keepdims=0))
    names = ["waveform", "other"][:inputs]
    graph = helper.make_graph(
        nodes,
        "stand-in",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(axes)) for name in names],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("mean", "power")],
        weights[1:],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(made.SerializeToString())
