"""What the machine did while a trial's loop ran, by two readings: before the loop and after it.

The trial takes both itself, outside of the loop: a reading a second, as telemetry is taken, is too
coarse for a loop of half a second. Counters that this kernel does not keep are None.
"""

from __future__ import annotations

import os
import time

from edgebench.agent.sensors import files

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any

# Below so many ticks (10 ms each as a rule) over all processors, a share would be noise.
MIN_TICKS = 20


def take(root: str = "/") -> dict[str, Any]:
    """The counters of this process and of the machine."""
    return {
        "monotonic_ns": time.monotonic_ns(),
        "cpu_ns": time.process_time_ns(),
        "queue_wait_ns": _queue_wait_ns(root),
        "ticks": _ticks(root),
    }


def between(before: dict[str, Any], after: dict[str, Any], tick_hz: int | None = None) -> dict[str, Any]:
    """What happened from one reading to the other; ``begun_ns`` and ``ended_ns`` say when they were made.

    ``queue_wait_ns``: time in which a thread of this process could have run and no processor was
    given to it. ``others``, ``steal``: shares 0..1 of all processors, used by other processes and
    taken by the hypervisor; None where the readings are too close.
    """
    cpu_ns = after["cpu_ns"] - before["cpu_ns"]
    waits = before["queue_wait_ns"], after["queue_wait_ns"]
    return {
        "begun_ns": before["monotonic_ns"],
        "ended_ns": after["monotonic_ns"],
        "elapsed_ns": after["monotonic_ns"] - before["monotonic_ns"],
        "cpu_ns": cpu_ns,
        "queue_wait_ns": None if None in waits else waits[1] - waits[0],
        **_shares(before["ticks"], after["ticks"], cpu_ns * (tick_hz or os.sysconf("SC_CLK_TCK")) / 1e9),
    }


def _shares(before: Any, after: Any, own: float) -> dict[str, float | None]:
    """Shares of all ticks between two readings; ``own`` is how many this process used."""
    if before is None or after is None:
        return {"others": None, "steal": None}
    total, idle, steal = (b - a for a, b in zip(before, after))
    if total < MIN_TICKS:
        return {"others": None, "steal": None}
    others = total - idle - steal - own
    return {"others": min(1.0, max(0.0, others / total)), "steal": min(1.0, max(0.0, steal / total))}


def _ticks(root: str) -> tuple[int, int, int] | None:
    """(all, idle, stolen) ticks of all processors since boot, proc_stat(5)."""
    words = (files.read("/proc/stat", root) or "").partition("\n")[0].split()
    if len(words) < 9 or words[0] != "cpu":
        return None
    # user nice system idle iowait irq softirq steal; guest time is inside user already.
    ticks = [int(word) for word in words[1:9]]
    return sum(ticks), ticks[3] + ticks[4], ticks[7]


def _queue_wait_ns(root: str) -> int | None:
    """Run-queue wait of all threads: the second field of schedstat (kernel, sched-stats.rst)."""
    waited, ran = 0, 0
    for thread in files.listed("/proc/self/task", "", root):
        words = (files.read("/proc/self/task/%s/schedstat" % thread, root) or "").split()
        if len(words) == 3:
            ran += int(words[0])
            waited += int(words[1])
    # A kernel that keeps no such statistics says 0 for a process that has run.
    return waited if ran else None
