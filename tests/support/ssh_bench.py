"""One way to reach a server, tried by `ssh` and by edgebench with the same files."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from support.accounts import why_no_accounts
from support.dropbear import Dropbear, why_no_dropbear
from support.ssh_agents import RefusingAgent, start_agent
from support.sshd import SshServer, make_key

from edgebench.devices.links.connection import Connection, TimeLimits
from edgebench.devices.links.ssh.connection import SshConnection
from edgebench.errors import (
    AuthRefused,
    BoardUnfit,
    ConfigError,
    ConnectionFailed,
    EdgebenchError,
    HostKeyError,
)

IN, HOST_KEY, SIGN_IN, CONFIG, NO_WAY, NO_COMMAND = (
    "runs a command",
    "host key refused",
    "sign-in refused",
    "config refused",
    "no agreement",
    "runs no command",
)
LIMIT_S = 30.0
LIMITS = TimeLimits(connect_s=2.0)
# The first that `ssh` says decides.
_SSH_SAYS = {
    "Bad configuration option": CONFIG,
    "terminating,": CONFIG,
    "Unsupported Match": CONFIG,
    "Unable to negotiate": NO_WAY,
    "Host key verification failed": HOST_KEY,
    "Permission denied": SIGN_IN,
    "Too many authentication failures": SIGN_IN,
}


_UNFIT = {
    "noexec": "nothing can be run in that folder",
    "read-only": "that folder cannot be written",
    "MB are free there": "too little room",
}


class UnavailableError(Exception):
    """A case needs a program, or rights, that this machine lacks."""


@dataclass
class Bench:
    """What a case sets up: servers, keys, a config. Closed at the end, whatever happened."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    servers: list[SshServer | Dropbear] = field(default_factory=list)
    mounts: list[Path] = field(default_factory=list)
    agents: list[subprocess.Popen[bytes] | RefusingAgent] = field(default_factory=list)
    config: Path = Path()
    job: Callable[[Connection], str] | None = None
    """What else edgebench does on the board, and how it ended."""
    commands: int = 1
    """How many commands are run, one after the other on one connection where edgebench runs them."""

    def server(self, name: str = "board", **fields: Any) -> SshServer:
        """An OpenSSH server; its config is the one of the case unless the case writes another."""
        if fields.get("accounts") and (why := why_no_accounts()):
            raise UnavailableError(why)
        server = SshServer(self.folder / name, aliases=(name,), **fields)
        self.servers.append(server)
        server.start()
        self.config = server.config_path
        return server

    def dropbear(self, **fields: Any) -> Dropbear:
        """A dropbear server, likewise."""
        if why := why_no_dropbear():
            raise UnavailableError(why)
        server = Dropbear(self.folder / "dropbear", **fields)
        self.servers.append(server)
        server.start()
        self.config = server.config_path
        return server

    def key(self, name: str, kind: str = "ed25519", passphrase: str = "") -> Path:
        """A fresh key pair."""
        return make_key(self.folder / name, kind, passphrase)

    def agent(self, *keys: Path, name: str = "agent", default: bool = False) -> Path:
        """An agent with keys, at the socket that is returned; ``default`` puts it into $SSH_AUTH_SOCK."""
        socket = self.folder / name
        self.agents.append(start_agent(socket, *keys))
        if default:
            self.environment["SSH_AUTH_SOCK"] = str(socket)
        return socket

    def refusing_agent(self, behind: Path, refused: Path) -> Path:
        """An agent that first lists a key that it cannot sign with."""
        socket = self.folder / "refusing"
        self.agents.append(RefusingAgent(socket, behind, refused))
        return socket

    def disk(self, options: str) -> Path:
        """A small file system mounted with ``options``."""
        mount = self.folder / "disk"
        mount.mkdir()
        argv = ["mount", "-t", "tmpfs", "-o", options, "edgebench-test", str(mount)]
        if os.geteuid() != 0 or subprocess.run(argv, capture_output=True, check=False).returncode:
            raise UnavailableError("a file system cannot be mounted here (needs root)")
        self.mounts.append(mount)
        return mount

    def close(self) -> None:
        """Stop everything."""
        for mount in self.mounts:
            subprocess.run(["umount", "-l", str(mount)], check=True)
        for server in self.servers:
            server.stop()
        for agent in self.agents:
            if isinstance(agent, RefusingAgent):
                agent.stop()
            else:
                agent.terminate()
                agent.wait(5)

    def environ(self) -> dict[str, str]:
        """The environment of both clients: that of the tests without their agent."""
        inherited = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
        return {**inherited, **self.environment}


@dataclass(frozen=True)
class Case:
    """A row of the table."""

    report: str
    """The public report that it comes from, such as ``paramiko#2315``; empty where there is none."""
    title: str
    prepare: Callable[[Bench], None]
    ssh: str
    edgebench: str
    why: str
    """Where the two differ: why."""
    is_job: bool = False
    """edgebench does more than run a command, which takes seconds."""


def try_case(case: Case, folder: Path) -> tuple[str, str, str, str]:
    """What edgebench did and its error, what `ssh` did and the last it said. Raises UnavailableError.

    edgebench goes first: `ssh` may write a host key down.
    """
    bench = Bench(folder)
    try:
        case.prepare(bench)
        return (*by_edgebench(bench), *by_ssh(bench))
    finally:
        bench.close()


def by_ssh(bench: Bench) -> tuple[str, str]:
    """What the OpenSSH client does, and the last that it said."""
    argv = ["ssh", "-F", str(bench.config), "-o", "BatchMode=yes", "board"]
    done = subprocess.CompletedProcess[str](argv, 0, "", "")
    for _ in range(bench.commands):
        done = subprocess.run(
            [*argv, "echo here"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            env=bench.environ(),
        )
        if done.returncode or not done.stdout.endswith("here\n"):
            break
    else:
        return IN, ""
    said = done.stderr.strip()
    kind = next((kind for words, kind in _SSH_SAYS.items() if words in said), NO_COMMAND)
    return kind, said


def by_edgebench(bench: Bench) -> tuple[str, str]:
    """What edgebench does with the same files, and its error."""
    environment = bench.environ()
    with mock.patch.dict(os.environ, environment, clear=True), contextlib.ExitStack() as stack:
        try:
            connection = SshConnection.open("board", config_path=bench.config, limits=LIMITS)
            stack.callback(connection.close)
            for _ in range(bench.commands):
                result = connection.exec(["echo", "here"], timeout_s=LIMIT_S)
                if result.stdout != b"here\n":
                    return NO_COMMAND, result.ending()
            if bench.job:
                return bench.job(connection), ""
        except EdgebenchError as error:
            return _kind(error), str(error)
    return IN, ""


def _kind(error: EdgebenchError) -> str:
    if isinstance(error, BoardUnfit):
        return f"refused: {next(words for part, words in _UNFIT.items() if part in str(error))}"
    kinds: Sequence[tuple[type[EdgebenchError], str]] = (
        (HostKeyError, HOST_KEY),
        (AuthRefused, SIGN_IN),
        (ConfigError, CONFIG),
    )
    for kind, words in kinds:
        if isinstance(error, kind):
            return words
    if isinstance(error, ConnectionFailed) and "agreed on keys" in str(error):
        return NO_WAY
    return NO_COMMAND
