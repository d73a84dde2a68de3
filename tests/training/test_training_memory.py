"""What a training frees stays with its process, seen from outside."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked to keep memory"),
]

MAPS = 8 * 16_000_000
FREE_AND_LOOK = f"""
import sys
import numpy as np
import psutil
from edgebench.training.loop.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
before = psutil.Process().memory_info().rss
maps = [np.ones(2_000_000) for _ in range(8)]  # {MAPS} bytes
del maps
print(psutil.Process().memory_info().rss - before)
"""


def kept_bytes(how: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", FREE_AND_LOOK, how], capture_output=True, text=True, check=True
    )
    return int(run.stdout)


def test_freed_maps_are_kept_for_the_next_step():
    assert kept_bytes("keep") > 0.9 * MAPS
    assert kept_bytes("give back") < 0.2 * MAPS
