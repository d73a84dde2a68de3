"""The user's side of a round: the real command line in processes of its own, with a store of the round's."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from support.cli import Edgebench

from benchmarks.reliability.board import Board
from edgebench.harness import unfinished
from edgebench.results import Record, RunEnd, Store

SUITE = """\
name = "reliability"
scenarios = ["single_stream", "offline"]
input_s = [0.5]
launches = 3
min_duration_s = 0.9
min_count = 8
null_runtime = false
[repeats]
budget = 0
"""
MODEL = "wav2small.packed_mixed_int8"
LAUNCHES = 6


@dataclass
class Command:
    """One command that was started, and what it says, with seconds since the start."""

    process: subprocess.Popen[str]
    begun_s: float = field(default_factory=time.monotonic)
    said: list[tuple[float, str]] = field(default_factory=list)
    out: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._threads = [threading.Thread(target=read, daemon=True) for read in (self._read, self._read_out)]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append((time.monotonic() - self.begun_s, line.rstrip("\n")))

    def _read_out(self) -> None:
        assert self.process.stdout is not None
        self.out += list(self.process.stdout)

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    @property
    def text(self) -> str:
        """Everything it said, on standard error and on standard output."""
        return "\n".join([line for _, line in self.said] + self.out)

    def stage_at(self, start: str) -> float | None:
        """Seconds from its beginning to the first line that begins so; None before that."""
        return next((at for at, line in list(self.said) if line.startswith(start)), None)

    def wait(self, until_s: float) -> bool:
        """Whether it ended before that moment of the monotonic clock; else it is killed."""
        try:
            self.process.wait(max(0.1, until_s - time.monotonic()))
            return True
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        finally:
            for thread in self._threads:
                thread.join(5)

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    def kill(self) -> None:
        """As ``kill -9`` does."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        self.process.wait(30)


class Host:
    """A user with a store of their own, who measures on one board."""

    def __init__(self, folder: Path, board: Board, cache: Path, *, alias: str = "board") -> None:
        folder.mkdir(parents=True)
        self.board, self.alias = board, alias
        self.edgebench = Edgebench.in_folder(folder)
        (folder / "reliability.toml").write_text(SUITE)
        self.edgebench.environment = {
            "EDGEBENCH_SSH_CONFIG": str(board.files.config_path),
            "XDG_CACHE_HOME": str(cache),
            "OMP_NUM_THREADS": "1",
        }
        self.commands: list[Command] = []

    @property
    def store(self) -> Store:
        return Store(self.edgebench.store)

    def _start(self, *words: str) -> Command:
        command = Command(self.edgebench.start(*words))
        self.commands.append(command)
        return command

    def run(self, *more: str) -> Command:
        """Begin the run of the campaign."""
        return self._start(*self._words(), *more)

    def _words(self) -> list[str]:
        return [
            "run", "--device", self.board.kind.device, "--host", self.alias, "--offline",
            "--suite", "reliability.toml", "--model", MODEL, "--condition", "governor=performance",
        ]  # fmt: skip

    def on_terminal(self, terminal: int) -> subprocess.Popen[bytes]:
        """Begin the run with a terminal for its output."""
        command = [sys.executable, "-m", "edgebench", *self._words()]
        environment = {**os.environ, **self.edgebench.environment, "HOME": str(self.edgebench.folder)}
        environment |= {"EDGEBENCH_STORE": str(self.edgebench.store), "TERM": "xterm"}
        environment["EDGEBENCH_INVENTORY"] = str(self.edgebench.folder / "inventory.toml")
        where = self.edgebench.folder
        return subprocess.Popen(
            command, cwd=where, env=environment, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal
        )

    def resume(self, run_id: str) -> Command:
        """Finish a run."""
        return self._start("run", "--resume", run_id)

    def open_run(self) -> str | None:
        """The id of a run that is not over, as its user finds it: in the store, or kept beside it."""
        kept = sorted((self.edgebench.store / unfinished.FOLDER).glob("*.json"))
        return kept[-1].stem if kept else None

    def records(self) -> list[Record]:
        """The lines of the last run; none where nothing is stored."""
        return (
            self.store.run("last")
            if (self.edgebench.store / "records.jsonl").exists() and self.store.runs()
            else []
        )

    def complete(self) -> bool:
        """Whether the last run is over and whole, in the words of its last line."""
        ends = [line for line in self.records() if isinstance(line, RunEnd)]
        return bool(ends) and ends[-1].status == "complete" and self.open_run() is None

    def close(self) -> None:
        """Kill what still runs."""
        for command in self.commands:
            if not command.ended:
                command.kill()
