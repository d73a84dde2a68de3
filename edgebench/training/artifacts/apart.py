"""A piece of work in a process of its own: its result or why there is none, its time and its memory.

Peak memory can only be told of a process, and a library that crashes takes no more than its own with it.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgebench.agent.sensors.memory import memory_mark
from edgebench.errors import EdgebenchError

_CHILD = "from edgebench.training.artifacts.apart import child; child()"


@dataclass(frozen=True)
class Outcome:
    """``value`` is what the work gave, None where ``reason`` says why it gave nothing.

    ``duration_s`` and ``peak_rss_bytes`` (VmHWM) are those of the process from its first import on; the
    memory is None where the system does not tell it, or the process died.
    """

    value: Any
    reason: str | None
    duration_s: float
    peak_rss_bytes: int | None


def apart(work: Callable[..., Any], *arguments: Any, **options: Any) -> Outcome:
    """Call ``work``, a function of a module, in a fresh process; what it takes and gives is pickled.

    An expected error gives its text as the reason, any other its class and first line, and a process that
    dies the signal that ended it. What it prints goes to stderr.
    """
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    try:
        out, _ = process.communicate(pickle.dumps((work, arguments, options)))
    finally:
        process.kill()
        process.wait()
    duration_s = time.monotonic() - began
    try:
        value, reason, peak = pickle.loads(out)  # noqa: S301 - from our own process
    except (EOFError, pickle.UnpicklingError):  # it died before it had said everything
        return Outcome(None, _death(process.returncode), duration_s, None)
    return Outcome(value, reason, duration_s, peak)


def child() -> None:
    """The other side: read the work from stdin, do it, and write the outcome to what was stdout."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a print, also of a library in C, must not get among the answers
    work, arguments, options = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own process
    value: Any = None
    reason = None
    try:
        value = work(*arguments, **options)
    except EdgebenchError as error:
        reason = str(error)
    except Exception as error:  # a library's own: the other pieces of work go on
        line = (str(error).strip() or "no message").splitlines()[0]
        reason = f"{type(error).__name__}: {line}"
    with answers:
        pickle.dump((value, reason, memory_mark()["hwm_bytes"]), answers)


def _death(status: int) -> str:
    if status >= 0:
        return f"its process ended with status {status} and without a result"
    name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
    likely = ", most likely for lack of memory" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{likely}"
