"""Who is trusted: host keys, the user's keys, jump hosts, over real OpenSSH servers."""

from __future__ import annotations

import contextlib
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest
from support.sshd import SshServer, free_port, make_key

from edgebench.devices.links.connection import TimeLimits
from edgebench.devices.links.ssh.connection import SshConnection
from edgebench.errors import AuthRefused, ConfigError, ConnectionFailed, HostKeyError

pytestmark = pytest.mark.ssh
MakeServer = Callable[..., SshServer]


def works(config: Path, alias: str = "board", **options: object) -> bool:
    connection = SshConnection.open(alias, config_path=config, **options)  # type: ignore[arg-type]
    try:
        return connection.exec(["echo", "here"], timeout_s=20).stdout == b"here\n"
    finally:
        connection.close()


def fingerprint_of(key: Path) -> str:
    """As OpenSSH prints it: the oracle for ours."""
    listing = subprocess.run(
        ["ssh-keygen", "-lf", str(key)], capture_output=True, text=True, check=True
    ).stdout
    return listing.split()[1]


# Host keys.


def test_unknown_host_key_is_refused_with_the_command_that_accepts_it(make_ssh_server: MakeServer) -> None:
    server = make_ssh_server()
    server.known_hosts.unlink()
    with pytest.raises(HostKeyError) as refused:
        works(server.config_path)
    text = str(refused.value)
    assert "ssh-ed25519" in text
    assert fingerprint_of(server.host_key) in text
    assert not server.known_hosts.exists()

    # The command it names, run as it stands but for the question, makes the board known.
    command = re.search(r"`(ssh -F [^`]+)`", text)
    assert command
    accept = [*shlex.split(command[1]), "-o", "StrictHostKeyChecking=accept-new", "true"]
    subprocess.run(
        [accept[0], *accept[1:3], *accept[4:6], accept[3], accept[6]], check=True, capture_output=True
    )
    assert works(server.config_path)


def test_changed_host_key_is_refused_with_both_fingerprints(make_ssh_server: MakeServer) -> None:
    server = make_ssh_server()
    old = fingerprint_of(server.host_key)
    server.stop()
    for path in (server.host_key, server.host_key.with_name("host_key.pub")):
        path.unlink()
    stale = server.known_hosts.read_text()
    server.start()
    server.known_hosts.write_text(stale)
    with pytest.raises(HostKeyError, match="has changed") as refused:
        works(server.config_path)
    text = str(refused.value)
    assert old in text
    assert fingerprint_of(server.host_key) in text

    # And the command it names does forget the old key.
    command = re.search(r"`(ssh-keygen -R [^`]+)`", text)
    assert command
    subprocess.run(shlex.split(command[1]), check=True, capture_output=True)
    with pytest.raises(HostKeyError, match="is not known"):
        works(server.config_path)


def test_another_host_key_in_the_middle_of_a_connection(ssh_server: SshServer) -> None:
    """Keys are agreed on anew every hour or gigabyte, and the host proves its key again."""
    connection = SshConnection.open("board", config_path=ssh_server.config_path)
    transport = connection._link.transport
    transport.renegotiate_keys()
    assert connection.exec(["echo", "here"], timeout_s=20).stdout == b"here\n"
    transport.host_key_blob = b"what another host showed"
    with contextlib.suppress(paramiko.SSHException, EOFError):
        transport.renegotiate_keys()
    with pytest.raises(ConnectionFailed):
        connection.exec(["echo", "here"], timeout_s=20)
    connection.close()


# The user's keys.


def test_refused_key_is_named(make_ssh_server: MakeServer, tmp_path: Path) -> None:
    server = make_ssh_server()
    wrong = make_key(tmp_path / "wrong")
    server.write_config(key=wrong)
    with pytest.raises(AuthRefused) as refused:
        works(server.config_path)
    assert str(wrong) in str(refused.value)
    assert "ssh-copy-id" in str(refused.value)


def test_missing_and_locked_keys_are_named(make_ssh_server: MakeServer, tmp_path: Path) -> None:
    server = make_ssh_server()
    locked = make_key(tmp_path / "locked", passphrase="secret")
    server.write_config(key=tmp_path / "missing", extra=[f"IdentityFile {locked}"])
    with pytest.raises(AuthRefused) as refused:
        works(server.config_path)
    assert f"refused every key offered: {locked}." in str(refused.value)
    assert f"{tmp_path / 'missing'} (no such file)" in str(refused.value)
    assert "ssh-add" not in str(refused.value)

    # The public half is not locked: a server that would take the key says so.
    (server.folder / "authorized_keys").write_text(locked.with_name("locked.pub").read_text())
    locked.with_name("locked.pub").unlink()
    with pytest.raises(AuthRefused, match="ssh-add") as refused:
        works(server.config_path)
    assert f"would take {locked}, but it is locked with a passphrase" in str(refused.value)
    assert "ssh-copy-id" not in str(refused.value)


def test_too_many_keys_for_the_server(make_ssh_server: MakeServer, tmp_path: Path) -> None:
    server = make_ssh_server(extra=["MaxAuthTries 2"])
    wrong = [make_key(tmp_path / f"wrong{n}") for n in range(4)]
    server.write_config(key=wrong[0], extra=[f"IdentityFile {key}" for key in wrong[1:]])
    with pytest.raises(AuthRefused, match="closed the connection"):
        works(server.config_path)


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_other_kinds_of_keys(make_ssh_server: MakeServer, tmp_path: Path, kind: str) -> None:
    server = make_ssh_server()
    key = make_key(tmp_path / kind, kind)
    (server.folder / "authorized_keys").write_text(key.with_name(f"{kind}.pub").read_text())
    server.write_config(key=key)
    assert works(server.config_path)


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(tmp_path / "agent")], stdout=subprocess.DEVNULL)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    deadline_s = time.monotonic() + 5
    while not (tmp_path / "agent").exists() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    yield
    process.terminate()
    process.wait(5)


@pytest.mark.usefixtures("agent")
def test_a_locked_key_through_the_agent(make_ssh_server: MakeServer) -> None:
    server = make_ssh_server()
    subprocess.run(["ssh-add", "-q", str(server.client_key)], check=True, capture_output=True)
    lock = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(server.client_key)]
    subprocess.run(lock, check=True, capture_output=True)
    assert works(server.config_path)


@pytest.mark.usefixtures("agent")
def test_an_agent_key_that_no_config_names(make_ssh_server: MakeServer) -> None:
    server = make_ssh_server()
    subprocess.run(["ssh-add", "-q", str(server.client_key)], check=True, capture_output=True)
    moved = server.client_key.rename(server.folder / "elsewhere")
    lines = server.config_path.read_text().replace("IdentitiesOnly yes", "IdentitiesOnly no")
    server.config_path.write_text(lines)
    assert works(server.config_path)
    server.config_path.write_text(
        lines.replace("IdentitiesOnly no", "IdentitiesOnly no\n  IdentityAgent none")
    )
    with pytest.raises(AuthRefused):
        works(server.config_path)
    assert works(server.config_path, key=moved)


# The way there.


def test_through_a_jump_host_whose_key_is_verified_too(make_ssh_server: MakeServer) -> None:
    jump = make_ssh_server("jump", aliases=("jump",))
    target = make_ssh_server("target")
    target.write_config(extra=["ProxyJump jump"])
    config = target.folder / "both"
    config.write_text(target.config_path.read_text() + jump.config_path.read_text())

    connection = SshConnection.open("board", config_path=config)
    assert connection.exec(["echo", "here"], timeout_s=20).stdout == b"here\n"
    assert jump.sessions()
    connection.close()

    jump.known_hosts.write_text("")
    with pytest.raises(HostKeyError, match=f"127.0.0.1:{jump.port} is not known") as refused:
        works(config)
    assert fingerprint_of(jump.host_key) in str(refused.value)
    jump.trust()
    target.known_hosts.write_text("")
    with pytest.raises(HostKeyError, match=f"127.0.0.1:{target.port} is not known"):
        works(config)
    target.trust()
    target.stop()
    with pytest.raises(ConnectionFailed, match=f"opened the way to 127.0.0.1:{target.port}"):
        works(config)
    target.start()
    target.write_config(extra=["ProxyJump jump"])
    assert works(config)
    jump.stop()
    with pytest.raises(ConnectionFailed, match=f"nothing listens at 127.0.0.1 port {jump.port}"):
        works(config)


def test_a_chain_of_jump_hosts(make_ssh_server: MakeServer) -> None:
    first = make_ssh_server("first", aliases=("first",))
    second = make_ssh_server("second", aliases=("second",))
    target = make_ssh_server("target")
    target.write_config(extra=[f"ProxyJump first,{second.user}@second"])
    config = target.folder / "all"
    config.write_text("".join(s.config_path.read_text() for s in (target, first, second)))
    connection = SshConnection.open("board", config_path=config)
    assert connection.exec(["echo", "here"], timeout_s=20).stdout == b"here\n"
    assert first.sessions()
    assert second.sessions()
    connection.close()


def test_jumps_in_a_circle(make_ssh_server: MakeServer) -> None:
    server = make_ssh_server()
    server.write_config(extra=["ProxyJump rpi4"])
    with pytest.raises(ConfigError, match="circle"):
        works(server.config_path)


def test_proxy_command(make_ssh_server: MakeServer, tmp_path: Path) -> None:
    relay = tmp_path / "relay.py"
    relay.write_text(
        "import os, socket, sys, threading\n"
        "wire = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def up():\n"
        "    while data := os.read(0, 65536): wire.sendall(data)\n"
        "    wire.shutdown(socket.SHUT_RDWR)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while data := wire.recv(65536): os.write(1, data)\n"
    )
    server = make_ssh_server()
    server.write_config(extra=[f"ProxyCommand {sys.executable} {relay} %h %p"])
    assert works(server.config_path)
    server.write_config(extra=["ProxyCommand /no/such/program %h %p"])
    with pytest.raises(ConnectionFailed):
        works(server.config_path)


# Nobody there.


def test_host_down(tmp_path: Path) -> None:
    port = free_port()
    (config := tmp_path / "config").write_text(f"Host board\n  HostName 127.0.0.1\n  Port {port}\n")
    with pytest.raises(ConnectionFailed, match=f"nothing listens at 127.0.0.1 port {port}"):
        works(config)


def test_name_that_does_not_resolve(tmp_path: Path) -> None:
    (config := tmp_path / "config").touch()
    with pytest.raises(ConnectionFailed, match="cannot be resolved"):
        works(config, "no-such-board.invalid")


@pytest.mark.parametrize(
    "greeting",
    [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-mute\r\n"],
    ids=["silent", "http", "stops after its banner"],
)
def test_something_that_accepts_and_is_no_live_ssh_server(tmp_path: Path, greeting: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def accept() -> None:
            wire, _ = listener.accept()
            wire.sendall(greeting)
            held.append(wire)

        threading.Thread(target=accept, daemon=True).start()
        port = listener.getsockname()[1]
        (config := tmp_path / "config").write_text(f"Host board\n  HostName 127.0.0.1\n  Port {port}\n")
        start_s = time.monotonic()
        with pytest.raises(ConnectionFailed):
            works(config, limits=TimeLimits(handshake_s=1.5))
        assert time.monotonic() - start_s < 6
        for wire in held:
            wire.close()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_nothing_is_left_open(make_ssh_server: MakeServer) -> None:
    server = make_ssh_server()
    files, threads = open_files(), threading.active_count()
    for _ in range(3):
        assert works(server.config_path)
    deadline_s = time.monotonic() + 10
    # Each for itself: the two as a tuple would compare the threads only where the files are equal in number.
    while time.monotonic() < deadline_s and (open_files() > files or threading.active_count() > threads):
        time.sleep(0.1)
    assert open_files() <= files
    assert threading.active_count() <= threads
