"""Servers that give one channel, dropbear, and every login shell there is."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from support.dropbear import Dropbear, why_no_dropbear
from support.sshd import SshServer

from edgebench.devices.links.connection import TimeLimits
from edgebench.devices.links.shell import BOOTSTRAP, MarkedCommand
from edgebench.devices.links.ssh.connection import SshConnection
from edgebench.errors import ConnectionFailed

MakeServer = Callable[..., SshServer]

ODD_WORDS = [
    "a b",
    "$(id)",
    "`id`",
    "'",
    '"',
    "\\",
    "\\n",
    "*",
    "!",
    "!!",
    "%s",
    "a\nb",
    "-n",
    "ü",
    "",
    "x" * 5000,
]
LOGIN_SHELLS = ["bash", "dash", "fish", "tcsh", "bsd-csh", "mksh", "zsh"]
# What /bin/sh is on Debian, Fedora, Alpine and Android, and an older one.
PLAIN_SHELLS = ["dash", "bash --posix", "busybox sh", "mksh", "ksh"]


@pytest.fixture(params=["MaxSessions 1", "dropbear"])
def small(request: pytest.FixtureRequest, make_ssh_server: MakeServer) -> Iterator[Path]:
    """The config of a server that small boards have."""
    if request.param == "MaxSessions 1":
        yield make_ssh_server(extra=["MaxSessions 1"]).config_path
        return
    if why := why_no_dropbear():
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="bear") as folder:
        server = Dropbear(Path(folder) / "files").start()
        yield server.config_path
        server.stop()


@pytest.mark.ssh
def test_commands_copies_and_streams_one_after_the_other(small: Path, tmp_path: Path) -> None:
    (source := tmp_path / "source").write_bytes(bytes(range(256)) * 1000)
    connection = SshConnection.open("board", config_path=small)
    for number in range(4):
        assert connection.exec(["echo", str(number)], timeout_s=20).stdout == b"%d\n" % number
        connection.put(source, str(target := tmp_path / f"target{number}"))
        assert target.read_bytes() == source.read_bytes()
        with connection.stream(["sh", "-c", "echo a; echo b"], idle_timeout_s=20) as lines:
            assert list(lines) == [b"a", b"b"]
        with connection.stream(["sleep", "60"], idle_timeout_s=20):
            pass  # ended by closing
    connection.close()


@pytest.mark.ssh
def test_what_runs_beside_a_stream_gets_a_connection_of_its_own(make_ssh_server: MakeServer) -> None:
    server = make_ssh_server(extra=["MaxSessions 1"])
    connection = SshConnection.open("board", config_path=server.config_path)
    first = ["sh", "-c", "echo started; read -r _ </dev/null; sleep 60"]
    with connection.stream(first, idle_timeout_s=20) as lines:
        assert next(lines) == b"started"
        for number in range(3):
            assert connection.exec(["echo", str(number)], timeout_s=20).stdout == b"%d\n" % number
        with connection.stream(["echo", "beside"], idle_timeout_s=20) as beside:
            assert list(beside) == [b"beside"]
        assert server.log.count("Accepted publickey") == 2
    connection.close()


@pytest.mark.ssh
def test_a_server_that_gives_no_channel(make_ssh_server: MakeServer) -> None:
    server = make_ssh_server(extra=["MaxSessions 0"])
    limits = TimeLimits(connect_s=0.5)
    connection = SshConnection.open("board", config_path=server.config_path, limits=limits)
    with pytest.raises(ConnectionFailed, match=r"lets us in, but runs no command .*MaxSessions"):
        connection.exec(["true"], timeout_s=20)
    connection.close()


@pytest.mark.parametrize("shell", LOGIN_SHELLS)
@pytest.mark.parametrize("reads_stdin", [True, False], ids=["stdin", "lifeline"])
def test_every_login_shell_hands_our_line_to_sh(shell: str, reads_stdin: bool) -> None:
    """As sshd runs it: ``SHELL -c LINE``."""
    if (path := shutil.which(shell)) is None:
        pytest.skip(f"no {shell} on this machine")
    arrives([path, "-c", BOOTSTRAP], reads_stdin)


@pytest.mark.parametrize("shell", PLAIN_SHELLS)
@pytest.mark.parametrize("reads_stdin", [True, False], ids=["stdin", "lifeline"])
def test_every_program_that_is_bin_sh_reads_it(shell: str, reads_stdin: bool) -> None:
    name, *words = shell.split()
    if (path := shutil.which(name)) is None:
        pytest.skip(f"no {name} on this machine")
    arrives([path, *words, *shlex.split(BOOTSTRAP)[1:]], reads_stdin)


def test_a_program_that_arrives_in_part_is_not_run(tmp_path: Path) -> None:
    """The link may go down at any byte of it."""
    program = MarkedCommand(["touch", str(tmp_path / "ran")], reads_stdin=True).program()
    for cut in {*range(0, len(program), 7), len(program) - 1}:
        done = subprocess.run(shlex.split(BOOTSTRAP), input=program[:cut], capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")
    assert not (tmp_path / "ran").exists()
    subprocess.run(shlex.split(BOOTSTRAP), input=program, capture_output=True, check=True)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("shell", PLAIN_SHELLS)
def test_the_watcher_of_a_command_ends_with_it(shell: str) -> None:
    """It listens as long as the channel is open. A shell that loses SIGTERM, as mksh now and then does, is
    played by one that ignores it."""
    name, *words = shell.split()
    if (path := shutil.which(name)) is None:
        pytest.skip(f"no {name} on this machine")
    line = shlex.join([path, *words, *shlex.split(BOOTSTRAP)[1:]])
    pipe = subprocess.PIPE
    with subprocess.Popen(
        ["sh", "-c", f"trap '' TERM; exec {line}"],
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
    ) as login:
        assert login.stdin and login.stderr
        login.stdin.write(MarkedCommand(["true"], reads_stdin=False).program())
        login.stdin.flush()
        login.wait(20)
        left = [p for p in psutil.process_iter() if is_in_session(p, login.pid)]
        for process in left:
            process.kill()
    assert left == []


def is_in_session(process: psutil.Process, leader: int) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and os.getsid(process.pid) == leader
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False


def arrives(argv: list[str], reads_stdin: bool) -> None:
    """Words arrive as they are, what follows on standard input is the command's, the status comes back."""
    show = 'for word; do printf "<%s>" "$word"; done; cat; exit 3'
    command = MarkedCommand(["sh", "-c", show, "sh", *ODD_WORDS], reads_stdin)
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe) as login:
        assert login.stdin and login.stdout and login.stderr
        login.stdin.write(command.program() + (b"its input" if reads_stdin else b""))
        login.stdin.flush()
        if reads_stdin:
            login.stdin.close()  # open, it is the command's lifeline
        stdout, stderr = login.stdout.read(), login.stderr.read()
    expected = "".join(f"<{word}>" for word in ODD_WORDS) + ("its input" if reads_stdin else "")
    assert command.after_start(stdout) == expected.encode()
    assert command.split_end(stderr) == (b"", 3)
