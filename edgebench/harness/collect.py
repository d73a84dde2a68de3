"""The journal of a run, from the board into the store.

Once ``start`` has answered, the run goes on there whatever becomes of this process or the link;
this merely reads along. A lost link is taken up again from the last message stored.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import psutil

from edgebench.agent import protocol
from edgebench.errors import ConnectionFailed, EdgebenchError, MeasurementError
from edgebench.harness.board import Board, open_board
from edgebench.harness.events import Events
from edgebench.results import (
    SCHEMA_VERSION,
    HostUse,
    Record,
    RunEnd,
    RunHeader,
    Store,
    TrialRecord,
    record_from,
)

EndStatus = Literal["complete", "cancelled", "failed"]

# Seconds before each new attempt at a lost link; then the run is left to the board.
_RETRY_S = (2.0, 5.0, 10.0, 20.0, 40.0)


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
) -> None:
    """Follow a started run to its end, storing each trial as it arrives.

    ``stored`` are the lines of the run that the store already holds. Raises ConnectionFailed when
    the link stays down (the run goes on, ``--resume`` collects it), MeasurementError when the run
    itself broke; KeyboardInterrupt cancels the run on the board first.
    """
    run_id = header.run_id
    reader = _Reader(header, store, events, usage, stored)
    run_dir = board.run_dir(run_id)
    events.stage(f"measuring on {board.target.name}")
    with ExitStack() as stack:
        for retry_s in (*_RETRY_S, None):
            try:
                if reader.read(board, run_dir):
                    break
                raise ConnectionFailed("the stream of messages ended before the run did")
            except ConnectionFailed as error:
                if retry_s is None:
                    raise ConnectionFailed(
                        f"board {board.target.name!r}: the link is down ({error}). The run goes on there "
                        f"and nothing is lost: collect it with `edgebench run --resume {run_id}`."
                    ) from None
                events.warn(f"link to {board.target.name} lost ({error}); trying again in {retry_s:.0f} s")
                time.sleep(retry_s)
                board = _reopen(board, stack, cache, events)
            except KeyboardInterrupt:
                board.cancel(run_dir)
                reader.finish("cancelled", "interrupted by the user")
                raise
        board.clean(run_dir)
    if reader.status != "complete":
        raise MeasurementError(
            f"run {run_id} on {board.target.name!r} ended early: {reader.message or reader.status}. "
            f"What was measured is kept: `edgebench report {run_id}`."
        )


def _reopen(board: Board, stack: ExitStack, cache: Path, events: Events) -> Board:
    """The same board over a new connection, or the old one while nothing answers."""
    try:
        return stack.enter_context(open_board(board.target, cache=cache, offline=True, events=events))
    except EdgebenchError as error:
        events.warn(str(error))
        return board


class _Reader:
    """Where in the journal we are, and what the run has come to."""

    def __init__(
        self,
        header: RunHeader,
        store: Store,
        events: Events,
        usage: HostUsage,
        stored: Sequence[Record],
    ) -> None:
        self.status: EndStatus = "failed"
        self.message: str | None = None
        self._header = header
        self._trials = {trial.id: trial for trial in header.trials}
        self._total_s = sum(trial.estimate_s for trial in header.trials)
        self._store = store
        self._events = events
        self._usage = usage
        self._begin_ns: int | None = None
        done = [line.trial for line in stored if isinstance(line, TrialRecord)]
        self._seq = max((trial.seq + 1 for trial in done), default=0)
        self._done_s = 0.0
        for trial in done:
            self._count(trial.id, trial.repeat_of)

    def read(self, board: Board, run_dir: str) -> bool:
        """Store messages until the run's end; False when the stream ends without one."""
        for message in board.follow(run_dir, self._seq):
            self._usage.sample()
            kind = message["kind"]
            if kind == protocol.LOST:
                self.finish("failed", message["message"])
                return True
            if "seq" in message:
                self._seq = message["seq"] + 1
            if kind == protocol.BEGIN:
                self._begin_ns = message["monotonic_ns"]
            elif kind == protocol.TRIAL_BEGIN and "repeat_of" in message:
                self._events.stage(f"repeating disturbed launches on {board.target.name}")
            elif kind == protocol.TRIAL:
                self._store_trial(message)
            elif kind == protocol.END:
                self.finish(message["status"], message.get("message"), end_ns=message["monotonic_ns"])
                return True
        return False

    def finish(self, status: EndStatus, message: str | None, *, end_ns: int | None = None) -> None:
        """Write the line that ends the run in the store."""
        self.status, self.message = status, message
        agent_wall_s = None
        if self._begin_ns is not None and end_ns is not None:
            agent_wall_s = (end_ns - self._begin_ns) / 1e9
        self._store.append(
            RunEnd(
                run_id=self._header.run_id,
                status=status,
                message=message,
                finished_wall_s=time.time(),
                host=self._usage.record(),
                agent_wall_s=agent_wall_s,
            )
        )

    def _store_trial(self, message: dict[str, Any]) -> None:
        planned = self._trials[message.get("repeat_of") or message["id"]]
        line = {
            "schema_version": SCHEMA_VERSION,
            "kind": "trial",
            "run_id": self._header.run_id,
            "condition": planned.condition.model_dump(),
            "launch": planned.launch,
            "round": planned.round,
            "trial": message,
        }
        self._store.append(record_from(line))
        self._count(message["id"], message.get("repeat_of"))
        self._events.advance(self._done_s, self._total_s, "s")
        if error := message["error"]:
            where = f"{planned.condition.artifact} {planned.condition.scenario}"
            self._events.warn(f"{where}: {error['code']}: {error['message']}")

    def _count(self, id_: str, repeat_of: str | None) -> None:
        """Add a launch to what is done; a repeat, which nobody planned, to what there is to do as well."""
        estimate_s = self._trials[repeat_of or id_].estimate_s
        self._done_s += estimate_s
        if repeat_of is not None:
            self._total_s += estimate_s
