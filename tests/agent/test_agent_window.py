"""What the kernel's counters say of a stretch of time: recorded files, and a real process that waits."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgebench.agent import window

MS = 1_000_000


def recorded(root: Path, *, stat: str, schedstats: dict[int, str]) -> Path:
    """A file tree as /proc would show it."""
    (root / "proc/self/task").mkdir(parents=True, exist_ok=True)
    (root / "proc/stat").write_text(stat + "\ncpu0 1 2 3 4 5 6 7 8 0 0\n")
    for thread, text in schedstats.items():
        (root / f"proc/self/task/{thread}").mkdir(exist_ok=True)
        (root / f"proc/self/task/{thread}/schedstat").write_text(text + "\n")
    return root


def stretch(root: Path, before: str, after: str, *, own_ms: float = 0.0) -> dict[str, float | None]:
    """What two recorded lines of /proc/stat say, of which this process used ``own_ms``."""
    readings = []
    for number, stat in enumerate((before, after)):
        reading = window.take(str(recorded(root, stat=stat, schedstats={7: "9 5 1"})))
        readings.append({**reading, "cpu_ns": number * int(own_ms * MS)})
    return window.between(*readings, tick_hz=100)


def test_what_others_and_the_hypervisor_took_is_a_share_of_all_processors(tmp_path: Path) -> None:
    #            user nice system idle iowait irq softirq steal
    before = "cpu 100 0 50 1000 10 0 0 5 0 0"
    # 100 ticks: 30 user, 10 system, 40 idle, 5 iowait, 2 irq, 3 softirq, 10 stolen; 25 of them ours.
    after = "cpu 130 0 60 1040 15 2 3 15 0 0"
    found = stretch(tmp_path, before, after, own_ms=250)
    assert found["others"] == pytest.approx((30 + 10 + 2 + 3 - 25) / 100)
    assert found["steal"] == pytest.approx(0.10)


def test_own_time_is_nobody_elses(tmp_path: Path) -> None:
    found = stretch(tmp_path, "cpu 0 0 0 0 0 0 0 0 0 0", "cpu 50 0 0 50 0 0 0 0 0 0", own_ms=510)
    assert found["others"] == 0.0  # 51 ticks of ours against 50 counted: never below zero


def test_a_stretch_of_few_ticks_gives_no_share(tmp_path: Path) -> None:
    found = stretch(tmp_path, "cpu 0 0 0 0 0 0 0 0 0 0", "cpu 10 0 0 9 0 0 0 0 0 0")
    assert (found["others"], found["steal"]) == (None, None)


def test_waiting_is_summed_over_threads_and_absent_where_it_is_not_counted(tmp_path: Path) -> None:
    stat = "cpu 0 0 0 0 0 0 0 0 0 0"
    kept = window.take(str(recorded(tmp_path / "a", stat=stat, schedstats={7: "900 30 4", 8: "100 12 2"})))
    assert kept["queue_wait_ns"] == 42
    silent = window.take(str(recorded(tmp_path / "b", stat=stat, schedstats={7: "0 0 0"})))
    absent = window.take(str(tmp_path / "c"))
    assert silent["queue_wait_ns"] is None and absent["queue_wait_ns"] is None
    assert absent["ticks"] is None
    assert window.between(absent, absent)["others"] is None


@pytest.mark.skipif(window.take()["queue_wait_ns"] is None, reason="this kernel counts no waits")
def test_a_process_that_shares_its_processor_waits() -> None:
    cpu = max(os.sched_getaffinity(0))
    busy = f"import os; os.sched_setaffinity(0, {{{cpu}}})\nwhile True: pass"
    measure = f"""
import os, sys, time
os.sched_setaffinity(0, {{{cpu}}})
sys.path.insert(0, {str(Path(window.__file__).parents[2])!r})
from edgebench.agent import window
before = window.take()
end = time.monotonic() + 0.4
while time.monotonic() < end: pass
print(window.between(before, window.take())["queue_wait_ns"])
"""
    with subprocess.Popen([sys.executable, "-I", "-c", busy]) as rival:
        time.sleep(0.2)
        done = subprocess.run([sys.executable, "-I", "-c", measure], capture_output=True, check=True)
        rival.kill()
    assert int(done.stdout) > 40 * MS  # two on one processor: each waits about half of the 400 ms
