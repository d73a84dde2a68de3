"""Who uses the processors: one process, and everybody else."""

from __future__ import annotations

import os

from edgebench.agent.sensors import files


def process_stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on (proc(5) field 3 is index 0); None if gone."""
    text = files.read("/proc/%d/stat" % pid)
    # The name of the command may hold spaces and parentheses: the fields begin after the last one.
    return text.rpartition(")")[2].split() if text else None


def pressure_us(root: str = "/") -> dict[str, int]:
    """Microseconds since boot in which processes waited: {"memory.some": 1200, "memory.full": 0}.

    ``some``: at least one waited for this resource, ``full``: all did (Linux' psi).
    """
    found = {}
    for resource in ("cpu", "memory", "io"):
        for line in (files.read("/proc/pressure/" + resource, root) or "").splitlines():
            kind, _, rest = line.partition(" ")
            total = files.number(rest.rpartition("total=")[2])
            if total is not None:
                found["%s.%s" % (resource, kind)] = total
    return found


class Others:
    """The share of the board's processor time that went to other processes since the last reading."""

    # Below so many ticks (10 ms each as a rule) over all processors, a share would be noise.
    min_ticks = 50

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._last: tuple[float, float, float] | None = None

    def take(self, child: int | None) -> float | None:
        """Share 0..1 of all online processors; None if too little time has passed.

        ``child`` is the pid whose time is ours, beside this process's own.
        """
        line = (files.read("/proc/stat", self._root) or "").partition("\n")[0].split()
        if len(line) < 8 or line[0] != "cpu":
            return None
        # user nice system idle iowait irq softirq steal; guest time is inside user already.
        ticks = [int(word) for word in line[1:9]]
        total, used = float(sum(ticks)), float(sum(ticks) - ticks[3] - ticks[4])
        ours = sum(os.times()[:4]) * os.sysconf("SC_CLK_TCK")
        stat = process_stat(child) if child is not None else None
        if stat:
            ours += int(stat[11]) + int(stat[12])
        now = (total, used, ours)
        if self._last is None:
            self._last = now
            return None
        spent, busy, own = (b - a for a, b in zip(self._last, now))
        if spent < self.min_ticks:
            return None  # the next reading covers this stretch too
        self._last = now
        return min(1.0, max(0.0, (busy - own) / spent))
