"""The ratio of two files on a busy host beside the same ratio on an idle one.

``python -m benchmarks.busy_host [--quick] [--model MODEL=RATIO]``: RATIO is what is known of the model's
CPU time at 5 s over that of wav2small.fp32; the interval must hold it. MODEL is a file or a packaged key.
"""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import Row, Settings, Spread, Target, Tick, main
from benchmarks.launch import scratch, subjects
from edgebench.harness import suite
from edgebench.models import default_artifacts, load_artifact, packaged_artifacts
from edgebench.results import RunSummary, Store, TrialRecord, summarise
from edgebench.results.metrics.intervals import Estimate
from edgebench.results.metrics.ratios import paired_ratio
from edgebench.results.metrics.table import METRICS
from edgebench.results.summary import Row as SummaryRow
from edgebench.results.verdicts.ratios import judge_ratio

COMPARED = (
    "Time of each file over that of wav2small.fp32 in `edgebench run` with the packaged suite at 1 and 5 s "
    "(single_stream), four runs: idle, busy, busy, idle. While a run is busy another process keeps one core "
    "busy for all of it, on whatever core the kernel puts it. Minimum, median and maximum are over the "
    "runs of a kind, the interval is that of all their pairs."
)
BASE = "wav2small.fp32"
LENGTHS_S = (1.0, 5.0)
KNOWN_AT_S = 5.0
ORDER = ("idle", "busy", "busy", "idle")
QUICK_SUITE = 'name = "quick"\ninput_s = [1.0, 5.0]\nlaunches = 5\nmin_duration_s = 0.5\nmin_count = 8\n'
BUSY = "while True: pass"
TIMES = {"cpu_p50_ns": "CPU time", "latency_p50_ns": "wall time"}
# The cut of the packaged suite: no corpus, which says nothing of two lengths.
ONE_SCENARIO = ('scenarios = ["single_stream", "offline"]', 'scenarios = ["single_stream"]')
SUITES = Path(suite.__file__).parent / "suites"
# More rounds than a run has.
_APART = 1_000_000
SAME = Target("1 in its interval", holds=1.0)


@dataclass(frozen=True)
class Known:
    """A model, and its CPU time at 5 s over that of the base where somebody measured it before.

    ``model``: a packaged key or the path of a file.
    """

    model: str
    ratio: float | None


@dataclass(frozen=True)
class Measured:
    """One file against the base in runs of one kind.

    ``ratios``: of each run; ``verdicts``: what each run says of its own; ``pooled``: the logarithm of
    the ratio over the pairs of all runs.
    """

    ratios: Sequence[float]
    verdicts: Sequence[str]
    pooled: Estimate

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the ratio over the pairs of all runs."""
        found = self.pooled.exp_interval()
        return None if found.lo is None or found.hi is None else (found.lo, found.hi)


def run(settings: Settings, tick: Tick) -> Iterator[Row]:
    """For each file, length and clock: idle, busy, and whether they agree."""
    known = [_known(str(text)) for text in settings.models]
    subjects()  # without models there is no packaged run
    found: dict[str, list[RunSummary]] = {"idle": [], "busy": []}
    with scratch() as folder:
        for number, kind in enumerate(ORDER[:2] if settings.quick else ORDER):
            with another_process(busy=kind == "busy"):
                found[kind].append(_run(folder / f"store{number}", settings, known))
            tick(number + 1, 2 if settings.quick else len(ORDER))
    yield from rows(found, {load_artifact(one.model).key: one.ratio for one in known})


@contextmanager
def another_process(*, busy: bool) -> Iterator[None]:
    """A process that keeps one core busy, on whatever core the kernel puts it; or nothing."""
    if not busy:
        yield
        return
    with subprocess.Popen([sys.executable, "-I", "-c", BUSY]) as process:
        try:
            yield
        finally:
            process.kill()


def rows(found: Mapping[str, Sequence[RunSummary]], known: Mapping[str, float | None]) -> Iterator[Row]:
    """The table: ``found`` are the runs of each kind, ``known`` the ratios to be held at 5 s."""
    for artifact in (one.key for one in found["idle"][0].header.artifacts if one.key != BASE):
        for input_s in LENGTHS_S:
            if _find(found["idle"][0], artifact, input_s) is None:
                continue  # a file that does not take this length
            for metric, clock in TIMES.items():
                kinds = {kind: measured(runs, artifact, input_s, metric) for kind, runs in found.items()}
                truth = known.get(artifact) if input_s == KNOWN_AT_S and metric == "cpu_p50_ns" else None
                for kind, one in kinds.items():
                    yield _row(f"{artifact}, {input_s:g} s, {clock}, {kind}", one, truth)
                target = SAME if metric == "cpu_p50_ns" else None
                yield _agreement(f"{artifact}, {input_s:g} s, {clock}, busy / idle", target, **kinds)
    for kind, runs in found.items():
        shares = [summary.disturbances for summary in runs]
        judged = sum(one.judged for one in shares)
        disturbed = 100 * sum(one.disturbed for one in shares) / max(1, judged)
        repeated = sum(one.repeated for one in shares)
        detail = f"of {judged} launches; {repeated} made again"
        yield Row(f"disturbed launches, {kind}", Spread.of([disturbed]), "%", None, detail)


def measured(runs: Sequence[RunSummary], artifact: str, input_s: float, metric: str) -> Measured:
    """The pairs of every run, and the verdict that each run gives its own ratio."""
    ratios, verdicts = [], []
    pooled: tuple[list[TrialRecord], list[TrialRecord]] = ([], [])
    for number, summary in enumerate(runs):
        base, other = (_find(summary, key, input_s) for key in (BASE, artifact))
        if base is None or other is None:
            raise RuntimeError(f"{artifact} at {input_s:g} s: a run did not measure it")
        ratio = paired_ratio(METRICS[metric], base.trials, other.trials)
        verdict = judge_ratio(METRICS[metric], ratio, base.verdict, other.verdict)
        verdicts.append(" ".join([verdict.status, *verdict.codes]))
        if ratio.value is not None:
            ratios.append(ratio.value)
        for trials, row in zip(pooled, (base, other), strict=True):
            # Rounds of another run are other rounds: only neighbours in time are paired.
            trials += [line.model_copy(update={"round": line.round + number * _APART}) for line in row.trials]
    estimate = paired_ratio(METRICS[metric], *pooled).estimate
    if estimate is None:
        raise RuntimeError(f"{artifact} at {input_s:g} s: no round holds a launch of both files")
    return Measured(ratios, verdicts, estimate)


def _find(summary: RunSummary, artifact: str, input_s: float) -> SummaryRow | None:
    wanted = (artifact, input_s)
    rows_of = (r for r in summary.rows if (r.condition.artifact, r.condition.input_s) == wanted)
    return next(rows_of, None)


def _row(what: str, one: Measured, truth: float | None) -> Row:
    spread = dataclasses.replace(Spread.of(one.ratios), interval=one.interval)
    detail = f"{one.pooled.clusters} pairs; {'; '.join(one.verdicts)}"
    target = Target(f"{truth:g} in its interval", holds=truth) if truth is not None else None
    return Row(what, spread, "ratio", target, detail)


def _agreement(what: str, target: Target | None, *, idle: Measured, busy: Measured) -> Row:
    """Busy over idle. Both are means of logarithms; the fewer degrees of freedom stand for both."""
    difference = Estimate(
        value=busy.pooled.value - idle.pooled.value,
        error=math.hypot(busy.pooled.error, idle.pooled.error),
        df=min(busy.pooled.df, idle.pooled.df),
        clusters=min(busy.pooled.clusters, idle.pooled.clusters),
        cluster="pair",
    )
    found = difference.exp_interval()
    ends = None if found.lo is None or found.hi is None else (found.lo, found.hi)
    ratio = math.exp(difference.value)
    return Row(what, Spread(ratio, ratio, ratio, difference.clusters, ends), "ratio", target)


def _run(store: Path, settings: Settings, known: Sequence[Known]) -> RunSummary:
    """One `edgebench run` as a user starts it."""
    argv = [sys.executable, "-m", "edgebench", "run", "--store", str(store), "--json"]
    file = store.with_suffix(".toml")
    text = (SUITES / "packaged.toml").read_text(encoding="utf-8")
    if ONE_SCENARIO[0] not in text:
        raise RuntimeError(
            f"the packaged suite no longer says {ONE_SCENARIO[0]!r}; change this benchmark with it"
        )
    file.write_text(QUICK_SUITE if settings.quick else text.replace(*ONE_SCENARIO), encoding="utf-8")
    argv += ["--suite", str(file)]
    for input_s in LENGTHS_S:
        argv += ["--input-s", f"{input_s:g}"]
    for model in dict.fromkeys([*default_artifacts(), *(one.model for one in known)]):
        argv += ["--model", model]
    environment = {**os.environ, "XDG_CACHE_HOME": str(store.parent / "cache")}
    result = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"edgebench run ended with status {result.returncode}: {result.stderr[-2000:]}")
    return summarise(Store(store).run("last"))


def _known(text: str) -> Known:
    """``MODEL`` or ``MODEL=RATIO``."""
    model, _, ratio = text.partition("=")
    found = model if model in packaged_artifacts() else str(Path(model).resolve())
    return Known(found, float(ratio) if ratio else None)


if __name__ == "__main__":
    main("busy_host", __doc__)
