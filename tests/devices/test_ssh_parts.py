"""The parts of the SSH side that need no server, against OpenSSH's programs and paramiko's classes."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import pwd
import socket
import subprocess
import threading
import time
from pathlib import Path

import paramiko
import pytest
from support.sshd import make_key

from edgebench.devices.boards.destination import parse_destination
from edgebench.devices.links.ssh import hostkeys
from edgebench.devices.links.ssh.config import host_settings, read_ssh_config
from edgebench.devices.links.ssh.errors import FOREIGN, Watchdog, wire_errors
from edgebench.errors import ConfigError, ConnectionFailed

CONFIG = """
User nobody-first
Include {folder}/more/*.conf
Host board other
  HostName 192.0.2.7
  Port 2222
  User pi
  IdentityFile ~/keys/%h
  IdentityFile /second
  UserKnownHostsFile /one /two
  ProxyJump a,user@b:99
Host patterned-* !patterned-not
  HostName %h.example.org
  HostKeyAlias the-{{}}-name
  IdentitiesOnly yes
Host *
  Port 2200
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.conf").write_text(
        "Host included\n  HostName 198.51.100.1\nHost board\n  Port 1\n"
    )
    (tmp_path / "more" / "b.txt").write_text("Host *\n  Port 7\n")
    path = tmp_path / "config"
    # After an Include the section goes on as before: this User is for everybody.
    path.write_text(CONFIG.format(folder=tmp_path).replace("User nobody-first\n", "") + "  User everybody\n")
    return path


@pytest.mark.parametrize("alias", ["board", "other", "included", "patterned-x", "patterned-not", "unknown"])
def test_config_is_read_as_openssh_reads_it(
    config: Path, alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # OpenSSH takes the home of the password file and we take $HOME: the same for this comparison.
    monkeypatch.setenv("HOME", pwd.getpwuid(os.getuid()).pw_dir)
    out = subprocess.run(
        ["ssh", "-G", "-F", str(config), alias], capture_output=True, text=True, check=True
    ).stdout
    theirs: dict[str, list[str]] = {}
    for line in out.splitlines():
        key, _, value = line.partition(" ")
        theirs.setdefault(key, []).append(value)
    ours = host_settings(read_ssh_config(config), alias)
    assert [ours.host] == theirs["hostname"]
    assert [str(ours.port)] == theirs["port"]
    assert [ours.user] == theirs["user"]
    assert ",".join(ours.jumps) == theirs.get("proxyjump", [""])[0].replace("none", "")
    assert [str(path) for path in ours.known_hosts[: len(theirs["userknownhostsfile"][0].split())]] == [
        str(Path(path).expanduser()) for path in theirs["userknownhostsfile"][0].split()
    ]
    if not ours.default_identities:
        assert [str(path) for path in ours.identity_files] == [
            str(Path(path.replace("%h", ours.host)).expanduser()) for path in theirs["identityfile"]
        ]
    assert ours.identities_only == (theirs["identitiesonly"] == ["yes"])
    alias_key = theirs.get("hostkeyalias", [""])[0]
    assert ours.key_name == (alias_key or (ours.host if ours.port == 22 else f"[{ours.host}]:{ours.port}"))


def test_what_the_caller_names_goes_first(config: Path) -> None:
    settings = host_settings(
        read_ssh_config(config), "board", user="me", port=5, key=Path("/k y"), config_path=config
    )
    assert (settings.user, settings.port, settings.identity_files) == ("me", 5, (Path("/k y"),))
    assert settings.ssh_command == f"ssh -F {config} -i '/k y' -p 5 me@board"


def test_a_named_config_that_is_missing_or_broken(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        read_ssh_config(tmp_path / "none")
    (tmp_path / "bad").write_text("Host board\n  Port twentytwo\n")
    with pytest.raises(ConfigError, match="does not make sense"):
        host_settings(read_ssh_config(tmp_path / "bad"), "board")
    (tmp_path / "circle").write_text(f"Include {tmp_path}/circle\n")
    with pytest.raises(ConfigError, match="deeper"):
        read_ssh_config(tmp_path / "circle")


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
    assert hostkeys.fingerprint(paramiko.PKey.from_path(key).asbytes()) == listing.split()[1]


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
