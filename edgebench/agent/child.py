"""A child process of the agent: started afresh, listened to while asleep, ended on time."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time

from edgebench.agent import protocol

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any, Callable

# The zip, or the folder, that holds the package `edgebench`.
ROOT = os.path.abspath(__file__).rsplit(os.sep, 3)[0]

# -I: neither the caller's folder nor PYTHON* variables nor a user's packages change what is measured.
_LAUNCH = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from edgebench.agent.__main__ import main; raise SystemExit(main())"
)

EXITED, TIMED_OUT, STOPPED = "exited", "timed out", "stopped"
NOT_STARTED = "not started"  # its interpreter is missing or cannot be run


class Ending:
    """How a child ended: ``why`` is one of the words above; ``status`` or ``signal`` is set."""

    def __init__(self, why: str, returncode: int) -> None:
        self.why = why
        self.status = returncode if returncode >= 0 else None
        self.signal = -returncode if returncode < 0 else None


def run(
    arguments: list[str],
    task: dict[str, Any],
    *,
    hear: Callable[[dict[str, Any]], Any],
    timeout_s: float,
    python: str | None = None,
    tick: Callable[[int], Any] | None = None,
    tick_s: float = 1.0,
    stop_fd: int | None = None,
    folder: str = "/",
) -> Ending:
    """Run a verb of the agent in a child, with ``task`` as JSON on its standard input.

    ``python`` is its interpreter, ours without it.
    ``hear`` gets each message as it comes, ``tick`` the child's pid every ``tick_s``. The child
    and all it started are killed after ``timeout_s``, and as soon as ``stop_fd`` is readable.
    Asleep but for these.
    """
    try:
        process = subprocess.Popen(
            [python or sys.executable, "-I", "-c", _LAUNCH, ROOT, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
            start_new_session=True,
            preexec_fn=_before_exec,  # noqa: PLW1509  one thread only
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return Ending(NOT_STARTED, 127)  # as a shell says it
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(task).encode())
        process.stdin.close()
    except BrokenPipeError:
        pass  # it died at once, as the exit status will say
    try:
        why = _listen(process, hear, timeout_s=timeout_s, tick=tick, tick_s=tick_s, stop_fd=stop_fd)
    finally:
        if process.poll() is None:
            _kill_group(process.pid)
        process.stdout.close()
        returncode = process.wait()
    return Ending(why, returncode)


def _listen(
    process: Any, hear: Any, *, timeout_s: float, tick: Any, tick_s: float, stop_fd: int | None
) -> str:
    source = process.stdout.fileno()
    sources = [source] if stop_fd is None else [source, stop_fd]
    heard = bytearray()
    spoke = False
    deadline = time.monotonic() + timeout_s
    next_tick = time.monotonic() + tick_s if tick else deadline
    while True:
        now = time.monotonic()
        if now >= deadline:
            return TIMED_OUT
        if tick and now >= next_tick:
            tick(process.pid)
            next_tick = max(next_tick + tick_s, time.monotonic())
        ready = select.select(sources, [], [], max(0.0, min(deadline, next_tick) - time.monotonic()))[0]
        if stop_fd in ready:
            return STOPPED
        if source not in ready:
            continue
        piece = os.read(source, 1 << 16)
        if not piece:
            break
        heard += piece
        if b"\n" in piece:
            *lines, rest = bytes(heard).split(b"\n")
            heard = bytearray(rest)
            for line in lines:
                # A sitecustomize may have written before the child began to speak.
                if spoke or line.startswith(b"{"):
                    spoke = True
                    hear(protocol.decode(line))
    try:
        # It has closed its output; now it only has to exit.
        process.wait(max(1.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return TIMED_OUT
    return EXITED


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _find_prctl() -> Any:
    try:
        import ctypes

        return ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None


_prctl = _find_prctl()  # found before the fork: between fork and exec nothing should be imported


def _before_exec() -> None:
    """Tie the child to the supervisor: it dies with it, because an orphan would disturb the next run.

    Where memory runs out the kernel ends the child first, because the supervisor keeps the journal.
    """
    if _prctl is not None:
        _prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, prctl(2)
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("800")
    except OSError:
        pass
