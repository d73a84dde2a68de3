"""A run that broke off is finished: nothing lost, nothing twice, the time of all parts counted."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import results_builder as b
from support.speech_models import small_model

from edgebench.devices import resolve_device
from edgebench.errors import (
    ConnectionFailed,
    DeviceBusy,
    DeviceError,
    Interrupted,
    MeasurementError,
    ModelError,
    RunGone,
    StoreError,
    UsageError,
)
from edgebench.harness import unfinished
from edgebench.harness.board import Board
from edgebench.harness.events import Silent
from edgebench.harness.resume import resume
from edgebench.harness.runner import Request, run
from edgebench.harness.suite import Suite
from edgebench.results import RunEnd, RunHeader, Store, TrialRecord, summarise

SUITE = Suite(
    name="short", scenarios=("single_stream",), input_s=(0.1,), launches=3, min_duration_s=0.1, min_count=3,
    null_runtime=False, repeats={"budget": 0.0},
)  # fmt: skip
# The host looks twice a second: one launch more than it has read may have ended, and no more.
LONGER = SUITE.model_copy(update={"min_duration_s": 0.6})
PLANNED = ["t0000", "t0001", "t0002"]


class Watcher(Silent):
    """Does something each time a launch is stored; remembers the warnings."""

    def __init__(self, at: int, do: Callable[[], Any]) -> None:
        self.at, self.do, self.heard, self.warnings = at, do, 0, list[str]()

    def advance(self, done: float, total: float, unit: str) -> None:
        if unit == "s":
            self.heard += 1
            if self.heard == self.at:
                self.do()

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def store(here: Path) -> Store:
    return Store(here / "store")


def request(here: Path, suite: Suite = SUITE) -> Request:
    model = here / "small.onnx"
    return Request(
        device=resolve_device("local"), host=None, suite=suite, corpora={}, include_seen=False,
        models=[str(model if model.exists() else small_model(model))], offline=False, cache=here / "host",
        command=["edgebench", "run"],
    )  # fmt: skip


def again(here: Path, store: Store) -> str:
    return resume(store.runs()[0].run_id, store, cache=here / "host", inventory=None, events=Silent())


def launches(store: Store) -> list[str]:
    return [line.trial.id for line in store.run("last") if isinstance(line, TrialRecord)]


def ends(store: Store) -> list[str]:
    return [line.status for line in store.run("last") if isinstance(line, RunEnd)]


def run_folders(here: Path) -> list[Path]:
    return list((here / "cache").rglob("runs/*/"))


def kill_supervisor(here: Path) -> None:
    """As a power cut does, but for the boot."""
    for folder in run_folders(here):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((folder / "pid").read_text().split()[0]), signal.SIGKILL)


def interrupt() -> None:
    raise KeyboardInterrupt


def finished(here: Path, store: Store, parts: list[str]) -> None:
    """The run is whole, as if nothing had happened, and nothing is left of it anywhere else."""
    assert sorted(launches(store)) == PLANNED
    assert ends(store) == parts
    lines = store.run("last")
    summary = summarise(lines)
    (row,) = summary.rows
    assert summary.status == "complete"
    assert row.figures["latency_p50_ns"].value is not None
    assert "INCOMPLETE" not in row.verdict.status and "REBOOTED" not in row.verdict.codes
    of_parts = [line for line in lines if isinstance(line, RunEnd)]
    assert summary.end is not None and summary.end.host is not None
    assert summary.end.host.wall_s == pytest.approx(sum(end.host.wall_s for end in of_parts if end.host))
    assert summary.end.agent_wall_s == pytest.approx(sum(end.agent_wall_s or 0.0 for end in of_parts))
    assert run_folders(here) == []
    assert list((store.path / unfinished.FOLDER).iterdir()) == []
    with pytest.raises(UsageError, match="already collected"):
        again(here, store)


def test_what_a_power_cut_left_out_is_measured(here: Path, store: Store) -> None:
    with pytest.raises(MeasurementError, match=r"ended early.* --resume .* measures the rest"):
        run(request(here), store, Watcher(1, lambda: kill_supervisor(here)))
    assert len(launches(store)) < 3
    again(here, store)
    finished(here, store, ["failed", "complete"])


def test_a_run_stopped_by_hand_is_finished(here: Path, store: Store) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(request(here, LONGER), store, Watcher(1, interrupt))
    assert ends(store) == ["cancelled"]
    again(here, store)
    finished(here, store, ["cancelled", "complete"])


def test_what_had_ended_on_the_board_when_the_user_stopped_is_kept(here: Path, store: Store) -> None:
    """The host looks twice a second: a launch that nobody had read yet used to be measured again."""
    on_board: list[str] = []

    def interrupt_late() -> None:
        (folder,) = run_folders(here)
        while len(on_board) < 2:
            time.sleep(0.01)
            lines = (folder / "journal.jsonl").read_text().splitlines(keepends=True)
            on_board[:] = [
                line for line in lines if line.startswith('{"kind":"trial"') and line.endswith("\n")
            ]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(request(here), store, Watcher(1, interrupt_late))
    assert launches(store)[:2] == ["t0000", "t0001"]
    lines = [line for line in store.run("last") if isinstance(line, TrialRecord)]
    assert all(line.trial.error is None for line in lines), "the launch that was stopped is not stored"


def test_a_cancelled_launch_of_an_older_store_is_still_to_be_measured() -> None:
    """Earlier versions stored a launch that was stopped with its run."""
    where = b.condition(b.FP32)
    done, cancelled = b.trial(0), {**b.failed("CANCELLED_BY_HOST", "cancelled"), "id": "t0001"}
    header, *lines = b.records(
        [
            b.header(trials=b.planned(where)),
            b.trial_line(where, done, launch=0),
            b.trial_line(where, cancelled, launch=1),
        ]
    )
    assert isinstance(header, RunHeader)
    assert unfinished.missing(header, None, lines) == ["t0001", "t0002"]


def test_a_run_whose_folder_somebody_removed(here: Path, store: Store) -> None:
    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed  # as kill -9: nothing is tidied up here

    with pytest.raises(Killed):
        run(request(here), store, Watcher(1, die))
    kill_supervisor(here)
    for folder in run_folders(here):
        shutil.rmtree(folder)
    again(here, store)
    finished(here, store, ["failed", "complete"])


def test_a_host_killed_before_its_first_line_loses_nothing(
    here: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on alone; the plan that was kept knows it."""
    append, killed = Store.append, [True]

    def die(self: Store, record: Any) -> None:
        if killed:
            raise SystemExit(9)
        append(self, record)

    monkeypatch.setattr(Store, "append", die)
    monkeypatch.setattr(Board, "abandon", lambda self, run_dir: None)
    monkeypatch.setattr(unfinished.Unfinished, "remove", lambda self, store: None)
    with pytest.raises(SystemExit):
        run(request(here), store, Silent())
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))
    (kept,) = (store.path / unfinished.FOLDER).glob("*.json")
    resume(kept.stem, store, cache=here / "host", inventory=None, events=Silent())
    finished(here, store, ["complete"])


def lose_answers(monkeypatch: pytest.MonkeyPatch, *, begun: bool = True) -> None:
    """The link is lost once while a run is started: after the board has begun it, or before."""
    start, lost = Board.start, [True]

    def cut(self: Board, plan: Any) -> str:
        if not lost or not plan.get("exclusive", True):  # the host's own predictions
            return start(self, plan)
        lost.clear()
        if begun:
            start(self, plan)
        raise ConnectionFailed("the link went down")

    monkeypatch.setattr(Board, "start", cut)


def test_a_run_whose_start_was_not_answered_is_found_and_collected(
    here: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_answers(monkeypatch)
    events = Watcher(99, interrupt)
    run(request(here), store, events)
    assert any("the link went down" in text and "may have begun" in text for text in events.warnings)
    finished(here, store, ["complete"])


def test_a_run_that_never_began_because_the_link_went_down_stays_known(
    here: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_answers(monkeypatch, begun=False)
    with pytest.raises(RunGone):
        run(request(here), store, Silent())
    again(here, store)
    finished(here, store, ["failed", "complete"])


def test_the_rest_whose_start_was_not_answered_is_collected_too(
    here: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(request(here), store, Watcher(1, interrupt))
    lose_answers(monkeypatch)
    again(here, store)
    finished(here, store, ["cancelled", "complete"])


def test_ctrl_c_without_a_link_while_a_run_is_started_keeps_it_known(
    here: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Board.start

    def interrupted(self: Board, plan: Any) -> str:
        run_dir = start(self, plan)
        if not plan.get("exclusive", True):  # the host's own predictions
            return run_dir
        raise KeyboardInterrupt

    def down(self: Board, run_dir: str) -> None:
        raise ConnectionFailed("the link is down")

    monkeypatch.setattr(Board, "start", interrupted)
    monkeypatch.setattr(Board, "cancel", down)
    with pytest.raises(Interrupted, match=r"may go on there: collect it with .* --resume"):
        run(request(here), store, Silent())
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))
    (kept,) = (store.path / unfinished.FOLDER).glob("*.json")
    resume(kept.stem, store, cache=here / "host", inventory=None, events=Silent())
    finished(here, store, ["complete"])


def test_a_run_that_is_taken_up_again_waits_for_the_board(
    here: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(request(here), store, Watcher(1, interrupt))
    start, tries = Board.start, list[str]()

    def busy_first(self: Board, plan: Any) -> str:
        tries.append(plan["run_id"])
        if len(tries) < 3:
            raise DeviceBusy("somebody else measures")
        return start(self, plan)

    monkeypatch.setattr(Board, "start", busy_first)
    monkeypatch.setattr("edgebench.harness.board._ASK_AGAIN_S", 0.01)
    run_id = store.runs()[0].run_id
    with pytest.raises(DeviceBusy):
        again(here, store)
    resume(run_id, store, cache=here / "host", inventory=None, events=Silent(), wait=True)
    assert tries == [f"{run_id}.2"] * 3
    finished(here, store, ["cancelled", "complete"])


def test_a_second_process_does_not_store_launches_twice(here: Path, store: Store) -> None:
    said: list[str] = []

    def second() -> None:
        with pytest.raises(UsageError) as refused:
            again(here, store)
        said.append(str(refused.value))

    run(request(here), store, Watcher(1, second))
    assert f"process {os.getpid()}" in said[0]
    finished(here, store, ["complete"])


def test_a_full_disk_here_says_that_the_run_goes_on(
    here: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, full = Store.append, [True]

    def fill(self: Store, record: Any) -> None:
        if full and isinstance(record, TrialRecord):
            raise StoreError("the results cannot be written: No space left on device.")
        append(self, record)

    monkeypatch.setattr(Store, "append", fill)
    with pytest.raises(StoreError, match=r"No space left.* The run goes on .*--resume"):
        run(request(here), store, Silent())
    full.clear()
    again(here, store)
    finished(here, store, ["complete"])


def test_another_board_and_another_model_are_refused(
    here: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(request(here), store, Watcher(1, interrupt))
    fingerprint = Board.fingerprint

    def changed(**facts: Any) -> Callable[[Board], dict[str, Any]]:
        return lambda self: {**fingerprint(self), **facts}

    monkeypatch.setattr(Board, "fingerprint", changed(hostname_sha256="1" * 64))
    with pytest.raises(DeviceError, match=r"another board .*hostname_sha256 differ"):
        again(here, store)
    monkeypatch.setattr(Board, "fingerprint", changed(governors={"cpu0": "of another kind"}))
    with pytest.raises(DeviceError, match=r"cannot be finished .*governor: "):
        again(here, store)
    monkeypatch.setattr(Board, "fingerprint", changed(kernel="9.9"))
    before = (here / "small.onnx").read_bytes()
    (here / "small.onnx").write_bytes(b"changed")
    with pytest.raises(ModelError, match=r"small\.onnx, which is gone or has changed"):
        again(here, store)
    (here / "small.onnx").write_bytes(before)
    again(here, store)
    (end,) = [line for line in store.run("last") if isinstance(line, RunEnd) and line.status == "complete"]
    assert any("kernel: " in note and "9.9" in note for note in end.notes)


def test_a_clean_up_that_fails_is_no_failure_of_the_run(
    here: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(self: Board, run_dir: str) -> None:
        raise DeviceError("the link went down")

    monkeypatch.setattr(Board, "clean", cut)
    events = Watcher(99, interrupt)
    run(request(here), store, events)
    assert ends(store) == ["complete"]
    assert any("everything is stored" in text and "the link went down" in text for text in events.warnings)
