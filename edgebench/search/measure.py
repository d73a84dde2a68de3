"""How long a file takes on the device beside its parent: short launches of both, interleaved, in one run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import BoardUnfit, DeviceBusy, MeasurementError
from edgebench.harness.events import Events, Silent
from edgebench.harness.runner import Request
from edgebench.harness.runner import run as run_suite
from edgebench.harness.suite import Repeats, Suite, Warmup
from edgebench.results import METRICS, Store, summarise
from edgebench.results.metrics.ratios import paired_ratio
from edgebench.results.verdicts.ratios import judge_ratio

if TYPE_CHECKING:
    from edgebench.devices import Device
    from edgebench.results.summary import Row

LENGTH_S = 5.0
LAUNCHES = 8
BUSY_S = 3600.0  # how long a file waits for a device on which others measure
MISMATCH = "OUTPUT_MISMATCH"
METRIC = "cpu_p50_ns"  # processor time: what else runs on the board is not in it


@dataclass(frozen=True)
class Timing:
    """Time of a file over its parent's, with the 95 % interval and the verdict, and the run that says so."""

    ratio: float
    lo: float | None
    hi: float | None
    verdict: str
    run_id: str


def suite_of_two() -> Suite:
    """Eight launches of half a second of each file, one thread, one length."""
    return Suite(
        name="search",
        scenarios=("single_stream",),
        input_s=(LENGTH_S,),
        min_duration_s=0.4 * LAUNCHES,
        launches=LAUNCHES,
        min_count=3 * LAUNCHES,
        corpora=(),
        null_runtime=False,
        warmup=Warmup(min_count=3, max_s=0.3, window=3, tolerance=0.05),
        repeats=Repeats(budget=0.0),
    )


@dataclass(frozen=True)
class Stopwatch:
    """Where files are timed: ``device``, with ``host`` as ``--host`` said it; runs go to ``store``."""

    device: Device
    host: str | None
    store: Store
    cache: Path
    offline: bool = False
    events: Callable[[], Events] = Silent

    def time(self, parent: Path, file: Path) -> Timing:
        """Measure both, when nobody else measures on the device.

        Raises MeasurementError where the device fails on the file, or answers otherwise, and DeviceError.
        """
        request = Request(
            device=self.device,
            host=self.host,
            suite=suite_of_two(),
            models=[str(parent), str(file)],
            corpora={},
            include_seen=False,
            offline=self.offline,
            cache=self.cache,
            command=["edgebench", "search"],
        )
        run_id = self._run_when_free(request)
        return timing_of(summarise(self.store.run(run_id)).rows, file.name, run_id)

    def _run_when_free(self, request: Request) -> str:
        """Two processes that share a study may share the board too: one waits for the other."""
        until = time.monotonic() + BUSY_S
        while True:
            try:
                return run_suite(request, self.store, self.events())
            except DeviceBusy:
                if time.monotonic() > until:
                    raise
                time.sleep(random.uniform(1.0, 3.0))  # noqa: S311


def timing_of(rows: Sequence[Row], name: str, run_id: str) -> Timing:
    """The time of the second row's file over that of the first.

    Raises MeasurementError, with what the device said, where it cannot run the second one or answers
    otherwise than the host, and BoardUnfit where it cannot run the first: no settings are to blame for that.
    """
    if len(rows) != 2:
        raise MeasurementError(f"run {run_id}: of two files, {len(rows)} could be measured.")
    before, after = rows
    if (why := _why_never(before)) is not None:
        raise BoardUnfit(f"the device cannot run the file that the search starts from: {why}")
    if (why := _why_never(after)) is not None:
        raise MeasurementError(f"the device cannot run {name}: {why}")
    if MISMATCH in after.verdict.codes:
        raise MeasurementError(f"the device answers otherwise than this host with {name}; see run {run_id}.")
    ratio = paired_ratio(METRICS[METRIC], before.trials, after.trials)
    if ratio.value is None:
        raise MeasurementError(f"the device gives no time for {name}: {ratio.reason}; see run {run_id}.")
    verdict = judge_ratio(METRICS[METRIC], ratio, before.verdict, after.verdict)
    return Timing(ratio.value, ratio.interval.lo, ratio.interval.hi, verdict.status, run_id)


def _why_never(row: Row) -> str | None:
    """What the device said where no launch ended well."""
    errors = [line.trial.error for line in row.trials if line.trial.error is not None]
    return f"{errors[0].code}: {errors[0].message}" if errors and not row.good else None
