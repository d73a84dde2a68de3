"""The memory of this process and of the board."""

from __future__ import annotations

from edgebench.agent.sensors import files


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
    for line in (files.read(path, root) or "").splitlines():
        words = line.split()
        if len(words) == 3 and words[2] == "kB":
            sizes[words[0].rstrip(":")] = int(words[1]) * 1024
    return sizes


def total_memory(root: str = "/") -> tuple[int | None, int | None]:
    """Bytes of memory and of swap."""
    sizes = _sizes("/proc/meminfo", root)
    return sizes.get("MemTotal"), sizes.get("SwapTotal")


def swapped_pages(root: str) -> tuple[int | None, int | None]:
    """Pages swapped in and out since the start of the board."""
    pages = dict(
        line.split()[:2] for line in (files.read("/proc/vmstat", root) or "").splitlines() if " " in line
    )
    return files.number(pages.get("pswpin")), files.number(pages.get("pswpout"))
