"""Reading a run from outside: the journal as it grows, and the end of it on request."""

from __future__ import annotations

import os
import signal
import time

from edgebench.agent import cores, folders, journal, protocol
from edgebench.agent.sensors import files

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any

POLL_S = 0.5
HEARTBEAT_S = 4.5  # with the poll, never more than 5 s of silence
_CANCEL_S = 10.0  # what the supervisor gets to end its trial and its journal


def follow(wire: int, run_dir: str, seq: int) -> int:
    """Send the journal from message ``seq`` on, until it ends, the run dies or nobody listens any more.

    Lines go out as they are, never parsed: a trial's samples are megabytes, and this process
    shares the board with the measurement.
    """
    run_dir = os.path.abspath(run_dir)
    if not os.path.isdir(run_dir):
        return _refuse(wire, run_dir)
    cores.keep_clear_of(files.read_json(os.path.join(run_dir, folders.PLAN)).get("trials", []))
    reader = Reader(run_dir)
    spoken = time.monotonic()
    while True:
        # subtle: asked before the read. A run that ended in between has its `end` in what is read.
        pid = journal.supervisor_of(run_dir)
        for number, line in reader.lines():
            if number >= seq:
                if not _forward(wire, line):
                    return 0
                spoken = time.monotonic()
            if line.startswith(b'{"kind":"%s"' % protocol.END.encode()):
                return 0
        if pid is None:
            protocol.send(wire, {"kind": protocol.LOST, "message": _why_lost(run_dir)})
            return 0
        if time.monotonic() - spoken >= HEARTBEAT_S:
            if not protocol.send(wire, {**_heartbeat(pid), **reader.trial}):
                return 0
            spoken = time.monotonic()
        time.sleep(POLL_S)


def cancel(wire: int, run_dir: str) -> int:
    """Stop a run and its trial; answers when it is over. A run that is over already is no error."""
    run_dir = os.path.abspath(run_dir)
    if not os.path.isdir(run_dir):
        return _refuse(wire, run_dir)
    pid = journal.supervisor_of(run_dir)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _CANCEL_S
        while journal.supervisor_of(run_dir) == pid and time.monotonic() < deadline:
            time.sleep(0.05)
        if journal.supervisor_of(run_dir) == pid:
            os.kill(pid, signal.SIGKILL)  # its trial dies with it
    protocol.send(wire, {"kind": protocol.CANCELLED, "was_running": pid is not None})
    return 0


class Reader:
    """The whole lines of a journal, as they appear; a half-written last line waits."""

    def __init__(self, run_dir: str) -> None:
        self._path = os.path.join(run_dir, folders.JOURNAL)
        self._offset = 0
        self._number = 0
        self.trial: dict[str, Any] = {"index": None, "id": None}  # the one that is running

    def lines(self) -> list[tuple[int, bytes]]:
        """New lines with their numbers, which are their ``seq``."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                found = []
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    found.append((self._number, line))
                    self._number += 1
                    self._offset += len(line)
        except FileNotFoundError:
            return []
        for _, line in found:
            if line.startswith(b'{"kind":"%s"' % protocol.TRIAL_BEGIN.encode()):
                begun = protocol.decode(line)
                self.trial = {"index": begun["index"], "id": begun["id"]}
        return found


def _heartbeat(pid: int) -> dict[str, Any]:
    """By the time in it the host learns how far its clock is from the board's."""
    return {"kind": protocol.HEARTBEAT, "pid": pid, "monotonic_ns": time.monotonic_ns()}


def _forward(wire: int, line: bytes) -> bool:
    try:
        while line:
            line = line[os.write(wire, line) :]
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _why_lost(run_dir: str) -> str:
    log = files.read(os.path.join(run_dir, folders.LOG)) or ""
    how = "the board was restarted" if journal.restarted(run_dir) else "its process is gone"
    return "the run ended without saying so: %s. Its log ends with: %s" % (how, log[-2000:] or "(empty)")


def _refuse(wire: int, run_dir: str) -> int:
    message = "there is no run in %s on this board" % run_dir
    protocol.send(wire, {"kind": protocol.ERROR, "code": "NO_RUN", "message": message})
    return 1
