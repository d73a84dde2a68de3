"""The power around one trial: readings before it, while it runs, and after it.

Every reading is kept with its time; what they add up to is worked out from the record. The same readings
are made while nothing runs, so that what the reading itself takes is in both and falls out of the
difference.
"""

from __future__ import annotations

import select
import time

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any, Callable

    from edgebench.agent.sensors.power import Source

MEASURED_ONLY = "every processor is measured, and vcgencmd would have to run on one of them"


class PowerLog:
    """The readings around one trial.

    ``wanted``: ``hz``, readings a second, and ``idle_s``, seconds of readings before and after it.
    ``clear``: whether this process runs on processors that the trial does not use.
    """

    def __init__(self, source: Source, wanted: dict[str, Any], *, clear: bool) -> None:
        self._source = source
        self._wanted = wanted
        self._reads = source.name is not None and (clear or not source.by_program)
        self._blocked = source.name is not None and not self._reads
        self._times: list[int] = []
        self._watts: list[dict[str, float]] = []
        self._idle: list[list[int]] = []
        self._missed = 0

    @property
    def period_s(self) -> float:
        """Seconds from one reading to the next."""
        period: float = 1 / self._wanted["hz"]
        return period

    def take(self) -> None:
        """Make one reading. Its time is the middle of the time that it took."""
        if not self._reads:
            return
        before = time.monotonic_ns()
        watts = self._source.take()
        if watts:
            self._times.append((before + time.monotonic_ns()) // 2)
            self._watts.append(watts)
        else:
            self._missed += 1

    def idle(self, stop_fd: int) -> None:
        """Read while nothing runs, for ``idle_s``; ends at once when ``stop_fd`` is readable.

        Five readings at least. The first comes one period later: a monitor that takes means still holds the
        work before.
        """
        period_s = min(self.period_s, self._wanted["idle_s"] / 5)
        end = time.monotonic() + self._wanted["idle_s"]
        begun: int | None = None
        while True:
            wait_s = min(period_s, max(0.0, end - time.monotonic()))
            if select.select([stop_fd], [], [], wait_s)[0]:
                return
            begun = time.monotonic_ns() if begun is None else begun
            self.take()
            if time.monotonic() >= end:
                self._idle.append([begun, time.monotonic_ns()])
                return

    def record(self) -> dict[str, Any]:
        """What the trial's message holds: ``watts`` by rail, each as long as ``t_ns``."""
        rails = sorted({name for reading in self._watts for name in reading})
        return {
            "source": self._source.name if self._times else None,
            "reason": self._reason(),
            "hz": self._wanted["hz"],
            "t_ns": self._times,
            "watts": {name: [reading.get(name) for reading in self._watts] for name in rails},
            "idle_ns": self._idle,
        }

    def _reason(self) -> str | None:
        if self._blocked:
            return MEASURED_ONLY
        if self._missed or not self._times:
            return self._source.reason
        return None


class Ticker:
    """What is read while a trial runs, each at its own rate: telemetry and, where it is asked for, power."""

    def __init__(
        self, take: Callable[[int], dict[str, Any]], period_s: float, power: PowerLog | None
    ) -> None:
        self.series: list[dict[str, Any]] = []
        self._take, self._power = take, power
        self._telemetry_due = _Due(period_s)
        self._power_due = None if power is None else _Due(power.period_s)
        self.tick_s = period_s if power is None else min(period_s, power.period_s)

    def tick(self, pid: int) -> None:
        """Called every ``tick_s`` with the trial's pid."""
        if self._power is not None and self._power_due is not None and self._power_due.now(self.tick_s):
            self._power.take()
        if self._telemetry_due.now(self.tick_s):
            self.series.append(self._take(pid))


class _Due:
    """Something that is due every ``period_s``, by one who is asked every ``tick_s``."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._next = time.monotonic() + period_s

    def now(self, tick_s: float) -> bool:
        """Whether it is due; half a tick early is nearer than half a tick late."""
        if time.monotonic() < self._next - tick_s / 2:
            return False
        self._next = max(self._next + self._period_s, time.monotonic())
        return True
