"""Keeping freed memory in the process for the next step."""

from __future__ import annotations

import ctypes

# Of malloc.h in glibc: mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_NEVER, _RESERVE_BYTES = 2**31 - 1, 2**28


def keep_freed_memory() -> bool:
    """Ask glibc not to return freed memory to the kernel; False where the C library is another.

    Every step frees and allocates the same blocks of some megabytes. Returned and mapped again, each page is
    cleared and faulted in again (its cost a step: ``python -m benchmarks.training_step``).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # musl, macOS, Windows
        return False
    options = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _RESERVE_BYTES))
    return all(mallopt(option, value) == 1 for option, value in options)
