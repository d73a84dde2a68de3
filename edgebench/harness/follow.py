"""Following a run on a board to its end: the one loop that reads its messages.

Once ``start`` has answered, the run goes on there without this process and without the link. A lost
link is taken up again from the last message heard, where the caller knows how to reach the board anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edgebench.agent import protocol
from edgebench.errors import ConnectionFailed
from edgebench.harness.board import Board

# Seconds before each new attempt at a lost link; then the run is left to the board.
RETRY_S = (2.0, 5.0, 10.0, 20.0, 40.0)

Hear = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Ending:
    """How a run ended. ``monotonic_ns``: the board's clock at its last message; None for one that died."""

    status: Literal["complete", "cancelled", "failed"]
    message: str | None
    monotonic_ns: int | None


def follow(
    board: Board, run_dir: str, hear: Hear, *, seq: int = 0, again: Callable[[Board], Board] | None = None
) -> tuple[Board, Ending]:
    """Give each message of a started run, from number ``seq`` on, to ``hear``; how the run ended.

    ``again`` reaches the board anew after a lost link; the board returned is the last one reached.
    Raises ConnectionFailed when the link is lost without ``again`` or stays down (the run goes on) and
    what ``hear`` raises. Ctrl-C cancels the run on the board and is raised on.
    """
    position = _Position(seq)
    waits = iter(RETRY_S if again else ())
    while True:
        try:
            return board, position.read(board, run_dir, hear)
        except ConnectionFailed as error:
            retry_s = next(waits, None)
            if again is None or retry_s is None:
                raise
            board.events.warn(f"link to {board.device.name} lost ({error}); trying again in {retry_s:.0f} s")
            time.sleep(retry_s)
            board = again(board)
        except KeyboardInterrupt:
            board.cancel(run_dir)
            raise


class _Position:
    """Where in the journal of a run we are."""

    def __init__(self, seq: int) -> None:
        self._seq = seq

    def read(self, board: Board, run_dir: str, hear: Hear) -> Ending:
        """Hear messages until the run's end. Raises ConnectionFailed for a stream that ends before."""
        for message in board.follow(run_dir, self._seq):
            if message["kind"] == protocol.LOST:
                return Ending("failed", message["message"], None)
            hear(message)
            if "seq" in message:
                self._seq = message["seq"] + 1
            if message["kind"] == protocol.END:
                return Ending(message["status"], message.get("message"), message["monotonic_ns"])
        raise ConnectionFailed("the stream of messages ended before the run did")


def run_to_end(board: Board, plan: Mapping[str, Any], hear: Hear) -> Ending:
    """Start a run and follow it; nothing of it is left on the board, whatever happens.

    For runs that are not stored: whatever stops them cancels them. Raises as ``Board.start`` and
    ``follow`` do.
    """
    run_dir = board.run_dir(plan["run_id"])
    try:
        board.start(plan)
        _, ending = follow(board, run_dir, hear)
    except BaseException:
        board.abandon(run_dir)
        raise
    board.clean(run_dir)
    return ending
