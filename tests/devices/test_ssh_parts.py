"""The parts of the SSH side that need no server, against OpenSSH's programs and paramiko's classes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import paramiko
import pytest
from support.sshd import make_key

from edgebench.devices.boards.destination import parse_destination
from edgebench.devices.links.ssh import blobs, hostkeys
from edgebench.devices.links.ssh.errors import FOREIGN, Watchdog, wire_errors
from edgebench.errors import ConnectionFailed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rpi4", ("rpi4", None, None)),
        ("pi@192.168.1.20", ("192.168.1.20", "pi", None)),
        ("pi@192.168.1.20:2222", ("192.168.1.20", "pi", 2222)),
        ("[fe80::1%eth0]:22", ("fe80::1%eth0", None, 22)),
        ("ssh://pi@board:1", ("board", "pi", 1)),
    ],
)
def test_destinations(text: str, expected: tuple[str, str | None, int | None]) -> None:
    found = parse_destination(text)
    assert (found.host, found.user, found.port) == expected


@pytest.mark.parametrize(
    "text", ["", "a b", "pi@", "host:", "host:99999", "host:x", "-oProxyCommand=x", "fe80::1"]
)
def test_what_is_no_destination(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_destination(text)


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_fingerprint_is_openssh_s(tmp_path: Path, kind: str) -> None:
    key = make_key(tmp_path / kind, kind)
    listing = subprocess.check_output(["ssh-keygen", "-lf", str(key)], text=True)
    assert blobs.fingerprint(paramiko.PKey.from_path(key).asbytes()) == listing.split()[1]


@pytest.mark.parametrize("hashed", [False, True])
def test_known_hosts_lines_match_as_openssh_matches_them(tmp_path: Path, hashed: bool) -> None:
    words = make_key(tmp_path / "key").with_name("key.pub").read_text().split()[:2]
    file = tmp_path / "known_hosts"
    names = ["plain.example.org", "[192.0.2.1]:2222", "192.0.2.9,also.example.org"]
    if not hashed:
        names += ["*.lab.example.org,!bad.lab.example.org", "h?st"]
    lines = "".join(f"{name} {' '.join(words)}\n" for name in names)
    file.write_text(f"# comment\n\n{lines}")
    if not hashed:
        file.write_text(file.read_text() + "a broken line\n")
    else:
        subprocess.run(["ssh-keygen", "-H", "-f", str(file)], check=True, capture_output=True)
    known = hostkeys.read_known_hosts([file, tmp_path / "missing"])
    asked = "plain.example.org PLAIN.example.org [192.0.2.1]:2222 192.0.2.1 192.0.2.9 host also.example.org"
    for name in [*asked.split(), "good.lab.example.org", "bad.lab.example.org"]:
        theirs = subprocess.run(["ssh-keygen", "-F", name, "-f", str(file)], capture_output=True, check=False)
        assert any(key.matches(name) for key in known) == (theirs.returncode == 0), name


# An Ed25519 public key of all zeros, in the encoding of RFC 8709, section 4.
PUBLIC = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)


def foreign_classes() -> list[type[BaseException]]:
    """Every exception class that any module of paramiko defines."""
    found = {OSError, EOFError, TimeoutError, socket.gaierror, ConnectionResetError, BrokenPipeError}
    for module in pkgutil.iter_modules(paramiko.__path__, "paramiko."):
        if module.name in ("paramiko._winapi", "paramiko.win_pageant", "paramiko.win_openssh"):
            continue
        for _, thing in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(thing, Exception) and thing.__module__.startswith("paramiko."):
                found.add(thing)
    return sorted(found, key=lambda c: c.__qualname__)


def test_the_enumeration_finds_the_known_ones() -> None:
    names = {c.__name__ for c in foreign_classes()}
    assert {"SSHException", "SFTPError", "BadHostKeyException", "ChannelException", "PipeTimeout"} <= names
    assert len(names) > 20


@pytest.mark.parametrize("foreign", foreign_classes(), ids=lambda c: c.__name__)
def test_foreign_exceptions_do_not_escape(foreign: type[BaseException]) -> None:
    key = paramiko.Ed25519Key.from_type_string("ssh-ed25519", PUBLIC)
    arguments: dict[str, tuple[object, ...]] = {
        "AuthFailure": (paramiko.AuthResult(None),),
        "BadAuthenticationType": ("no", ["password"]),
        "BadHostKeyException": ("board", key, key),
        "ChannelException": (1, "no"),
        "NoValidConnectionsError": ({("board", 22): OSError("no")},),
        "PartialAuthentication": (["password"],),
        "InvalidHostKey": ("line", OSError("no")),
        "ProxyCommandFailure": ("nc", "no"),
        "UnknownKeyType": ("ssh-new", b""),
    }
    error = foreign(*arguments.get(foreign.__name__, ()))
    assert issubclass(foreign, FOREIGN)
    with (
        pytest.raises(ConnectionFailed, match=r"pi@board: the link failed while it was tested") as caught,
        wire_errors("pi@board", "it was tested"),
    ):
        raise error
    assert type(caught.value.__cause__) is foreign


def test_watchdog_bites_only_when_unfed() -> None:
    cut = threading.Event()
    with Watchdog(0.3, cut.set) as dog:
        for _ in range(6):
            time.sleep(0.1)
            dog.feed()
    time.sleep(0.4)
    assert not cut.is_set()
    with Watchdog(0.3, cut.set) as dog:
        assert cut.wait(2)
    assert dog.bit
