"""An external power meter: a program of the user's on this host that prints watts.

It prints one reading a line, ``WATTS`` or ``SECONDS WATTS``, where the seconds are those of this host's
clock since 1970; without them a reading is of the moment at which it arrives. Other lines are not readings.
The program runs without a shell while the board measures, and is ended afterwards. One that dies, floods
or prints nothing costs the run its energies and nothing else.

Readings are brought to the board's monotonic clock by the messages of the run: each says when the board
wrote it, and the one that travelled shortest tells the difference of the clocks, too large by that time.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from array import array
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from edgebench.errors import UsageError
from edgebench.text import plain

_LINE = re.compile(rb"\s*(?:([0-9]{1,12}(?:\.[0-9]{0,9})?)[\s,;]+)?([0-9]{1,9}(?:\.[0-9]{0,9})?)\s*[wW]?\s*")
_LINE_BYTES = 256
# Readings held at a time: those since the present launch began.
MOST_READINGS = 1_000_000
# Readings of a launch in the record; of more, neighbours are averaged.
MOST_KEPT = 20_000
_WORDS = 200  # of what it printed last, for the reason
_FIRST_S = 10.0
_END_S = 2.0


class Meter:
    """A running meter. ``same_clock``: the board is this host."""

    def __init__(self, argv: Sequence[str], *, same_clock: bool) -> None:
        self._argv = tuple(argv)
        self._times, self._watts = array("q"), array("d")
        self._lock = threading.Lock()
        self._first = threading.Event()  # set by the first reading, and where none can come
        self._problem: str | None = None
        self._said = ""
        self._count = 0
        # Host minus board, in ns of their monotonic clocks; None until the board was heard.
        self._ahead_ns: int | None = 0 if same_clock else None
        self._same_clock = same_clock
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._read, name="meter", daemon=True)

    def __enter__(self) -> Self:
        try:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise UsageError(f"the meter {self._argv[0]!r} cannot be run: {error.strerror}.") from None
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        process = self._process
        assert process is not None and process.stdout is not None
        self._end(process)
        self._thread.join(_END_S)
        process.stdout.close()

    def wait_first(self) -> str | None:
        """Wait for the first reading; why there is none, or None."""
        if not self._first.wait(_FIRST_S):
            return f"the meter {self._argv[0]!r} printed no watts within {_FIRST_S:g} s{self._words()}"
        return self._problem

    @property
    def problem(self) -> str | None:
        """Why no more readings come, or None."""
        return self._problem

    def hear(self, message: Mapping[str, Any]) -> None:
        """Learn the difference of the clocks from a message of the board that has just come."""
        stamp = message.get("monotonic_ns")
        if isinstance(stamp, int) and not self._same_clock:
            ahead_ns = time.monotonic_ns() - stamp
            self._ahead_ns = ahead_ns if self._ahead_ns is None else min(self._ahead_ns, ahead_ns)

    def forget(self, before_ns: int) -> None:
        """Drop the readings before a time of the board's clock."""
        limit_ns = before_ns + (self._ahead_ns or 0)
        with self._lock:
            kept = [pair for pair in zip(self._times, self._watts, strict=True) if pair[0] >= limit_ns]
            self._times = array("q", (at for at, _ in kept))
            self._watts = array("d", (watts for _, watts in kept))

    def take(self, begin_ns: int, end_ns: int) -> dict[str, Any]:
        """The readings between two times of the board's clock, for the record."""
        ahead_ns = self._ahead_ns or 0
        with self._lock:
            times = np.array(self._times, dtype=np.int64) - ahead_ns
            watts = np.array(self._watts, dtype=np.float64)
        inside = (times >= begin_ns) & (times <= end_ns)
        times, watts = times[inside], watts[inside]
        order = np.argsort(times, kind="stable")
        each = max(1, -(-times.size // MOST_KEPT))
        return {
            "program": list(self._argv),
            "reason": self._problem,
            "each": each,
            "t_ns": [round(at) for at in _means(times[order], each)],
            "watts": _means(watts[order], each),
        }

    def _read(self) -> None:
        process = self._process
        assert process is not None and process.stdout is not None
        rest = b""
        try:
            while piece := os.read(process.stdout.fileno(), 1 << 16):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self._hear_line(line)
                if len(rest) > _LINE_BYTES:
                    self._said, rest = _plain(rest), b""
                if self._problem is not None:
                    self._end(process)
                    return
            status = process.wait()
            how = f"status {status}" if status >= 0 else f"signal {-status}"
            self._problem = (
                f"the meter {self._argv[0]!r} ended with {how} after {self._count} readings{self._words()}"
            )
        except (OSError, ValueError) as error:  # it was ended, and its pipe closed
            self._problem = f"the meter {self._argv[0]!r} can no longer be read: {error}"
        finally:
            self._first.set()

    def _hear_line(self, line: bytes) -> None:
        now = time.monotonic_ns()
        found = _LINE.fullmatch(line) if len(line) <= _LINE_BYTES else None
        if found is None:
            self._said = _plain(line) or self._said
            return
        if found[1] is not None:
            at = now - round((time.time() - float(found[1])) * 1e9)
            if abs(at - now) > 3600e9:
                self._said = f"a time that is not this host's: {_plain(line)}"
                return
            now = at
        with self._lock:
            self._times.append(now)
            self._watts.append(float(found[2]))
        self._count += 1
        self._first.set()
        if len(self._times) > MOST_READINGS:
            self._problem = f"the meter {self._argv[0]!r} printed more than {MOST_READINGS} readings a launch"

    def _words(self) -> str:
        return f"; it said: {self._said}" if self._said else ""

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        """End it and what it started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is not None:
                return
            try:
                os.killpg(process.pid, number)
                process.wait(_END_S)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def _means(values: npt.NDArray[Any], each: int) -> list[float]:
    """Means of every ``each`` neighbours, the rest at the end as one."""
    if each == 1:
        found: list[float] = values.tolist()
        return found
    begins = np.arange(0, values.size, each)
    # From the first value: times in nanoseconds are beyond what a float counts exactly.
    sums = np.add.reduceat(values - values[0], begins)
    sizes = np.diff(np.append(begins, values.size))
    return [float(mean) + float(values[0]) for mean in sums / sizes]


def check(argv: Sequence[str]) -> None:
    """Raise UsageError for a program that is not there, before anything is measured."""
    if not argv or shutil.which(argv[0]) is None:
        raise UsageError(
            f"the meter {' '.join(argv)!r}: there is no such program on this host. Give the path of one that "
            "prints watts, a reading a line."
        )


def _plain(line: bytes) -> str:
    return plain(line[:_WORDS].decode("utf-8", "replace").strip())
