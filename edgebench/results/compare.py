"""Two runs side by side: ratios with intervals for each condition that both measured.

Numbers of unlike runs are not compared: the facts in ``must_match`` have to be the same, or the
comparison is refused with the facts that differ, unless the user forces it. A ratio whose interval
covers 1 is inconclusive; an exact metric is the same or it has changed; rows that are not VALID
in both runs are not judged.

The launches of two runs were not interleaved, so what drifts between the runs (temperature,
memory layout after a reboot) is in the ratio and not in its interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebench.errors import UsageError
from edgebench.results.metrics import accuracy, statistics
from edgebench.results.metrics.cost import LATENCY, launch_samples, launch_values, launch_work
from edgebench.results.metrics.statistics import Floats, Interval
from edgebench.results.metrics.table import METRICS, Figure
from edgebench.results.records.record import RunHeader
from edgebench.results.summary import Row, RunSummary, predictions_of, tasks_of

INCONCLUSIVE = "inconclusive"
NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class Change:
    """One metric in both runs.

    ``ratio``: after / before for costs; ``difference``: after - before for accuracy; the interval
    ``lo``..``hi`` is that of whichever is given. ``outcome``: better, worse, inconclusive, same,
    changed, or not judged; ``reason`` says why there is no interval or no judgement.
    """

    metric: str
    before: Figure
    after: Figure
    ratio: float | None
    difference: float | None
    lo: float | None
    hi: float | None
    outcome: str
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        found = dict(vars(self))
        found["before"], found["after"] = self.before.to_json(), self.after.to_json()
        return found


@dataclass(frozen=True)
class ComparedRow:
    """One condition that both runs measured."""

    before: Row
    after: Row
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Comparison:
    """Two runs. ``differing``: facts that should match and do not; ``notes``: those that may differ."""

    before: RunSummary
    after: RunSummary
    differing: tuple[str, ...]
    notes: tuple[str, ...]
    rows: tuple[ComparedRow, ...]
    only_before: tuple[Row, ...]
    only_after: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        return {
            "before": self.before.run_id,
            "after": self.after.run_id,
            "differing": list(self.differing),
            "notes": list(self.notes),
            "records": [
                {
                    **row.after.condition.model_dump(exclude={"artifact_sha256"}),
                    "changes": {change.metric: change.to_json() for change in row.changes},
                }
                for row in self.rows
            ],
        }


# Of a suite, these say which conditions are measured, and conditions are matched one by one; the rest
# says how each is measured, and has to be the same.
_WHAT_IS_MEASURED = {"name", "description", "scenarios", "input_s", "threads", "corpora", "null_runtime"}


def must_match(header: RunHeader) -> dict[str, Any]:
    """The facts that have to be the same before two runs may be compared."""
    board = header.device.fingerprint
    runtimes = board.runtimes
    return {
        "device profile": header.device.profile,
        "machine": board.machine,
        "board model": board.model,
        "processor": board.cpu_model,
        "processor features": sorted(board.cpu_features),
        "processors": board.cpu_count,
        "page size": board.page_bytes,
        "virtual machine": board.virtual,
        "emulated": header.device.emulated,
        "governor": sorted(set(board.governors.values())),
        "runtime": sorted(runtimes),
        "runtime version": [f"{name} {runtimes[name].version}" for name in sorted(runtimes)],
        "runtime providers": [f"{name}: {sorted(runtimes[name].providers)}" for name in sorted(runtimes)],
        **{f"suite's {key}": value for key, value in header.suite.items() if key not in _WHAT_IS_MEASURED},
    }


def may_differ(header: RunHeader) -> dict[str, Any]:
    """Facts that a reader wants to hear of when they differ."""
    board = header.device.fingerprint
    return {
        "kernel": board.kernel,
        "system": board.os,
        "python": board.python,
        "numpy": [f"{facts.numpy} beside {name}" for name, facts in sorted(board.runtimes.items())],
        "edgebench": header.harness_version,
        "address": header.device.address,
    }


def compare(before: RunSummary, after: RunSummary, *, force: bool = False) -> Comparison:
    """Compare two runs, condition by condition.

    Conditions match by artifact key, scenario, input length, threads, runtime and corpus: the file
    behind a key may have changed, that is what a comparison is for. Raises UsageError for unlike
    runs (the fields that differ are named; ``force`` compares them all the same) and where no
    condition is shared.
    """
    differing = _differences(must_match(before.header), must_match(after.header))
    if differing and not force:
        raise UsageError(
            f"runs {before.run_id} and {after.run_id} are not alike: {'; '.join(differing)}. Ratios "
            "between them would say more about the conditions than about the models. Measure both "
            "under the same conditions, or add --force to see the ratios all the same."
        )
    first = {_key(row): row for row in before.rows}
    second = {_key(row): row for row in after.rows}
    shared = [key for key in first if key in second]
    if not shared:
        raise UsageError(
            f"runs {before.run_id} and {after.run_id} have no condition in common (artifact, scenario, "
            "input length, threads, corpus). `edgebench report RUN` shows what each measured."
        )
    seed = before.header.seed
    return Comparison(
        before,
        after,
        tuple(differing),
        tuple(_differences(may_differ(before.header), may_differ(after.header))),
        tuple(
            ComparedRow(first[key], second[key], _changes(first[key], second[key], seed)) for key in shared
        ),
        tuple(row for key, row in first.items() if key not in second),
        tuple(row for key, row in second.items() if key not in first),
    )


# --- inside -----------------------------------------------------------------------------------------


def _key(row: Row) -> tuple[Any, ...]:
    condition = row.condition
    return (
        condition.artifact,
        condition.scenario,
        condition.input_s,
        condition.threads,
        condition.runtime,
        condition.corpus,
    )


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: {_word(before.get(name))} against {_word(after.get(name))}"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, str) and len(value) == 64:
        return value[:12]
    return "unknown" if value is None else str(value)


def _changes(before: Row, after: Row, seed: int) -> tuple[Change, ...]:
    accuracies = _accuracy_intervals(before, after, seed)
    changes = []
    for name, metric in METRICS.items():
        a, b = before.figures.get(name), after.figures.get(name)
        if a is None or b is None or a.value is None or b.value is None or name.endswith(("_loss", "_ratio")):
            continue
        if metric.exact:
            change = _exact_change(name, a, b)
        elif name in accuracies:
            change = _judged(name, a, b, accuracies[name], neutral=0.0)
        elif name in _REPLICATES:
            change = _judged(name, a, b, _cost_interval(name, before, after, seed), neutral=1.0)
        else:
            continue
        invalid = [
            f"{which} run is {row.verdict.status} ({', '.join(codes)})"
            for which, row in (("the first", before), ("the second", after))
            if (codes := row.verdict.against(name))
        ]
        if invalid:
            change = Change(
                name,
                a,
                b,
                change.ratio,
                change.difference,
                change.lo,
                change.hi,
                NOT_JUDGED,
                " and ".join(invalid),
            )
        changes.append(change)
    return tuple(changes)


def _exact_change(name: str, a: Figure, b: Figure) -> Change:
    assert a.value is not None and b.value is not None
    ratio = b.value / a.value if a.value else None
    if a.value == b.value:
        outcome = "same"
    elif name == "parity_max_abs":
        # A last bit decides it; the verdict says whether it is too large.
        outcome = "changed"
    else:
        outcome = "better" if (b.value < a.value) == (METRICS[name].better == "lower") else "worse"
    return Change(name, a, b, ratio, None, None, None, outcome)


def _judged(name: str, a: Figure, b: Figure, interval: Interval, *, neutral: float) -> Change:
    """Better, worse, or inconclusive where the interval covers ``neutral`` or there is none."""
    assert a.value is not None and b.value is not None
    ratio = difference = None
    if neutral == 1.0:
        ratio = b.value / a.value if a.value else None
    else:
        difference = b.value - a.value
    outcome = INCONCLUSIVE
    if interval.lo == interval.hi == neutral:
        outcome = "same"
    elif interval.lo is not None and interval.hi is not None and not interval.lo <= neutral <= interval.hi:
        outcome = "better" if (interval.hi < neutral) == (METRICS[name].better == "lower") else "worse"
    return Change(name, a, b, ratio, difference, interval.lo, interval.hi, outcome, interval.reason)


def _accuracy_intervals(before: Row, after: Row, seed: int) -> dict[str, Interval]:
    """after - before of each accuracy metric, paired over speakers; empty without predictions."""
    first, second = predictions_of(before.trials), predictions_of(after.trials)
    if before.corpus is None or after.corpus is None or first is None or second is None:
        return {}
    names = (*accuracy.CATEGORICAL, *accuracy.CCC)
    if {clip.id: clip for clip in before.corpus.clips} != {clip.id: clip for clip in after.corpus.clips}:
        reason = "the two runs scored other clips of this corpus, so nothing pairs them"
        return {name: Interval(None, None, reason) for name in names}
    losses = accuracy.losses(
        first, second, before.corpus, tasks_of(before.artifact), tasks_of(after.artifact), seed=seed
    )
    found = {}
    for name in names:
        loss = losses[f"{name}_loss"]
        lo, hi = (None, None) if loss.lo is None or loss.hi is None else (-loss.hi, -loss.lo)
        found[name] = Interval(lo, hi, loss.reason)
    return found


def _cost_interval(name: str, before: Row, after: Row, seed: int) -> Interval:
    """Ratio after / before; the launches of each run are resampled on their own."""
    parts = []
    for number, row in enumerate((before, after)):
        replicates = _REPLICATES[name](name, row, seed + number)
        if replicates is None:
            return Interval(None, None, "one process launch says nothing about the next")
        parts.append(replicates)
    return statistics.ratio_interval(parts[0], parts[1])


def _latency(name: str, row: Row, seed: int) -> Floats | None:
    samples = launch_samples(row.good)
    if len(samples) < 2:
        return None
    return statistics.launch_quantiles(samples, [LATENCY[name]], seed=seed)[:, 0]


def _per_launch(name: str, row: Row, seed: int) -> Floats | None:
    values = launch_values(name, row.good)
    if len(values) < 2:
        return None
    estimate = np.max if name.endswith("rss_bytes") else np.median
    return statistics.value_replicates(values, estimate, seed=seed, replicates=statistics.LATENCY_REPLICATES)


def _throughput(name: str, row: Row, seed: int) -> Floats | None:
    works = launch_work(row.condition, row.good)
    if len(works) < 2:
        return None

    def rate(drawn: Floats) -> Floats:
        return np.asarray(drawn[..., 0] / drawn[..., 1])

    return statistics.cluster_replicates(works, rate, seed=seed, replicates=statistics.LATENCY_REPLICATES)


_REPLICATES: dict[str, Callable[[str, Row, int], Floats | None]] = {
    **dict.fromkeys(LATENCY, _latency),
    **dict.fromkeys(("load_ns", "first_inference_ns", "peak_rss_bytes", "model_rss_bytes"), _per_launch),
    "throughput_utterances_per_s": _throughput,
}
