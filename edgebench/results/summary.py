"""One run, summed up: stored lines -> rows with figures and verdicts -> the public JSON.

A pure function of the lines: the same lines give the same summary on every machine. One row
is one condition: artifact, scenario, input length, threads, corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgebench.errors import StoreError
from edgebench.results.metrics import accuracy
from edgebench.results.metrics.cost import cost_figures
from edgebench.results.metrics.energy import coverage_json
from edgebench.results.metrics.in_time import ENERGIES, energy_figures, settling
from edgebench.results.metrics.metric import Metric
from edgebench.results.metrics.parity import parity
from edgebench.results.metrics.ratios import paired_ratio
from edgebench.results.metrics.table import METRICS, PUBLIC_NAMES, Figure, figure, missing
from edgebench.results.records.launches import Disturbances, counted, disturbances, once, with_predictions
from edgebench.results.records.messages import Predictions, TrialMessage
from edgebench.results.records.record import (
    JSON_VERSION,
    ArtifactFacts,
    Condition,
    CorpusFacts,
    EnergyRecord,
    HostUse,
    Record,
    ReferenceRecord,
    RunEnd,
    RunHeader,
    TrialRecord,
)
from edgebench.results.verdicts.verdict import Verdict, judge

NULL_ARTIFACT = "null"
SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class Row:
    """One condition. ``trials``: all its launches, failed ones too, for whoever needs raw samples.

    ``energy``: the launches around which power was read that ended well; those of ``trials`` where it is
    sustained.
    """

    condition: Condition
    artifact: ArtifactFacts | None
    corpus: CorpusFacts | None
    verdict: Verdict
    figures: Mapping[str, Figure]
    scoring: accuracy.Scoring | None
    trials: tuple[TrialRecord, ...]
    energy: tuple[EnergyRecord | TrialRecord, ...] = ()

    @property
    def good(self) -> tuple[TrialMessage, ...]:
        """The launches that ended well."""
        return tuple(line.trial for line in self.trials if line.trial.status == "ok")

    def launches_of(self, metric: Metric) -> tuple[EnergyRecord | TrialRecord, ...]:
        """The launches that a metric is drawn from."""
        return self.energy if metric.name in ENERGIES else self.trials

    @property
    def is_null(self) -> bool:
        """Whether this row measures the harness itself."""
        return self.condition.artifact == NULL_ARTIFACT

    def to_json(self) -> dict[str, Any]:
        """One record of the public JSON."""
        condition = self.condition
        names = [*PUBLIC_NAMES, *(name for name in self.figures if name not in PUBLIC_NAMES)]
        return {
            "artifact": condition.artifact,
            "device": condition.device,
            "scenario": condition.scenario,
            "input_s": condition.input_s,
            "threads": condition.threads,
            "runtime": condition.runtime,
            "rate_hz": condition.rate_hz,
            "corpus": accuracy.corpus_json(self.corpus, self.scoring) if self.corpus else None,
            "verdict": self.verdict.to_json(),
            "power": coverage_json([line.trial for line in self.energy]),
            "metrics": {name: self.figures[name].to_json() for name in names},
        }


@dataclass(frozen=True)
class RunSummary:
    """A run. ``status``: that of its end line, "open" where it has none (running, or cut short).

    The rows hold the launches that count; ``disturbances`` says which were repeated. ``cooled_s``: how long
    the board was left to cool before launches, in all.
    """

    header: RunHeader
    status: str
    end: RunEnd | None
    rows: tuple[Row, ...]
    disturbances: Disturbances
    cooled_s: float = 0.0

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.header.run_id

    def null_overhead(self) -> Figure | None:
        """What the harness itself adds to an inference: the null runtime's median, or None.

        The row with the shortest input stands for all: nothing in it grows with the input.
        """
        rows = [row for row in self.rows if row.is_null and row.condition.scenario == "single_stream"]
        rows = [row for row in rows if row.figures["latency_p50_ns"].value is not None]
        if not rows:
            return None
        return min(rows, key=lambda row: row.condition.input_s or 0.0).figures["latency_p50_ns"]

    def to_json(self) -> dict[str, Any]:
        """The public JSON of the run."""
        return {
            "schema_version": JSON_VERSION,
            "run_id": self.run_id,
            "status": self.status,
            "records": [row.to_json() for row in self.rows],
        }


def summarise(lines: Iterable[Record]) -> RunSummary:
    """The summary of one run's lines (``Store.run``).

    Raises StoreError where the header is missing.
    """
    found = list(lines)
    header = next((line for line in found if isinstance(line, RunHeader)), None)
    if header is None:
        raise StoreError("the lines of this run hold no header: nothing says what was measured.")
    end = _whole_end([line for line in found if isinstance(line, RunEnd)])
    references = [line for line in found if isinstance(line, ReferenceRecord)]
    launches: dict[Condition, list[TrialRecord]] = {condition: [] for condition in header.conditions}
    trials = with_predictions(once([line for line in found if isinstance(line, TrialRecord)]))
    for trial in counted(header, trials):
        launches.setdefault(trial.condition, []).append(trial)
    powers = [line for line in found if isinstance(line, EnergyRecord)]
    rows = [_row(header, condition, of_it, references, powers) for condition, of_it in launches.items()]
    rows = [_with_losses(row, rows) for row in rows]
    order = {artifact.key: number for number, artifact in enumerate(header.artifacts)}
    rows.sort(key=lambda row: _sort_key(row.condition, order))
    status = end.status if end else "open"
    measured = [line.trial for line in trials] + [line.trial for line in powers]
    cooled_s = sum(trial.cooled_s or 0.0 for trial in measured)
    return RunSummary(header, status, end, tuple(rows), disturbances(header, trials), cooled_s)


def _whole_end(ends: Sequence[RunEnd]) -> RunEnd | None:
    """The end of a run with the time of all its parts; None for a run that is open."""
    if len(ends) < 2:
        return ends[0] if ends else None
    hosts = [end.host for end in ends if end.host is not None]
    walls = [end.agent_wall_s for end in ends if end.agent_wall_s is not None]
    host = HostUse(
        wall_s=sum(use.wall_s for use in hosts),
        cpu_s=sum(use.cpu_s for use in hosts),
        peak_rss_bytes=max((use.peak_rss_bytes or 0 for use in hosts), default=0) or None,
    )
    notes = tuple(dict.fromkeys(note for end in ends for note in end.notes))
    whole = {"host": host if hosts else None, "agent_wall_s": sum(walls) if walls else None, "notes": notes}
    return ends[-1].model_copy(update=whole)


def _sort_key(condition: Condition, order: Mapping[str, int]) -> tuple[Any, ...]:
    return (
        condition.scenario != "single_stream",
        condition.corpus or "",
        condition.input_s or 0.0,
        condition.threads,
        order.get(condition.artifact, len(order)),
        condition.artifact,
    )


def _row(
    header: RunHeader,
    condition: Condition,
    trials: Sequence[TrialRecord],
    references: Sequence[ReferenceRecord],
    powers: Sequence[EnergyRecord],
) -> Row:
    artifact = next((a for a in header.artifacts if a.sha256 == condition.artifact_sha256), None)
    corpus = next((c for c in header.corpora if c.name == condition.corpus), None)
    good = [line.trial for line in trials if line.trial.status == "ok"]
    lines = trials if condition.scenario == "sustained" else _once_each(condition, powers)
    energy = tuple(line for line in lines if line.trial.status == "ok")
    figures = cost_figures(artifact, condition, good)
    figures.update(energy_figures(header, condition, [line.trial for line in energy]))
    figures.update(settling(condition, good))
    scoring, accuracies = _accuracy(condition, artifact, corpus, predictions_of(trials))
    figures.update(accuracies)
    compared = parity(artifact, condition, good, references)
    figures["parity_max_abs"] = compared.figure
    verdict = judge(
        condition,
        trials,
        header,
        parity=compared.figure,
        tolerance=compared.tolerance,
        mismatch=compared.mismatch,
    )
    return Row(condition, artifact, corpus, verdict, figures, scoring, tuple(trials), energy)


def _once_each(condition: Condition, lines: Sequence[EnergyRecord]) -> list[EnergyRecord]:
    """The launches for energy of a condition, each once; one that ended well before one that did not."""
    own = sorted(
        (line for line in lines if line.condition == condition), key=lambda line: line.trial.status == "ok"
    )
    return sorted({line.trial.id: line for line in own}.values(), key=lambda line: line.trial.id)


def predictions_of(trials: Sequence[TrialRecord]) -> Predictions | None:
    """The first launch's: further launches repeat it (parity looks at every one)."""
    return next((t.trial.predictions for t in trials if t.trial.status == "ok" and t.trial.predictions), None)


def _accuracy(
    condition: Condition,
    artifact: ArtifactFacts | None,
    corpus: CorpusFacts | None,
    predictions: Predictions | None,
) -> tuple[accuracy.Scoring | None, dict[str, Figure]]:
    names = (*accuracy.CATEGORICAL, *accuracy.CCC)
    reason = None
    tasks = tasks_of(artifact)
    if artifact is None:
        reason = "the null runtime predicts nothing"
    elif condition.scenario != "offline":
        reason = "accuracy is scored offline, over a corpus"
    elif corpus is None:
        reason = "no corpus was predicted"
    elif not tasks:
        reason = "the file has no manifest that says what its outputs mean"
    elif predictions is None:
        reason = "no launch gave predictions"
    if reason is not None or predictions is None or corpus is None:
        return None, {name: missing(name, reason or "no predictions") for name in names}
    scoring = accuracy.score(predictions, corpus, tasks)
    return scoring, dict(scoring.figures)


def tasks_of(artifact: ArtifactFacts | None) -> Mapping[str, Mapping[str, Any]]:
    """What the manifest says of the outputs: name -> {"kind", "labels"}; empty without one."""
    return ((artifact.manifest or {}).get("tasks") or {}) if artifact else {}


def _with_losses(row: Row, rows: Sequence[Row]) -> Row:
    """The row with what it lost against its parent, where the parent ran in the same condition."""
    parent = parent_of(row, rows)
    if parent is None or row.artifact is None:
        return row
    figures = dict(row.figures)
    for metric in METRICS.values():
        if metric.statistic == "ratio" and row.condition.scenario in metric.scenarios:
            ratio = paired_figure(metric.name, parent, row)
            if METRICS[metric.of].public or ratio.value is not None:
                figures[metric.name] = ratio
    before, after = predictions_of(parent.trials), predictions_of(row.trials)
    if row.corpus is not None and before is not None and after is not None:
        figures.update(
            accuracy.losses(before, after, row.corpus, tasks_of(parent.artifact), tasks_of(row.artifact))
        )
    return replace(row, figures=figures)


def parent_of(row: Row, rows: Sequence[Row]) -> Row | None:
    """The row of the artifact's parent in the same condition, or None.

    The same runtime comes first; a parent of another format runs in another one.
    """
    if row.artifact is None or not row.artifact.manifest:
        return None
    sha = row.artifact.manifest.get("parent")
    if not sha or sha == row.artifact.sha256:
        return None
    apart = {"artifact_sha256": sha, "artifact": "", "runtime": ""}
    wanted = row.condition.model_copy(update=apart)
    matches = [
        other
        for other in rows
        if other.condition.artifact_sha256 == sha and other.condition.model_copy(update=apart) == wanted
    ]
    same = (other for other in matches if other.condition.runtime == row.condition.runtime)
    return next(same, matches[0] if matches else None)


def paired_figure(name: str, base: Row, other: Row) -> Figure:
    """The figure of a ratio metric (``latency_ratio``, ``cpu_ratio``): ``other`` over ``base``, by pairs.

    ``n`` counts the pairs. The value is null where no round holds a launch of both.
    """
    ratio = paired_ratio(METRICS[METRICS[name].of], base.trials, other.trials)
    if ratio.value is None:
        return missing(name, ratio.reason or "not measured")
    return figure(name, ratio.value, ratio.interval, n=ratio.clusters)


def latency_ratio(base: Row, other: Row) -> Figure:
    """Median latency of ``other`` over that of ``base``, two rows of one run, paired by round."""
    return paired_figure("latency_ratio", base, other)
