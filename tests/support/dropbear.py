"""A dropbear server on loopback: the SSH server of small boards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from support.accounts import Account, why_no_accounts, with_accounts
from support.sshd import PATHS, START_S, free_port, make_key

USER = "pi"


def why_no_dropbear() -> str:
    """Why there is no dropbear to test with; empty where there is one."""
    if shutil.which("dropbear", path=PATHS) is None:
        return "no dropbear on this machine: install dropbear-bin"
    return why_no_accounts()


@dataclass
class Dropbear:
    """One running server with the account `USER`, whose files are under ``folder``; the client's side too."""

    folder: Path
    password: str = "*"
    shell: str = "/bin/sh"
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def config_path(self) -> Path:
        return self.folder / "ssh_config"

    @property
    def log(self) -> str:
        return (self.folder / "dropbear.log").read_text(errors="replace")

    def start(self) -> Dropbear:
        """Make keys and files, start the server, wait until it listens."""
        home = self.folder / "home"
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        client = make_key(self.folder / "client_key")
        (home / ".ssh" / "authorized_keys").write_text(client.with_name("client_key.pub").read_text())
        host = self.folder / "host_key"
        made = subprocess.run(
            ["dropbearkey", "-t", "ed25519", "-f", str(host)], capture_output=True, text=True, check=True
        )
        public = next(line for line in made.stdout.splitlines() if line.startswith("ssh-ed25519"))
        words = public.split()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {words[0]} {words[1]}\n")
        self.config_path.write_text(
            f"Host board\n  HostName 127.0.0.1\n  Port {self.port}\n  User {USER}\n  IdentityFile {client}\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {self.folder / 'known_hosts'}\n"
            "  GlobalKnownHostsFile none\n"
        )
        server = shutil.which("dropbear", path=PATHS)
        assert server is not None
        argv = [server, "-F", "-E", "-B", "-p", f"127.0.0.1:{self.port}", "-r", str(host)]
        argv += ["-P", str(self.folder / "pid")]
        # It insists that nobody else can write to any folder on the way to the keys.
        for part in (home, *home.parents):
            if part.stat().st_uid == os.getuid() and part != Path("/tmp"):
                part.chmod(part.stat().st_mode & ~0o022)
        account = Account(USER, home, self.shell, self.password)
        with (self.folder / "dropbear.log").open("ab") as log:
            self.process = subprocess.Popen(
                with_accounts(argv, [account], self.folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s:
            assert self.process.poll() is None, self.log
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1.0).close()
                return self
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"dropbear did not listen within {START_S} s:\n{self.log}")

    def stop(self) -> None:
        """End the server."""
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None
