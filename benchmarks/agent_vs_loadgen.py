"""The agent against MLPerf's LoadGen on the same file: CPU time of an inference."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from benchmarks.common import MissingError, Row, Settings, Tick, main
from benchmarks.latency import compare

COMPARED = (
    "CPU time of the measured loop by inferences, in a trial, launched by the agent as in any run, over that "
    "of mlcommons-loadgen (SingleStream, PerformanceOnly) in a fresh process: same file, session options, "
    "processor, input, warm-up and count. Both include what the loop itself takes: the agent's clocks, "
    "LoadGen's calls into Python and its completions. Pairs of half a second, neighbours in time; the "
    "interval of their geometric mean is held against the target."
)


def run(settings: Settings, tick: Tick) -> Iterator[Row]:
    """Ratio agent / LoadGen for each packaged model and length. Raises MissingError without LoadGen."""
    if find_spec("mlperf_loadgen") is None:
        raise MissingError(
            "mlcommons-loadgen is not installed; `make bench` does it, or pip install -e '.[bench]'."
        )
    return compare(
        settings,
        tick,
        script="loadgen.py",
        other="LoadGen",
        key="cpu_mean_ns",
        formats=("onnx",),
        agent_cost=lambda trial: trial["window"]["cpu_ns"] / len(trial["samples_ns"]),
    )


if __name__ == "__main__":
    main("agent_vs_loadgen", __doc__)
