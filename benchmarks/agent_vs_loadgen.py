"""The agent's median latency against the 50th percentile that MLPerf's LoadGen reports."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from benchmarks.common import MissingError, Row, Settings, Tick, main
from benchmarks.latency import compare

COMPARED = (
    "Median latency of a trial, launched by the agent as in any run, over the 50th percentile that "
    "mlcommons-loadgen (SingleStream, PerformanceOnly) reports of a fresh process: same file, session "
    "options, processor, input, warm-up and count. LoadGen's latency includes its call into Python and "
    "the completion."
)


def run(settings: Settings, tick: Tick) -> Iterator[Row]:
    """Ratio agent / LoadGen for each packaged model and length. Raises MissingError without LoadGen."""
    if find_spec("mlperf_loadgen") is None:
        raise MissingError(
            "mlcommons-loadgen is not installed; `make bench` does it, or pip install -e '.[bench]'."
        )
    return compare(settings, tick, script="loadgen.py", other="LoadGen")


if __name__ == "__main__":
    main("agent_vs_loadgen", __doc__)
