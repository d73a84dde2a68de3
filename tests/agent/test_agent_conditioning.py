"""A board is brought into a state for a run and back, whatever becomes of the run."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from agent_board import Board, trial
from support import board_trees

from edgebench.agent import conditioning, settings
from edgebench.agent.conditioning import STATE

CPU = "sys/devices/system/cpu"
MODES = "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n"
# What a board's programs do: sudo runs the command, nvpmodel keeps the mode and says it.
SUDO = """\
#!/bin/sh
printf '%s\\n' "$*" >> {root}/run/sudo
[ "$1" = -n ] && shift && exec "$@"
"""
NVPMODEL = """\
#!/bin/sh
case "$1" in
-q) printf 'NV Power Mode: %s\\n%s\\n' "$(cat {root}/run/name)" "$(cat {root}/run/id)" ;;
-m) echo $2 > {root}/run/id; [ $2 = 0 ] && echo 15W > {root}/run/name || echo MAXN_SUPER > {root}/run/name ;;
esac
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = board_trees.orin_nano(tmp_path / "board")
    board_trees.write(root, {"etc/nvpmodel.conf": MODES, "run/name": "15W\n", "run/id": "0\n"})
    governors = {
        f"{CPU}/cpu{n}/cpufreq/scaling_available_governors": "schedutil performance\n" for n in range(6)
    }
    board_trees.write(root, governors)
    board_trees.program(root, "usr/sbin/nvpmodel", NVPMODEL)
    board_trees.program(root, "usr/bin/sudo", SUDO)
    return root


def state(root: Path) -> tuple[set[str], str, str]:
    """Governors, lowest clock and power mode as the board has them now."""
    governors = {(root / f"{CPU}/cpu{n}/cpufreq/scaling_governor").read_text().strip() for n in range(6)}
    lowest = (root / f"{CPU}/cpufreq/policy0/scaling_min_freq").read_text().strip()
    return governors, lowest, (root / "run/name").read_text().strip()


BEFORE = ({"schedutil"}, "600000", "15W")
WANTED = {"governor": "performance", "mode": "MAXN_SUPER", "clocks": "max"}
SET = ({"performance"}, "1500000", "MAXN_SUPER")


def test_all_three_are_set_and_put_back(tree: Path, tmp_path: Path) -> None:
    assert state(tree) == BEFORE
    guard = conditioning.begin(WANTED, str(tmp_path), root=str(tree))
    assert guard is not None
    assert state(tree) == SET
    assert (tmp_path / STATE).exists()
    guard.release()
    assert state(tree) == BEFORE
    assert not (tmp_path / STATE).exists()


def test_what_is_there_already_is_left_alone(tree: Path, tmp_path: Path) -> None:
    wanted = {"governor": "schedutil", "mode": "15W", "clocks": None}
    assert conditioning.begin(wanted, str(tmp_path), root=str(tree)) is None
    assert not (tree / "run/sudo").exists() and not (tmp_path / STATE).exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_supervisor_that_is_killed_leaves_nothing_changed(
    tree: Path, tmp_path: Path, number: signal.Signals
) -> None:
    ready, set_ = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            conditioning.begin(WANTED, str(tmp_path), root=str(tree))
            os.write(set_, b"x")
            time.sleep(60)
        finally:
            os._exit(1)
    os.close(set_)
    assert os.read(ready, 1) == b"x"
    os.close(ready)
    assert state(tree) == SET
    os.kill(pid, number)
    os.waitpid(pid, 0)
    deadline = time.monotonic() + 20
    while (tmp_path / STATE).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert state(tree) == BEFORE


def test_after_a_power_cut_the_next_run_puts_back_first(tree: Path, tmp_path: Path) -> None:
    """A power mode outlives a restart of the board; nobody was left to put it back."""
    governor = f"{CPU}/cpu0/cpufreq/scaling_governor"
    steps = [
        {"mode": "MAXN_SUPER", "value": "2", "before": "0"},
        {"file": "/" + governor, "value": "performance", "before": "schedutil"},
    ]
    (tmp_path / STATE).write_text(json.dumps({"steps": steps}))
    board_trees.write(tree, {"run/name": "MAXN_SUPER\n", "run/id": "2\n", governor: "performance\n"})
    assert conditioning.begin(None, str(tmp_path), root=str(tree)) is None
    assert state(tree) == BEFORE
    assert not (tmp_path / STATE).exists()


def test_a_mode_that_wants_a_restart_is_refused(tree: Path, tmp_path: Path) -> None:
    """nvpmodel asks for it, and without an answer it changes nothing."""
    stays = NVPMODEL.replace("-m) ", "-m) exit 0 ;; -x) ")
    board_trees.program(tree, "usr/sbin/nvpmodel", stays)
    with pytest.raises(settings.RefusedError, match=r"is '0' after '2' was set"):
        conditioning.begin({"mode": "MAXN_SUPER"}, str(tmp_path), root=str(tree))
    assert not (tmp_path / STATE).exists()


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"governor": "turbo"}, ["'turbo'", "schedutil, performance"]),
        ({"mode": "MAXN"}, ["'MAXN'", "15W, MAXN_SUPER"]),
    ],
)
def test_what_the_board_does_not_have_is_refused(
    tree: Path, tmp_path: Path, wanted: dict[str, str], says: list[str]
) -> None:
    with pytest.raises(settings.RefusedError) as caught:
        conditioning.begin({**WANTED, **wanted}, str(tmp_path), root=str(tree))
    assert all(part in str(caught.value) for part in says)
    assert state(tree) == BEFORE


@pytest.mark.parametrize("wanted", [{"governor": "performance"}, {"mode": "15W"}, {"clocks": "max"}])
def test_a_machine_without_any_of_it_refuses(tmp_path: Path, wanted: dict[str, str]) -> None:
    with pytest.raises(settings.RefusedError, match="this board"):
        conditioning.begin(wanted, str(tmp_path), root=str(tmp_path / "empty"))


def denied(path: str, value: str) -> None:
    raise PermissionError(13, "Permission denied")


def test_files_of_root_are_written_by_sudo(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "_write", denied)
    guard = conditioning.begin({"governor": "performance"}, str(tmp_path), root=str(tree))
    assert guard is not None and state(tree)[0] == {"performance"}
    guard.release()
    assert state(tree) == BEFORE
    calls = (tree / "run/sudo").read_text().splitlines()
    assert len(calls) == 12 and all(call.startswith("-n tee ") for call in calls)


def test_without_the_right_to_it_nothing_is_changed(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "_write", denied)
    board_trees.program(tree, "usr/bin/sudo", "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    with pytest.raises(settings.RefusedError, match=r"a password is required.*visudo"):
        conditioning.begin({"governor": "performance"}, str(tmp_path), root=str(tree))
    assert state(tree) == BEFORE
    (tree / "usr/bin/sudo").unlink()
    with pytest.raises(settings.RefusedError, match="no sudo"):
        conditioning.begin({"governor": "performance"}, str(tmp_path), root=str(tree))


def test_a_board_that_cools_is_waited_for_and_a_hot_one_not_for_ever(tmp_path: Path) -> None:
    zone = "sys/class/thermal/thermal_zone0"
    board_trees.write(tmp_path, {f"{zone}/type": "cpu-thermal\n", f"{zone}/temp": "86000\n"})
    never, end = os.pipe()
    wanted = {"cool_c": 60.0, "cool_limit_s": 0.3}
    assert conditioning.cool_down(wanted, stop_fd=never, root=str(tmp_path)) >= 0.3
    assert wanted["cool_limit_s"] == 0.0  # the limit is for the whole run
    assert conditioning.cool_down(wanted, stop_fd=never, root=str(tmp_path)) < 0.2
    os.write(end, b"x")  # the run is cancelled
    stopped = {"cool_c": 60.0, "cool_limit_s": 600.0}
    assert conditioning.cool_down(stopped, stop_fd=never, root=str(tmp_path)) < 60
    board_trees.write(tmp_path, {f"{zone}/temp": "59000\n"})
    assert (
        conditioning.cool_down({"cool_c": 60.0, "cool_limit_s": 60.0}, stop_fd=never, root=str(tmp_path)) < 1
    )
    assert conditioning.cool_down(None, stop_fd=never) == 0.0


# `start` as a host calls it, on a board whose files are those of a tree.
START = """
import functools, sys
from edgebench.agent import conditioning, protocol, supervisor
conditioning.begin = functools.partial(conditioning.begin, root=sys.argv[3])
raise SystemExit(supervisor.start(protocol.take_wire(), sys.argv[1], sys.argv[2]))
"""


def started(board: Board, tree: Path, **wanted: str) -> tuple[dict[str, object], Path]:
    """What `start` answers to a run of one trial that takes its time, and the run's folder."""
    one = trial(None, min_duration_s=30.0, max_count=10**9)
    plan, run_dir = board.plan(one, conditioning={**WANTED, **wanted})
    argv = [sys.executable, "-c", START, str(plan), str(run_dir), str(tree)]
    # Waits until nobody holds its output any more, as a host does.
    done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer, run_dir


def test_a_run_that_is_cancelled_puts_the_board_back_before_its_end(board: Board, tree: Path) -> None:
    answer, run_dir = started(board, tree)
    assert answer["kind"] == "started"
    assert state(tree) == SET
    board.verb("cancel", run_dir)
    messages = board.verb("follow", run_dir, 0)
    assert messages[-1]["status"] == "cancelled"
    assert state(tree) == BEFORE


def test_a_run_whose_supervisor_is_killed_puts_the_board_back_and_frees_it(board: Board, tree: Path) -> None:
    answer, _ = started(board, tree)
    assert state(tree) == SET
    os.kill(int(str(answer["pid"])), signal.SIGKILL)
    again, run_dir = {"kind": "busy"}, Path()
    deadline = time.monotonic() + 20
    while again["kind"] == "busy" and time.monotonic() < deadline:
        again, run_dir = started(board, tree)
    assert again["kind"] == "started"  # the lock is free only once the board is as it was
    board.verb("cancel", run_dir)
    assert state(tree) == BEFORE


FIX = """
import functools, json, sys
from edgebench.agent import conditioning, protocol
conditioning.fix(protocol.take_wire(), sys.argv[1], json.loads(sys.argv[2]), root=sys.argv[3])
"""


def fixed(folder: Path, wanted: dict[str, str], tree: Path) -> dict[str, object]:
    argv = [sys.executable, "-c", FIX, str(folder), json.dumps(wanted), str(tree)]
    done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_a_fix_stays(tree: Path, tmp_path: Path) -> None:
    answer = fixed(tmp_path, WANTED, tree)
    assert answer["kind"] == "fixed"
    assert state(tree) == SET and not (tmp_path / STATE).exists()
    assert fixed(tmp_path, WANTED, tree)["steps"] == []
    refused = fixed(tmp_path, {"governor": "turbo"}, tree)
    assert refused["kind"] == "error" and "'turbo'" in str(refused["message"])


def test_a_board_that_is_measured_is_not_fixed(board: Board, tree: Path) -> None:
    _, run_dir = started(board, tree)
    assert fixed(board.root, {"governor": "schedutil"}, tree)["kind"] == "busy"
    assert state(tree) == SET
    board.verb("cancel", run_dir)


def test_a_run_that_cannot_have_its_state_is_not_started(board: Board, tree: Path) -> None:
    answer, run_dir = started(board, tree, governor="turbo")
    assert (answer["kind"], answer["code"]) == ("error", "CONDITIONING")
    assert "'turbo'" in str(answer["message"])
    assert state(tree) == BEFORE and not (run_dir / "journal.jsonl").exists()


def test_who_asks_what_a_board_is_gets_it_as_it_was_before_a_run_that_is_gone(
    board: Board, tmp_path: Path
) -> None:
    """After a power cut: a power mode outlives a restart, and a run that is taken up compares it."""
    setting = tmp_path / "governor"
    setting.write_text("performance")
    step = {"file": str(setting), "value": "performance", "before": "schedutil"}
    (board.root / STATE).write_text(json.dumps({"steps": [step]}))
    with (board.root / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        board.verb("fingerprint")
        assert setting.read_text() == "performance", "somebody measures"
    board.verb("fingerprint")
    assert setting.read_text() == "schedutil"
    assert not (board.root / STATE).exists()
