"""The agent's median latency against a bare onnxruntime loop on the same file."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.common import Row, Settings, Tick, main
from benchmarks.latency import compare

COMPARED = (
    "Median latency of a trial, launched by the agent as in any run, over that of a bare onnxruntime loop "
    "in a fresh process: same file, session options, processor, input, warm-up and count."
)


def run(settings: Settings, tick: Tick) -> Iterator[Row]:
    """Ratio agent / loop for each packaged model and length."""
    return compare(settings, tick, script="bare_loop.py", other="loop")


if __name__ == "__main__":
    main("agent_vs_loop", __doc__)
