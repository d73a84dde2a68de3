"""The agent against a bare loop of the same runtime on the same file: CPU time of an inference."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.common import Row, Settings, Tick, main
from benchmarks.latency import compare

COMPARED = (
    "Median CPU time of an inference in a trial, launched by the agent as in any run, over that in a "
    "bare loop of its runtime in a fresh process: same file, session options, processor, input, warm-up and "
    "count. Pairs of half a second, neighbours in time; the interval of their geometric mean is held against "
    "the target."
)


def run(settings: Settings, tick: Tick) -> Iterator[Row]:
    """Ratio agent / loop for each packaged model and length."""
    return compare(
        settings,
        tick,
        script="bare_loop.py",
        other="loop",
        key="cpu_median_ns",
        agent_cost=lambda trial: float(statistics.median(trial["samples_cpu_ns"])),
    )


if __name__ == "__main__":
    main("agent_vs_loop", __doc__)
