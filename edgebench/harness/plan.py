"""Suite + artifacts + corpora -> the trials of a run, in order. Pure: nothing is touched, nothing sent.

Conditions that differ in the artifact alone (same scenario, length, threads, corpus) form a group.
They are measured one after the other, and in the opposite order the next time (A B, B A, ...), so
that a machine that drifts drifts for all of them. The order of the groups is shuffled anew each
round from the suite's seed. Each trial is one launch of a fresh process on the board; a group of
launches is what is repeated where something else disturbed one of them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgebench.agent.protocol import PROTOCOL
from edgebench.harness.suite import Repeats, Suite
from edgebench.results import Condition, PlannedTrial

if TYPE_CHECKING:
    from edgebench.models import Artifact

# Seconds a launch takes beside warm-up and the measured loop: interpreter, runtime, model. A first
# guess for the progress bar, which corrects itself as trials end.
_LAUNCH_S = 0.3

# The null runtime answers in well under a microsecond: more samples would add bytes, not knowledge.
_NULL_COUNT = 5000
_MAX_COUNT = 200_000

NULL = "null"


@dataclass(frozen=True)
class Subject:
    """What the planner needs to know of an artifact.

    ``fixed_s`` is the only input length a model with a fixed time axis takes, in seconds;
    ``scored`` says whether its outputs mean anything (it has a manifest that names them).
    """

    key: str
    sha256: str
    preparation: tuple[dict[str, Any], ...] = ()
    fixed_s: float | None = None
    scored: bool = True

    @classmethod
    def of(cls, artifact: Artifact) -> Subject:
        """The subject of an artifact that was read and found good."""
        manifest = artifact.manifest
        return cls(
            key=artifact.key,
            sha256=artifact.sha256,
            preparation=tuple(dict(step) for step in manifest.preparation) if manifest else (),
            fixed_s=None if artifact.samples is None else artifact.samples / 16000,
            scored=manifest is not None,
        )


@dataclass(frozen=True)
class PackedCorpus:
    """The clips of a corpus in one file, as it is sent to a board."""

    name: str
    path: Path
    sha256: str
    audio_s: float


@dataclass(frozen=True)
class Trial:
    """One launch of one condition; ``spec`` is what the agent is told.

    ``group``: launches of one round that are repeated together.
    """

    id: str
    condition: Condition
    launch: int
    round: int
    group: int
    estimate_s: float
    spec: dict[str, Any]

    def record(self) -> PlannedTrial:
        """The trial as the run's header keeps it."""
        return PlannedTrial(
            id=self.id,
            condition=self.condition,
            launch=self.launch,
            round=self.round,
            estimate_s=self.estimate_s,
            group=self.group,
        )


@dataclass(frozen=True)
class Plan:
    """The trials of a run in the order in which they are measured, and what may be repeated."""

    trials: tuple[Trial, ...]
    repeats: Repeats

    @property
    def estimate_s(self) -> float:
        """A guess at the wall time of the run on a board of the host's speed, in seconds."""
        return sum(trial.estimate_s for trial in self.trials)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions of the run, in order of first appearance."""
        return tuple(dict.fromkeys(trial.condition for trial in self.trials))

    def message(self, *, run_id: str, root: str, user: str) -> dict[str, Any]:
        """The plan as the agent reads it (see ``edgebench.agent.protocol``)."""
        return {
            "protocol": PROTOCOL,
            "run_id": run_id,
            "blobs": f"{root}/blobs",
            "lock": f"{root}/lock",
            "user": user,
            "telemetry_hz": 1.0,
            "repeats": {
                **self.repeats.model_dump(),
                "budget": int(self.repeats.budget * len(self.trials)),
            },
            "trials": [trial.spec for trial in self.trials],
        }


def make_plan(
    suite: Suite, subjects: Sequence[Subject], corpora: Sequence[PackedCorpus], *, device: str
) -> Plan:
    """Lay out every launch of every condition of ``suite`` for these artifacts, corpora and device."""
    groups = _groups(suite, subjects, corpora, device)
    shuffler = random.Random(suite.seed)  # noqa: S311 - an order, not a secret
    trials: list[Trial] = []
    first: dict[Condition, str] = {}
    made = [0] * len(groups)
    for round_ in range(suite.launches):
        order = list(range(len(groups)))
        shuffler.shuffle(order)
        for index in order:
            if not _is_due(round_, suite.launches_of(groups[index][0][0].scenario), suite.launches):
                continue
            launch = made[index]
            made[index] += 1
            group = len(trials)  # the number of its first trial: no other group has it
            for member in groups[index] if launch % 2 == 0 else groups[index][::-1]:
                id_ = f"t{len(trials):04d}"
                place = _Place(id_, launch, round_, group, first.get(member[0]))
                first.setdefault(member[0], id_)
                trials.append(_trial(suite, member, place))
    return Plan(tuple(trials), suite.repeats)


def _is_due(round_: int, launches: int, rounds: int) -> bool:
    """Whether one of ``launches``, spread evenly over the rounds, falls into this one.

    >>> [_is_due(round_, 3, 6) for round_ in range(6)]
    [True, False, True, False, True, False]
    """
    return -(-round_ * launches // rounds) < -(-(round_ + 1) * launches // rounds)


_Member = tuple[Condition, Subject | None, PackedCorpus | None]


def _groups(
    suite: Suite, subjects: Sequence[Subject], corpora: Sequence[PackedCorpus], device: str
) -> list[list[_Member]]:
    """Conditions that differ in the artifact alone, together."""
    groups: list[list[_Member]] = []
    for threads in suite.threads:
        if "single_stream" in suite.scenarios:
            lengths = {*suite.input_s} if any(s.fixed_s is None for s in subjects) else set()
            lengths |= {s.fixed_s for s in subjects if s.fixed_s is not None}
            for input_s in sorted(lengths):
                group: list[_Member] = [
                    (_condition(s, "single_stream", device=device, threads=threads, input_s=input_s), s, None)
                    for s in subjects
                    if (input_s in suite.input_s if s.fixed_s is None else s.fixed_s == input_s)
                ]
                groups.append(group)
        if "offline" in suite.scenarios:
            for corpus in corpora:
                # A model with a fixed time axis cannot take clips of any length, and outputs that
                # no manifest explains cannot be scored: both are measured on generated input alone.
                group = [
                    (_condition(s, "offline", device=device, threads=threads, corpus=corpus.name), s, corpus)
                    for s in subjects
                    if s.fixed_s is None and s.scored
                ]
                groups.append(group)
    if suite.null_runtime:
        null = Condition(
            artifact=NULL,
            artifact_sha256=None,
            device=device,
            scenario="single_stream",
            input_s=suite.input_s[0],
            threads=suite.threads[0],
            runtime=NULL,
            corpus=None,
        )
        groups.append([(null, None, None)])
    return [group for group in groups if group]


def _condition(
    subject: Subject,
    scenario: Literal["single_stream", "offline"],
    *,
    device: str,
    threads: int,
    input_s: float | None = None,
    corpus: str | None = None,
) -> Condition:
    return Condition(
        artifact=subject.key,
        artifact_sha256=subject.sha256,
        device=device,
        scenario=scenario,
        input_s=input_s,
        threads=threads,
        runtime="onnxruntime",
        corpus=corpus,
    )


@dataclass(frozen=True)
class _Place:
    """Where a trial stands in the plan; ``first``: the first trial of its condition, None for that one."""

    id: str
    launch: int
    round: int
    group: int
    first: str | None


def _trial(suite: Suite, member: _Member, place: _Place) -> Trial:
    condition, subject, corpus = member
    null = condition.runtime == NULL
    launches = suite.launches_of(condition.scenario)
    duration_s = 0.0 if null else suite.duration_s / launches
    spec = {
        "id": place.id,
        # The null runtime shows what the loop costs: it is compared with nothing.
        "group": None if null else place.group,
        "predictions_of": place.first,
        "runtime": condition.runtime,
        "artifact": condition.artifact_sha256,
        "scenario": condition.scenario,
        "input_s": condition.input_s,
        "sample_rate_hz": 16000,
        "pack": corpus.sha256 if corpus else None,
        "threads": condition.threads,
        "pin": True,
        "session": {**suite.session.model_dump(), "profile": False},
        "preparation": [dict(step) for step in subject.preparation] if subject else [],
        "warmup": suite.warmup.model_dump(),
        "min_duration_s": duration_s,
        "min_count": _NULL_COUNT if null else -(-suite.min_count // launches),
        "max_count": _NULL_COUNT if null else _MAX_COUNT,
        "timeout_s": suite.limits.trial_timeout_s + 4 * duration_s,
        "seed": suite.seed,
    }
    estimate_s = _LAUNCH_S + (0.0 if null else suite.warmup.max_s / 2) + duration_s
    return Trial(place.id, condition, place.launch, place.round, place.group, estimate_s, spec)
