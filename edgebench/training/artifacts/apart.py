"""A piece of work in a process of its own: its result or why there is none, its time and its memory.

Peak memory can only be told of a process, and a library that crashes takes no more than its own with it.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from edgebench.agent.sensors.memory import memory_mark
from edgebench.errors import EdgebenchError


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
    """Call ``work`` in a fresh process. What it takes and gives must be picklable.

    An expected error gives its text as the reason, any other its class and first line, and a process that
    dies the signal that ended it.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    began = time.monotonic()
    process = context.Process(target=_child, args=(theirs, work, arguments, options), daemon=True)
    process.start()
    theirs.close()
    try:
        value, reason, peak = ours.recv()
    except EOFError:  # it died before it could say anything
        process.join()
        value, reason, peak = None, _death(process.exitcode), None
    finally:
        if process.is_alive():
            process.join(timeout=5.0)
            process.kill()
        ours.close()
    return Outcome(value, reason, time.monotonic() - began, peak)


def _child(
    out: Connection, work: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    value: Any = None
    reason = None
    try:
        value = work(*arguments, **options)
    except EdgebenchError as error:
        reason = str(error)
    except Exception as error:  # a library's own: the other pieces of work go on
        line = (str(error).strip() or "no message").splitlines()[0]
        reason = f"{type(error).__name__}: {line}"
    out.send((value, reason, memory_mark()["hwm_bytes"]))
    out.close()


def _death(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"its process ended with status {exitcode} and without a result"
    name = signal.Signals(-exitcode).name if -exitcode in set(signal.Signals) else str(-exitcode)
    likely = ", most likely for lack of memory" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{likely}"
