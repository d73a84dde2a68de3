"""What edgebench advises when a board does not let it in: it works, and has not been followed already."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.ssh_agents import start_agent
from support.sshd import SshServer, make_key

from edgebench.devices.links.ssh import distrust
from edgebench.devices.links.ssh.connection import SshConnection
from edgebench.errors import AuthRefused, HostKeyError

pytestmark = pytest.mark.ssh
MakeServer = Callable[..., SshServer]


def enter(server: SshServer) -> None:
    SshConnection.open("board", config_path=server.config_path).close()


def refusal(server: SshServer, kind: type[Exception] = AuthRefused) -> str:
    with pytest.raises(kind) as refused:
        enter(server)
    return str(refused.value)


def test_the_line_to_add_where_no_client_is_installed(
    make_ssh_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_ssh_server()
    server.known_hosts.write_text("")
    monkeypatch.setattr(distrust, "find_client", lambda: None)
    said = refusal(server, HostKeyError)
    added = re.search(r"add this line to (\S+): (.+)\.$", said)
    assert added
    assert added[1] == str(server.known_hosts)
    server.known_hosts.write_text(added[2] + "\n")
    enter(server)


@pytest.mark.parametrize("strict", ["yes", "no", "accept-new", "ask"])
def test_an_unknown_key_under_each_strictness(make_ssh_server: MakeServer, strict: str) -> None:
    """The advice, run as it stands, makes the board known; `ssh` itself would refuse under `yes`."""
    server = make_ssh_server()
    server.known_hosts.write_text("")
    server.write_config(extra=[f"StrictHostKeyChecking {strict}"])
    said = refusal(server, HostKeyError)
    assert (f"StrictHostKeyChecking {strict};" in said) == (strict in ("no", "accept-new"))
    if strict == "yes":
        line = said.partition("add this line to ")[2].partition(": ")[2].rstrip(".")
        server.known_hosts.write_text(line + "\n")
    else:
        command = shlex.split(said.rpartition("accept it with `")[2].partition("`")[0])
        assert ("answer yes" in said) == (strict == "ask")
        option = ["-o", "StrictHostKeyChecking=accept-new"] if strict == "ask" else []
        subprocess.run([command[0], *option, *command[1:], "true"], check=True, capture_output=True)
    enter(server)


def test_a_known_hosts_file_that_keeps_nothing(make_ssh_server: MakeServer) -> None:
    server = make_ssh_server()
    text = server.config_path.read_text().replace(str(server.known_hosts), "/dev/null")
    server.config_path.write_text(text)
    said = refusal(server, HostKeyError)
    assert "UserKnownHostsFile /dev/null" in said
    assert "accept it with" not in said


def test_ssh_copy_id_only_where_it_gets_in(make_ssh_server: MakeServer, tmp_path: Path) -> None:
    closed = make_ssh_server("closed")
    closed.write_config(key=make_key(tmp_path / "other"))
    assert "`ssh-copy-id` would not get in" in refusal(closed)
    opened = make_ssh_server("opened", extra=["PasswordAuthentication yes"])
    opened.write_config(key=tmp_path / "other")
    command = f"`ssh-copy-id -i {tmp_path / 'other'} -F {opened.config_path} board`"
    assert command in refusal(opened)


def test_too_many_keys(make_ssh_server: MakeServer, tmp_path: Path) -> None:
    """`IdentitiesOnly yes` is advice for who has not said so."""
    server = make_ssh_server(extra=["MaxAuthTries 2"])
    wrong = [make_key(tmp_path / f"wrong{number}") for number in range(3)]
    agent = start_agent(tmp_path / "agent", *wrong)
    server.write_config(key=tmp_path / "none", extra=[f"IdentityAgent {tmp_path / 'agent'}"])
    only = server.config_path.read_text()
    server.config_path.write_text(only.replace("IdentitiesOnly yes", "IdentitiesOnly no"))
    assert "say IdentitiesOnly yes" in refusal(server)
    server.config_path.write_text(only + "".join(f"  IdentityFile {key}\n" for key in wrong))
    said = refusal(server)
    assert "IdentitiesOnly" not in said
    assert "fewer IdentityFile lines" in said
    agent.terminate()
    agent.wait(5)


def test_a_certificate_for_somebody_else_is_named(make_ssh_server: MakeServer, tmp_path: Path) -> None:
    authority, key = make_key(tmp_path / "authority"), make_key(tmp_path / "key")
    sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "test", "-n", "alice,bob", f"{key}.pub"]
    subprocess.run(sign, check=True, capture_output=True)
    server = make_ssh_server(extra=[f"TrustedUserCAKeys {authority}.pub"])
    server.write_config(key=key)
    assert f"it is for alice, bob, not for {server.user}" in refusal(server)


def test_an_agent_that_is_not_there_is_named(make_ssh_server: MakeServer, tmp_path: Path) -> None:
    server = make_ssh_server()
    server.client_key.unlink()
    server.write_config(extra=[f"IdentityAgent {tmp_path / 'gone'}"])
    assert f"the agent at {tmp_path / 'gone'} (No such file or directory)" in refusal(server)


def test_a_key_that_others_can_read_is_named(make_ssh_server: MakeServer) -> None:
    server = make_ssh_server()
    server.client_key.chmod(0o640)
    assert f"{server.client_key} (its mode 0640 lets others read it" in refusal(server)
