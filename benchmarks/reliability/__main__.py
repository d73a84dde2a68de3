"""``python -m benchmarks.reliability``: rounds that are still to be played, then docs/reliability.md."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import queue
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import MissingError
from benchmarks.reliability import ROOT
from benchmarks.reliability.board import Board, require_namespaces
from benchmarks.reliability.faults import BY_NAME, FAULTS, Fault
from benchmarks.reliability.page import COLUMNS, page
from benchmarks.reliability.rounds import Undisturbed, play, play_refusal, undisturbed
from edgebench.harness.checks.provenance import commit

PAGE = ROOT / "docs" / "reliability.md"


def read_results(path: Path) -> list[dict[str, Any]]:
    """The rounds that were played."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def still_to_play(
    faults: Sequence[Fault],
    results: Sequence[dict[str, Any]],
    *,
    seed: int,
    rounds: int | None,
    again: bool = False,
) -> list[tuple[Fault, int]]:
    """Faults and numbers of rounds, the first round of every fault before the second of any.

    ``again``: also rounds that were not clean when they were last played.
    """
    latest = {(line["fault"], line["round"]): line for line in results if line["seed"] == seed}
    played = {key for key, line in latest.items() if not again or not any(line[c] for c in COLUMNS)}
    wanted = [
        (number, place, fault)
        for place, fault in enumerate(faults)
        for number in range(fault.most if rounds is None else min(fault.most, rounds))
        if (fault.name, number) not in played
    ]
    return [(fault, number) for number, _, fault in sorted(wanted, key=lambda one: one[:2])]


class Worker(threading.Thread):
    """Plays rounds one after another, each kind of board made once."""

    def __init__(
        self, number: int, work: queue.SimpleQueue[Any], arguments: argparse.Namespace, write: Any
    ) -> None:
        super().__init__(daemon=True)
        self._number, self._work, self._arguments, self._write = number, work, arguments, write
        self._folder: Path = arguments.results / "boards" / str(number)
        self._bases: dict[tuple[str, bool], Undisturbed] = {}
        self._boards: dict[str, Board] = {}
        self._disks = contextlib.ExitStack()
        self.ends_s = time.monotonic() + 60 * arguments.minutes
        self.problem: BaseException | None = None

    def run(self) -> None:
        try:
            while time.monotonic() < self.ends_s:
                try:
                    fault, number = self._work.get_nowait()
                except queue.Empty:
                    return
                self._write(self._play(fault, number))
        except BaseException as error:
            self.problem = error
            raise
        finally:
            for board in self._boards.values():
                board.stop()
            self._disks.close()

    def _play(self, fault: Fault, number: int) -> dict[str, Any]:
        cache = self._arguments.results / "cache"
        name = repr(fault.kind)
        if name not in self._boards:
            place = hashlib.sha256(name.encode()).hexdigest()[:8]
            self._boards[name] = Board(self._folder / place, fault.kind)
            self._disks.enter_context(self._boards[name].disk())
        board = self._boards[name]
        folder = self._arguments.results / "rounds" / f"{fault.name.replace(' ', '_')}-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        if fault.refused:
            seed = self._arguments.seed
            return play_refusal(fault, number, seed=seed, board=board, cache=cache, folder=folder)
        if (name, fault.fresh) not in self._bases:
            self._bases[name, fault.fresh] = self._base(board, cache, fresh=fault.fresh)
        return play(
            fault, number, seed=self._arguments.seed, board=board, cache=cache, folder=folder,
            base=self._bases[name, fault.fresh],
        )  # fmt: skip

    def _base(self, board: Board, cache: Path, *, fresh: bool) -> Undisturbed:
        """An undisturbed run on this board, as it was kept or made now."""
        path = board.folder / f"undisturbed-{'fresh' if fresh else 'ready'}.json"
        base = Undisturbed.load(path)
        if base is None:
            with tempfile.TemporaryDirectory() as folder:
                base = undisturbed(board, cache, Path(folder) / "host", fresh=fresh)
                if not fresh:  # the first one made the environment
                    base = undisturbed(board, cache, Path(folder) / "again", fresh=False)
            base.save(path)
        return base


def main() -> None:
    """Play, then write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    add = parser.add_argument
    add("--results", type=Path, required=True, help="folder of the results; rounds are added to it")
    add("--seed", type=int, default=1, help="decides every moment (default: 1)")
    add("--rounds", type=int, help="at most so many of each fault (default: as the table says)")
    add("--minutes", type=float, default=1e6, help="begin no round after that")
    add("--at-once", type=int, default=2, help="boards at one time (default: 2)")
    add("--only", action="append", metavar="FAULT", choices=list(BY_NAME), help="repeat for several")
    add("--again", action="store_true", help="play rounds that were not clean once more")
    add("--quick", action="store_true", help="one round of each")
    add("--output", type=Path, default=PAGE, help="the page (default: docs/reliability.md)")
    arguments = parser.parse_args()
    arguments.results = arguments.results.resolve()
    arguments.results.mkdir(parents=True, exist_ok=True)
    held = (arguments.results / "lock").open("w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        parser.error(f"{arguments.results} is in use: two campaigns would share its boards")
    try:
        require_namespaces("cc", "dropbear", "csh")
    except MissingError as missing:
        parser.error(str(missing))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background commands inherit deafness
    path, lock = arguments.results / "rounds.jsonl", threading.Lock()

    def write(line: dict[str, Any]) -> None:
        with lock, path.open("a") as file:
            file.write(json.dumps({**line, "commit": commit()}) + "\n")
        shown = " ".join(f"{key}={line[key]}" for key in COLUMNS if line[key])
        print(f"{line['fault']} {line['round']}: {shown or 'clean'} ({line['took_s']} s)", flush=True)

    faults = [BY_NAME[name] for name in arguments.only] if arguments.only else list(FAULTS)
    rounds = 1 if arguments.quick else arguments.rounds
    work: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for one in still_to_play(
        faults, read_results(path), seed=arguments.seed, rounds=rounds, again=arguments.again
    ):
        work.put(one)
    workers = [Worker(number, work, arguments, write) for number in range(arguments.at_once)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    arguments.output.write_text(page(read_results(path), read_results(arguments.results / "hostile.jsonl")))
    print(f"wrote {arguments.output}")
    if any(worker.problem for worker in workers):
        sys.exit(1)


if __name__ == "__main__":
    main()
