"""A hostile agent, held against the whole command line: its memory, its time, its terminal, its files.

``python -m benchmarks.reliability.hostile --results FOLDER`` adds rows; the campaign's page shows them.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.reliability.board import Board, require_namespaces
from benchmarks.reliability.files import Kind
from benchmarks.reliability.host import Host
from benchmarks.reliability.rounds import STATUSES, ready
from edgebench.harness.checks.provenance import commit

KIND = Kind(environment={"PATH": "{folder}/venv/bin:/usr/local/bin:/usr/bin:/bin"})
# What must never come out on a terminal, nor stand in the name of a file.
RAW = (b"\x1b]0;", b"OWNED\x07", "\u202eOWNED".encode(), "\x9b31m".encode(), b"\x9b31m")
NAMED = "OWNED"

# Seconds: a verb that answers once has 300, a followed line 60 and a second more for each 16 kB, a lost link
# is tried again after 2, 5, 10, 20 and 40. On top comes what an honest run takes.
ANSWER_S, SILENCE_S, RETRIES_S, HONEST_S = 300.0, 60.0, 77.0, 60.0


@dataclass(frozen=True)
class Lie:
    """``kind``: of the message that is spoiled. ``within_s``: the command's end."""

    verb: str
    how: str
    within_s: float
    kind: str = ""

    @property
    def what(self) -> str:
        """For the page."""
        said = self.how if self.how != "mutate" else f"`{self.kind}` spoiled"
        return f"{said}, to `{self.verb}`"


_FOLLOW_S = HONEST_S + 6 * SILENCE_S + RETRIES_S
LIES: tuple[Lie, ...] = (
    *(Lie(verb, "mutate", HONEST_S + ANSWER_S, verb_kind) for verb, verb_kind in
      (("fingerprint", "fingerprint"), ("start", "started"))),
    *(Lie("follow", "mutate", _FOLLOW_S, kind) for kind in ("begin", "trial_begin", "trial", "end")),
    *(Lie("fingerprint", how, HONEST_S + ANSWER_S) for how in
      ("one endless line", "endless lines", "endless standard error", "a byte a second", "silence")),
    *(Lie("follow", how, _FOLLOW_S) for how in
      ("one endless line", "endless lines", "endless heartbeats", "endless standard error", "a byte a second",
       "silence")),
)  # fmt: skip


def make_board(folder: Path) -> Board:
    """A board whose Python imports ``lying`` first."""
    board = Board(folder, KIND)
    venv = board.folder / "venv"
    if not venv.exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    shutil.copy(Path(__file__).with_name("lying.py"), packages / "lying.py")
    (packages / "lying.pth").write_text("import lying; lying.main()\n")
    return board


def tell(board: Board, lie: Lie | None, seed: int = 0) -> None:
    """What the agent will say from now on; None: the truth."""
    plan = {"verb": "", "seed": seed} if lie is None else {**asdict(lie), "seed": seed}
    (board.folder / "hostile.json").write_text(json.dumps(plan))


def attempt(board: Board, lie: Lie | None, seed: int, *, cache: Path, folder: Path) -> dict[str, Any]:
    """One ``edgebench run`` on a terminal of its own; what it cost and what came out."""
    ready(board, fresh=False)
    tell(board, lie, seed)
    host = Host(folder / "host", board, cache)
    limit_s = lie.within_s if lie else HONEST_S
    shown: list[bytes] = []
    ours, its = pty.openpty()
    begun = time.monotonic()
    process = host.on_terminal(its)
    os.close(its)
    reader = threading.Thread(target=_read, args=(ours, shown), daemon=True)
    reader.start()
    killer = threading.Timer(limit_s, process.kill)
    killer.start()
    _, status, usage = os.wait4(process.pid, 0)
    took_s = time.monotonic() - begun
    killer.cancel()
    reader.join(5)
    board.stop()
    text = b"".join(shown)
    outside = [*folder.rglob(f"*{NAMED}*"), *Path("/tmp").glob(f"*{NAMED}*")]
    return {
        "peak_bytes": usage.ru_maxrss * 1024,
        "took_s": took_s,
        "late": os.WIFSIGNALED(status),
        "status": os.waitstatus_to_exitcode(status),
        "raw": sum(text.count(mark) for mark in RAW),
        "outside": len(outside),
        "traceback": b"Traceback" in text,
        "said": text[-400:].decode(errors="replace"),
    }


def _read(file: int, shown: list[bytes]) -> None:
    try:
        while piece := os.read(file, 65_536):
            shown.append(piece)
    except OSError:
        return


def rows(lies: Sequence[Lie], tries: int, *, results: Path) -> Iterator[dict[str, Any]]:
    """A row a lie: the worst of its tries. Floods and silence are tried once, as they know no chance."""
    board, cache = make_board(results / "boards" / "hostile"), results / "cache"
    folder = results / "hostile"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        honest = attempt(board, None, 0, cache=cache, folder=folder)
        if honest["status"] != 0:
            raise RuntimeError(f"an honest run failed: {honest}")
        for lie in lies:
            found = []
            for seed in range(tries if lie.how == "mutate" else 1):
                shutil.rmtree(folder, ignore_errors=True)
                found.append(attempt(board, lie, seed, cache=cache, folder=folder))
                print(lie.what, seed, {k: v for k, v in found[-1].items() if k != "said"}, flush=True)
                if bad := wrong(found[-1]):
                    print(f"  {bad}: {found[-1]['said']}", flush=True)
            yield {
                "what": lie.what,
                "tried": len(found),
                "peak_bytes": max(one["peak_bytes"] for one in found),
                "longest_s": max(one["took_s"] for one in found),
                "within_s": lie.within_s,
                "late": sum(one["late"] for one in found),
                "raw": sum(one["raw"] for one in found),
                "outside": sum(one["outside"] for one in found),
                "wrong": [why for one in found if (why := wrong(one))],
                "commit": commit(),
            }
    finally:
        board.stop()


def wrong(found: dict[str, Any]) -> str:
    """What must not be after any lie, in words; empty where all is well."""
    checks = {
        "late": found["late"],
        "300 MB": found["peak_bytes"] >= 300e6,
        "raw": found["raw"],
        "outside": found["outside"],
        "traceback": found["traceback"],
        f"status {found['status']}": found["status"] not in STATUSES and not found["late"],
    }
    return ", ".join(name for name, bad in checks.items() if bad)


def main() -> None:
    """Add rows to the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability.hostile", description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="folder of the results")
    parser.add_argument("--tries", type=int, default=10, help="spoiled messages of each kind (default: 10)")
    parser.add_argument("--only", action="append", help="lies that hold this text; repeat for several")
    arguments = parser.parse_args()
    require_namespaces()
    results = arguments.results.resolve()
    lies = [lie for lie in LIES if not arguments.only or any(text in lie.what for text in arguments.only)]
    for row in rows(lies, arguments.tries, results=results):
        with (results / "hostile.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
