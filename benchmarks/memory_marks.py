"""The agent's memory marks against a ballast of known size."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.common import MissingError, Row, Settings, Spread, Target, Tick, main
from benchmarks.launch import bare, scratch
from edgebench.devices import build_agent

COMPARED = (
    "What the marks of the agent's zip say of a private mapping of known size, every page written, over that "
    "size: growth of anonymous memory while it stands, and the peak (VmHWM) after it is gone, above the "
    "resident size before. A mapping twice as large, freed before the reset, must not show."
)
SIZES_MIB = (64, 256)
TARGET = Target("0.99 to 1.01, every launch", 0.99, 1.01, every=True)


def run(settings: Settings, tick: Tick) -> Iterator[Row]:
    """Two rows a size. Raises MissingError where the kernel does not reset the peak."""
    launches = settings.pairs
    found: dict[tuple[str, int], list[float]] = {
        (what, size): [] for size in SIZES_MIB for what in ("anonymous", "peak")
    }
    with scratch() as folder:
        agent = build_agent(folder)
        for launch in range(launches):
            for mib in SIZES_MIB if launch % 2 == 0 else SIZES_MIB[::-1]:
                size = mib << 20
                marks = bare("ballast.py", (agent, size))
                if not marks["resettable"]:
                    raise MissingError("this kernel refuses to reset VmHWM (/proc/self/clear_refs).")
                before, during, after = marks["before"], marks["during"], marks["after"]
                found["anonymous", mib].append((during["anon_bytes"] - before["anon_bytes"]) / size)
                found["peak", mib].append((after["hwm_bytes"] - before["rss_bytes"]) / size)
            tick(launch + 1, launches)
    for (what, mib), ratios in found.items():
        yield Row(f"{what}, {mib} MiB", Spread.of(ratios), "ratio", TARGET)


if __name__ == "__main__":
    main("memory_marks", __doc__)
