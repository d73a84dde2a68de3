"""The state that a user wants a board to be in for a run, and the way back afterwards.

What is changed is first written down, with what it was before, in a file beside the board's lock. A
process of its own waits for the run's end and puts everything back: it sees the end of a supervisor that
was killed as well, because the pipe between them closes. That process holds the board's lock, too: nobody
measures while it is at work. After a power cut the next who asks what this board is, or starts a run,
finds the file and has it put back first.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import time

from edgebench.agent import folders, lock, protocol, settings
from edgebench.agent.sensors import files, thermal

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any

STATE = "conditioned.json"  # in the root folder: what has to be put back

_POLL_S = 0.5


class Guard:
    """The process that puts the board back, seen from the run."""

    def __init__(self, end: int, done: int) -> None:
        self._end, self._done = end, done

    def release(self) -> None:
        """Have it put the board back, and wait until it has."""
        os.close(self._end)
        select.select([self._done], [], [], 2 * settings.LIMIT_S)
        os.close(self._done)


def begin(
    wanted: dict[str, Any] | None, folder: str, *, close: tuple[int, ...] = (), root: str = "/"
) -> Guard | None:
    """Bring the board into the state ``wanted``, once what an earlier run left is put back.

    ``wanted``: ``governor``, ``mode`` (a Jetson's power mode by name), ``clocks`` ("max": the lowest
    clock is set to the highest), each None or absent where it shall stay. ``close``: descriptors that the
    process which waits must not keep. Raises ``settings.RefusedError``; the board is then as it was.
    """
    return _guard(folder, close, root) if _set_all(wanted, folder, root) else None


def fix(wire: int, folder: str, wanted: dict[str, Any], *, root: str = "/") -> int:
    """Bring the board into the state ``wanted`` once, and leave it there; answers ``fixed``.

    Not while somebody measures: answers ``busy`` then.
    """
    os.makedirs(folder, exist_ok=True)
    lock_path = os.path.join(folder, folders.LOCK)
    lock = os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        protocol.send(wire, {"kind": protocol.BUSY, "holder": files.read_json(lock_path)})
        return 0
    try:
        steps = _set_all(wanted, folder, root)
    except settings.RefusedError as problem:
        protocol.send(wire, {"kind": protocol.ERROR, "code": "CONDITIONING", "message": str(problem)})
        return 1
    if steps:
        os.unlink(os.path.join(folder, STATE))  # nothing is to be put back
    protocol.send(wire, {"kind": protocol.FIXED, "steps": steps})
    return 0


def _set_all(wanted: dict[str, Any] | None, folder: str, root: str) -> list[settings.Step]:
    """Put back what an earlier run left, then take every step to ``wanted``; the steps.

    Raises ``settings.RefusedError``; the board is then as it was.
    """
    left = restore(folder, root=root)
    if left:
        path = os.path.join(folder, STATE)
        raise settings.RefusedError(
            "what an earlier run set on this board could not be put back: %s. Put it back by hand and "
            "remove %s" % ("; ".join(left), path)
        )
    wanted = wanted or {}
    steps = settings.power_mode(wanted.get("mode"), root)
    steps += settings.governor(wanted.get("governor"), root)
    try:
        _apply(steps, folder, root)
        # A power mode changes the limits of the clocks: only now is the highest one known.
        return steps + _apply(settings.held_clocks(wanted.get("clocks"), root), folder, root, after=steps)
    except BaseException:
        restore(folder, root=root)
        raise


def _apply(
    steps: list[settings.Step], folder: str, root: str, after: list[settings.Step] | None = None
) -> list[settings.Step]:
    """Write down the way back, then go: a crash in between puts back what was not changed yet."""
    if steps:
        path = os.path.join(folder, STATE)
        with open(path + ".new", "w") as file:
            json.dump({"steps": (after or []) + steps}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)
    for step in steps:
        settings.put(step, step["value"], root)
    return steps


def restore(folder: str, *, root: str = "/") -> list[str]:
    """Put back what the file in ``folder`` names, the last change first; what could not be, in words."""
    path = os.path.join(folder, STATE)
    steps = files.read_json(path).get("steps", [])
    failed = []
    for step in reversed(steps):
        try:
            if settings.present(step, root) != step["before"]:
                settings.put(step, step["before"], root)
        except settings.RefusedError as problem:
            failed.append(str(problem))
    if steps and not failed:
        os.unlink(path)
    return failed


def put_back_left(folder: str, *, root: str = "/") -> None:
    """Put back what a run left that is gone, as after a power cut; nothing while somebody measures.

    What cannot be put back is for the next start to say.
    """
    if not os.path.exists(os.path.join(folder, STATE)):
        return
    try:
        held = lock.Lock(folder, exclusive=True)
    except (lock.BusyError, OSError):
        return
    try:
        restore(folder, root=root)
    finally:
        held.release()


def cool_down(wanted: dict[str, Any] | None, *, stop_fd: int, root: str = "/") -> float:
    """Wait for the temperature ``cool_c`` that is wanted; seconds waited.

    ``cool_limit_s`` is for the whole run: what was waited is taken from it.
    """
    if not wanted or wanted.get("cool_c") is None:
        return 0.0
    waited = wait_until_cool(wanted["cool_c"], wanted["cool_limit_s"], stop_fd=stop_fd, root=root)
    wanted["cool_limit_s"] = max(0.0, wanted["cool_limit_s"] - waited)
    return waited


def wait_until_cool(limit_c: float, most_s: float, *, stop_fd: int, root: str = "/") -> float:
    """Seconds waited until every thermal zone of a processor is below ``limit_c``, ``most_s`` at most.

    Ends at once where the board shows no temperature, and when ``stop_fd`` is readable.
    """
    begun = time.monotonic()
    while True:
        hottest = thermal.hottest_processor_c(root)
        waited = time.monotonic() - begun
        if hottest is None or hottest < limit_c or waited >= most_s:
            return waited
        if select.select([stop_fd], [], [], min(_POLL_S, most_s - waited))[0]:
            return time.monotonic() - begun


def _guard(folder: str, close: tuple[int, ...], root: str) -> Guard:
    """Start the process that waits for the end of the run, however that comes."""
    waiting, end = os.pipe()
    done, said = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            # An open end of the host's channel would keep the host waiting.
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            for descriptor in (end, done, *close):
                os.close(descriptor)
            os.read(waiting, 1)  # nothing ever comes but the end
            restore(folder, root=root)
        finally:
            os._exit(0)
    os.close(waiting)
    os.close(said)
    return Guard(end, done)
