"""Work in a process of its own: what comes back, what it took, and how it may end."""

from __future__ import annotations

import os
import signal

import pytest

from edgebench.errors import ModelError
from edgebench.training.artifacts.apart import apart


def filled(megabytes: int, *, answer: str) -> str:
    block = bytearray(megabytes * 1_000_000)
    for place in range(0, len(block), 4096):  # a page that nobody writes to takes no memory
        block[place] = 1
    return answer


def fails(kind: str) -> None:
    if kind == "expected":
        raise ModelError("model x does not fit.")
    if kind == "unexpected":
        raise ZeroDivisionError("by zero\nand a second line")
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_result_and_the_memory_of_its_own():
    small, large = apart(filled, 1, answer="small"), apart(filled, 300, answer="large")
    assert (small.value, small.reason) == ("small", None)
    assert large.value == "large"
    assert 280e6 < large.peak_rss_bytes - small.peak_rss_bytes < 320e6
    assert small.duration_s > 0.0


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("expected", "model x does not fit."),
        ("unexpected", "ZeroDivisionError: by zero"),
        ("killed", "its process was ended by SIGKILL, most likely for lack of memory"),
    ],
)
def test_a_failure_is_a_reason(kind: str, reason: str):
    outcome = apart(fails, kind)
    assert (outcome.value, outcome.reason) == (None, reason)
    assert (outcome.peak_rss_bytes is None) == (kind == "killed")
