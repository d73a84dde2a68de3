"""How long `edgebench --help` takes, beside a Python that does nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.common import Row, Settings, Spread, Target, Tick, interleave, main

COMPARED = "Wall time of `edgebench --help`, alternating with `python -c pass`, files in the page cache."
LAUNCHES = 10
TARGET = Target("under 0.4", hi=0.4)


def run(settings: Settings, tick: Tick) -> Iterator[Row]:
    """Seconds of each command over its launches."""
    script = Path(sys.executable).with_name("edgebench")
    own = [str(script), "--help"] if script.exists() else [sys.executable, "-m", "edgebench", "--help"]
    bare = [sys.executable, "-c", "pass"]
    _seconds(own)  # reads the files in
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        tick(done, LAUNCHES)

    helps, passes = interleave(lambda: _seconds(own), lambda: _seconds(bare), pairs=LAUNCHES, step=step)
    yield Row("edgebench --help", Spread.of(helps), "s", TARGET)
    yield Row("python -c pass", Spread.of(passes), "s")


def _seconds(argv: Sequence[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main("startup", __doc__)
