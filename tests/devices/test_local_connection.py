"""The connection to this machine, against real processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from edgebench.devices.links.bounded import STDERR_TAIL_BYTES
from edgebench.devices.links.connection import ExecResult, read_status
from edgebench.devices.links.local import LocalConnection
from edgebench.errors import ConnectionFailed, DeviceError


@pytest.fixture
def local() -> LocalConnection:
    return LocalConnection()


@pytest.mark.parametrize(
    ("status", "expected"),
    [(0, (0, None)), (1, (1, None)), (127, (127, None)), (128, (128, None)), (132, (None, 4)),
     (137, (None, 9)), (192, (None, 64)), (193, (193, None)), (255, (255, None))],
)  # fmt: skip
def test_status_of_a_shell(status: int, expected: tuple[int | None, int | None]) -> None:
    assert read_status(status) == expected


def test_status_streams_and_stdin(local: LocalConnection) -> None:
    result = local.exec(["sh", "-c", "cat; echo problem >&2; exit 3"], timeout_s=10, stdin=b"word\n")
    assert result == ExecResult(3, None, b"word\n", b"problem\n")


def test_a_death_by_signal_is_no_status(local: LocalConnection) -> None:
    result = local.exec(["sh", "-c", "kill -ILL $$"], timeout_s=10)
    assert (result.status, result.signal) == (None, signal.SIGILL)
    assert "4 (SIGILL)" in result.ending()


def test_what_is_not_there_ends_like_in_a_shell(local: LocalConnection, tmp_path: Path) -> None:
    assert local.exec(["/no/such/program"], timeout_s=10).status == 127
    (plain := tmp_path / "plain").write_text("text")
    assert local.exec([str(plain)], timeout_s=10).status == 126
    with local.stream(["/no/such/program"], idle_timeout_s=10) as lines:
        assert list(lines) == []
    assert lines.result is not None
    assert lines.result.status == 127


def test_words_reach_the_command_as_they_are(local: LocalConnection) -> None:
    word = "a b;$(id)'\"\n*"
    assert local.exec(["printf", "%s", word], timeout_s=10).stdout.decode() == word


def test_time_limit_ends_the_command_and_what_it_started(local: LocalConnection, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    start_s = time.monotonic()
    with pytest.raises(ConnectionFailed, match=r"did not finish within 0\.5 s"):
        local.exec(["sh", "-c", f"sleep 60 & echo $! > {pid_file}; wait"], timeout_s=0.5)
    assert time.monotonic() - start_s < 5
    assert _ends(int(pid_file.read_text()))


def test_stream_gives_lines_as_they_come(local: LocalConnection) -> None:
    start_s = time.monotonic()
    with local.stream(["sh", "-c", "echo one; sleep 30"], idle_timeout_s=20) as lines:
        assert next(lines) == b"one"
        pid = lines._process.pid
    assert time.monotonic() - start_s < 10
    assert _ends(pid)


def test_stream_keeps_a_cut_last_line_and_the_status(local: LocalConnection) -> None:
    with local.stream(["sh", "-c", "echo a; printf b; echo why >&2; exit 4"], idle_timeout_s=10) as lines:
        assert list(lines) == [b"a", b"b"]
    assert lines.result == ExecResult(4, None, b"", b"why\n")


def test_stream_that_says_nothing_is_ended(local: LocalConnection) -> None:
    with (
        local.stream(["sh", "-c", "echo a; sleep 60"], idle_timeout_s=0.5) as lines,
        pytest.raises(ConnectionFailed, match="said nothing"),
    ):
        list(lines)
    assert _ends(lines._process.pid)


def test_large_output_on_both_streams(local: LocalConnection) -> None:
    program = "import sys\nfor _ in range(100): sys.stdout.write('o' * 65536); sys.stderr.write('e' * 65536)"
    result = local.exec([sys.executable, "-c", program], timeout_s=60, limit_bytes=6553600)
    assert (len(result.stdout), len(result.stderr)) == (6553600, STDERR_TAIL_BYTES)


def test_put_copies_and_reports(local: LocalConnection, tmp_path: Path) -> None:
    (source := tmp_path / "source").write_bytes(os.urandom(3_000_000))
    moved: list[int] = []
    local.put(source, str(tmp_path / "target"), progress=moved.append)
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
    assert sum(moved) == 3_000_000
    with pytest.raises(DeviceError, match="cannot copy"):
        local.put(source, str(tmp_path / "no" / "target"))


def _ends(pid: int) -> bool:
    deadline_s = time.monotonic() + 5
    while time.monotonic() < deadline_s:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":  # orphaned, and nobody has read its status yet
            return True
        time.sleep(0.05)
    return False
