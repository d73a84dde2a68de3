"""The board's lock, as processes of two accounts meet it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from agent_board import Board, endless, model, trial

from edgebench.agent import lock
from edgebench.agent.lock import BusyError, Lock


@pytest.fixture
def roots(tmp_path: Path) -> list[str]:
    """The folders of two accounts."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    return [str(tmp_path / "one"), str(tmp_path / "other")]


def holder_of(roots: list[str], number: int, *, exclusive: bool = True) -> dict[str, object] | None:
    """Who keeps an account from the lock; None where nobody does."""
    try:
        Lock(roots[number], exclusive=exclusive).release()
    except BusyError as busy:
        return busy.holder
    return None


def test_two_accounts_do_not_measure_at_once(roots: list[str]) -> None:
    held = Lock(roots[0], exclusive=True)
    held.sign("RUN", "ada")
    for number in (0, 1):
        found = holder_of(roots, number)
        assert found is not None
        assert (found["run_id"], found["user"], found["state"]) == ("RUN", "ada", "running")
        assert holder_of(roots, number, exclusive=False) is not None
    held.release(signed=True)
    assert holder_of(roots, 1) is None


def test_runs_that_measure_nothing_share_the_board(roots: list[str]) -> None:
    held = Lock(roots[0], exclusive=False)
    assert holder_of(roots, 1, exclusive=False) is None
    assert holder_of(roots, 1) is not None
    held.release()


def test_what_a_dead_process_left_holds_nobody_up(roots: list[str]) -> None:
    program = "import os, sys; from edgebench.agent.lock import Lock; " \
        "Lock(sys.argv[1], exclusive=True).sign('OLD', 'u'); os.kill(os.getpid(), 9)"  # fmt: skip
    assert subprocess.run([sys.executable, "-c", program, roots[0]], check=False).returncode == -9
    folder = lock.shared_folder()
    assert folder is not None
    (file,) = Path(folder).iterdir()
    assert json.loads(file.read_text())["run_id"] == "OLD"
    assert holder_of(roots, 1) is None


@pytest.mark.parametrize("said", ["", "[7]", "{", "[" * 3000, "\xff", json.dumps({"pid": "x" * 9000})])
def test_anybody_may_have_written_the_lock(roots: list[str], said: str) -> None:
    held = Lock(roots[0], exclusive=True)
    folder = lock.shared_folder()
    assert folder is not None
    (file,) = Path(folder).iterdir()
    file.write_text(said, encoding="latin-1")
    assert holder_of(roots, 1) == {}
    held.release()


def test_a_link_in_the_place_of_the_lock_is_not_followed(roots: list[str], tmp_path: Path) -> None:
    folder = lock.shared_folder()
    assert folder is not None
    (victim := tmp_path / "victim").write_text("precious")
    (Path(folder) / "edgebench.lock").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        Lock(roots[0], exclusive=True)
    assert victim.read_text() == "precious"


def test_every_account_may_write_it_whatever_the_umask(roots: list[str]) -> None:
    before = os.umask(0o077)
    Lock(roots[0], exclusive=True).release()
    os.umask(before)
    folder = lock.shared_folder()
    assert folder is not None
    (file,) = Path(folder).iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o666


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another account")
def test_another_account_for_real(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder as /run/lock is: everybody writes, and the kernel protects the files of others."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o1777)
        roots = [folder / "one", folder / "other"]
        for root in roots:
            root.mkdir()
            root.chmod(0o777)
        monkeypatch.setenv(lock.FOLDER_VARIABLE, name)

        def other() -> int:
            """As the account nobody: 1 where it got the lock, 2 where root has it."""
            child = os.fork()
            if child == 0:
                status = 9
                try:
                    os.setgroups([])
                    os.setgid(65534)
                    os.setuid(65534)
                    found = holder_of([str(root) for root in roots], 1)
                    status = 1 if found is None else 2 if found["run_id"] == "RUN" else 3
                finally:
                    os._exit(status)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        held = Lock(str(roots[0]), exclusive=True)
        held.sign("RUN", "root")
        assert other() == 2
        held.release(signed=True)
        assert other() == 1


def test_a_supervisor_that_was_stopped_is_told_from_one_that_runs(board: Board) -> None:
    artifact = board.blob(model())
    run_dir = board.start(endless(artifact))
    plan = board.plan(trial(artifact))
    process = board.supervisor(run_dir)
    (busy,) = board.verb("start", *plan)
    assert (busy["kind"], busy["holder"]["state"]) == ("busy", "running")
    process.suspend()
    (busy,) = board.verb("start", *plan)
    assert busy["holder"]["state"] == "stopped"
    os.kill(process.pid, signal.SIGCONT)
    board.verb("cancel", run_dir)
    assert board.verb("start", *plan)[0]["kind"] == "started"
