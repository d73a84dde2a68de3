"""Following a run on a board to its end: the one loop that reads its messages.

Once ``start`` has answered, the run goes on there without this process and without the link. A lost
link is taken up again from the last message heard, where the caller knows how to reach the board anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgebench.agent import protocol
from edgebench.errors import ConnectionFailed, DeviceError, Interrupted, MeasurementError, RunGone
from edgebench.harness import wire
from edgebench.harness.board import Board

# Seconds before each new attempt at a lost link; then the run is left to the board.
RETRY_S = (2.0, 5.0, 10.0, 20.0, 40.0)

# Beside the time limit of a launch: starting it, and importing the runtimes before the first one.
MARGIN_S = 900.0
# Heartbeats come every 5 s; this many a second, and some more at once after a pause, are too many.
_HEARTBEATS_HZ, _HEARTBEATS = 1.0, 100

Hear = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Ending:
    """How a run ended. ``monotonic_ns``: the board's clock at its last message; None for one that died."""

    status: Literal["complete", "cancelled", "failed"]
    message: str | None
    monotonic_ns: int | None


@dataclass(frozen=True)
class Expected:
    """What a board may say of a run.

    ``trials``: the ids of its plan. ``stall_s``: two messages of its journal are never further apart,
    since the board itself ends a launch that outruns its limit.
    """

    trials: frozenset[str]
    stall_s: float
    limits: wire.Limits = field(default_factory=wire.Limits)

    @classmethod
    def of_plan(cls, plan: Mapping[str, Any], *, audio_s: float = 0.0) -> Expected:
        """That of a plan as the agent reads it; ``audio_s``: the longest corpus of one launch."""
        longest_s = max((trial["timeout_s"] for trial in plan["trials"]), default=0.0)
        ids = frozenset(trial["id"] for trial in plan["trials"])
        cooling_s = (plan.get("conditioning") or {}).get("cool_limit_s") or 0.0
        return cls(ids, longest_s + cooling_s + MARGIN_S, wire.Limits.of_speech(audio_s))


def follow(
    board: Board,
    run_dir: str,
    hear: Hear,
    *,
    expected: Expected,
    seq: int = 0,
    again: Callable[[Board], Board] | None = None,
) -> tuple[Board, Ending]:
    """Give each message of a started run, from number ``seq`` on, to ``hear``; how the run ended.

    ``again`` reaches the board anew after a lost link; the board returned is the last one reached.
    Raises ConnectionFailed when the link is lost without ``again`` or stays down (the run goes on),
    RunGone when the board has no such run, MeasurementError when it says what cannot be, and what
    ``hear`` raises. Ctrl-C stops the run on the board and is raised on; where the board cannot be told,
    Interrupted says that the run goes on.
    """
    position = _Position(seq, expected)
    waits = iter(RETRY_S)
    try:
        while True:
            before = position.seq
            try:
                return board, position.read(board, run_dir, hear)
            except ConnectionFailed as error:
                if position.seq > before:
                    waits = iter(RETRY_S)  # the link had come back: this is another loss
                retry_s = next(waits, None) if again else None
                if again is None or retry_s is None:
                    raise
                board.events.warn(
                    f"link to {board.device.name} lost ({error}); trying again in {retry_s:.0f} s"
                )
                time.sleep(retry_s)
                board = again(board)
    except KeyboardInterrupt:
        _stop(board, run_dir, again)
        raise


def _stop(board: Board, run_dir: str, again: Callable[[Board], Board] | None) -> None:
    """Stop the run, over a new link where the old one is down. Raises Interrupted where that fails."""
    board.events.stage(f"stopping the run on {board.device.name}")
    try:
        try:
            board.cancel(run_dir)
        except ConnectionFailed:
            if again is None:
                raise
            again(board).cancel(run_dir)
    except (DeviceError, KeyboardInterrupt) as error:
        why = str(error) or "interrupted again"
        raise Interrupted(
            f"interrupted, but board {board.device.name!r} could not be told ({why}). The run goes on there "
            f"until its end, in {run_dir}."
        ) from None


class _Position:
    """Where in the journal of a run we are, and what may come next."""

    def __init__(self, seq: int, expected: Expected) -> None:
        self.seq = seq
        self._expected = expected
        self._ended: set[str] = set()

    def read(self, board: Board, run_dir: str, hear: Hear) -> Ending:
        """Hear messages until the run's end. Raises ConnectionFailed for a stream that ends before."""
        since_s, heartbeats = time.monotonic(), 0
        for message in board.follow(run_dir, self.seq, self._expected.limits):
            kind = message["kind"]
            if kind == protocol.LOST:
                return Ending("failed", message["message"], None)
            if kind == protocol.ERROR:
                raise _refusal(board, message)
            if kind in wire.JOURNAL:
                self._check(board, message)
                since_s, heartbeats = time.monotonic(), 0
            else:
                heartbeats += 1
            silent_s = time.monotonic() - since_s
            if silent_s > self._expected.stall_s or heartbeats > _HEARTBEATS + _HEARTBEATS_HZ * silent_s:
                raise MeasurementError(
                    f"board {board.device.name!r} has said nothing of its run for {silent_s:.0f} s but that "
                    f"it goes on ({heartbeats} times). A launch ends after {self._expected.stall_s:.0f} s at "
                    "most: what answers there is not the agent, or it hangs. Restart the board."
                )
            hear(message)
            if kind in wire.JOURNAL:
                self.seq = message["seq"] + 1
                if kind == protocol.TRIAL:
                    self._ended.add(message["id"])
            if kind == protocol.END:
                return Ending(message["status"], message["message"], message["monotonic_ns"])
        raise ConnectionFailed("the stream of messages ended before the run did")

    def _check(self, board: Board, message: Mapping[str, Any]) -> None:
        """Raise MeasurementError for a message out of turn, or of a launch that nobody planned."""
        problem = None
        if message["seq"] != self.seq:
            problem = f"message {message['seq']} in place of {self.seq}"
        elif message["kind"] in {protocol.TRIAL, protocol.TRIAL_BEGIN}:
            id_, origin = message["id"], message["repeat_of"]
            planned = self._expected.trials
            if (origin or id_) not in planned or (origin and (id_ in planned or not id_.startswith(origin))):
                problem = f"launch {id_}, which nobody planned"
            elif id_ in self._ended:
                problem = f"launch {id_} twice"
        if problem:
            raise MeasurementError(
                f"board {board.device.name!r}: the agent told of {problem}. What answers there is not the "
                "agent that was sent, or the board's storage is failing."
            )


def _refusal(board: Board, message: Mapping[str, Any]) -> DeviceError:
    """The agent's error in place of a journal."""
    name = board.device.name
    if message["code"] == "NO_RUN":
        return RunGone(
            f"board {name!r}: {message['message']}. Somebody removed the run's folder, or another board or "
            "account answers under this name."
        )
    return DeviceError(f"board {name!r}: following the run failed: {message['message']}")


def run_to_end(board: Board, plan: Mapping[str, Any], hear: Hear, *, audio_s: float = 0.0) -> Ending:
    """Start a run and follow it; nothing of it is left on the board, whatever happens.

    ``audio_s``: seconds of speech in the longest corpus of the plan. For runs that are not stored:
    whatever stops them cancels them. Raises as ``Board.start`` and ``follow`` do.
    """
    run_dir = board.run_dir(plan["run_id"])
    try:
        board.start(plan)
        _, ending = follow(board, run_dir, hear, expected=Expected.of_plan(plan, audio_s=audio_s))
    except BaseException:
        board.abandon(run_dir)
        raise
    board.clean(run_dir)
    return ending
