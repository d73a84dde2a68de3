"""When a fault is planted: at a random moment of a part of the run."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reliability.board import Board
from benchmarks.reliability.host import Command

# The lines by which a command tells what it begins.
CONNECT, INSTALL, SEND, MEASURE = "connecting to", "{device}: looking for", "sending models", "measuring on"

# Part of a run -> where it begins and ends. `collect` and `clean-up` begin when the board has ended a launch,
# or its last one, which only its journal shows; the host asks twice a second.
PHASES = {
    "whole": ("", "exit"),
    "connect": (CONNECT, INSTALL),
    "install": (INSTALL, SEND),
    "upload": (SEND, MEASURE),
    "trial": (MEASURE, "exit"),
    "collect": ("launch", None),
    "clean-up": ("end", None),
}
AFTER_JOURNAL_S = 0.8  # the poll of half a second, and the clean-up itself


@dataclass(frozen=True)
class Moment:
    """``share`` 0..1 of the length of ``phase``; ``launch``: after which one, where that begins the phase."""

    phase: str
    share: float
    launch: int

    def wait(self, command: Command, board: Board, lengths: dict[str, float]) -> None:
        """Return at the moment; sooner where the command has ended."""
        begin, _ = PHASES[self.phase]
        while not command.ended and not self._begun(command, board, begin):
            time.sleep(0.02)
        until = time.monotonic() + self.share * lengths[self.phase]
        while not command.ended and time.monotonic() < until:
            time.sleep(0.01)

    def _begun(self, command: Command, board: Board, begin: str) -> bool:
        if begin == "launch":
            return len(ended(board)) >= self.launch
        if begin == "end":
            return is_over(board)
        return not begin or command.stage_at(begin.format(device=board.kind.device)) is not None


def lengths_of(command: Command, device: str, *, took_s: float) -> dict[str, float]:
    """Seconds that each phase took in an undisturbed run."""
    found = {"collect": AFTER_JOURNAL_S, "clean-up": AFTER_JOURNAL_S}
    for phase, (begin, end) in PHASES.items():
        if end is not None:
            start = command.stage_at(begin.format(device=device)) or 0.0
            stop = took_s if end == "exit" else command.stage_at(end.format(device=device)) or took_s
            found[phase] = stop - start
    return found


def journal_lines(board: Board) -> list[str]:
    """Whole lines of every journal on the board, beginnings only where they are long."""
    found = []
    for path in _journals(board):
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                found += [line[:80] for line in file if line.endswith("\n")]
        except OSError:
            continue
    return found


def is_over(board: Board) -> bool:
    """Whether a run on the board has written its last message."""
    return any(line.startswith('{"kind":"end"') for line in journal_lines(board))


def ended(board: Board) -> dict[str, int]:
    """Launch -> when the board's clock said that it ended well, for all launches in its journals."""
    found = {}
    for path in _journals(board):
        try:
            lines = path.read_text(errors="replace").splitlines(keepends=True)
        except OSError:
            continue
        for line in lines:
            if line.startswith('{"kind":"trial"') and line.endswith("\n"):
                message = json.loads(line)
                if message["status"] == "ok":
                    found[message["id"]] = message["monotonic_ns"]
    return found


def _journals(board: Board) -> list[Path]:
    return sorted(board.root.glob("runs/*/journal.jsonl"))
