"""Other engines on the same files: OpenVINO, LiteRT's interpreter and its own benchmark program.

``python -m benchmarks.peers onnxruntime:F.onnx openvino:F.onnx litert:F.tflite --python openvino=PYTHON
[--python ...] [--page]``. Each launch is a fresh process on one core, the launches of a round follow one
another, and every second round goes backwards; a ratio is to the first one of the same round. ``--python``
names the Python of the environment that has an engine. The engines: onnxruntime; openvino (its default, which
computes in bfloat16 on processors that have it) and openvino_f32; litert; tflite_runtime; and
litert_benchmark, the program ``litert-benchmark`` of ai-edge-litert, which tells wall time alone.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import report
from benchmarks.common import Spread
from benchmarks.schemes_table import markdown, renewed
from edgebench.corpora import load_waveform, synthetic_corpus

PAGE = Path("docs/quantization.md")
COMMAND = "python -m benchmarks.peers"
PROGRAM = "litert_benchmark"
LAUNCH = Path(__file__).with_name("peers_launch.py")
SAMPLES = 80_000  # 5 s
WARMUP_RUNS, LEAST_RUNS = 20, 16
HEAD = ("file", "engine", "bytes", "time over the first", "clock", "median, ms", "parity", "answers")


@dataclass(frozen=True)
class Peer:
    """One file in one engine."""

    engine: str
    file: Path
    python: str

    @staticmethod
    def of(text: str, pythons: Mapping[str, str]) -> Peer:
        """From ``ENGINE:FILE``. Raises ValueError for other texts."""
        engine, colon, file = text.partition(":")
        if not (colon and engine and file):
            raise ValueError(f"{text}: say ENGINE:FILE, such as openvino:model.onnx")
        return Peer(engine, Path(file), pythons.get(engine, sys.executable))


@dataclass(frozen=True)
class How:
    """What every launch is told: the waveform's file, seconds of measuring, and the core."""

    clip: Path
    seconds: float
    core: int


@dataclass
class Found:
    """What the launches of a peer gave: medians by round in nanoseconds, and the answers of the first.

    ``cpu_ns`` is empty where the program tells wall time alone, ``output`` where it tells no answers.
    """

    version: str = ""
    cpu_ns: dict[int, float] = field(default_factory=dict)
    wall_ns: dict[int, float] = field(default_factory=dict)
    output: list[NDArray[np.float32]] = field(default_factory=list)
    reason: str | None = None


def launch(peer: Peer, how: How, into: Found, number: int) -> None:
    """One launch, its figures written down ``into`` under a round's number. A failure ends the peer."""
    if into.reason is not None:
        return
    begin = _program if peer.engine == PROGRAM else _launch
    try:
        begin(peer, how, into, number)
    except subprocess.CalledProcessError as error:
        into.reason = ((error.stderr or "").strip() or f"status {error.returncode}").splitlines()[-1]


def _launch(peer: Peer, how: How, into: Found, number: int) -> None:
    told_to = [peer.engine, str(peer.file), str(how.clip), str(how.seconds), str(how.core)]
    done = subprocess.run([peer.python, str(LAUNCH), *told_to], check=True, capture_output=True, text=True)
    told = json.loads(done.stdout.splitlines()[-1])
    into.version = told["version"]
    into.cpu_ns[number] = statistics.median(told["cpu_ns"])
    into.wall_ns[number] = statistics.median(told["wall_ns"])
    into.output = into.output or [np.array(one, np.float32) for one in told["output"]]


def _program(peer: Peer, how: How, into: Found, number: int) -> None:
    """``litert-benchmark`` on the first signature of the file, with inputs of its own."""
    program = Path(peer.python).with_name("litert-benchmark")
    known = next(iter(into.wall_ns.values()), 10e6)
    runs = max(LEAST_RUNS, round(how.seconds / (known / 1e9)))
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        options = ["--num_threads=1", f"--warmup_runs={WARMUP_RUNS}", f"--num_runs={runs}"]
        subprocess.run(
            [str(program), f"--model={peer.file}", *options, f"--result_json={result}"],
            check=True,
            capture_output=True,
            text=True,
            preexec_fn=_on(how.core),
        )
        into.wall_ns[number] = json.loads(result.read_text(encoding="utf-8"))["latency"]["median_ms"] * 1e6


def _on(core: int) -> Callable[[], None]:
    return lambda: os.sched_setaffinity(0, {core})


def ratio(base: Found, other: Found) -> tuple[Spread | None, str]:
    """``other`` over ``base``, paired by round, and which clock: processor time where both tell it."""
    clock = "CPU" if other.cpu_ns and base.cpu_ns else "wall"
    first, second = (found.cpu_ns if clock == "CPU" else found.wall_ns for found in (base, other))
    rounds = [number for number in first if number in second]
    return (Spread.of_ratios([second[n] / first[n] for n in rounds]) if rounds else None), clock


def difference(base: Found, other: Found) -> float | None:
    """The largest difference of two answers; None where one did not tell them, or answers otherwise.

    The outputs are matched by their sizes: engines give them in orders of their own.
    """
    order = [sorted(found.output, key=len) for found in (base, other)]
    if not all(order) or [len(one) for one in order[0]] != [len(one) for one in order[1]]:
        return None
    return max(float(np.abs(a - b).max()) for a, b in zip(*order, strict=True))


def cells(peer: Peer, found: Found, base: Found, allowed: float) -> tuple[str, ...]:
    """One row of the table."""
    known = f"{peer.engine} {found.version}".strip()
    head = (f"`{peer.file.name}`", known, f"{peer.file.stat().st_size:,}")
    if found.reason is not None:
        return (*head, "-", "-", "-", "-", found.reason)
    spread, clock = ratio(base, found)
    text = "-" if spread is None else f"{spread.median:.3f}"
    if spread is not None and spread.interval is not None:
        text += f" [{spread.interval[0]:.3f}, {spread.interval[1]:.3f}]"
    taken = statistics.median((found.cpu_ns or found.wall_ns).values()) / 1e6
    apart = difference(base, found)
    same = "not told" if apart is None else "as the first" if apart <= allowed else "OUTPUT_MISMATCH"
    return (*head, text, clock, f"{taken:.2f}", "-" if apart is None else f"{apart:.2g}", same)


def measure(
    peers: Sequence[Peer], *, rounds: int, seconds: float, core: int, console: Console
) -> list[Found]:
    """All peers in turn, forwards and backwards."""
    found = [Found() for _ in peers]
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.npy"
        np.save(clip, np.resize(load_waveform(synthetic_corpus(split="test")[0]), SAMPLES))
        how = How(clip, seconds, core)
        for number in track(range(rounds), "rounds", console=console):
            turns = list(zip(peers, found, strict=True))
            for peer, into in turns if number % 2 == 0 else reversed(turns):
                launch(peer, how, into, number)
    return found


def main() -> None:
    """Measure, print the table, and renew its place on the page where that is asked for."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("peer", nargs="+", help="ENGINE:FILE; the first one is what the others are held to")
    parser.add_argument("--python", action="append", default=[], help="ENGINE=PYTHON; repeat for several")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=1.0, help="of measuring a launch (default: 1)")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="which core")
    parser.add_argument(
        "--allowed", type=float, default=0.1, help="largest difference to the first one's answers"
    )
    parser.add_argument("--page", action="store_true", help=f"renew {PAGE}")
    arguments = parser.parse_args()
    facts = report.machine(datetime.datetime.now(datetime.UTC), report.load_average())
    pythons = dict(text.split("=", 1) for text in arguments.python)
    peers = [Peer.of(text, pythons) for text in arguments.peer]
    console = Console()
    found = measure(
        peers, rounds=arguments.rounds, seconds=arguments.seconds, core=arguments.core, console=console
    )
    rows = [cells(peer, one, found[0], arguments.allowed) for peer, one in zip(peers, found, strict=True)]
    table = Table()
    for title in HEAD:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if arguments.page:
        told = {name: value for name, value in facts if name in ("date", "processor", "kernel", "Python")}
        lines = [f"- {name}: {value}\n" for name, value in told.items()]
        lines.append(f"- {arguments.rounds} rounds, {arguments.seconds:g} s a launch\n")
        text = markdown(HEAD, rows) + "\n" + "".join(lines)
        PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), COMMAND, text), encoding="utf-8")


if __name__ == "__main__":
    main()
