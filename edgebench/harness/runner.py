"""A run, start to end: what to measure, on what, and every message of the board into the store.

The order is chosen so that nothing is touched in vain: files are read first, then predicted once
on the host (whose runtime refuses a bad model), then the board is looked at, and only then is
anything sent or measured.
"""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench import __version__
from edgebench.agent.runtimes.table import RUNTIMES, TRACED
from edgebench.corpora import Where
from edgebench.errors import ConnectionFailed, Interrupted, UsageError
from edgebench.harness import precision, unfinished
from edgebench.harness.board import Board, open_board, start_run
from edgebench.harness.checks.preflight import check_models, start_limit_c, usable_runtimes
from edgebench.harness.checks.provenance import commit
from edgebench.harness.collect import HostUsage, collect, ended_early
from edgebench.harness.events import Events
from edgebench.harness.facts import artifact_facts
from edgebench.harness.host.reference import host_reference, reference_artifacts
from edgebench.harness.meter import Meter
from edgebench.harness.meter import check as check_meter
from edgebench.harness.plan import Plan, Subject, make_plan
from edgebench.harness.speech import HeldOut, prepare_corpus
from edgebench.harness.suite import Suite
from edgebench.harness.unfinished import Unfinished
from edgebench.models import load_artifact, load_artifacts, packaged_artifacts
from edgebench.results import (
    ConditioningFacts,
    DeploymentFacts,
    DeviceFacts,
    Fingerprint,
    Requirements,
    RunHeader,
    Store,
    new_run_id,
    record_from,
)

if TYPE_CHECKING:
    from edgebench.devices import Device
    from edgebench.models import Artifact


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    ``models`` are packaged keys or paths; ``corpora`` maps a corpus to where it lies, None for the
    synthetic one; ``host`` is what ``--host`` said, kept so that a resumed run finds the board;
    ``trace`` adds launches under the runtime's profiler, which are no measurements; ``wait``: for a board
    that is busy, instead of giving up.
    """

    device: Device
    host: str | None
    suite: Suite
    models: Sequence[str]
    corpora: Mapping[str, Where | None]
    include_seen: bool
    offline: bool
    cache: Path
    command: Sequence[str]
    trace: bool = False
    wait: bool = False


@dataclass(frozen=True)
class Prepared:
    """A request whose files have been read and found good; nothing has been sent yet."""

    artifacts: list[Artifact]
    subjects: list[Subject]
    corpora: list[HeldOut]
    plan: Plan


def prepare(request: Request, events: Events) -> Prepared:
    """Read models and corpora and lay out the plan. Raises ModelError, CorpusError."""
    artifacts = load_artifacts(request.models)
    corpora = []
    if "offline" in request.suite.scenarios and any(artifact.manifest for artifact in artifacts):
        for name, where in request.corpora.items():
            corpora.append(
                prepare_corpus(
                    name,
                    where,
                    artifacts,
                    include_seen=request.include_seen,
                    cache=request.cache / "packs",
                    events=events,
                )
            )
    subjects = [Subject.of(artifact, request.suite.runtimes) for artifact in artifacts]
    plan = make_plan(
        request.suite,
        subjects,
        [corpus.packed for corpus in corpora],
        device=request.device.name,
        trace=request.trace,
    )
    _require_use(request, plan, events)
    return Prepared(artifacts, subjects, corpora, plan)


def _require_use(request: Request, plan: Plan, events: Events) -> None:
    """Say which runtimes have no trace. Raises UsageError for a runtime that has nothing to run."""
    for name in request.suite.runtimes:
        if name not in plan.runtimes:
            raise UsageError(
                f"runtime {name!r} was asked for, and none of the models is a file that it loads "
                f"({', '.join(RUNTIMES[name])}). Leave it out, or add such a model."
            )
    untraced = [name for name in plan.runtimes if name not in TRACED]
    if request.trace and untraced:
        events.warn(f"no trace from {', '.join(untraced)}: only {', '.join(TRACED)} can write one")


def _say_what_is_too_wide(plan: Plan, request: Request, store: Store, events: Events) -> None:
    """Say which ratios the run will hardly be able to tell from 1, and how many launches would do."""
    scatter = precision.scatter_of(store, request.device.name)
    wide = [one for one in precision.outlooks(plan, scatter) if one.needed is not None]
    for sentence in precision.sentences(wide, scatter):
        events.warn(sentence)


def run(request: Request, store: Store, events: Events) -> str:
    """Measure what was asked for and store it. Returns the run's id.

    Raises EdgebenchError; what was measured until then is in the store.
    """
    if request.device.meter:
        check_meter(request.device.meter)
    usage = HostUsage()
    prepared = prepare(request, events)
    _say_what_is_too_wide(prepared.plan, request, store, events)
    known = [load_artifact(key) for key in packaged_artifacts()]
    parents = reference_artifacts(prepared.artifacts, known)
    references = host_reference(
        request.suite,
        prepared.artifacts,
        parents,
        [corpus.packed for corpus in prepared.corpora],
        cache=request.cache,
        events=events,
    )
    with open_board(
        request.device,
        runtimes=prepared.plan.runtimes,
        cache=request.cache,
        offline=request.offline,
        events=events,
        to_measure=True,
    ) as board:
        fingerprint = board.fingerprint()
        prepared = _powered(request, prepared, fingerprint, events)
        usable = usable_runtimes(fingerprint, request.device.name)
        check_models(prepared.artifacts, fingerprint, request.device.name)
        events.stage(f"sending models and speech to {request.device.name}")
        files = {artifact.sha256: artifact.path for artifact in prepared.artifacts}
        files |= {corpus.packed.sha256: corpus.packed.path for corpus in prepared.corpora}
        report = board.send(files)
        run_id = new_run_id()
        deployment = DeploymentFacts(
            bytes_sent=report.bytes_sent + board.agent_bytes,
            files_sent=report.files_sent,
            files_present=report.files_present,
        )
        header = _header(run_id, request, prepared, board, fingerprint=fingerprint, deployment=deployment)
        wanted = request.device.conditioning
        plan = prepared.plan.message(
            run_id=run_id,
            root=board.facts.root,
            user=getpass.getuser(),
            pythons={name: board.pythons[name] for name in usable},
            conditioning=None if wanted is None else wanted.model_dump(),
        )
        begin = [record_from({"run_id": run_id, **line}) for line in references]
        kept = Unfinished(
            plan=plan,
            files={sha256: str(Path(path).resolve()) for sha256, path in files.items()},
            lines=[line.model_dump(mode="json") for line in (header, *begin)],
            offline=request.offline,
        )
        with unfinished.collecting(store, run_id), ExitStack() as stack:
            kept.save(store)
            meter = _start_meter(
                header.meter, request.device, stack=stack, kept=kept, store=store, events=events
            )
            _start(board, plan, kept, store, wait=request.wait)
            events.started(run_id)
            ending = collect(
                board,
                header,
                store,
                cache=request.cache,
                events=events,
                usage=usage,
                stored=[header, *begin],
                meter=meter,
            )
            if ending.status != "complete":
                raise ended_early(run_id, request.device.name, ending)
            kept.remove(store)
    return run_id


def _powered(
    request: Request, prepared: Prepared, fingerprint: Mapping[str, Any], events: Events
) -> Prepared:
    """Without launches for energy, where neither the board nor a meter tells its power: that is said."""
    power = fingerprint.get("power") or {}
    if request.suite.energy is None or request.device.meter or power.get("source"):
        return prepared
    reason = power.get("reason") or "the board does not tell its power"
    events.warn(f"no energy is measured: {reason}. Name a meter with --meter")
    return replace(prepared, plan=prepared.plan.without_energy())


def _start_meter(
    argv: tuple[str, ...] | None,
    device: Device,
    *,
    stack: ExitStack,
    kept: Unfinished,
    store: Store,
    events: Events,
) -> Meter | None:
    """The external meter of a run, where it has one; ended with ``stack``."""
    if argv is None:
        return None
    try:
        meter = stack.enter_context(Meter(argv, same_clock=device.is_local))
    except UsageError:
        kept.remove(store)
        raise
    events.stage("waiting for the meter's first reading")
    if problem := meter.wait_first():
        events.warn(f"no energy is measured: {problem}")
    return meter


def _start(board: Board, plan: dict[str, Any], kept: Unfinished, store: Store, *, wait: bool) -> None:
    """Start the run and store the lines that begin it; of a run that cannot be started nothing is left.

    Where the link is lost meanwhile the run may have begun: it stays known, and collecting it finds out.
    """
    run_id = plan["run_id"]
    try:
        try:
            start_run(board, plan, wait=wait)
        except ConnectionFailed as error:
            board.events.warn(f"{error} The run may have begun.")
        for line in kept.lines:
            store.append(record_from(line))
    except BaseException as error:  # Ctrl-C too
        if board.abandon(board.run_dir(run_id)):
            kept.remove(store)
        elif isinstance(error, KeyboardInterrupt):
            raise Interrupted(
                f"interrupted, but board {board.device.name!r} could not be told. The run may go on there: "
                f"collect it with `edgebench run --resume {run_id}`."
            ) from None
        raise


def _header(
    run_id: str,
    request: Request,
    prepared: Prepared,
    board: Board,
    *,
    fingerprint: dict[str, Any],
    deployment: DeploymentFacts,
) -> RunHeader:
    """The ``run`` line of the store: everything that the figures of the run depend on."""
    suite, device = request.suite, request.device
    board_facts = Fingerprint.model_validate_json(json.dumps(fingerprint))
    return RunHeader(
        run_id=run_id,
        started_wall_s=time.time(),
        command=tuple(request.command),
        harness_version=__version__,
        harness_commit=commit(),
        suite=suite.model_dump(mode="json"),
        suite_sha256=suite.sha256(),
        seed=suite.seed,
        device=DeviceFacts(
            name=device.name,
            profile=device.profile_name,
            host=request.host,
            address=board.connection.address,
            fingerprint=board_facts,
            environments={name: dict(env.versions) for name, env in board.environments.items()},
            emulated=board.facts.emulated,
            of_profile=device.profile is None or device.profile.describes(board_facts.compatible),
        ),
        artifacts=tuple(
            artifact_facts(artifact, _lengths(artifact, prepared.plan)) for artifact in prepared.artifacts
        ),
        corpora=tuple(corpus.facts for corpus in prepared.corpora),
        requirements=Requirements(
            min_duration_s=suite.duration_s,
            min_count=suite.min_count,
            launches=suite.launches,
            sustained_s=suite.sustained.duration_s if suite.sustained else None,
            max_start_temperature_c=start_limit_c(device, board_facts),
        ),
        deployment=deployment,
        conditioning=(ConditioningFacts(**device.conditioning.model_dump()) if device.conditioning else None),
        meter=device.meter if device.meter and prepared.plan.reads_power else None,
        trials=tuple(trial.record() for trial in prepared.plan.trials),
    )


def _lengths(artifact: Artifact, plan: Plan) -> list[float]:
    """The input lengths in seconds at which the plan measures an artifact."""
    own = [condition for condition in plan.conditions if condition.artifact_sha256 == artifact.sha256]
    return sorted({condition.input_s for condition in own if condition.input_s is not None})
