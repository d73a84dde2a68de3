"""What the measuring loop itself costs an inference: the null runtime, through the whole agent."""

from __future__ import annotations

from collections.abc import Iterator

import numpy

from benchmarks.common import Row, Settings, Spread, Tick, main
from benchmarks.launch import local_board, run_plan, scratch
from edgebench.harness.plan import make_plan
from edgebench.harness.suite import load_suite

COMPARED = (
    "Time of one inference of the null runtime, which does nothing, in trials as the packaged suite plans "
    "them: two readings of the clock and a call. Spread over launches."
)


def run(settings: Settings, tick: Tick) -> Iterator[Row]:
    """Median and 99th percentile of a launch, over launches."""
    plan = make_plan(load_suite("packaged", launches=1), [], [], device="local")
    medians, tails = [], []
    count = 0
    with scratch() as folder, local_board(folder) as board:
        for launch in range(settings.pairs):
            [trial] = run_plan(board, plan)
            count = len(trial["samples_ns"])
            medians.append(float(numpy.median(trial["samples_ns"])))
            tails.append(float(numpy.percentile(trial["samples_ns"], 99)))
            tick(launch + 1, settings.pairs)
    detail = f"{count} inferences a launch"
    yield Row("median of a launch", Spread.of(medians), "ns", detail=detail)
    yield Row("99th percentile of a launch", Spread.of(tails), "ns", detail=detail)


if __name__ == "__main__":
    main("null_overhead", __doc__)
