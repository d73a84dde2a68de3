"""Requests to a model over a longer time: at a fixed rate, or one right after the other.

As in ``loop``, nothing happens between two readings of the clock but the inference. A run of half an hour
can hold millions of inferences: the rows keep one in ``stride``, and where they are full, every second
sample is dropped and the stride doubles, so that what is kept is spread evenly over the time.
"""

from __future__ import annotations

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any, Callable

KEPT = 20_000  # samples at most; even, so that halving keeps them evenly spaced


def serve(
    infer: Callable[[], Any],
    samples: Any,
    cpu_samples: Any,
    *,
    rate_hz: float | None,
    min_duration_ns: int,
    min_count: int,
    clock: Callable[[], int],
    cpu_clock: Callable[[], int],
    sleep: Callable[[float], Any],
) -> tuple[int, int, dict[str, Any]]:
    """Serve requests until the minimum duration and the minimum count are met.

    Request number k is due ``k / rate_hz`` after the first one. It begins when it is due, or once the one
    before is done, and is late where it is not done when the next one is due. Without a rate each is due
    when the one before is done. Requests that were due by the end and had not begun are never served.

    ``samples`` and ``cpu_samples`` are int64 arrays. Returns how many samples were kept, the time of the
    whole in ns, and the facts: ``served``, ``due``, ``late`` (None without a rate), ``busy_ns`` in which a
    request was served, ``stride``, and of each sample ``starts_ns`` since the beginning and ``waits_ns``
    from due to begun.
    """
    import numpy

    period_ns = 1e9 / rate_hz if rate_hz else 0.0
    limit = min(len(samples), KEPT) // 2 * 2
    starts, waits = numpy.zeros(limit, numpy.int64), numpy.zeros(limit, numpy.int64)
    rows = (samples, cpu_samples, starts, waits)
    kept = served = late = busy_ns = 0
    stride = 1
    begun = clock()
    end = begun + min_duration_ns
    while True:
        due = begun + round(served * period_ns) if rate_hz else clock()
        early = due - clock()
        if early > 0:
            sleep(early / 1e9)
        cpu_before = cpu_clock()
        before = clock()
        infer()
        after = clock()
        cpu_ns = cpu_clock() - cpu_before
        busy_ns += after - before
        if rate_hz and after - due > period_ns:
            late += 1
        if served % stride == 0:
            if kept == limit:
                kept, stride = limit // 2, stride * 2
                for row in rows:
                    row[:kept] = row[:limit:2].copy()
            samples[kept], cpu_samples[kept] = after - before, cpu_ns
            starts[kept], waits[kept] = before - begun, max(0, before - due)
            kept += 1
        served += 1
        following = begun + round(served * period_ns) if rate_hz else after
        if max(after, following) >= end and served >= min_count:
            break
    if rate_hz:
        # The last request has its whole period, or the idle share would come out too small.
        rest = following - clock()
        if rest > 0:
            sleep(rest / 1e9)
    due_count = max(served, -(-min_duration_ns // round(period_ns))) if rate_hz else None
    return (
        kept,
        clock() - begun,
        {
            "rate_hz": rate_hz,
            "due": due_count,
            "served": served,
            "late": late if rate_hz else None,
            "busy_ns": busy_ns,
            "stride": stride,
            "starts_ns": starts[:kept].tolist(),
            "waits_ns": waits[:kept].tolist(),
        },
    )
