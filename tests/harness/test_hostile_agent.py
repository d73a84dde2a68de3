"""An agent that lies: what a board says is refused with a reason, and leaves no trace here."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import results_builder as b

from edgebench.devices import resolve_device
from edgebench.errors import DeviceError, EdgebenchError, MeasurementError, RunGone
from edgebench.harness.board import Board, open_board
from edgebench.harness.collect import HostUsage, collect
from edgebench.harness.events import Silent
from edgebench.harness.follow import Expected, follow
from edgebench.harness.wire import Limits
from edgebench.results import RunHeader, Store, TrialRecord, record_from

Message = dict[str, Any]
# Prints what lies beside it, for ever where it is told to.
AGENT = """
import pathlib, sys
said = pathlib.Path(__file__).with_suffix(".said").read_bytes()
sys.stdout.buffer.write(said)
while pathlib.Path(__file__).with_suffix(".endless").exists():
    sys.stdout.buffer.write(said)
"""
BEGIN = {"kind": "begin", "seq": 0, "monotonic_ns": 5}
TRIAL = {**b.trial(), "seq": 1, "samples_cpu_ns": b.trial()["samples_ns"]}
END = {"kind": "end", "seq": 2, "monotonic_ns": 8, "status": "complete", "message": None}
EXPECTED = Expected(frozenset({"t0000"}), 30.0)


@pytest.fixture
def honest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with open_board(
        resolve_device("local"), cache=tmp_path / "host", offline=False, events=Silent()
    ) as opened:
        yield opened


@pytest.fixture
def hostile(honest: Board, tmp_path: Path) -> Callable[..., Board]:
    """A board whose agent says these lines, whatever it is asked."""

    def make(*lines: Message | bytes, endless: bool = False) -> Board:
        script = tmp_path / "agent.py"
        script.write_text(AGENT)
        said = [line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines]
        script.with_suffix(".said").write_bytes(b"".join(said))
        if endless:
            script.with_suffix(".endless").touch()
        return dataclasses.replace(honest, agent=str(script))

    return make


LIES: dict[str, tuple[tuple[Message | bytes, ...], str]] = {
    "a path for a name": ((BEGIN, {**TRIAL, "id": "../../../x"}), "not a message"),
    "a path behind a planned name": (
        (BEGIN, {**TRIAL, "id": "t0000/../../x", "repeat_of": "t0000"}), "not a message",
    ),
    "a launch nobody planned": ((BEGIN, {**TRIAL, "id": "t0007"}), "t0007, which nobody planned"),
    "a repeat of another launch": (
        (BEGIN, {**TRIAL, "id": "t0009r1", "repeat_of": "t0000"}), "which nobody planned",
    ),
    "a launch twice": ((BEGIN, TRIAL, {**TRIAL, "seq": 2}), "t0000 twice"),
    "a gap": ((BEGIN, {**TRIAL, "seq": 5}), "message 5 in place of 1"),
    "the same message again": ((BEGIN, BEGIN), "message 0 in place of 1"),
    "success without a measurement": ((BEGIN, {**TRIAL, "samples_ns": []}), "without samples_ns"),
    "a failure without a reason": ((BEGIN, {**TRIAL, "status": "failed"}), "without an error"),
    "not a number": ((BEGIN, json.dumps(TRIAL | {"elapsed_ns": float("nan")}).encode() + b"\n"), "elapsed"),
    "too deep": ((b"[" * 90_000 + b"\n",), "not a message"),
    "too many lists": ((b"[" + b"[]," * 110_000 + b"[]]\n",), "more than 100,000 lists"),
    "another kind": (({"kind": "of a newer agent", "seq": 0},), "not a message"),
    "no object": ((b"7\n",), "not a message"),
    "a trace elsewhere": (
        (BEGIN, {**TRIAL, "trace": {"name": "../plan.json", "size_bytes": 1, "sha256": "0" * 64}}),
        "not a message",
    ),
    "a count that is no count": ((BEGIN, {**TRIAL, "load_ns": -1}), "load_ns"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_refused_with_its_reason(hostile: Callable[..., Board], name: str) -> None:
    lines, says = LIES[name]
    heard: list[Message] = []
    with pytest.raises(MeasurementError, match=says) as caught:
        follow(hostile(*lines), "/nowhere", heard.append, expected=EXPECTED)
    assert len(str(caught.value)) < 1500
    assert len(heard) < len(lines)


def test_a_board_that_only_says_that_it_goes_on_is_given_up(hostile: Callable[..., Board]) -> None:
    board = hostile(BEGIN, *[{"kind": "heartbeat", "pid": 1}] * 500)
    with pytest.raises(MeasurementError, match="is not the agent, or it hangs"):
        follow(board, "/nowhere", lambda message: None, expected=EXPECTED)


def test_answers_and_lines_without_an_end_are_ended(hostile: Callable[..., Board]) -> None:
    board = hostile(b"x" * 100_000, endless=True)
    with pytest.raises(DeviceError, match="its output is longer than"):
        board.fingerprint()
    small = dataclasses.replace(EXPECTED, limits=Limits(line_bytes=500_000))
    with pytest.raises(DeviceError, match="one line is longer than the 500,000 bytes"):
        follow(board, "/nowhere", lambda message: None, expected=small)


@pytest.mark.parametrize(
    "answer",
    [b"", b"\xff\xfe\n", b"null\n", {"kind": "fingerprint"}, {"kind": "started"}, {"kind": "busy"},
     {"kind": "fingerprint", **b.fingerprint(runtimes={})},
     {"kind": "fingerprint", **b.fingerprint(runtimes={"onnxruntime": {"error": {"code": 1}}})},
     {"kind": "fingerprint", **b.fingerprint(cpu_features=None)},
     {"kind": "error", "code": "INTERNAL", "message": "\x1b]0;owned\x07\x1b[2J"}],
)  # fmt: skip
def test_an_odd_answer_is_one_paragraph_without_an_escape(
    hostile: Callable[..., Board], answer: Message | bytes
) -> None:
    with pytest.raises(DeviceError) as caught:
        hostile(answer).fingerprint()
    assert str(caught.value).isprintable()


def test_a_run_that_is_gone_is_named_so_and_never_tried_again(hostile: Callable[..., Board]) -> None:
    board = hostile({"kind": "error", "code": "NO_RUN", "message": "there is no run in /x on this board"})
    with pytest.raises(RunGone, match=r"no run in /x on this board\. Somebody removed"):
        follow(board, "/x", print, expected=EXPECTED, again=lambda lost: pytest.fail("tried again"))


def test_nothing_raw_reaches_the_store_and_nothing_is_written_beside_it(
    hostile: Callable[..., Board], tmp_path: Path
) -> None:
    """A hostile failure text and name of a file; then the run breaks off."""
    escape = "\x1b[31mred\u202etxt.exe"
    failed = {**TRIAL, "status": "failed", "error": {"code": escape, "message": escape, "signal": None}}
    outside = {**TRIAL, "seq": 2, "id": "../../../../outside", "repeat_of": "t0000"}
    header = record_from(b.header(trials=b.planned(b.condition(), launches=1)))
    assert isinstance(header, RunHeader)
    store = Store(tmp_path / "store")
    store.append(header)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(EdgebenchError) as caught:
        collect(
            hostile(BEGIN, failed, outside), header, store,
            cache=tmp_path / "host", events=Silent(), usage=HostUsage(),
        )  # fmt: skip
    assert "\x1b" not in str(caught.value)
    (line,) = [line for line in store.run("last") if isinstance(line, TrialRecord)]
    assert line.trial.error is not None
    assert line.trial.error.message == "\\x1b[31mred\\u202etxt.exe"
    new = {path for path in set(tmp_path.rglob("*")) - before if path.name.startswith("outside")}
    assert new == set()
