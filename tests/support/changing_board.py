"""A board's files that change in time: a thread writes what a function of time says, and keeps a record.

Point ``root`` at a tree below a temporary folder, or at ``/`` of a board whose files lie at their real
paths: the thread only writes files. ``watts_at`` and ``milli_celsius_at`` take seconds since the start.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from support import board_trees

MONITOR = "sys/bus/i2c/devices/1-0040/hwmon/hwmon1"
ZONE = "sys/class/thermal/thermal_zone0/temp"


class ChangingBoard:
    """Writes the total rail of a Jetson and its processors' temperature every ``period_s``.

    ``written``: (monotonic seconds, watts) of each change, in order.
    """

    def __init__(
        self,
        root: Path,
        watts_at: Callable[[float], float],
        milli_celsius_at: Callable[[float], int] = lambda _: 50_000,
        *,
        period_s: float = 0.02,
    ) -> None:
        self._root, self._watts_at, self._celsius_at = root, watts_at, milli_celsius_at
        self._period_s = period_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.written: list[tuple[float, float]] = []

    def __enter__(self) -> ChangingBoard:
        self._begun = time.monotonic()
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            self._write()

    def _write(self) -> None:
        now = time.monotonic()
        # 10 V, so that the current in mA is a hundred times the watts.
        milli_a = round(100 * self._watts_at(now - self._begun))
        board_trees.write(
            self._root,
            {
                f"{MONITOR}/in1_input": "10000\n",
                f"{MONITOR}/curr1_input": f"{milli_a}\n",
                ZONE: f"{self._celsius_at(now - self._begun)}\n",
            },
        )
        self.written.append((now, milli_a / 100))

    def joules(self, begin_s: float, end_s: float) -> float:
        """The plain integral of what was written: each value holds until the next one."""
        total = 0.0
        ends = [at for at, _ in self.written[1:]] + [float("inf")]
        for (begun, watts), ended in zip(self.written, ends, strict=True):
            total += watts * max(0.0, min(ended, end_s) - max(begun, begin_s))
        return total
