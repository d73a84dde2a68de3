"""The measuring loops. Between two readings of the clock nothing happens but the inference.

Every loop writes into samples that were set aside before it began; nothing here allocates,
prints, sends or collects. ``clock`` is ``time.perf_counter_ns`` and ``cpu_clock`` is
``time.process_time_ns`` everywhere but in the tests. CPU time counts all threads of the
process; it is read outside of the interval of wall time, so that wall time does not pay for it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` stays out of the measured process; type checkers read this as true
if TYPE_CHECKING:
    from typing import Any, Callable

    Samples = Any  # a row of integers set aside: an int64 array, a list


def median(values: Any) -> float:
    """The middle of some numbers (the mean of the two middle ones of an even count)."""
    ordered: list[int] = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def warm_up(
    infer: Callable[[], Any],
    samples: Samples,
    *,
    min_count: int,
    max_ns: int,
    window: int,
    tolerance: float,
    clock: Callable[[], int],
) -> tuple[int, bool]:
    """Infer until the medians of two successive windows agree within ``tolerance``.

    At least ``min_count`` inferences, whatever they take; then at most ``max_ns``, and never more
    than ``samples`` holds. Returns how many samples were written and whether the time was steady.
    """
    count = 0
    end_ns = clock() + max_ns
    while count < len(samples):
        before = clock()
        infer()
        after = clock()
        samples[count] = after - before
        count += 1
        if count < min_count:
            continue
        if count % window == 0 and count >= 2 * window:
            earlier = median(samples[count - 2 * window : count - window])
            if abs(median(samples[count - window : count]) - earlier) <= tolerance * earlier:
                return count, True
        if after >= end_ns:
            break
    return count, False


def single_stream(
    infer: Callable[[], Any],
    samples: Samples,
    cpu_samples: Samples,
    *,
    min_duration_ns: int,
    min_count: int,
    clock: Callable[[], int],
    cpu_clock: Callable[[], int],
) -> tuple[int, int]:
    """One inference after the other, until both the minimum duration and the minimum count are met.

    Wall times go into ``samples``, CPU times into ``cpu_samples``, which is as long. Stops
    early when they are full. Returns how many samples were written and the time of the whole loop
    in ns.
    """
    limit = len(samples)
    count = 0
    begun = clock()
    end_ns = begun + min_duration_ns
    while count < limit:
        cpu_before = cpu_clock()
        before = clock()
        infer()
        after = clock()
        cpu_samples[count] = cpu_clock() - cpu_before
        samples[count] = after - before
        count += 1
        if after >= end_ns and count >= min_count:
            break
    return count, clock() - begun


def offline(
    bind: Callable[[int], Callable[[], Any]],
    clips: int,
    samples: Samples,
    cpu_samples: Samples,
    *,
    keep: Callable[[Any], None],
    after_first_pass: Callable[[], None],
    min_duration_ns: int,
    min_count: int,
    clock: Callable[[], int],
    cpu_clock: Callable[[], int],
) -> tuple[int, int, list[int]]:
    """Whole passes over a pack, until both minima are met; at least one pass.

    ``bind(index)`` reads and prepares a clip and gives its inference; only the inference is
    timed. ``keep`` gets the outputs of the first pass, and ``after_first_pass`` is called at its end,
    while nothing is timed. Stops early when another pass would not
    fit into ``samples``. Returns the number of samples, the time of the whole loop in ns, and
    the time of each pass in ns (reading and preparing the clips included).
    """
    count = 0
    passes: list[int] = []
    begun = clock()
    while True:
        pass_begun = clock()
        for index in range(clips):
            infer = bind(index)
            cpu_before = cpu_clock()
            before = clock()
            outputs = infer()
            after = clock()
            cpu_samples[count] = cpu_clock() - cpu_before
            samples[count] = after - before
            count += 1
            if not passes:
                keep(outputs)
        now = clock()
        passes.append(now - pass_begun)
        if len(passes) == 1:
            after_first_pass()
        if (now - begun >= min_duration_ns and count >= min_count) or count + clips > len(samples):
            return count, now - begun, passes
