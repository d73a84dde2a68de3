"""The loops against a clock that only moves when an inference takes time."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator

import pytest

from edgebench.agent import loop

WARMUP = {"min_count": 3, "max_ns": 10_000, "window": 4, "tolerance": 0.1}


class FakeTime:
    """Two clocks, and inferences that take the given times in turn (the last one for ever).

    Of each inference's time the processor is at work for half. Reading the processor's clock takes
    7 ns of wall time and the wall's clock takes 3 ns of the processor's, so that it shows which of the
    two is read inside of the other's interval.
    """

    def __init__(self, times_ns: Iterable[int], reading_ns: tuple[int, int] = (0, 0)) -> None:
        self.now_ns = 1_000_000
        self.cpu_ns = 0
        self._reading_ns = reading_ns
        self.inferences = 0
        self._times: Iterator[int] = iter(times_ns)
        self._last = 0

    def clock(self) -> int:
        self.cpu_ns += self._reading_ns[1]
        return self.now_ns

    def cpu_clock(self) -> int:
        self.now_ns += self._reading_ns[0]
        return self.cpu_ns

    def infer(self) -> str:
        self._last = next(self._times, self._last)
        self.now_ns += self._last
        self.cpu_ns += self._last // 2
        self.inferences += 1
        return f"output {self.inferences}"


def test_single_stream_waits_for_time_and_for_count() -> None:
    for duration, count, expected in [(1000, 3, 10), (1000, 15, 15), (1001, 3, 11), (0, 1, 1)]:
        time = FakeTime([100])
        samples, cpu_samples = [0] * 50, [0] * 50
        done, elapsed = single_stream(time, samples, cpu_samples, min_duration_ns=duration, min_count=count)
        assert (done, elapsed, time.inferences) == (expected, expected * 100, expected)
        assert samples == [100] * expected + [0] * (50 - expected)
        assert cpu_samples == [50] * expected + [0] * (50 - expected)


def single_stream(
    time: FakeTime, samples: list[int], cpu_samples: list[int], *, min_duration_ns: int, min_count: int
) -> tuple[int, int]:
    return loop.single_stream(
        time.infer,
        samples,
        cpu_samples,
        min_duration_ns=min_duration_ns,
        min_count=min_count,
        clock=time.clock,
        cpu_clock=time.cpu_clock,
    )


def test_wall_time_does_not_pay_for_the_reading_of_processor_time() -> None:
    time = FakeTime([100, 200], reading_ns=(7, 3))
    samples, cpu_samples = [0] * 2, [0] * 2
    single_stream(time, samples, cpu_samples, min_duration_ns=0, min_count=2)
    assert samples == [100, 200]
    assert cpu_samples == [50 + 2 * 3, 100 + 2 * 3]


def test_single_stream_ends_when_its_samples_are_full() -> None:
    time = FakeTime([5, 6, 7, 8])
    samples = [0] * 4
    assert single_stream(time, samples, [0] * 4, min_duration_ns=10**9, min_count=99) == (4, 26)
    assert samples == [5, 6, 7, 8]


def test_offline_runs_whole_passes_and_keeps_the_first() -> None:
    time = FakeTime([10, 20, 30, 11, 21, 31, 12, 22, 32])
    bound: list[int] = []

    def bind(index: int) -> Callable[[], str]:
        bound.append(index)
        time.now_ns += 1000  # reading a clip takes time, and none of it is the model's
        return time.infer

    kept: list[str] = []
    marked: list[int] = []
    samples, cpu_samples = [0] * 20, [0] * 20
    done, elapsed, passes = loop.offline(
        bind,
        3,
        samples,
        cpu_samples,
        keep=kept.append,
        after_first_pass=lambda: marked.append(len(bound)),
        min_duration_ns=6200,
        min_count=1,
        clock=time.clock,
        cpu_clock=time.cpu_clock,
    )
    assert (done, elapsed) == (9, 9189)  # two passes took 6123 ns, so a third was due
    assert passes == [3060, 3063, 3066]
    assert samples[:9] == [10, 20, 30, 11, 21, 31, 12, 22, 32]
    assert cpu_samples[:9] == [5, 10, 15, 5, 10, 15, 6, 11, 16]
    assert kept == ["output 1", "output 2", "output 3"]
    assert bound == [0, 1, 2] * 3
    assert marked == [3]  # once, when the first pass is over


def test_offline_does_at_least_one_pass_and_never_half_of_one() -> None:
    for room, count, expected in [(3, 1, 3), (3, 99, 3), (8, 99, 6), (9, 99, 9), (20, 7, 9)]:
        time = FakeTime([10])
        done, _, passes = loop.offline(
            lambda index, time=time: time.infer,
            3,
            [0] * room,
            [0] * room,
            keep=lambda outputs: None,
            after_first_pass=lambda: None,
            min_duration_ns=0,
            min_count=count,
            clock=time.clock,
            cpu_clock=time.cpu_clock,
        )
        assert (done, len(passes)) == (expected, expected // 3)


def warm_up(times_ns: Iterable[int], room: int = 1000, **changes: float) -> tuple[list[int], bool]:
    time = FakeTime(times_ns)
    samples = [0] * room
    settings = {**WARMUP, **changes}
    count, steady = loop.warm_up(time.infer, samples, clock=time.clock, **settings)  # type: ignore[arg-type]
    assert count == time.inferences
    return samples[:count], steady


def test_warm_up_stops_when_two_windows_agree() -> None:
    assert warm_up([100]) == ([100] * 8, True)
    # Medians by window of four: 900, 400, 110, 104: the last two agree within 10 %.
    falling = [900] * 4 + [400] * 4 + [110] * 4 + [104] * 4
    assert warm_up(falling) == (falling, True)
    # One outlier a window does not move a median.
    assert warm_up([100, 100, 100, 5000, 100, 100, 100, 900])[1] is True


def test_warm_up_gives_up_at_its_time_but_not_before_its_count() -> None:
    growing = [100 * 2**n for n in range(12)]
    samples, steady = warm_up(growing)
    assert not steady and sum(samples) >= 10_000 > sum(samples[:-1])
    samples, steady = warm_up([50_000], min_count=5)
    assert (samples, steady) == ([50_000] * 5, False)
    assert warm_up(growing, max_ns=10**9, room=10) == (growing[:10], False)


@pytest.mark.parametrize("values", [[3], [4, 1], [5, 1, 4], [2, 2, 9, 1], list(range(101))])
def test_median_is_the_statistics_module_s(values: list[int]) -> None:
    assert loop.median(values) == statistics.median(values)
