"""Which launches of a run count, and with their predictions: the lines as a summary needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgebench.agent.protocol import CANCELLED_BY_HOST
from edgebench.results.records.messages import Predictions
from edgebench.results.records.record import Condition, RunHeader, TrialRecord


def with_predictions(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials of one run, each with its predictions, where some only name an equal trial.

    Predictions whose equal is not among ``trials`` become None.
    """
    full = {
        line.trial.id: line.trial.predictions
        for line in trials
        if line.trial.predictions is not None and line.trial.predictions.same_as is None
    }
    return [_filled(line, full) for line in trials]


def _filled(line: TrialRecord, full: dict[str, Predictions]) -> TrialRecord:
    own = line.trial.predictions
    if own is None or own.same_as is None:
        return line
    equal = full.get(own.same_as)
    found = None
    if equal is not None:
        what = {"clips": equal.clips, "names": equal.names, "values": equal.values}
        found = own.model_copy(update=what)
    return line.model_copy(update={"trial": line.trial.model_copy(update={"predictions": found})})


def once(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Each launch of a run once: the first line of its id, or the first that was not cancelled.

    A launch that was stopped with its run is measured again when the run is taken up. Stores of an older
    edgebench may hold a launch twice, where two processes collected one run.
    """
    found: dict[tuple[str, int, Condition], TrialRecord] = {}
    for line in trials:
        key = line.trial.id, line.launch, line.condition
        before = found.get(key)
        if before is None or (before.trial.error and before.trial.error.code == CANCELLED_BY_HOST):
            found[key] = line
    return list(found.values())


def counted(header: RunHeader, trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The launches that figures are made of: a repeat takes the place of the launch that it repeats.

    A group takes the place of its original whole or not at all, so that the launches of a pair stay
    neighbours: only where every launch that had ended well ended well again.
    """
    group_of = {planned.id: planned.group for planned in header.trials}
    well: dict[int | None, set[str]] = {}
    again: dict[int | None, set[str]] = {}
    for line in trials:
        if line.trial.status == "ok":
            origin = line.trial.repeat_of
            found = well if origin is None else again
            id_ = origin or line.trial.id
            found.setdefault(group_of.get(id_), set()).add(id_)
    replaced = [group for group, ids in again.items() if group is not None and well.get(group, set()) <= ids]
    gone = {id_ for group in replaced for id_ in again[group]}

    def counts(line: TrialRecord) -> bool:
        origin = line.trial.repeat_of
        return line.trial.id not in gone if origin is None else origin in gone and line.trial.status == "ok"

    return [line for line in trials if counts(line)]


@dataclass(frozen=True)
class Disturbances:
    """What disturbed the planned launches of a run, and how many were made again.

    ``judged``: launches whose loop telemetry looked at. ``shares``: the largest of each kind
    (``others``, ``steal``, ``queue_wait``, see ``Window``). ``repeated`` holds the undisturbed launches
    of a repeated group as well; ``replaced``: disturbed launches that a repeat stands for.
    """

    launches: int
    judged: int
    disturbed: int
    repeated: int
    replaced: int
    shares: Mapping[str, float]


def disturbances(header: RunHeader, trials: Sequence[TrialRecord]) -> Disturbances:
    """How many launches were disturbed, by what at most, and how many were repeated."""
    planned = [line.trial for line in trials if line.trial.repeat_of is None]
    kept = {line.trial.id for line in counted(header, trials)}
    disturbed = [trial for trial in planned if trial.disturbed]
    shares: dict[str, float] = {}
    for trial in disturbed:
        for kind, share in trial.disturbed.items():
            shares[kind] = max(share, shares.get(kind, 0.0))
    return Disturbances(
        launches=len(planned),
        judged=sum(trial.window is not None for trial in planned),
        disturbed=len(disturbed),
        repeated=len(trials) - len(planned),
        replaced=sum(trial.id not in kept for trial in disturbed),
        shares=shares,
    )
