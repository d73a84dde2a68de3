"""The ssh config against OpenSSH itself: as the client reads it for us, and read by ourselves without one."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edgebench.devices.links.ssh import config as config_module
from edgebench.devices.links.ssh.config import host_settings
from edgebench.devices.links.ssh.openssh import find_client
from edgebench.devices.links.ssh.settings import HostSettings
from edgebench.errors import ConfigError

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="no OpenSSH client on this machine")

CONFIG = """
Include {folder}/more/*.conf
Host board other
  HostName 192.0.2.7
  Port 2222
  User pi
  IdentityFile ~/keys/%h
  IdentityFile /second/%n-%r-%p-%u-%%
  UserKnownHostsFile /one "{folder}/two words"
  ProxyJump a,user@b:99
  Include {folder}/more/inside
Host patterned-* !patterned-not
  HostName %h.example.org
  HostKeyAlias the-{{}}-name
  IdentitiesOnly yes
  IdentityAgent ~/agent-%h
Match originalhost matched user nobody
  Port 77
Match originalhost matched !user nobody
  Port 78
Match originalhost *,!unknown host *.example.org
  AddressFamily inet6
  ConnectTimeout 1m7s
Host keyless
  IdentityFile none
Host *
  Port 2200
  User everybody
"""
HOSTS = (
    "board",
    "other",
    "included",
    "patterned-x",
    "patterned-not",
    "matched",
    "inner",
    "unknown",
    "Upper.Case",
)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", pwd.getpwuid(os.getuid()).pw_dir)
    (tmp_path / "two words").touch()
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.conf").write_text(
        "Host included\n  HostName 198.51.100.1\nHost board\n  Port 1\n"
    )
    (tmp_path / "more" / "b.txt").write_text("Host *\n  Port 7\n")
    # Included by a section of other hosts: this is not for `inner`.
    (tmp_path / "more" / "inside").write_text("CheckHostIP yes\nHost inner\n  Port 8\n")
    path = tmp_path / "config"
    path.write_text(CONFIG.format(folder=tmp_path))
    return path


@pytest.fixture(params=["client", "own reading"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "own reading":
        monkeypatch.setattr(config_module, "find_client", lambda: None)
    return str(request.param)


def openssh(config: Path, alias: str) -> dict[str, list[str]]:
    """What the client resolves, and which files it would use, which it tells only on the way."""
    said: dict[str, list[str]] = {}
    resolved = subprocess.run(
        ["ssh", "-G", "-F", str(config), alias], capture_output=True, text=True, check=True
    )
    for line in resolved.stdout.splitlines():
        key, _, value = line.partition(" ")
        said.setdefault(key, []).append(value)
    argv = ["ssh", "-v", "-F", str(config), "-o", "ProxyJump=none", "-o", "ProxyCommand=false", alias]
    log = subprocess.run(argv, capture_output=True, text=True, check=False).stderr
    said["files"] = [
        file for file in re.findall(r"identity file (.*) type -?\d+", log) if not file.endswith("-cert")
    ]
    return said


@pytest.mark.parametrize("alias", HOSTS)
def test_a_host_is_what_openssh_says(config: Path, alias: str, reading: str) -> None:
    theirs, ours = openssh(config, alias), host_settings(alias, config_path=config)
    assert [ours.host] == theirs["hostname"]
    assert [str(ours.port)] == theirs["port"]
    assert [ours.user] == theirs["user"]
    assert ",".join(ours.jumps) == theirs.get("proxyjump", [""])[0]
    assert " ".join(map(str, ours.known_hosts)).startswith(theirs["userknownhostsfile"][0])
    expected = (config.parent / "two words", Path("/etc/ssh/ssh_known_hosts"))
    assert alias not in ("board", "other") or ours.known_hosts[1:3] == expected
    files = [str(path) for path in ours.identity_files]
    assert set(files) <= set(theirs["files"]) if ours.default_identities else files == theirs["files"]
    assert files or alias == "keyless"
    assert ours.identities_only == (theirs["identitiesonly"] == ["yes"])
    assert ours.host_key_alias == theirs.get("hostkeyalias", [None])[0]
    assert [str(ours.agent or os.environ.get("SSH_AUTH_SOCK"))] == theirs.get("identityagent", ["None"])
    assert [ours.address_family] == theirs["addressfamily"]
    assert [f"{ours.connect_s:g}" if ours.connect_s else "none"] == theirs["connecttimeout"]
    assert ours.check_host_ip == (theirs["checkhostip"] == ["yes"])


def test_what_the_caller_names_goes_first(config: Path, reading: str) -> None:
    settings = host_settings("board", user="me", port=5, key=Path("/k y"), config_path=config)
    assert (settings.user, settings.port, settings.identity_files) == ("me", 5, (Path("/k y"),))
    assert settings.identities_only
    assert not settings.default_identities
    percent = host_settings("board", key=Path("/100%/key"), config_path=config)
    assert percent.identity_files == (Path("/100%/key"),)
    assert settings.ssh_command == f"ssh -F {config} -i '/k y' -p 5 me@board"


def test_a_config_that_is_missing_or_broken(tmp_path: Path, reading: str) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        host_settings("board", config_path=tmp_path / "none")
    (tmp_path / "bad").write_text("Host board\n  Port twentytwo\n")
    with pytest.raises(ConfigError, match=r"twentytwo|port"):
        host_settings("board", config_path=tmp_path / "bad")
    (tmp_path / "circle").write_text(f"Include {tmp_path}/circle\n")
    with pytest.raises(ConfigError, match=r"deeper|[Tt]oo many"):
        host_settings("board", config_path=tmp_path / "circle")


# What is shipped in /etc/ssh/ssh_config.d of Fedora and RHEL, and Match words of other releases.
CONDITIONS = {
    "Match final all": (23, 22),
    'Match exec "true"': (23, 22),
    'Match exec "false"': (22, 22),
    "Match canonical": (22, 22),
    "Match all": (23, 23),
    "Match originalhost board": (23, 23),
    "Match !originalhost board": (22, 22),
}


@pytest.mark.parametrize("line", CONDITIONS)
def test_a_condition_is_openssh_s_or_false(
    tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_client, by_us = CONDITIONS[line]
    (path := tmp_path / "config").write_text(f"{line}\n  Port 23\nHost *\n  HostName 192.0.2.1\n")
    assert host_settings("board", config_path=path).port == by_client
    assert openssh(path, "board")["port"] == [str(by_client)]
    monkeypatch.setattr(config_module, "find_client", lambda: None)
    assert host_settings("board", config_path=path).port == by_us


def test_a_condition_of_another_release_is_never_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "Match localnetwork 10.0.0.0/8\n  ProxyJump nowhere\nMatch host board version x\n  Port 9\n"
    (path := tmp_path / "config").write_text(text)
    with pytest.raises(ConfigError, match=r"does not understand.*(localnetwork|version)"):
        host_settings("board", config_path=path)
    monkeypatch.setattr(config_module, "find_client", lambda: None)
    settings = host_settings("board", config_path=path)
    assert (settings.jumps, settings.port) == ((), 22)


def test_canonical_names_are_the_client_s(tmp_path: Path) -> None:
    text = "CanonicalizeHostname always\nCanonicalizePermittedCNAMEs *:*\nHost local*\n  HostName localhost\n"
    (path := tmp_path / "config").write_text(text + "Match canonical\n  Port 99\n")
    assert host_settings("localbox", config_path=path).port == int(openssh(path, "localbox")["port"][0]) == 99


@pytest.mark.parametrize("name", ["a;b", "$(id)", "a`b`", "-oProxyCommand=x", "a b", "a'b", "a\nb"])
def test_a_name_that_a_shell_would_read_is_refused(tmp_path: Path, name: str, reading: str) -> None:
    (path := tmp_path / "config").write_text("ProxyCommand nc %h %p\n")
    with pytest.raises(ConfigError, match="cannot be the name of a host"):
        host_settings(name, config_path=path)
    if name not in ("a b", "a\nb"):
        with pytest.raises(ConfigError, match="cannot be the name of a user"):
            host_settings("board", user=name, config_path=path)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("IdentityFile ~/%Z", "%Z"),
        ("IdentityFile ${NO_SUCH_VARIABLE}/key", "NO_SUCH_VARIABLE"),
        ("ProxyCommand nc %Z", "%Z"),
    ],
)
def test_a_token_that_nobody_knows(tmp_path: Path, line: str, says: str, reading: str) -> None:
    (path := tmp_path / "config").write_text(f"{line}\n")
    with pytest.raises(ConfigError, match=says):
        host_settings("board", config_path=path)


def proxy(settings: HostSettings) -> str:
    return settings.proxy_command or ""


def test_the_tokens_of_a_proxy_command(tmp_path: Path, reading: str) -> None:
    (path := tmp_path / "config").write_text(
        "Host b\n  HostName 192.0.2.1\n  Port 7\n  User u\n  ProxyCommand x %h %p %r %n 100%%\n"
    )
    assert proxy(host_settings("b", config_path=path)) == "x 192.0.2.1 7 u b 100%"
    path.write_text("Host b\n  ProxyCommand none\n")
    assert proxy(host_settings("b", config_path=path)) == ""


def test_a_client_that_is_not_openssh_s_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small systems call dropbear's client `ssh`, which would connect."""
    (tmp_path / "ssh").write_text(f"#!/bin/sh\necho Dropbear v2022.83 >&2\necho $* >> {tmp_path}/asked\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert find_client() is None
    (path := tmp_path / "config").write_text("Host board\n  Port 23\n")
    assert host_settings("board", config_path=path).port == 23
    assert (tmp_path / "asked").read_text() == "-V\n"


def test_another_home_than_the_password_file_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers and CI services set $HOME; what lies there is meant, and the command printed says so."""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host board\n  Port 4242\n  IdentityFile ~/mine\n")
    (tmp_path / "mine").touch()
    (tmp_path / ".ssh" / "known_hosts").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = host_settings("board")
    assert (settings.port, settings.identity_files) == (4242, (tmp_path / "mine",))
    assert tmp_path / ".ssh" / "known_hosts" in settings.known_hosts
    assert settings.ssh_command == f"ssh -F {tmp_path}/.ssh/config board"
