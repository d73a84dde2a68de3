"""A store of 1,000 runs: how long finding, reading, reporting and comparing takes, before and now.

Before is the commit before the stored lines were read straight from their bytes, taken from this
repository's history and run from a folder of its own on the same files.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.common import MissingError, Row, Settings, Spread, Target, Tick, interleave, main, paired

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "store_v1" / "records.jsonl"
BEFORE = "23cf6a9"
RUNS = 1000
PAIRS = 4
# Launches of the golden run are repeated until a run has about 0.4 MB, as one of the packaged suite has.
LAUNCHES_AGAIN = 18

COMPARED = (
    f"One store of {RUNS:,} runs, read by edgebench as of commit {BEFORE} and by this one, in alternating "
    "processes, files in the page cache, imports not counted. Times are processor seconds of the process, "
    "the least of three; a ratio is the older time over the newer. The lines are those of "
    "tests/golden/store_v1 (version 1 of the record) under new run ids."
)
TARGET = Target("at least 10", lo=10.0)
PARSED = Target("at most 1", hi=1.0)

# Run by both: it may only use what both have.
WORKER = """
import contextlib, io, json, os, sys, time
from pathlib import Path
import edgebench
from edgebench.cli import main
from edgebench.results import Store, summarise
from edgebench.results.compare import compare
try:
    from edgebench.results.records.codec import decode
except ImportError:
    from edgebench.results.record import decode

assert Path(edgebench.__file__).is_relative_to(os.environ["PYTHONPATH"]), edgebench.__file__
small, store, first, second = sys.argv[1:]

def command(*args):
    sys.argv = ["edgebench", *args, "--json", "--store", folder]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main()
        raise AssertionError(args)

def read(run):
    return summarise(Store(folder).run(run))

def timed(name, act, times=3):
    taken = []
    for _ in range(times):
        begun = time.process_time()
        act()
        taken.append(time.process_time() - begun)
    seconds[name] = min(taken)

for folder in (small, store):  # the first time reads the code and the files in
    seconds = {}
    Path(folder, "index.sqlite").unlink(missing_ok=True)
    timed("index", lambda: Store(folder).run("last"), 1)
    timed("run", lambda: Store(folder).run(first))
    timed("report", lambda: json.dumps(read(first).to_json()))
    timed("compare", lambda: json.dumps(compare(read(first), read(second)).to_json()))
    timed("report command", lambda: command("report", first))
    timed("compare command", lambda: command("compare", first, second))
    with Path(folder, "records.jsonl").open("rb") as file:
        lines = [line for line in file.readlines(1_000_000) if first.encode() in line[:200]]
    timed("decode", lambda: [decode(line) for line in lines])
    timed("parse", lambda: [json.loads(line) for line in lines])
seconds["bytes"] = sum(map(len, lines))
print(json.dumps(seconds))
"""
CASES: dict[str, tuple[str, Target | None]] = {
    "index": ("the index made, and the last run read", TARGET),
    "report": ("a report: a run found, read, summed up and written as JSON", TARGET),
    "compare": ("a comparison of two runs, likewise", TARGET),
    "report command": ("`edgebench report RUN --json`, the command line made and parsed", None),
    "compare command": ("`edgebench compare RUN RUN --json`, likewise", None),
    "run": ("a run found and read", None),
    "decode": ("its lines, from bytes to records", None),
}


def run(settings: Settings, tick: Tick) -> Iterator[Row]:
    """Ratios of the times before and now, one row a case."""
    pairs, runs = (2, 10) if settings.quick else (PAIRS, RUNS)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        tick(done, pairs)

    with tempfile.TemporaryDirectory(prefix="edgebench-store-") as name:
        folder = Path(name)
        older = unpack(BEFORE, folder / "before")
        for side in ("before", "now"):
            write_store(folder / f"small-{side}", 2)
            write_store(folder / f"store-{side}", runs)
        then, now = interleave(
            lambda: times(older, folder, "before"), lambda: times(ROOT, folder, "now"), pairs=pairs, step=step
        )
    for case, (what, target) in CASES.items():
        before, after = ([found[case] for found in side] for side in (then, now))
        yield Row(what, paired(before, after), "ratio", target, _detail(before, after))
    parsed = Spread.of([found["decode"] / found["parse"] for found in now])
    per_mb = Spread.of([1e9 * found["decode"] / found["bytes"] for found in now]).median
    detail = f"{per_mb:.1f} ms a MB"
    yield Row("from bytes to records, over json.loads of the same bytes", parsed, "ratio", PARSED, detail)


def _detail(before: list[float], after: list[float]) -> str:
    was, is_ = (1000 * Spread.of(side).median for side in (before, after))
    return f"{was:,.1f} ms before, {is_:,.1f} ms now (medians)"


def times(code: Path, folder: Path, side: str) -> Mapping[str, float]:
    """Seconds of each case, measured by the edgebench in ``code`` in a process of its own."""
    arguments = [folder / f"small-{side}", folder / f"store-{side}", run_id(0), run_id(1)]
    environment = {**os.environ, "PYTHONPATH": str(code), "HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", WORKER, *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{code}: {done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def unpack(commit: str, folder: Path) -> Path:
    """The package as of a commit; raises MissingError where its history is not here."""
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", commit, "edgebench"]
    if shutil.which("git") is None:
        raise MissingError(
            "git is not installed, and the older edgebench comes from this repository's history."
        )
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        raise MissingError(
            f"this folder's history does not hold commit {commit}: clone the repository whole."
        )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def run_id(number: int) -> str:
    """The id of a run of the store; the first two are of runs that can be compared."""
    return f"01M8FP5P{number:018d}"


def write_store(folder: Path, runs: int) -> None:
    """The golden store's complete run again and again, each under an id of its own."""
    lines = GOLDEN.read_bytes().splitlines(keepends=True)
    golden_id = json.loads(lines[0])["run_id"].encode()
    whole = [line for line in lines if golden_id in line[:200]]
    launches = [line for line in whole if b'"kind":"trial"' in line[:60]]
    text = b"".join([*whole[:-1], *launches[:LAUNCHES_AGAIN], whole[-1]])
    folder.mkdir()
    with (folder / "records.jsonl").open("wb") as file:
        for number in range(runs):
            file.write(text.replace(golden_id, run_id(number).encode()))


if __name__ == "__main__":
    main("store", __doc__)
