"""The journal of a run, from the board into the store.

Once ``start`` has answered, the run goes on there without this process and without the link;
this reads along (see ``follow``) and stores each launch as it comes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from edgebench.agent import protocol
from edgebench.errors import (
    ConnectionFailed,
    DeviceError,
    EdgebenchError,
    Interrupted,
    MeasurementError,
    RunGone,
    StoreError,
)
from edgebench.harness import unfinished, wire
from edgebench.harness.board import Board, open_board
from edgebench.harness.events import Events
from edgebench.harness.follow import MARGIN_S, Ending, Expected, follow
from edgebench.harness.meter import Meter
from edgebench.results import (
    SCHEMA_VERSION,
    HostUse,
    LaunchRecord,
    Record,
    RunEnd,
    RunHeader,
    Store,
    record_from,
)

# The time limit of a launch in a run whose suite does not say.
_TRIAL_S = 3600.0


class HostUsage:
    """What the harness itself costs: wall and processor seconds of this process, and its memory."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._wall_s = time.monotonic()
        self._peak_rss_bytes = 0

    def sample(self) -> None:
        """Look at this process's memory; called once a message."""
        self._peak_rss_bytes = max(self._peak_rss_bytes, self._process.memory_info().rss)

    def record(self) -> HostUse:
        """The figures of the ``run_end`` line."""
        self.sample()
        cpu = self._process.cpu_times()
        return HostUse(
            wall_s=time.monotonic() - self._wall_s,
            cpu_s=cpu.user + cpu.system,
            peak_rss_bytes=self._peak_rss_bytes,
        )


def collect(
    board: Board,
    header: RunHeader,
    store: Store,
    *,
    cache: Path,
    events: Events,
    usage: HostUsage,
    stored: Sequence[Record] = (),
    part: int = 1,
    notes: Sequence[str] = (),
    meter: Meter | None = None,
) -> Ending:
    """Follow a started run to its end, storing each launch as it arrives; how it ended.

    ``stored`` are the lines of the run that the store already holds. A run that is taken up again is to
    the board a run of its own, a later ``part``; ``notes`` say what had changed by then. ``meter``: an
    external one, which is running.

    Raises ConnectionFailed when the link stays down (the run goes on, ``--resume`` collects it), RunGone,
    and StoreError where nothing can be written here; KeyboardInterrupt stops the run on the board first.
    """
    run_id = header.run_id
    run_dir = board.run_dir(unfinished.board_run_id(run_id, part))
    book = _Book(header, store, events, usage, stored, run_dir=run_dir, part=part, notes=notes, meter=meter)
    events.stage(f"measuring on {board.device.name}")
    with ExitStack() as stack:

        def reach(lost: Board) -> Board:
            book.board = _reopen(lost, stack, cache, events)
            return book.board

        book.board = board
        try:
            board, ending = follow(
                board, run_dir, book.hear, expected=_expected(header), seq=book.seq, again=reach
            )
        except ConnectionFailed as error:
            raise ConnectionFailed(
                f"board {board.device.name!r}: the link is down ({error}). The run goes on there "
                f"and nothing is lost: collect it with `edgebench run --resume {run_id}`."
            ) from None
        except StoreError as error:
            raise StoreError(
                f"{error} The run goes on on {board.device.name!r}: once there is room, collect it with "
                f"`edgebench run --resume {run_id}`."
            ) from None
        except Interrupted as error:
            raise Interrupted(f"{error} Collect it with `edgebench run --resume {run_id}`.") from None
        except RunGone as error:
            book.close(Ending("failed", str(error), None))
            raise
        except KeyboardInterrupt:
            _collect_rest(book, run_dir, _expected(header))
            book.close(Ending("cancelled", "interrupted by the user", None))
            _clean(book.board, run_dir)
            raise
        book.close(ending)
        _clean(board, run_dir)
    return ending


def ended_early(run_id: str, device: str, ending: Ending) -> MeasurementError:
    """The error of a run that the board did not bring to its end."""
    why = ending.message or ending.status
    if "No space left on device" in why:
        why = f"the board's disk is full. Make room there first. ({why[-300:]})"
    return MeasurementError(
        f"run {run_id} on {device!r} ended early: {why}. What was measured is kept "
        f"(`edgebench report {run_id}`); `edgebench run --resume {run_id}` measures the rest."
    )


def _collect_rest(book: _Book, run_dir: str, expected: Expected) -> None:
    """Store what the board had measured when its run was stopped, and nobody had read yet."""
    try:
        follow(book.board, run_dir, book.hear, expected=expected, seq=book.seq)
    except EdgebenchError as error:
        book.board.events.warn(str(error))


def _clean(board: Board, run_dir: str) -> None:
    """Remove the run's folder on the board. Everything in it is stored here: it may as well stay."""
    try:
        board.clean(run_dir)
    except DeviceError as error:
        board.events.warn(f"everything is stored, but {run_dir} is left on {board.device.name} ({error})")


def _expected(header: RunHeader) -> Expected:
    """What the board may say of this run. The suite as it is stored has the time limit of a launch."""
    longest_s = max((trial.estimate_s for trial in header.trials), default=0.0)
    limits = header.suite.get("limits")
    limit_s = limits.get("trial_timeout_s") if isinstance(limits, dict) else None
    stall_s = (limit_s if isinstance(limit_s, int | float) else _TRIAL_S) + 4 * longest_s + MARGIN_S
    if header.conditioning is not None:  # a launch may wait for the board to cool
        stall_s += header.conditioning.cool_limit_s or 0.0
    audio_s = max((corpus.audio_s for corpus in header.corpora), default=0.0)
    return Expected(frozenset(trial.id for trial in header.trials), stall_s, wire.Limits.of_speech(audio_s))


def _reopen(board: Board, stack: ExitStack, cache: Path, events: Events) -> Board:
    """The same board over a new connection, or the old one while nothing answers."""
    try:
        # A run that goes on needs its agent only: its environments are in its plan.
        opened = open_board(board.device, runtimes=(), cache=cache, offline=True, events=events)
        return stack.enter_context(opened)
    except EdgebenchError as error:
        events.warn(str(error))
        return board


def _stamps(message: Mapping[str, Any]) -> list[int]:
    """The board's clock in a message: when it was written and, of a launch, when that began."""
    found = [
        message.get("monotonic_ns"),
        ((message.get("telemetry") or {}).get("before") or {}).get("monotonic_ns"),
    ]
    return [stamp for stamp in found if isinstance(stamp, int)]


class _Book:
    """The messages of one run on their way into the store. ``board`` is where files are fetched from."""

    board: Board

    def __init__(
        self,
        header: RunHeader,
        store: Store,
        events: Events,
        usage: HostUsage,
        stored: Sequence[Record],
        *,
        run_dir: str,
        part: int,
        notes: Sequence[str],
        meter: Meter | None,
    ) -> None:
        self._header = header
        self._trials = {trial.id: trial for trial in header.trials}
        broken = {name for name, facts in header.device.fingerprint.runtimes.items() if facts.error}
        self._total_s = sum(
            trial.estimate_s for trial in header.trials if trial.condition.runtime not in broken
        )
        self._store = store
        self._events = events
        self._usage = usage
        self._meter, self._meter_told = meter, False
        self._run_dir, self._part, self._notes = run_dir, part, tuple(notes)
        lines = [line for line in stored if isinstance(line, LaunchRecord)]
        of_part = [line for line in lines if line.trial.part == part]
        self.seq = max((line.trial.seq + 1 for line in of_part), default=0)
        self._stamps = [stamp for line in of_part for stamp in _stamps(line.trial.model_dump())]
        self._stored = set(unfinished.done(stored))
        self._done_s = 0.0
        for line in lines:
            if not unfinished.was_cancelled(line):
                self._count(line.trial.id, line.trial.repeat_of)

    def hear(self, message: dict[str, Any]) -> None:
        """Store what is worth it."""
        self._usage.sample()
        self._stamps += _stamps(message)
        if message["kind"] in wire.JOURNAL:
            self.seq = message["seq"] + 1
        self._hear_for_meter(message)
        if message["kind"] == protocol.TRIAL_BEGIN and message["repeat_of"]:
            self._events.stage(f"repeating disturbed launches on {self.board.device.name}")
        elif message["kind"] == protocol.TRIAL:
            self._store_trial(message)

    def close(self, ending: Ending) -> None:
        """Write the line that ends the run in the store."""
        agent_wall_s = (max(self._stamps) - min(self._stamps)) / 1e9 if self._stamps else None
        self._store.append(
            RunEnd(
                run_id=self._header.run_id,
                status=ending.status,
                message=ending.message,
                finished_wall_s=time.time(),
                host=self._usage.record(),
                agent_wall_s=agent_wall_s,
                notes=self._notes,
            )
        )

    def _store_trial(self, message: dict[str, Any]) -> None:
        if message["id"] in self._stored:
            return  # never twice
        if (message["error"] or {}).get("code") == protocol.CANCELLED_BY_HOST:
            return  # stopped with its run: it says nothing of the model, and is measured again
        planned = self._trials[message["repeat_of"] or message["id"]]
        line = {
            "schema_version": SCHEMA_VERSION,
            "kind": "trial",
            "run_id": self._header.run_id,
            "condition": planned.condition.model_dump(),
            "launch": planned.launch,
            "round": planned.round,
            "trial": {**message, "part": self._part, "meter": self._metered(message)},
        }
        if planned.energy:
            line["kind"] = "energy"
        if planned.trace:
            line["kind"] = "trace"
            line["file"], line["message"] = self._fetch_trace(message)
        self._store.append(record_from(line))
        self._stored.add(message["id"])
        self._count(message["id"], message["repeat_of"])
        self._events.advance(self._done_s, self._total_s, "s")
        if error := message["error"]:
            where = f"{planned.condition.artifact} {planned.condition.scenario}"
            self._events.warn(f"{where}: {error['code']}: {error['message']}")

    def _hear_for_meter(self, message: dict[str, Any]) -> None:
        if self._meter is None:
            return
        self._meter.hear(message)
        if message["kind"] == protocol.TRIAL_BEGIN:
            self._meter.forget(message["monotonic_ns"])
        if self._meter.problem is not None and not self._meter_told:
            self._meter_told = True
            self._events.warn(f"{self._meter.problem}: launches from here on have no energy")

    def _metered(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """What the external meter said around a launch; None where it has nothing to do with it."""
        program, power = self._header.meter, message["power"]
        if program is None or power is None:
            return None
        if self._meter is None:
            return {"program": program, "reason": "the run was taken up again, without its meter"}
        ends = [end for stretch in power["idle_ns"] for end in stretch]
        window = message["window"] or {}
        ends += [end for end in (window.get("begun_ns"), window.get("ended_ns")) if end is not None]
        if not ends:
            return {"program": program, "reason": "the launch did not run"}
        return self._meter.take(min(ends), max(ends))

    def _fetch_trace(self, message: dict[str, Any]) -> tuple[dict[str, Any] | None, str | None]:
        """The trace of a launch, brought into the store's folder; or why there is none."""
        facts = message["trace"]
        if facts is None:
            return None, "the launch left no trace"
        run_id = self._header.run_id
        path = Path("traces") / run_id / f"{message['id']}.json"
        try:
            self.board.fetch(self._run_dir, facts, self._store.path / path)
        except ConnectionFailed:
            raise  # the link is taken up again, and this launch with it
        except DeviceError as error:
            self._events.warn(str(error))
            return None, str(error)
        return {"path": str(path), "size_bytes": facts["size_bytes"], "sha256": facts["sha256"]}, None

    def _count(self, id_: str, repeat_of: str | None) -> None:
        """Add a launch to what is done; a repeat, which nobody planned, to what there is to do as well."""
        estimate_s = self._trials[repeat_of or id_].estimate_s
        self._done_s += estimate_s
        if repeat_of is not None:
            self._total_s += estimate_s
