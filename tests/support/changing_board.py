"""A board's files that change in time: a thread writes what a function of time says, and keeps a record.

Point ``root`` at a tree below a temporary folder, or at ``/`` of a board whose files lie at their real
paths. On such a board it runs as a program of its own, with nothing but Python's standard library::

    python3 changing_board.py / 120 4.0 0.02 > written

writes for 120 s a rail of 4 W (a Jetson's total, a Raspberry Pi 5's core) that grows by 0.02 W a second,
and a processor that warms up from 50 C by 0.1 C a second. It prints what it wrote, a line a change: seconds
of the board's monotonic clock, watts. ``joules`` of those lines is what a run must come to.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

TYPE_CHECKING = False  # a board's Python may be old
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MONITOR = "sys/bus/i2c/devices/1-0040/hwmon/hwmon1"
ZONE = "sys/class/thermal/thermal_zone0/temp"
# What the test's ``vcgencmd pmic_read_adc`` prints; the supply has a voltage and no current.
PMIC = "run/pmic"
PMIC_TEXT = """\
      VDD_CORE_A current(7)={amperes:.4f}A
      VDD_CORE_V volt(15)=1.0000V
         EXT5V_V volt(24)=4.9245V
"""


def joules(written: Iterable[tuple[float, float]], begin_s: float, end_s: float) -> float:
    """The plain integral of (seconds, watts) between two times: each value holds until the next one."""
    values = list(written)
    ends = [at for at, _ in values[1:]] + [float("inf")]
    total = 0.0
    for (begun, watts), ended in zip(values, ends):  # noqa: B905
        total += watts * max(0.0, min(ended, end_s) - max(begun, begin_s))
    return total


class ChangingBoard:
    """Writes the rail of a Jetson or a Raspberry Pi 5, and the processors' temperature, every ``period_s``.

    ``watts_at`` and ``milli_celsius_at`` take seconds since the start. ``written``: (monotonic seconds,
    watts) of each change, in order.
    """

    def __init__(
        self,
        root: Path | str,
        watts_at: Callable[[float], float],
        milli_celsius_at: Callable[[float], float] = lambda _: 50_000,
        *,
        period_s: float = 0.02,
    ) -> None:
        self.root, self._watts_at, self._celsius_at = Path(root), watts_at, milli_celsius_at
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

    def joules(self, begin_s: float, end_s: float) -> float:
        """See ``joules``."""
        return joules(self.written, begin_s, end_s)

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            self._write()

    def _write(self) -> None:
        now = time.monotonic()
        # 10 V, so that the current in mA is a hundred times the watts.
        milli_a = round(100 * self._watts_at(now - self._begun))
        if (self.root / MONITOR).exists():
            self._put(MONITOR + "/in1_input", "10000\n")
            self._put(MONITOR + "/curr1_input", f"{milli_a}\n")
        else:
            self._put(PMIC, PMIC_TEXT.format(amperes=milli_a / 100))
        self._put(ZONE, f"{round(self._celsius_at(now - self._begun))}\n")
        self.written.append((now, milli_a / 100))

    def _put(self, path: str, text: str) -> None:
        """The whole file at once: a reader finds the old value or the new one."""
        target = self.root / path
        fresh = target.with_name(target.name + ".new")
        fresh.write_text(text)
        fresh.replace(target)


def main(root: str, seconds: str, watts: str, more: str) -> None:
    begin, slope = float(watts), float(more)
    with ChangingBoard(root, lambda t: begin + slope * t, lambda t: 50_000 + 100 * t, period_s=0.1) as board:
        time.sleep(float(seconds))
    for at, value in board.written:
        print(f"{at:.6f} {value:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
