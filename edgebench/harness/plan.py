"""Suite + artifacts + corpora -> the trials of a run, in order. Pure: nothing is touched, nothing sent.

Variants of one condition group (same scenario, length, threads, corpus) are measured one after
the other, and in the opposite order in the next round (A B, B A, ...), so that a machine that
drifts drifts for all of them. The order of the groups is shuffled anew each round from the
suite's seed. Each trial is one launch of a fresh process on the board.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebench.agent.protocol import PROTOCOL
from edgebench.agent.runtimes.table import TRACED, runtimes_for
from edgebench.harness.suite import Suite

if TYPE_CHECKING:
    from edgebench.models import Artifact

# Seconds a launch takes beside the measured loop: interpreter, runtime, model, warm-up. A first
# guess for the progress bar, which corrects itself as trials end.
_LAUNCH_S = 1.2

# The null runtime answers in well under a microsecond: more samples would add bytes, not knowledge.
_NULL_COUNT = 5000
_TRACE_COUNT = 20
_MAX_COUNT = 200_000

NULL = "null"
DEFAULT_RUNTIME = "onnxruntime"
SAMPLE_RATE_HZ = 16000


@dataclass(frozen=True)
class Subject:
    """What the planner needs to know of an artifact.

    ``lengths_s`` are the only input lengths that a model without a free time axis takes, in seconds;
    empty where it takes any. ``scored`` says whether its outputs mean anything (it has a manifest that
    names them). ``runtimes`` are those that measure it.
    """

    key: str
    sha256: str
    preparation: tuple[dict[str, Any], ...] = ()
    lengths_s: tuple[float, ...] = ()
    scored: bool = True
    runtimes: tuple[str, ...] = ("onnxruntime",)

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
        )

    def lengths_of(self, suite: Suite) -> tuple[float, ...]:
        """The input lengths at which it is measured: the suite's, as far as it takes them.

        A model that takes none of the suite's is measured at all of its own.
        """
        if not self.lengths_s:
            return suite.input_s
        return tuple(s for s in suite.input_s if s in self.lengths_s) or self.lengths_s


@dataclass(frozen=True)
class PackedCorpus:
    """What the planner needs to know of a corpus: its name, its pack and how much audio is in it."""

    name: str
    sha256: str
    audio_s: float
    clips: int


@dataclass(frozen=True)
class Condition:
    """What is held fixed over the launches that are compared: one row of a report."""

    artifact: str
    artifact_sha256: str | None
    scenario: str
    input_s: float | None
    threads: int
    runtime: str
    corpus: str | None


@dataclass(frozen=True)
class Trial:
    """One launch of one condition; ``spec`` is what the agent is told.

    ``trace``: it runs under the runtime's profiler, and none of its times is a measurement.
    """

    id: str
    condition: Condition
    launch: int
    round: int
    estimate_s: float
    spec: dict[str, Any]
    trace: bool = False


@dataclass(frozen=True)
class Plan:
    """The trials of a run in the order in which they are measured."""

    trials: tuple[Trial, ...]

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

    def message(self, *, run_id: str, root: str, user: str, pythons: Mapping[str, str]) -> dict[str, Any]:
        """The plan as the agent reads it (see ``edgebench.agent.protocol``).

        ``pythons``: runtime -> its interpreter on the board. Trials of a runtime that is not among
        them are left out. The null runtime computes nothing and runs in the first interpreter.
        """
        everywhere = {NULL: next(iter(pythons.values())), **pythons}
        return {
            "protocol": PROTOCOL,
            "run_id": run_id,
            "root": root,
            "user": user,
            "telemetry_hz": 1.0,
            "trials": [
                {**trial.spec, "python": everywhere[trial.condition.runtime]}
                for trial in self.trials
                if trial.condition.runtime in everywhere
            ],
        }


def make_plan(
    suite: Suite, subjects: Sequence[Subject], corpora: Sequence[PackedCorpus], *, trace: bool = False
) -> Plan:
    """Lay out every launch of every condition of ``suite`` for these artifacts and corpora.

    ``trace`` adds, behind them all, one launch of each single-stream condition under the profiler of a
    runtime that has one.
    """
    groups = _groups(suite, subjects, corpora)
    shuffler = random.Random(suite.seed)  # noqa: S311 - an order, not a secret
    trials: list[Trial] = []
    for round_ in range(suite.launches):
        order = list(range(len(groups)))
        shuffler.shuffle(order)
        for index in order:
            group = groups[index] if round_ % 2 == 0 else groups[index][::-1]
            trials += [_trial(f"t{len(trials) + n:04d}", suite, m, round_) for n, m in enumerate(group)]
    if trace:
        # The clips of a corpus differ in length, and so do the times of their operators.
        traced = [
            member
            for group in groups
            for member in group
            if member[0].runtime in TRACED and member[0].scenario == "single_stream"
        ]
        trials += [
            _trial(f"t{len(trials) + n:04d}", suite, m, suite.launches, trace=True)
            for n, m in enumerate(traced)
        ]
    return Plan(tuple(trials))


_Member = tuple[Condition, Subject | None, PackedCorpus | None]


def _groups(
    suite: Suite, subjects: Sequence[Subject], corpora: Sequence[PackedCorpus]
) -> list[list[_Member]]:
    """Conditions that differ in artifact and runtime alone, together."""
    groups: list[list[_Member]] = []
    for threads in suite.threads:
        if "single_stream" in suite.scenarios:
            for input_s in sorted({length for s in subjects for length in s.lengths_of(suite)}):
                group: list[_Member] = [
                    (
                        _condition(
                            s, runtime, "single_stream", input_s=input_s, threads=threads, corpus=None
                        ),
                        s,
                        None,
                    )
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
                        _condition(s, runtime, "offline", input_s=None, threads=threads, corpus=corpus.name),
                        s,
                        corpus,
                    )
                    for s in subjects
                    if not s.lengths_s and s.scored
                    for runtime in s.runtimes
                ]
                groups.append(group)
    if suite.null_runtime:
        null = Condition(NULL, None, "single_stream", suite.input_s[0], suite.threads[0], NULL, None)
        groups.append([(null, None, None)])
    return [group for group in groups if group]


def _condition(
    subject: Subject, runtime: str, scenario: str, *, input_s: float | None, threads: int, corpus: str | None
) -> Condition:
    return Condition(subject.key, subject.sha256, scenario, input_s, threads, runtime, corpus)


def _trial(id_: str, suite: Suite, member: _Member, round_: int, *, trace: bool = False) -> Trial:
    condition, subject, corpus = member
    null = condition.runtime == NULL
    duration_s = 0.0 if null or trace else suite.duration_s / suite.launches
    min_count = -(-suite.min_count // suite.launches)
    warmup = suite.warmup.model_dump()
    if null:
        min_count = _NULL_COUNT
    if trace:  # a profile grows with every inference
        min_count, warmup = _TRACE_COUNT, {**warmup, "max_s": 1e-9}
    spec = {
        "id": id_,
        "runtime": condition.runtime,
        "artifact": condition.artifact_sha256,
        "scenario": condition.scenario,
        "input_s": condition.input_s,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "pack": corpus.sha256 if corpus else None,
        "threads": condition.threads,
        "pin": True,
        "session": suite.session.model_dump(),
        "trace": trace,
        "preparation": [dict(step) for step in subject.preparation] if subject else [],
        "warmup": warmup,
        "min_duration_s": duration_s,
        "min_count": min_count,
        "max_count": _NULL_COUNT if null else _MAX_COUNT,
        "timeout_s": suite.limits.trial_timeout_s + 4 * duration_s,
        "seed": suite.seed,
    }
    return Trial(id_, condition, round_, round_, _LAUNCH_S + duration_s, spec, trace)
