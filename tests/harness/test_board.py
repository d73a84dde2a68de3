"""A board and what runs on it: this machine, with everything of edgebench in a folder of the test."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from support.speech_models import small_model

from edgebench.devices import probe_board, resolve_device
from edgebench.errors import BoardUnfit, ConnectionFailed, DeviceBusy, Interrupted
from edgebench.harness import board as board_module
from edgebench.harness.board import Board, open_board, start_run
from edgebench.harness.events import Silent
from edgebench.harness.follow import Expected, follow, run_to_end
from edgebench.harness.plan import Subject, make_plan
from edgebench.harness.suite import Suite
from edgebench.models import load_artifact

LONG = Suite(name="long", scenarios=("single_stream",), input_s=(1.0,), launches=1, min_duration_s=60.0)
SHORT = LONG.model_copy(update={"min_duration_s": 0.1, "null_runtime": False})


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "host"


@pytest.fixture
def board(cache: Path) -> Iterator[Board]:
    with open_board(resolve_device("local"), cache=cache, offline=False, events=Silent()) as opened:
        yield opened


def message_of(board: Board, tmp_path: Path, suite: Suite) -> dict[str, Any]:
    artifact = load_artifact(small_model(tmp_path / "small.onnx"))
    board.send({artifact.sha256: artifact.path})
    plan = make_plan(suite, [Subject.of(artifact)], [], device="local")
    return plan.message(run_id="R1", root=board.facts.root, user="tester", pythons=board.pythons)


def processes_of(board: Board) -> list[psutil.Process]:
    """What still runs of the agent on this board."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(board.facts.root in word for word in process.info["cmdline"] or []):
            found.append(process)
    return found


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_who_stops_listening_stops_the_run(
    board: Board, tmp_path: Path, interruption: type[BaseException]
) -> None:
    """As Ctrl-C does in `edgebench doctor`: no process, no folder, and the board is free."""

    def hear(message: dict[str, Any]) -> None:
        if message["kind"] == "trial_begin":
            raise interruption

    with pytest.raises(interruption):
        run_to_end(board, message_of(board, tmp_path, LONG), hear)
    assert processes_of(board) == []
    assert not Path(board.run_dir("R1")).exists()
    ending = run_to_end(board, message_of(board, tmp_path, SHORT), lambda message: None)
    assert ending.status == "complete"


def test_a_link_that_drops_is_taken_up_where_it_was_lost(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cuts = Board.follow, iter([2, 1])

    def cut(self: Board, run_dir: str, seq: int, limits: Any) -> Iterator[dict[str, Any]]:
        limit = next(cuts, None)
        for number, message in enumerate(whole(self, run_dir, seq, limits)):
            if number == limit:
                raise ConnectionFailed("cut")
            yield message

    monkeypatch.setattr(Board, "follow", cut)
    monkeypatch.setattr("edgebench.harness.follow.RETRY_S", (0.0, 0.0))
    heard: list[dict[str, Any]] = []
    plan = message_of(board, tmp_path, SHORT)
    expected = Expected.of_plan(plan)
    run_dir = board.start(plan)
    _, ending = follow(board, run_dir, heard.append, expected=expected, again=lambda lost: lost)
    assert ending.status == "complete"
    assert [message["seq"] for message in heard if "seq" in message] == [0, 1, 2, 3]

    with pytest.raises(ConnectionFailed):
        cuts = iter([0])
        follow(board, run_dir, heard.append, expected=expected)


def test_a_python_too_old_for_one_runtime_leaves_the_other(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiteRT has no wheel for Python 3.8, the Python of JetPack 5."""

    def probe(connection: Any, **options: Any) -> Any:
        return dataclasses.replace(probe_board(connection, **options), python_version=(3, 8, 18))

    monkeypatch.setattr(board_module, "probe_board", probe)
    local, events = resolve_device("local"), Silent()
    both = ("onnxruntime", "litert")
    with open_board(local, runtimes=both, cache=cache, offline=False, events=events) as board:
        assert list(board.pythons) == ["onnxruntime"]
        found = board.fingerprint()["runtimes"]
        assert found["onnxruntime"]["error"] is None
        assert found["litert"]["error"]["code"] == "RUNTIME_INSTALL"
        assert "Python 3.8" in found["litert"]["error"]["message"]
    with (
        pytest.raises(BoardUnfit, match=r"Python 3\.8"),
        open_board(local, runtimes=("litert",), cache=cache, offline=False, events=events),
    ):
        pass


def test_an_interrupt_without_a_link_says_that_the_run_goes_on(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the link is being taken up again: nobody claims that the run was stopped."""
    plan = message_of(board, tmp_path, LONG)
    run_dir = board.start(plan)
    down = [True]
    cancel = Board.cancel

    def unreachable(self: Board, *words: Any) -> Any:
        if down:
            raise ConnectionFailed("no route")
        return cancel(self, *words)

    def press(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Board, "follow", unreachable)
    monkeypatch.setattr(Board, "cancel", unreachable)
    # This module's sleep alone: a stop that waits for a slow board sleeps too.
    clock = SimpleNamespace(sleep=press, monotonic=time.monotonic)
    monkeypatch.setattr("edgebench.harness.follow.time", clock)
    with pytest.raises(Interrupted, match=r"could not be told \(no route\)\. The run goes on there"):
        follow(board, run_dir, print, expected=Expected.of_plan(plan), again=lambda lost: lost)
    assert processes_of(board) != []

    def reached(lost: Board) -> Board:
        down.clear()
        return lost

    with pytest.raises(KeyboardInterrupt):
        follow(board, run_dir, print, expected=Expected.of_plan(plan), again=reached)
    assert processes_of(board) == []


def test_retries_begin_anew_after_each_success(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link that is lost after every message outlasts the few tries that one loss is given."""
    whole = Board.follow

    def cut(self: Board, run_dir: str, seq: int, limits: Any) -> Iterator[dict[str, Any]]:
        yield next(whole(self, run_dir, seq, limits))
        raise ConnectionFailed("cut")

    monkeypatch.setattr(Board, "follow", cut)
    monkeypatch.setattr("edgebench.harness.follow.RETRY_S", (0.0,))
    plan = message_of(board, tmp_path, SHORT)
    run_dir = board.start(plan)
    heard: list[str] = []
    expected = Expected.of_plan(plan)
    _, ending = follow(
        board, run_dir, lambda m: heard.append(m["kind"]), expected=expected, again=lambda b: b
    )
    assert ending.status == "complete"
    assert heard == ["begin", "trial_begin", "trial", "end"]


def test_who_waits_gets_the_board_when_it_is_free(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = board.start(message_of(board, tmp_path, LONG))
    second = {**message_of(board, tmp_path, SHORT), "run_id": "R2"}
    with pytest.raises(DeviceBusy, match=r"run R1 of user tester is measuring on it since .* UTC"):
        board.start(second)
    told: list[str] = []

    class Waiting(Silent):
        def stage(self, text: str) -> None:
            told.append(text)
            board.cancel(first)

    monkeypatch.setattr("edgebench.harness.board._ASK_AGAIN_S", 0.0)
    start_run(dataclasses.replace(board, events=Waiting()), second, wait=True)
    assert len(told) == 1
    assert told[0].startswith("waiting: board 'local' is busy: run R1 of user tester")
    board.cancel(board.run_dir("R2"))
