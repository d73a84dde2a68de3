"""Paced requests by a clock that the test turns: what each request took is known exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebench.agent import requests

MS = 1_000_000


class Clock:
    """Time that passes only where it is told to."""

    def __init__(self) -> None:
        self.now_ns = 5_000 * MS

    def __call__(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


def serve(infer_ms: Callable[[int], int], *, rate_hz: float | None, seconds: float, rows: int = 1000):
    """Serve with inferences of ``infer_ms(k)`` ms; (samples, elapsed in ns, facts)."""
    clock, count = Clock(), iter(range(10**9))
    samples, cpu = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    kept, elapsed_ns, facts = requests.serve(
        lambda: clock.sleep(infer_ms(next(count)) / 1e3),
        samples,
        cpu,
        rate_hz=rate_hz,
        min_duration_ns=round(seconds * 1e9),
        min_count=1,
        clock=clock,
        cpu_clock=clock,
        sleep=clock.sleep,
    )
    return samples[:kept].tolist(), elapsed_ns, facts


def test_a_board_that_keeps_up_misses_nothing_and_rests_between() -> None:
    samples, elapsed_ns, facts = serve(lambda _: 30, rate_hz=10.0, seconds=1.0)
    assert samples == [30 * MS] * 10
    assert elapsed_ns == 1000 * MS and facts["busy_ns"] == 300 * MS
    assert (facts["due"], facts["served"], facts["late"], facts["stride"]) == (10, 10, 0, 1)
    assert facts["starts_ns"] == [100 * MS * k for k in range(10)]
    assert facts["waits_ns"] == [0] * 10


def test_one_slow_request_makes_the_next_ones_wait() -> None:
    samples, _, facts = serve(lambda k: 250 if k == 2 else 30, rate_hz=10.0, seconds=1.0)
    # Request 2 is done at 450 ms; 3 and 4 were due at 300 and 400.
    assert facts["waits_ns"][:6] == [0, 0, 0, 150 * MS, 80 * MS, 10 * MS]
    # Late: 2 (250 ms after it was due), 3 (180 ms), 4 (110 ms); 5 is done 40 ms after it was due.
    assert facts["late"] == 3 and facts["served"] == 10 and len(samples) == 10


def test_an_overloaded_board_leaves_requests_unserved() -> None:
    samples, elapsed_ns, facts = serve(lambda _: 150, rate_hz=10.0, seconds=1.0)
    # The seventh ends after 1.05 s: three that were due by then never began.
    assert (facts["due"], facts["served"], facts["late"]) == (10, 7, 7)
    assert elapsed_ns == facts["busy_ns"] == 1050 * MS == sum(samples)


def test_without_a_rate_each_request_follows_at_once() -> None:
    samples, elapsed_ns, facts = serve(lambda k: 10 + k, rate_hz=None, seconds=0.1)
    assert samples == [(10 + k) * MS for k in range(8)]  # 10 + 11 + ... + 17 ms are 108 ms
    assert facts["due"] is facts["late"] is None and facts["waits_ns"] == [0] * 8
    assert elapsed_ns == 108 * MS


def test_rows_that_fill_up_keep_samples_spread_evenly_over_the_time() -> None:
    samples, _, facts = serve(lambda k: 1 + k % 7, rate_hz=None, seconds=2.0, rows=16)
    served = facts["served"]
    assert facts["stride"] == 32 and served > 400
    kept = list(range(0, served, 32))
    assert samples == [(1 + k % 7) * MS for k in kept]
    ends = np.cumsum([(1 + k % 7) * MS for k in range(served)])
    assert facts["starts_ns"] == [0, *ends[np.array(kept[1:]) - 1].tolist()]
    assert facts["busy_ns"] == ends[-1]
