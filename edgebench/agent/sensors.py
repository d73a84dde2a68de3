"""What Linux tells about memory, clocks, heat and load. Absent things are absent, never 0.

Containers, emulators and odd boards lack half of these files; every reader here answers with
None or leaves the entry out. ``root`` stands for / and lets tests read a recorded file tree.
"""

from __future__ import annotations

import json
import os
import time

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any


def read(path: str, root: str = "/") -> str | None:
    """The text of a small file in /proc, /sys or /etc, stripped; None if it cannot be read.

    subtle: in bytes, because a powered-off thermal zone gives EAGAIN, which text reads of
    Python 3.10 turn into a TypeError.
    """
    try:
        with open(os.path.join(root, path.lstrip("/")), "rb", buffering=0) as file:
            return (file.readall() or b"").decode("utf-8", "replace").strip("\0 \t\r\n")
    except OSError:
        return None


def read_json(path: str) -> dict[str, Any]:
    """The object in a small JSON file; {} where there is none, or half of one."""
    try:
        found = json.loads(read(path) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _number(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def listed(path: str, prefix: str, root: str = "/") -> list[str]:
    """Names ``prefix<number>`` in a folder, by number."""
    try:
        names = os.listdir(os.path.join(root, path.lstrip("/")))
    except OSError:
        return []
    found = [name for name in names if name.startswith(prefix) and name[len(prefix) :].isdigit()]
    return sorted(found, key=lambda name: int(name[len(prefix) :]))


def reset_peak() -> bool:
    """Set VmHWM back to the present size (proc(5), clear_refs, since Linux 4.0); False where refused."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        return False
    return True


def memory_mark() -> dict[str, int | None]:
    """Resident, peak and swapped bytes from one read of /proc/self/status; PSS beside it.

    ``anon_bytes`` and ``file_bytes`` are the parts of the resident size: pages of the process, and
    pages of files that are mapped, of which the kernel maps more or fewer by the state of its cache.
    ``pss_bytes`` is None on kernels before 4.14, the rest None where /proc does not say.
    """
    sizes = _sizes("/proc/self/status")
    return {
        "rss_bytes": sizes.get("VmRSS"),
        "hwm_bytes": sizes.get("VmHWM"),
        "anon_bytes": sizes.get("RssAnon"),
        "file_bytes": sizes.get("RssFile"),
        "pss_bytes": _sizes("/proc/self/smaps_rollup").get("Pss"),
        "swap_bytes": sizes.get("VmSwap"),
    }


def _sizes(path: str, root: str = "/") -> dict[str, int]:
    """Fields in kB of a /proc file, in bytes."""
    sizes = {}
    for line in (read(path, root) or "").splitlines():
        words = line.split()
        if len(words) == 3 and words[2] == "kB":
            sizes[words[0].rstrip(":")] = int(words[1]) * 1024
    return sizes


def total_memory(root: str = "/") -> tuple[int | None, int | None]:
    """Bytes of memory and of swap."""
    sizes = _sizes("/proc/meminfo", root)
    return sizes.get("MemTotal"), sizes.get("SwapTotal")


def frequencies_hz(root: str = "/") -> dict[str, int]:
    """The clock of each processor by name: {"cpu0": 1800000000}."""
    return _per_cpu("scaling_cur_freq", root, lambda text: (_number(text) or 0) * 1000)


def governors(root: str = "/") -> dict[str, str]:
    """The frequency governor of each processor by name."""
    return _per_cpu("scaling_governor", root, lambda text: text)


def _per_cpu(leaf: str, root: str, convert: Any) -> dict[str, Any]:
    base = "/sys/devices/system/cpu"
    values = {name: read("%s/%s/cpufreq/%s" % (base, name, leaf), root) for name in listed(base, "cpu", root)}
    return {name: convert(text) for name, text in values.items() if text and convert(text)}


def temperatures_c(root: str = "/") -> dict[str, float]:
    """Thermal zones by type, in degrees Celsius; a type seen twice gets its zone's number."""
    base = "/sys/class/thermal"
    temperatures: dict[str, float] = {}
    for zone in listed(base, "thermal_zone", root):
        milli = _number(read("%s/%s/temp" % (base, zone), root))
        if milli is None:
            continue
        kind = read("%s/%s/type" % (base, zone), root) or zone
        temperatures[kind if kind not in temperatures else "%s.%s" % (kind, zone[12:])] = milli / 1000
    return temperatures


def boot_id(root: str = "/") -> str | None:
    """A name of the present boot: two readings that differ had a restart between them."""
    return read("/proc/sys/kernel/random/boot_id", root)


def _swapped_pages(root: str) -> tuple[int | None, int | None]:
    pages = dict(line.split()[:2] for line in (read("/proc/vmstat", root) or "").splitlines() if " " in line)
    return _number(pages.get("pswpin")), _number(pages.get("pswpout"))


def process_stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on (proc(5) field 3 is index 0); None if gone."""
    text = read("/proc/%d/stat" % pid)
    # The command may hold spaces and parentheses: what counts comes after the last one.
    return text.rpartition(")")[2].split() if text else None


class Telemetry:
    """Readings of the board's state, each with the share of it that others used since the last."""

    # Below so many ticks (10 ms each as a rule) over all processors, a share would be noise.
    min_ticks = 50

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._last: tuple[float, float, float] | None = None

    def take(self, child: int | None = None) -> dict[str, Any]:
        """One reading. ``child`` is the pid whose time is ours, beside this process's own."""
        pswpin, pswpout = _swapped_pages(self._root)
        try:
            load = os.getloadavg()[0]
        except OSError:
            load = None
        return {
            "monotonic_ns": time.monotonic_ns(),
            "freq_hz": frequencies_hz(self._root),
            "governor": governors(self._root),
            "temperature_c": temperatures_c(self._root),
            "loadavg_1": load,
            "pswpin": pswpin,
            "pswpout": pswpout,
            "boot_id": boot_id(self._root),
            "busy": self._busy(child),
        }

    def _busy(self, child: int | None) -> float | None:
        """Share 0..1 of all online processors that went to other processes; None if too short."""
        line = (read("/proc/stat", self._root) or "").partition("\n")[0].split()
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
