"""Taking a run up again: what its board measured alone is collected, what is missing is measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgebench.agent.protocol import PROTOCOL
from edgebench.devices import resolve_device
from edgebench.errors import ConnectionFailed, DeviceError, ModelError, RunGone, UsageError
from edgebench.files import sha256_of
from edgebench.harness import unfinished
from edgebench.harness.board import Board, open_board, start_run
from edgebench.harness.collect import HostUsage, collect, ended_early
from edgebench.harness.events import Events
from edgebench.harness.follow import Ending
from edgebench.harness.plan import DEFAULT_RUNTIME, NULL
from edgebench.harness.unfinished import Unfinished
from edgebench.results import Fingerprint, Record, RunEnd, RunHeader, Store, TrialRecord
from edgebench.results.likeness import differences, may_differ, must_match


def resume(
    run_id: str, store: Store, *, cache: Path, inventory: Path | None, events: Events, wait: bool = False
) -> str:
    """Bring a run to its end: collect what went on alone, then measure what is missing. Returns its id.

    ``wait``: for a board on which somebody else measures, instead of giving up.

    Raises UsageError where the run is over or another process collects it, DeviceError where another
    board answers or its runtime has changed, and what ``collect`` raises.
    """
    lines = unfinished.restore_lines(store, run_id)
    header = next(line for line in lines if isinstance(line, RunHeader))
    with unfinished.collecting(store, header.run_id):
        # Only now nobody else stores launches of this run.
        lines = store.run(header.run_id)
        run = _Resumed(header, store, cache, events)
        run.check_open(lines)
        device = resolve_device(header.device.name, host=header.device.host, inventory=inventory)
        ending = Ending("failed", "the part before had ended", None)
        if not run.part_ended(lines):
            with open_board(device, runtimes=(), cache=cache, offline=True, events=events) as board:
                ending = run.collect_part(board, lines)
        if run.missing():
            if run.kept is None:
                raise ended_early(header.run_id, device.name, ending)
            with open_board(
                device, runtimes=run.runtimes, cache=cache, offline=run.kept.offline, events=events
            ) as board:
                ending = run.measure_rest(board, wait=wait)
        if run.missing() or ending.status != "complete":
            raise ended_early(header.run_id, device.name, ending)
        if run.kept is not None:
            run.kept.remove(store)
    return header.run_id


class _Resumed:
    """One run being finished. ``kept`` is None for a run of an older edgebench: it can be collected only."""

    def __init__(self, header: RunHeader, store: Store, cache: Path, events: Events) -> None:
        self.header, self.store, self.cache, self.events = header, store, cache, events
        self.usage = HostUsage()
        self.kept: Unfinished | None = unfinished.load(store, header.run_id)

    @property
    def runtimes(self) -> list[str]:
        """What the missing launches need on the board."""
        assert self.kept is not None
        wanted = set(self.missing())
        names = [trial["runtime"] for trial in self.kept.plan["trials"] if trial["id"] in wanted]
        return list(dict.fromkeys(name for name in names if name != NULL)) or [DEFAULT_RUNTIME]

    def missing(self) -> list[str]:
        """Planned launches that the store does not hold."""
        return unfinished.missing(self.header, self.kept, self.store.run(self.header.run_id))

    def check_open(self, lines: Sequence[Record]) -> None:
        """Raise UsageError for a run that is over."""
        ends = [line for line in lines if isinstance(line, RunEnd)]
        if not ends or (self.kept is not None and self.missing()):
            return
        run_id = self.header.run_id
        if ends[-1].status == "complete" or self.kept is not None:
            raise UsageError(f"run {run_id}: already collected; see `edgebench report {run_id}`.")
        raise UsageError(
            f"run {run_id} ended early, and an edgebench that kept no plan began it: it cannot be "
            f"finished. See `edgebench report {run_id}`, or measure again."
        )

    def part_ended(self, lines: Sequence[Record]) -> bool:
        """Whether the present part is over: each part ends with a line of its own."""
        ends = sum(isinstance(line, RunEnd) for line in lines)
        return ends >= (self.kept.part if self.kept else 1)

    def collect_part(self, board: Board, lines: Sequence[Record]) -> Ending:
        """Collect the part that the board began; ``failed`` where it has nothing of it."""
        self._check_board(board)
        try:
            return self._collect(board, lines, self.kept, notes=())
        except RunGone as error:
            self.events.warn(str(error))
            return Ending("failed", str(error), None)

    def measure_rest(self, board: Board, *, wait: bool) -> Ending:
        """Measure what is missing, as a part of its own."""
        assert self.kept is not None
        self._check_board(board)
        notes = self._check_runtimes(board)
        if (spoken := self.kept.plan["protocol"]) != PROTOCOL:
            raise UsageError(
                f"run {self.header.run_id} was begun by an edgebench of protocol {spoken}, and "
                f" this one speaks {PROTOCOL}: finish it with that one, or measure again."
            )
        lines, ids = self.store.run(self.header.run_id), self.missing()
        self.events.stage(f"sending models and speech to {board.device.name}")
        board.send(self._files())
        repeats = sum(isinstance(line, TrialRecord) and line.trial.repeat_of is not None for line in lines)
        before, part = self.kept, self.kept.next_part()
        plan = part.rest(ids, repeats=repeats, pythons=board.pythons, root=board.facts.root)
        part.save(self.store)
        try:
            start_run(board, plan, wait=wait)
        except ConnectionFailed as error:
            self.events.warn(f"{error} The run may have begun.")
        except (DeviceError, KeyboardInterrupt):
            if board.abandon(board.run_dir(plan["run_id"])):
                before.save(self.store)
            raise
        self.kept = part
        self.events.stage(f"measuring {len(ids)} launches that are missing")
        return self._collect(board, lines, part, notes=notes)

    def _collect(
        self, board: Board, lines: Sequence[Record], part: Unfinished | None, *, notes: Sequence[str]
    ) -> Ending:
        return collect(
            board,
            self.header,
            self.store,
            cache=self.cache,
            events=self.events,
            usage=self.usage,
            stored=lines,
            part=part.part if part else 1,
            notes=notes,
        )

    def _files(self) -> dict[str, Path]:
        """The models and corpora of the plan. Raises ModelError for one that is not what was measured."""
        assert self.kept is not None
        files = {sha256: Path(path) for sha256, path in self.kept.files.items()}
        for sha256, path in files.items():
            if not path.is_file() or sha256_of(path) != sha256:
                raise ModelError(
                    f"run {self.header.run_id} measured {path}, which is gone or has changed since. "
                    f"Put the file of sha256 {sha256[:12]}... back there, or measure again."
                )
        return files

    def _check_board(self, board: Board) -> None:
        """Raise DeviceError where another board than the run's answers."""
        told = board.fingerprint()
        found = Fingerprint.model_validate({**told, "runtimes": {}}, strict=False)
        then = self.header.device.fingerprint
        names = ("machine", "model", "cpu_model", "cpu_count", "board_sha256", "hostname_sha256")
        differ = [name for name in names if getattr(found, name, None) != getattr(then, name, None)]
        if differ:
            raise DeviceError(
                f"run {self.header.run_id} was begun on another board than the one that answers as "
                f"{board.device.name!r} ({board.connection.address}): {', '.join(differ)} differ. "
                "Give that board its address back, in the inventory or with HostName in your ssh config."
            )

    def _check_runtimes(self, board: Board) -> list[str]:
        """What has changed since the run began, in sentences. Raises DeviceError for what must not."""
        told = board.fingerprint()
        now = Fingerprint.model_validate(told, strict=False)
        then = self.header.device.fingerprint
        kept = {name: facts for name, facts in then.runtimes.items() if name in now.runtimes}
        device = self.header.device
        before = device.model_copy(update={"fingerprint": then.model_copy(update={"runtimes": kept})})
        after = device.model_copy(update={"fingerprint": now})
        old, new = (self.header.model_copy(update={"device": facts}) for facts in (before, after))
        if found := differences(must_match(old), must_match(new)):
            raise DeviceError(
                f"run {self.header.run_id} cannot be finished on {board.device.name!r} as it is now: "
                f"{'; '.join(found)}. Launches of both must not be mixed: put it back, or measure again."
            )
        notes = differences(may_differ(old), may_differ(new))
        for note in notes:
            self.events.warn(f"{board.device.name} has changed since the run began: {note}")
        return notes
