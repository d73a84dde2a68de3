"""The files of a board: its tree of /sys and programs, accounts, keys, settings of server and client."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support import board_trees
from support.sshd import make_key

WALL_CLOCK = Path(__file__).with_name("wall_clock.c")
PYTHON = f"{sys.base_prefix}/bin/python3"


@dataclass(frozen=True)
class Kind:
    """What sets one board apart from the usual: a Raspberry Pi 4 with OpenSSH's server.

    ``device``: the profile. ``sshd``: more lines of its configuration. ``environment``: set for every
    session. ``disk_mib``: its folder lies on a file system of that size. ``programs``: path below / ->
    text, laid over this machine's.
    """

    device: str = "rpi4"
    server: str = "sshd"
    shell: str = "/bin/sh"
    sshd: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    disk_mib: int | None = None
    programs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BoardFiles:
    """Where the files of a board lie; ``folder`` holds them all, and stays when its power is cut."""

    folder: Path
    kind: Kind
    ip: str

    @property
    def tree(self) -> Path:
        """What the board shows below /sys and /etc, and its makers' programs."""
        return self.folder / "tree"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def config_path(self) -> Path:
        """The client's ssh config: the board is ``board``, its second account ``other``."""
        return self.folder / "ssh_config"

    def make(self) -> None:
        """Write them all; keys and what the board itself wrote stay as they are."""
        shutil.rmtree(self.tree, ignore_errors=True)
        self.tree.mkdir(parents=True)
        make = board_trees.orin_nano if self.kind.device.startswith("jetson") else board_trees.pi
        make(self.tree)
        (self.tree / "sys/firmware/devicetree").mkdir(parents=True)
        (self.tree / "proc/device-tree").rename(self.tree / "sys/firmware/devicetree/base")
        _copy_processors(Path("/sys/devices/system/cpu"), self.tree / "sys/devices/system/cpu")
        for path, text in self.kind.programs.items():
            board_trees.program(self.tree, path, text.replace("{", "{{").replace("}", "}}"))
        if "LD_PRELOAD" in self.kind.environment:
            command = [
                "cc",
                "-shared",
                "-fPIC",
                "-O2",
                "-o",
                str(self.folder / "wall_clock.so"),
                str(WALL_CLOCK),
            ]
            subprocess.run(command, check=True)
        for name in ("host_key", "client_key"):
            if not (self.folder / name).exists():
                make_key(self.folder / name)
        self._make_accounts()
        (self.folder / "sshd_config").write_text("\n".join(self._sshd_lines()) + "\n")
        key = " ".join((self.folder / "host_key.pub").read_text().split()[:2])
        (self.folder / "known_hosts").write_text(f"{self.ip} {key}\n")
        common = [f"  HostName {self.ip}", f"  IdentityFile {self.folder}/client_key", "  IdentitiesOnly yes"]
        common += [f"  UserKnownHostsFile {self.folder}/known_hosts", "  GlobalKnownHostsFile none"]
        lines = ["Host board", "  User root", *common, "Host other", "  User other", *common]
        self.config_path.write_text("\n".join(lines) + "\n")

    def _make_accounts(self) -> None:
        """root, whose home is the board's, and ``other``; a login shell of the kind."""
        other = self.folder / "other"
        for home in (self.home, other):
            (home / ".ssh").mkdir(mode=0o700, exist_ok=True, parents=True)
            shutil.copy(self.folder / "client_key.pub", home / ".ssh/authorized_keys")
        subprocess.run(["chown", "-R", "2000:2000", str(other)], check=True)
        (self.tree / "etc").mkdir(exist_ok=True)
        (self.tree / "etc/passwd").write_text(
            f"root:x:0:0:root:{self.home}:{self.kind.shell}\n"
            "sshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n"
            "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
            f"other:x:2000:2000:other:{other}:/bin/sh\n"
        )

    def _sshd_lines(self) -> list[str]:
        variables = {"PATH": f"{Path(PYTHON).parent}:/usr/local/bin:/usr/bin:/bin"}
        variables |= {name: text.format(folder=self.folder) for name, text in self.kind.environment.items()}
        return [
            *self.kind.sshd,
            f"HostKey {self.folder}/host_key",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "PidFile none",
            "UseDNS no",
            "MaxStartups 100",
            "SetEnv " + " ".join(f'"{name}={value}"' for name, value in variables.items()),
            "Subsystem sftp internal-sftp",
        ]

    def server(self) -> list[str]:
        """The command that serves SSH on port 22."""
        if self.kind.server == "dropbear":
            key = self.folder / "dropbear_key"
            if not key.exists():
                convert = ["dropbearconvert", "openssh", "dropbear", str(self.folder / "host_key"), str(key)]
                subprocess.run(convert, check=True, capture_output=True)
            return ["/usr/sbin/dropbear", "-F", "-E", "-r", str(key), "-p", "22"]
        return [
            shutil.which("sshd", path="/usr/sbin:/sbin:/usr/bin") or "sshd",
            "-D",
            "-e",
            "-f",
            f"{self.folder}/sshd_config",
        ]


def _copy_processors(source: Path, target: Path) -> None:
    """What runtimes read of the processors (which there are, their topology), as it is on this machine."""
    for name in ("online", "possible", "present", "kernel_max"):
        with contextlib.suppress(OSError):
            (target / name).write_bytes((source / name).read_bytes())
    for folder in source.glob("cpu[0-9]*/topology"):
        there = target / folder.relative_to(source)
        there.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            with contextlib.suppress(OSError):
                (there / path.name).write_bytes(path.read_bytes())
