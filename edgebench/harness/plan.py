"""Suite + artifacts + corpora -> the trials of a run, in order. Pure: nothing is touched, nothing sent.

Conditions that differ in the artifact alone (same scenario, length, threads, corpus) form a group.
They are measured one after the other, and in the opposite order the next time (A B, B A, ...), so
that a machine that drifts drifts for all of them. The order of the groups is shuffled anew each
round from the suite's seed. Each trial is one launch of a fresh process on the board; a group of
launches is what is repeated where something else disturbed one of them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgebench.agent.protocol import PROTOCOL
from edgebench.agent.runtimes.table import runtimes_for
from edgebench.harness import further
from edgebench.harness.suite import Repeats, Suite
from edgebench.results import Condition, PlannedTrial

if TYPE_CHECKING:
    from edgebench.models import Artifact

# The null runtime answers in well under a microsecond: more samples would add bytes, not knowledge.
_NULL_COUNT = 5000
_MAX_COUNT = 200_000

_OF_ONE_LENGTH: tuple[Literal["single_stream", "sustained"], ...] = ("single_stream", "sustained")

NULL = "null"
DEFAULT_RUNTIME = "onnxruntime"
SAMPLE_RATE_HZ = 16000


@dataclass(frozen=True)
class Subject:
    """What the planner needs to know of an artifact.

    ``lengths_s`` are the only input lengths that a model without a free time axis takes, in seconds;
    empty where it takes any. ``scored`` says whether its outputs mean anything (it has a manifest that
    names them). ``runtimes`` are those that measure it. ``streaming``: how a model with a state is fed.
    """

    key: str
    sha256: str
    preparation: tuple[dict[str, Any], ...] = ()
    lengths_s: tuple[float, ...] = ()
    scored: bool = True
    runtimes: tuple[str, ...] = ("onnxruntime",)
    streaming: dict[str, Any] | None = None

    @classmethod
    def of(cls, artifact: Artifact, runtimes: Sequence[str] = ()) -> Subject:
        """The subject of an artifact that was read and found good.

        ``runtimes``: those asked for; where none of them loads its format, and without any, it is
        measured in the default runtime of its format.
        """
        manifest = artifact.manifest
        able = runtimes_for(artifact.format)
        return cls(
            key=artifact.key,
            sha256=artifact.sha256,
            preparation=tuple(dict(step) for step in manifest.preparation) if manifest else (),
            lengths_s=tuple(length / SAMPLE_RATE_HZ for length in artifact.lengths),
            scored=manifest is not None,
            runtimes=tuple(name for name in able if name in runtimes) or tuple(able[:1]),
            streaming=artifact.streaming.settings() if artifact.streaming else None,
        )

    @property
    def takes_clips(self) -> bool:
        """Whether it takes a clip of any length once that is prepared."""
        return not self.lengths_s or any(step["step"] == "fit" for step in self.preparation)

    def lengths_of(self, suite: Suite) -> tuple[float, ...]:
        """The input lengths at which it is measured: the suite's, as far as it takes them.

        A model that takes none of the suite's is measured at all of its own.
        """
        if not self.lengths_s:
            return suite.input_s
        return tuple(s for s in suite.input_s if s in self.lengths_s) or self.lengths_s


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

    ``group``: launches of one round that are repeated together. ``trace``: it runs under the runtime's
    profiler; ``energy``: power is read around it. None of the times of these is a measurement.
    """

    id: str
    condition: Condition
    launch: int
    round: int
    group: int
    estimate_s: float
    spec: dict[str, Any]
    trace: bool = False
    energy: bool = False

    @property
    def measures(self) -> bool:
        """Whether figures of time and memory are made of it."""
        return not (self.trace or self.energy)

    def record(self) -> PlannedTrial:
        """The trial as the run's header keeps it."""
        return PlannedTrial(
            id=self.id,
            condition=self.condition,
            launch=self.launch,
            round=self.round,
            estimate_s=self.estimate_s,
            group=self.group,
            trace=self.trace,
            energy=self.energy,
        )


@dataclass(frozen=True)
class Plan:
    """The trials of a run in the order in which they are measured, and what may be repeated."""

    trials: tuple[Trial, ...]
    repeats: Repeats

    @property
    def reads_power(self) -> bool:
        """Whether power is read around any of its launches."""
        return any(trial.spec.get("power") for trial in self.trials)

    def without_energy(self) -> Plan:
        """The plan for a board whose power cannot be read."""
        return replace(self, trials=tuple(trial for trial in self.trials if not trial.energy))

    @property
    def estimate_s(self) -> float:
        """A guess at the wall time of the run on a board of the host's speed, in seconds."""
        return sum(trial.estimate_s for trial in self.trials)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions of the run, in order of first appearance."""
        return tuple(dict.fromkeys(trial.condition for trial in self.trials))

    @property
    def runtimes(self) -> tuple[str, ...]:
        """The runtimes that have to be on the board, in order of first appearance.

        The null runtime needs none of its own. A plan of nothing else needs the default one's.
        """
        names = (c.runtime for c in self.conditions if c.runtime != NULL)
        return tuple(dict.fromkeys(names)) or (DEFAULT_RUNTIME,)

    def message(
        self,
        *,
        run_id: str,
        root: str,
        user: str,
        pythons: Mapping[str, str],
        exclusive: bool = True,
        conditioning: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The plan as the agent reads it (see ``edgebench.agent.protocol``).

        ``pythons``: runtime -> its interpreter on the board. Trials of a runtime that is not among
        them are left out. The null runtime computes nothing and runs in the first interpreter.
        ``exclusive``: it measures, and so wants the board for itself. ``conditioning``: what is changed
        on the board for the run.
        """
        everywhere = {NULL: next(iter(pythons.values())), **pythons}
        kept = [trial for trial in self.trials if trial.condition.runtime in everywhere]
        return {
            "protocol": PROTOCOL,
            "run_id": run_id,
            "root": root,
            "user": user,
            "exclusive": exclusive,
            "telemetry_hz": 1.0,
            "conditioning": None if conditioning is None else dict(conditioning),
            "repeats": {
                **self.repeats.model_dump(),
                "budget": int(self.repeats.budget * sum(trial.measures for trial in kept)),
            },
            "trials": [{**trial.spec, "python": everywhere[trial.condition.runtime]} for trial in kept],
        }


def make_plan(
    suite: Suite,
    subjects: Sequence[Subject],
    corpora: Sequence[PackedCorpus],
    *,
    device: str,
    trace: bool = False,
) -> Plan:
    """Lay out every launch of every condition of ``suite`` for these artifacts, corpora and device.

    Behind the launches that figures of time are made of come those that ``further`` adds.
    """
    groups = _groups(suite, subjects, corpora, device)
    shuffler = random.Random(suite.seed)  # noqa: S311 - an order, not a secret
    trials: list[Trial] = []
    first: dict[Condition, str] = {}
    made = [0] * len(groups)
    # Sustained launches come last: they leave a hot board behind.
    long = [group for group in groups if group[0][0].scenario == "sustained"]
    groups = [group for group in groups if group[0][0].scenario != "sustained"]
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
    if suite.energy is not None:
        trials += further.energy(trials, suite.energy)
    for launch in range(suite.launches_of("sustained") if long else 0):
        for member in (member for group in long for member in group):
            place = _Place(f"t{len(trials):04d}", launch, launch, len(trials), None)
            trials.append(further.sustained(_trial(suite, member, place), suite))
    if trace:
        trials += further.traces(trials)
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
    """Conditions that differ in artifact and runtime alone, together."""
    groups: list[list[_Member]] = []
    for threads in suite.threads:
        for scenario in (name for name in _OF_ONE_LENGTH if name in suite.scenarios):
            for input_s in sorted({length for s in subjects for length in s.lengths_of(suite)}):
                where: dict[str, Any] = {"device": device, "threads": threads, "input_s": input_s}
                group: list[_Member] = [
                    (_condition(s, runtime, scenario, rate_hz=suite.rate_hz, **where), s, None)
                    for s in subjects
                    if input_s in s.lengths_of(suite)
                    for runtime in s.runtimes
                ]
                groups.append(group)
        if "offline" in suite.scenarios:
            for corpus in corpora:
                # A model with a fixed time axis cannot take clips of any length, and outputs that
                # no manifest explains cannot be scored: both are measured on generated input alone.
                group = [
                    (
                        _condition(s, runtime, "offline", device=device, threads=threads, corpus=corpus.name),
                        s,
                        corpus,
                    )
                    for s in subjects
                    if s.takes_clips and s.scored
                    for runtime in s.runtimes
                ]
                groups.append(group)
    if suite.null_runtime:
        null = Condition(
            artifact=NULL,
            artifact_sha256=None,
            device=device,
            scenario="single_stream",
            input_s=suite.input_s[0] if suite.input_s else 1.0,
            threads=suite.threads[0],
            runtime=NULL,
            corpus=None,
        )
        groups.append([(null, None, None)])
    return [group for group in groups if group]


def _condition(
    subject: Subject,
    runtime: str,
    scenario: Literal["single_stream", "offline", "sustained"],
    *,
    device: str,
    threads: int,
    input_s: float | None = None,
    corpus: str | None = None,
    rate_hz: float | None = None,
) -> Condition:
    return Condition(
        artifact=subject.key,
        artifact_sha256=subject.sha256,
        device=device,
        scenario=scenario,
        input_s=input_s,
        threads=threads,
        runtime=runtime,
        corpus=corpus,
        rate_hz=rate_hz,
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
        "rate_hz": condition.rate_hz,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "pack": corpus.sha256 if corpus else None,
        "threads": condition.threads,
        "pin": True,
        "session": suite.session.model_dump()
        | ({"streaming": subject.streaming} if subject and subject.streaming else {}),
        "trace": False,
        "preparation": [dict(step) for step in subject.preparation] if subject else [],
        "warmup": suite.warmup.model_dump(),
        "min_duration_s": duration_s,
        "min_count": _NULL_COUNT if null else -(-suite.min_count // launches),
        "max_count": _NULL_COUNT if null else _MAX_COUNT,
        "timeout_s": suite.limits.trial_timeout_s + 4 * duration_s,
        "seed": suite.seed,
    }
    estimate_s = further.LAUNCH_S + (0.0 if null else suite.warmup.max_s / 2) + duration_s
    return Trial(place.id, condition, place.launch, place.round, place.group, estimate_s, spec)
