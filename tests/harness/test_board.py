"""A board and what runs on it: this machine, with everything of edgebench in a folder of the test."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.speech_models import small_model

from edgebench.devices import probe_board, resolve_device
from edgebench.errors import BoardUnfit, ConnectionFailed
from edgebench.harness import board as board_module
from edgebench.harness.board import Board, open_board
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
