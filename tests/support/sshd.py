"""A real OpenSSH server on loopback: the board of the tests, and everything a client needs to reach it.

Nothing of the user's own ssh set-up is read or written, and the "board" keeps its cache in a folder
of the test through XDG_CACHE_HOME.
"""

from __future__ import annotations

import collections
import contextlib
import getpass
import itertools
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.accounts import Account, with_accounts

# Where a board's login shell looks: this Python's own installation first, for it has venv and pip.
BOARD_PATH = f"{Path(sys.base_prefix) / 'bin'}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
PATHS = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
START_S = 20.0
START_ATTEMPTS = 4


def find_sshd() -> str | None:
    """The server's binary; an absolute path, which sshd insists on being started by."""
    return shutil.which("sshd", path=PATHS)


# Below the ports that the kernel gives to connections, so that none of those takes a server's port
# while it is being restarted. Test processes that run side by side begin at different places.
_PORTS = itertools.cycle(range(20_000, 32_000))
collections.deque(itertools.islice(_PORTS, os.getpid() * 97 % 12_000), maxlen=0)  # turns to its place


def free_port() -> int:
    """A port of loopback that nobody listens on, and that this process has not given out lately."""
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("the ports never end")


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A fresh key pair at ``path`` and ``path``.pub."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The smallest that servers take: large RSA keys cost a second each.
    bits = ["-b", "2048"] if kind == "rsa" else []
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, *bits, "-N", passphrase, "-C", "edgebench-test", "-f", str(path)],
        check=True,
    )
    return path


@dataclass
class SshServer:
    """One running server. Its files are under ``folder``; the client's side too.

    ``config_path`` is an ssh config with a Host entry for every name in ``aliases``; give it to
    ``resolve_device(..., ssh_config=...)`` or put it into $EDGEBENCH_SSH_CONFIG.
    """

    folder: Path
    aliases: tuple[str, ...] = ("board", "rpi4")
    extra: Sequence[str] = ()
    """More lines of sshd_config, which go before the usual ones (sshd takes the first of each)."""
    environment: dict[str, str] = field(default_factory=dict)
    """Set for every session on the board."""
    sftp: bool = True
    accounts: Sequence[Account] = ()
    """Accounts that the server has besides the machine's; see `support.accounts`."""
    port: int = field(default_factory=free_port)
    user: str = field(default_factory=getpass.getuser)
    process: subprocess.Popen[bytes] | None = None

    @property
    def host_key(self) -> Path:
        return self.folder / "host_key"

    @property
    def client_key(self) -> Path:
        return self.folder / "client_key"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def config_path(self) -> Path:
        return self.folder / "ssh_config"

    @property
    def cache(self) -> Path:
        """The board's XDG_CACHE_HOME."""
        return self.folder / "cache"

    @property
    def root(self) -> Path:
        """Where edgebench keeps its files on the board."""
        return self.cache / "edgebench"

    @property
    def log(self) -> str:
        return (self.folder / "sshd.log").read_text(errors="replace")

    def start(self) -> SshServer:
        """Make the keys and files that are not there, start the server, wait for its greeting."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cache.mkdir(exist_ok=True)
        for key in (self.host_key, self.client_key):
            if not key.exists():
                make_key(key)
        if not (authorized := self.folder / "authorized_keys").exists():
            authorized.write_text(self.client_key.with_name("client_key.pub").read_text())
        # Debian's sshd wants this folder even on another port; only root has to have it.
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        for _ in range(START_ATTEMPTS):
            self.trust()
            self.write_config()
            (self.folder / "sshd_config").write_text("\n".join(self._server_lines()) + "\n")
            if self._greets(_spawn(self.folder, self.accounts)):
                return self
            # Another process took the port since it was found free: known hosts and config follow.
            self.port = free_port()
        raise AssertionError(f"sshd ended at once, {START_ATTEMPTS} times:\n{self.log}")

    def _server_lines(self) -> list[str]:
        # A home of its own: the shell start-up files of whoever runs the tests are not the board's.
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        usual = {"HOME": str(home), "PATH": BOARD_PATH, "XDG_CACHE_HOME": str(self.cache)}
        usual["EDGEBENCH_LOCK_FOLDER"] = str(self.cache / "lock")
        usual["PIP_NO_COMPILE"] = "0"  # see conftest
        environment = {**usual, **self.environment}
        return [
            *self.extra,
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.host_key}",
            f"AuthorizedKeysFile {self.folder / 'authorized_keys'}",
            "StrictModes no",  # temporary folders may be open to their group
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "PidFile none",
            "UseDNS no",
            "MaxStartups 100",
            "SetEnv " + " ".join(f'"{name}={value}"' for name, value in environment.items()),
            *(["Subsystem sftp internal-sftp"] if self.sftp else []),
        ]

    def _greets(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether the server is up on its port; False where it ended, as it does when the port is taken."""
        self.process = process
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s:
            if process.poll() is not None:
                return False
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as wire:
                    if wire.recv(4) == b"SSH-":
                        # Somebody greets: it is ours, unless ours is gone.
                        return process.poll() is None
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"sshd did not greet within {START_S} s:\n{self.log}")

    def stop(self) -> None:
        """End the server; sessions that are open go on."""
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def sessions(self) -> list[int]:
        """The processes that serve open connections, and what runs in them: killing them cuts the link."""
        assert self.process is not None
        found = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        rows = [tuple(map(int, line.split())) for line in found.splitlines()]
        family = [self.process.pid]
        for pid in family:
            family += [child for child, parent in rows if parent == pid]
        return family[1:]

    def known_host_line(self) -> str:
        kind, blob = self.host_key.with_name("host_key.pub").read_text().split()[:2]
        return f"[127.0.0.1]:{self.port} {kind} {blob}\n"

    def trust(self) -> None:
        """Put the server's host key, and no other, into the client's known hosts."""
        self.known_hosts.write_text(self.known_host_line())

    def write_config(self, *, extra: Sequence[str] = (), key: Path | None = None) -> None:
        """Write the client's config; ``extra`` lines go into the Host section."""
        lines = [
            f"Host {' '.join(self.aliases)}",
            "  HostName 127.0.0.1",
            f"  Port {self.port}",
            f"  User {self.user}",
            f"  IdentityFile {key or self.client_key}",
            "  IdentitiesOnly yes",
            f"  UserKnownHostsFile {self.known_hosts}",
            "  GlobalKnownHostsFile none",
            *(f"  {line}" for line in extra),
        ]
        self.config_path.write_text("\n".join(lines) + "\n")


def _spawn(folder: Path, accounts: Sequence[Account]) -> subprocess.Popen[bytes]:
    sshd = find_sshd()
    assert sshd is not None
    argv = [sshd, "-D", "-e", "-f", str(folder / "sshd_config")]
    if accounts:
        argv = with_accounts(argv, accounts, folder)
    with (folder / "sshd.log").open("ab") as log:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
