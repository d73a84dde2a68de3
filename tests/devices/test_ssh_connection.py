"""Commands and copies over a real OpenSSH server."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paramiko import SFTPClient
from support.sshd import SshServer

from edgebench.devices.links.bounded import STDERR_TAIL_BYTES
from edgebench.devices.links.connection import ExecResult, TimeLimits
from edgebench.devices.links.ssh.connection import SshConnection
from edgebench.errors import ConnectionFailed, DeviceError

pytestmark = pytest.mark.ssh

# The four ways a command may be asked for, by what should come back.
NOISE = "import sys\nfor _ in range(100): sys.stdout.write('o' * 65536); sys.stderr.write('e' * 10000)"


def reach(server: SshServer, **limits: float) -> SshConnection:
    return SshConnection.open("board", config_path=server.config_path, limits=TimeLimits(**limits))


@pytest.fixture(scope="module")
def board(ssh_server: SshServer) -> Iterator[SshConnection]:
    connection = reach(ssh_server)
    yield connection
    connection.close()


def test_status_streams_and_stdin(board: SshConnection) -> None:
    result = board.exec(["sh", "-c", "cat; echo problem >&2; exit 3"], timeout_s=20, stdin=b"word\n")
    assert result == ExecResult(3, None, b"word\n", b"problem\n")
    assert board.exec(["true"], timeout_s=20) == ExecResult(0, None, b"", b"")
    assert board.exec(["sh", "-c", "exit 255"], timeout_s=20).status == 255
    assert board.exec(["no-such-program"], timeout_s=20).status == 127


@pytest.mark.parametrize("number", [signal.SIGILL, signal.SIGKILL, signal.SIGSEGV])
@pytest.mark.parametrize("stdin", [None, b""], ids=["lifeline", "stdin"])
def test_a_death_by_signal_is_not_a_lost_link(
    board: SshConnection, number: signal.Signals, stdin: bytes | None
) -> None:
    program = f"import os; os.kill(os.getpid(), {int(number)})"
    result = board.exec([sys.executable, "-c", program], timeout_s=20, stdin=stdin)
    assert (result.status, result.signal) == (None, number)


@pytest.mark.parametrize("word", ["a b", "$(id)", "`id`", "'", '"', "\\", "*", ";", "a\nb", "-n", "ü", ""])
def test_words_reach_the_command_as_they_are(board: SshConnection, word: str) -> None:
    argv = [sys.executable, "-c", "import sys; sys.stdout.write(sys.argv[1])", word]
    assert board.exec(argv, timeout_s=20).stdout.decode() == word


def test_large_output_on_both_streams_does_not_lock(board: SshConnection) -> None:
    result = board.exec([sys.executable, "-c", NOISE], timeout_s=60, limit_bytes=6553600)
    assert len(result.stdout) == 6553600
    # The end is kept; edgebench's own mark, the last line, is taken off it.
    assert 0 < STDERR_TAIL_BYTES - len(result.stderr) < 100
    assert result.status == 0


def test_megabytes_of_stdin(board: SshConnection) -> None:
    data = os.urandom(5_000_000)
    assert board.exec(["cat"], timeout_s=60, stdin=data, limit_bytes=len(data)).stdout == data


def test_stdin_that_nobody_reads(board: SshConnection) -> None:
    assert board.exec(["sh", "-c", "exit 5"], timeout_s=20, stdin=bytes(5_000_000)).status == 5


def test_stderr_that_looks_like_an_end_mark(board: SshConnection) -> None:
    result = board.exec(["sh", "-c", "printf '\\nedgebench-00:0\\nmore' >&2; exit 7"], timeout_s=20)
    assert (result.status, result.stderr) == (7, b"\nedgebench-00:0\nmore")


def test_time_limit_ends_the_command_and_keeps_the_link(board: SshConnection, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    start_s = time.monotonic()
    with pytest.raises(ConnectionFailed, match="did not finish within 1 s"):
        board.exec(["sh", "-c", f"echo $$ > {pid_file}; exec sleep 60"], timeout_s=1)
    assert time.monotonic() - start_s < 5
    assert ends(int(pid_file.read_text()))
    assert board.exec(["echo", "still"], timeout_s=20).stdout == b"still\n"


def test_stream_gives_lines_as_they_come_and_closing_ends_the_command(
    board: SshConnection, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    start_s = time.monotonic()
    with board.stream(
        ["sh", "-c", f"echo $$ > {pid_file}; echo one; exec sleep 60"], idle_timeout_s=20
    ) as lines:
        assert next(lines) == b"one"
    assert time.monotonic() - start_s < 10
    assert ends(int(pid_file.read_text()))


def test_a_command_deaf_to_sigterm_is_killed(board: SshConnection, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    program = f"trap '' TERM; echo $$ > {pid_file}; echo one; while :; do sleep 0.2; done"
    with board.stream(["sh", "-c", program], idle_timeout_s=20) as lines:
        assert next(lines) == b"one"
    assert ends(int(pid_file.read_text()), within_s=6)


def test_stream_keeps_a_cut_last_line_and_the_status(board: SshConnection) -> None:
    with board.stream(
        ["sh", "-c", "echo a; echo; printf b; echo why >&2; exit 4"], idle_timeout_s=20
    ) as lines:
        assert list(lines) == [b"a", b"", b"b"]
    assert lines.result == ExecResult(4, None, b"", b"why\n")


def test_stream_tells_a_death_by_signal(board: SshConnection) -> None:
    with board.stream(["sh", "-c", "echo a; kill -9 $$"], idle_timeout_s=20) as lines:
        assert list(lines) == [b"a"]
    assert lines.result is not None
    assert lines.result.signal == signal.SIGKILL


def test_stream_that_says_nothing_is_ended(board: SshConnection) -> None:
    with (
        board.stream(["sh", "-c", "echo a; sleep 60"], idle_timeout_s=1) as lines,
        pytest.raises(ConnectionFailed, match="said nothing for 1 s"),
    ):
        list(lines)


def test_two_streams_and_a_command_at_once(board: SshConnection) -> None:
    count = "i=0; while [ $i -lt 300 ]; do echo $i; i=$((i+1)); done"
    wanted = [str(n).encode() for n in range(300)]
    with (
        board.stream(["sh", "-c", count], idle_timeout_s=20) as one,
        board.stream(["sh", "-c", count], idle_timeout_s=20) as two,
    ):
        assert next(one) == b"0"
        assert board.exec(["echo", "between"], timeout_s=20).stdout == b"between\n"
        assert list(two) == wanted
        assert list(one) == wanted[1:]


@pytest.mark.parametrize("sftp", [True, False], ids=["sftp", "cat"])
def test_put(make_ssh_server: Callable[..., SshServer], tmp_path: Path, sftp: bool) -> None:
    server = make_ssh_server(sftp=sftp)
    (source := tmp_path / "source").write_bytes(os.urandom(9_000_001))
    (tmp_path / "empty").touch()
    moved: list[int] = []
    connection = reach(server)
    connection.put(source, str(tmp_path / "a target's name"), progress=moved.append)
    assert (tmp_path / "a target's name").read_bytes() == source.read_bytes()
    assert sum(moved) == 9_000_001
    assert len(moved) > 10
    connection.put(tmp_path / "empty", str(tmp_path / "a target's name"))
    assert (tmp_path / "a target's name").read_bytes() == b""
    with pytest.raises(DeviceError, match="cannot be written") as refused:
        connection.put(source, str(tmp_path / "no-folder" / "target"))
    assert not isinstance(refused.value, ConnectionFailed)
    assert connection.exec(["echo", "still"], timeout_s=20).stdout == b"still\n"
    assert connection._has_sftp is sftp
    connection.close()


@pytest.mark.parametrize("sftp", [True, False], ids=["sftp", "cat"])
@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_a_link_that_breaks_in_a_put(
    make_ssh_server: Callable[..., SshServer], tmp_path: Path, sftp: bool, how: str
) -> None:
    server = make_ssh_server(sftp=sftp)
    with (source := tmp_path / "source").open("wb") as writer:
        writer.truncate(2 << 30)
    connection = reach(server, stall_s=2, connect_s=3)
    moved: list[int] = []
    stopped: list[int] = []

    def strike(count: int) -> None:
        moved.append(count)
        if sum(moved) > 2_000_000 and not stopped:
            stopped.extend(server.sessions())
            for pid in stopped:
                os.kill(pid, signal.SIGKILL if how == "killed" else signal.SIGSTOP)

    start_s = time.monotonic()
    try:
        with pytest.raises(ConnectionFailed, match="the link failed"):
            connection.put(source, str(tmp_path / "target"), progress=strike)
        assert time.monotonic() - start_s < 12
        target = tmp_path / "target"
        assert not target.exists() or target.stat().st_size < 2 << 30
    finally:
        release(stopped if how == "frozen" else [])
        connection.close()


def test_a_link_that_is_cut_ends_a_command_and_a_stream(make_ssh_server: Callable[..., SshServer]) -> None:
    server = make_ssh_server()
    connection = reach(server)
    lines = connection.stream(["sh", "-c", "echo a; sleep 60"], idle_timeout_s=30)
    assert next(lines) == b"a"
    killer = threading.Timer(0.5, lambda: [os.kill(pid, signal.SIGKILL) for pid in server.sessions()[:1]])
    killer.start()
    start_s = time.monotonic()
    with pytest.raises(ConnectionFailed, match="the link"):
        connection.exec(["sleep", "60"], timeout_s=50)
    with pytest.raises(ConnectionFailed, match="the link"):
        list(lines)
    with pytest.raises(ConnectionFailed, match="the link failed"):
        connection.exec(["true"], timeout_s=20)
    assert time.monotonic() - start_s < 10
    connection.close()


def test_a_close_that_fails_hides_nothing(
    make_ssh_server: Callable[..., SshServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link may end between the last answer and the closing of the channel, which then raises."""

    def close(self: SFTPClient) -> None:
        raise EOFError

    connection = reach(make_ssh_server())
    monkeypatch.setattr(SFTPClient, "close", close)
    (source := tmp_path / "source").write_bytes(b"whole")
    connection.put(source, str(tmp_path / "target"))
    assert (tmp_path / "target").read_bytes() == b"whole"
    with pytest.raises(DeviceError, match="cannot be written"):
        connection.put(source, str(tmp_path / "no folder" / "target"))
    connection.close()


def test_a_frozen_board_is_noticed(make_ssh_server: Callable[..., SshServer]) -> None:
    server = make_ssh_server()
    connection = reach(server, connect_s=2)
    stopped = server.sessions()
    try:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):  # one may have been about to end
                os.kill(pid, signal.SIGSTOP)
        start_s = time.monotonic()
        with pytest.raises(ConnectionFailed):
            connection.exec(["true"], timeout_s=10)
        connection.close()
        assert time.monotonic() - start_s < 10
    finally:
        release(stopped)


def test_a_lost_link_ends_what_ran_on_the_board(
    make_ssh_server: Callable[..., SshServer], tmp_path: Path
) -> None:
    connection = reach(make_ssh_server())
    pid_file = tmp_path / "pid"
    lines = connection.stream(["sh", "-c", f"echo $$ > {pid_file}; echo a; exec sleep 60"], idle_timeout_s=30)
    assert next(lines) == b"a"
    connection._link.cut()
    assert ends(int(pid_file.read_text()))
    connection.close()


def test_start_up_files_that_talk(make_ssh_server: Callable[..., SshServer]) -> None:
    """A .bashrc that prints must not mix with the command's words (it does break SFTP and scp)."""
    server = make_ssh_server(
        extra=['ForceCommand echo welcome; echo careful >&2; eval "$SSH_ORIGINAL_COMMAND"']
    )
    connection = reach(server)
    result = connection.exec(["echo", "mine"], timeout_s=20)
    assert (result.status, result.stdout) == (0, b"mine\n")
    with connection.stream(["echo", "mine"], idle_timeout_s=20) as lines:
        assert list(lines) == [b"mine"]
    connection.close()


def test_an_account_that_runs_no_commands(make_ssh_server: Callable[..., SshServer]) -> None:
    connection = reach(make_ssh_server(extra=["ForceCommand echo This account is not available.; exit 1"]))
    with pytest.raises(DeviceError, match="This account is not available") as refused:
        connection.exec(["true"], timeout_s=20)
    assert not isinstance(refused.value, ConnectionFailed)
    connection.close()


def test_the_socket_is_guarded_by_the_kernel(board: SshConnection) -> None:
    import socket

    wire = board._link.transport.sock
    assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000


def release(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            continue


def ends(pid: int, within_s: float = 5) -> bool:
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False
