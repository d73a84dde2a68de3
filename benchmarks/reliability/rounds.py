"""One round: a run, one fault at one moment, the way to the run's end, and the judgement."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.reliability.acts import GOVERNORS, Scene
from benchmarks.reliability.board import Board
from benchmarks.reliability.faults import LINK_S, SLACK_S, Fault
from benchmarks.reliability.host import LAUNCHES, Command, Host
from benchmarks.reliability.moments import Moment, ended, is_over, lengths_of
from benchmarks.reliability.oracle import Judgement, judge_store
from edgebench.results import Record, RunEnd, TrialRecord, record_from

# The board's own governor, which a run changes and has to put back.
GOVERNOR = "ondemand"
ATTEMPTS = 4
# The statuses that docs and --help name.
STATUSES = (0, 1, 2, 3, 4, 5, 6, 7, 130)


@dataclass(frozen=True)
class Undisturbed:
    """A run to which nothing happened: its lines, and how long its parts took, in seconds."""

    records: Sequence[Record]
    lengths: dict[str, float]

    @property
    def took_s(self) -> float:
        return self.lengths["whole"]

    def save(self, path: Path) -> None:
        """Keep it for the next call of the campaign."""
        lines = [record.model_dump(mode="json") for record in self.records]
        path.write_text(json.dumps({"lengths": self.lengths, "records": lines}))

    @staticmethod
    def load(path: Path) -> Undisturbed | None:
        """The one that was kept; None where there is none."""
        if not path.exists():
            return None
        kept = json.loads(path.read_text())
        return Undisturbed([record_from(line) for line in kept["records"]], kept["lengths"])


def undisturbed(board: Board, cache: Path, folder: Path, *, fresh: bool) -> Undisturbed:
    """Run once without a fault. Raises RuntimeError where even that fails."""
    ready(board, fresh=fresh)
    host = Host(folder, board, cache)
    try:
        command = host.run()
        if not command.wait(time.monotonic() + 300) or command.process.returncode != 0:
            raise RuntimeError(f"an undisturbed run failed:\n{command.text}")
        took_s = time.monotonic() - command.begun_s
        return Undisturbed(host.records(), lengths_of(command, board.kind.device, took_s=took_s))
    finally:
        host.close()


def ready(board: Board, *, fresh: bool) -> None:
    """A board that is on, whose governor is its own, with nothing of an earlier round on it."""
    board.stop()
    shutil.rmtree(board.root / "runs", ignore_errors=True)
    (board.root / "conditioned.json").unlink(missing_ok=True)
    if fresh:
        shutil.rmtree(board.root, ignore_errors=True)
    for path in GOVERNORS:
        board.write(path, GOVERNOR + "\n")
    if (board.tree / "run/throttled").exists():
        board.write("run/throttled", "throttled=0x0\n")
    (board.folder / "wall_clock").write_text("0\n")
    board.start()


def play(
    fault: Fault, number: int, *, seed: int, board: Board, cache: Path, folder: Path, base: Undisturbed
) -> dict[str, Any]:
    """One round; its line of the results. ``folder`` stays where the judgement is not clean."""
    random = Random(f"{seed}/{fault.name}/{number}")
    begun = time.monotonic()
    ready(board, fresh=fault.fresh)
    host = Host(folder / "host", board, cache)
    second = Host(folder / "second", board, cache, alias="other")
    try:
        scene = Scene(board, host, host.run(), random, second)
        strikes = [_strike(scene, fault, base)]
        if fault.twice and not host.complete():
            scene.command = _next(host)
            strikes.append(_strike(scene, fault, base))
        hung = sum(strike.hung for strike in strikes) + _finish(host, base)
        settled = _settle(board)
        final = host.records()
        on_board = {id_: at for strike in strikes for id_, at in strike.on_board.items()}
        # What came after the last launch cannot show in one.
        codes = () if strikes[0].met["late"] else fault.codes
        judgement = judge_store(final, base.records, on_board=on_board, codes=codes, may_fail=fault.may_fail)
        judgement.hung = hung
        judgement.lost += sum(line not in final for strike in strikes for line in strike.stored)
        judgement.governor_left = int(any(board.read(path).strip() != GOVERNOR for path in GOVERNORS))
        judgement.other += _untidy(board, host, may_fail=bool(fault.may_fail)) + settled
        if why := fault.check(scene):
            judgement.other.append(why)
    finally:
        host.close()
        second.close()
        board.stop()
    line = {
        "fault": fault.name, "round": number, "seed": seed, "phase": fault.phase, **strikes[0].met,
        "strikes": [strike.met for strike in strikes],
        "statuses": [command.process.returncode for command in host.commands], "notes": scene.notes,
        "took_s": round(time.monotonic() - begun, 1),
        "parts": sum(isinstance(record, RunEnd) for record in final), **asdict(judgement),
    }  # fmt: skip
    if judgement.clean:
        shutil.rmtree(folder)
    else:
        (folder / "said.txt").write_text("\n\n".join(c.text for c in host.commands))
    found: dict[str, Any] = json.loads(json.dumps(line, default=str))
    return found


@dataclass(frozen=True)
class Strike:
    """A fault that came and went. ``met``: when and in what; ``on_board``: launches that had ended there,
    with the board's clock; ``stored``: the lines that the store held."""

    met: dict[str, Any]
    on_board: dict[str, int]
    stored: list[Record]
    hung: int


def _strike(scene: Scene, fault: Fault, base: Undisturbed) -> Strike:
    """Plant the fault at a random moment of the command, hold and lift it, wait for the command's end."""
    moment = Moment(fault.phase, scene.random.random(), scene.random.randint(1, LAUNCHES))
    hold_s = scene.random.uniform(*fault.hold_s) if fault.hold_s else None
    command = scene.command
    moment.wait(command, scene.board, base.lengths)
    met = {"at_s": round(time.monotonic() - command.begun_s, 3), "ended": command.ended, "held_s": hold_s}
    met["stage"] = command.said[-1][1][:60] if command.said else ""
    # Its folder goes as soon as the run is collected.
    met["late"] = command.ended or is_over(scene.board) or not list(scene.board.root.glob("runs/*"))
    on_board = ended(scene.board) if fault.keeps else {}
    stored = [line for line in scene.host.records() if isinstance(line, TrialRecord)]
    fault.plant(scene)
    return Strike(met, on_board, list(stored), int(not _await_end(scene, fault, hold_s, base)))


def play_refusal(
    fault: Fault, number: int, *, seed: int, board: Board, cache: Path, folder: Path
) -> dict[str, Any]:
    """A board that cannot be measured: refused, in one paragraph, with nothing stored or left there."""
    ready(board, fresh=True)
    host = Host(folder / "host", board, cache)
    judgement, begun = Judgement(), time.monotonic()
    try:
        command = host.run()
        judgement.hung = int(not command.wait(begun + LINK_S))
        last = command.said[-1][1] if command.said else ""
        if command.process.returncode != 5 or fault.refused not in last or "Traceback" in command.text:
            judgement.other.append(f"status {command.process.returncode}: {command.text[-300:]}")
        if host.records() or host.open_run() or list(board.root.glob("envs/*")):
            judgement.other.append("something is stored here, or left on the board")
    finally:
        host.close()
        board.stop()
    shutil.rmtree(folder)
    return {
        "fault": fault.name, "round": number, "seed": seed, "phase": fault.phase, "stage": "", "ended": True,
        "statuses": [command.process.returncode], "notes": [last], "parts": 0,
        "took_s": round(time.monotonic() - begun, 1), **asdict(judgement),
    }  # fmt: skip


def _await_end(scene: Scene, fault: Fault, hold_s: float | None, base: Undisturbed) -> bool:
    """Hold the fault, lift it, wait for the command; whether it ended in time."""
    allowed_s = fault.within_s + 4 * base.took_s + SLACK_S
    if hold_s is None:
        in_time = scene.command.wait(time.monotonic() + allowed_s)
        fault.lift(scene)
        return in_time
    time.sleep(hold_s)
    fault.lift(scene)
    return scene.command.wait(time.monotonic() + allowed_s)


def _next(host: Host) -> Command:
    """The command that a user gives after one that did not bring the run to its end."""
    run_id = host.open_run()
    return host.run() if run_id is None else host.resume(run_id)


def _finish(host: Host, base: Undisturbed) -> int:
    """Bring the run to its end; how many commands hung."""
    hung = 0
    for _ in range(ATTEMPTS):
        if host.complete():
            break
        hung += not _next(host).wait(time.monotonic() + LINK_S + 4 * base.took_s + SLACK_S)
    return hung


def _settle(board: Board) -> list[str]:
    """Give the board a moment to put itself back; agents that do not end, in words."""
    until = time.monotonic() + 15
    while (left := board.agents()) and time.monotonic() < until:
        time.sleep(0.2)
    return [f"still runs on the board: {' '.join(one.cmdline()[-3:])}"[:200] for one in left]


def _untidy(board: Board, host: Host, *, may_fail: bool) -> list[str]:
    """What a run must not leave behind, and how a command must not end.

    ``may_fail``: the last one may say that no launch of any model ran (status 3).
    """
    found = []
    warned = any("is left on" in command.text for command in host.commands)
    if (left := list(board.root.glob("runs/*"))) and not warned:
        found.append(f"left on the board: {', '.join(path.name for path in left)}")
    for command in host.commands:
        text, status = command.text, command.process.returncode
        if "Traceback" in text:
            found.append("a traceback: " + text[text.index("Traceback") :][-300:])
        if status not in STATUSES and status != -9:
            found.append(f"a command ended with status {status}")
    if host.commands[-1].process.returncode not in ((0, 3) if may_fail else (0,)):
        found.append(f"the last command ended with status {host.commands[-1].process.returncode}")
    return found
