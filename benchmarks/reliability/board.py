"""A board in Linux namespaces: its own processes, network, accounts, /sys and boot, and a real SSH server.

Everything that a fault does to it is done from outside, as it happens to real boards: all processes
die at once, or stand still; packets vanish; the server is killed; a disk is full. Needs root.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.common import MissingError
from benchmarks.reliability.files import BoardFiles, Kind

ONBOARD = Path(__file__).with_name("onboard.py")
NEEDED = ("unshare", "nsenter", "ip", "mount", "sshd", "ssh-keygen")
NOBODY = "02:00:00:00:00:99"  # the hardware address of no machine
_BOARDS = itertools.count(1)


def require_namespaces(*more: str) -> None:
    """Raises MissingError where boards cannot be made; ``more`` programs that some kinds need."""
    places = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [name for name in (*NEEDED, *more) if shutil.which(name, path=places) is None]
    if missing or os.geteuid() != 0:
        raise MissingError(f"boards in namespaces need root and {', '.join(missing) or 'util-linux'}")


class Board:
    """One board below ``folder``, which stays when its power is cut."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        self.folder, self.kind = folder.resolve(), kind
        self.number = os.getpid() % 1024 * 64 + next(_BOARDS) % 64
        net = f"10.{128 + (self.number >> 14)}.{(self.number >> 6) & 255}."
        self.host_ip, self.ip = (net + str(4 * (self.number & 63) + end) for end in (1, 2))
        self.link = f"eb{self.number}"
        self._process: subprocess.Popen[bytes] | None = None
        self.files = BoardFiles(self.folder, kind, self.ip)
        self.files.make()

    @property
    def tree(self) -> Path:
        """What the board shows; see ``BoardFiles``."""
        return self.files.tree

    @property
    def home(self) -> Path:
        return self.files.home

    @property
    def root(self) -> Path:
        """Where edgebench keeps its files on the board."""
        return self.home / ".cache" / "edgebench"

    @property
    def on(self) -> bool:
        return self._process is not None

    def start(self) -> Board:
        """Boot: a new boot id, no processes but the server, everything on the disk as it was."""
        assert self._process is None
        boot_id, config = self.folder / "boot_id", self.folder / "onboard.json"
        boot_id.write_text(f"{uuid.uuid4()}\n")
        log = self.folder / "server.log"
        facts = {"tree": str(self.tree), "boot_id": str(boot_id), "log": str(log)}
        config.write_text(json.dumps({**facts, "server": self.files.server()}))
        spaces = ["--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"]
        self._process = subprocess.Popen(
            ["unshare", *spaces, sys.executable, str(ONBOARD), str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(self.folder / "boot.log").open("ab"),
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"mounted\n":
            raise RuntimeError(f"the board did not come up: see {self.folder}/boot.log")
        self._wire_up()
        self.serve()
        return self

    @property
    def init(self) -> int:
        """The board's first process, as this machine numbers it."""
        assert self._process is not None
        return psutil.Process(self._process.pid).children()[0].pid

    def _wire_up(self) -> None:
        subprocess.run(["ip", "link", "del", self.link], capture_output=True, check=False)
        for words in (
            ["link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", str(self.init)],
            ["addr", "add", f"{self.host_ip}/30", "dev", self.link],
            ["link", "set", self.link, "up"],
        ):
            subprocess.run(["ip", *words], check=True)
        self._inside("ip", "addr", "add", f"{self.ip}/30", "dev", "eth0")
        self._inside("ip", "link", "set", "eth0", "up")

    def _inside(self, *words: str) -> None:
        subprocess.run(["nsenter", "-t", str(self.init), "-n", *words], check=True)

    def serve(self) -> None:
        """Start the SSH server and wait until it listens."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(b"serve\n")
        self._process.stdin.flush()
        command = ["nsenter", "-t", str(self.init), "-n", sys.executable, "-c", _GREETS]
        subprocess.run(command, check=True, timeout=30)

    def power_off(self) -> None:
        """Every process dies in the same moment; the disk keeps what was written."""
        assert self._process is not None
        os.kill(self.init, signal.SIGKILL)
        self._process.wait(30)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        self._process = None

    def stop(self) -> None:
        """Power off, if it is on."""
        if self._process is not None:
            self.power_off()

    def processes(self) -> Iterator[psutil.Process]:
        """Every process of the board but the first."""
        init = self.init
        space = Path(f"/proc/{init}/ns/pid").readlink()
        for process in psutil.process_iter():
            with contextlib.suppress(OSError):
                if process.pid != init and Path(f"/proc/{process.pid}/ns/pid").readlink() == space:
                    yield process

    def agents(self, verb: str = "") -> list[psutil.Process]:
        """The agent's processes, or those of one verb."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                ours = any("edgebench/blobs/" in word for word in words) and "python" in words[0]
                if ours and (not verb or verb in words):
                    found.append(process)
        return found

    def signal_all(self, number: int) -> None:
        """Send a signal to every process of the board."""
        for process in [*self.processes(), psutil.Process(self.init)]:
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)

    def kill_server(self, *, sessions: bool) -> None:
        """Kill the SSH server; ``sessions``: those that serve open connections instead, so that these end."""
        names = ("sshd", "sshd-session", "sshd-auth", "dropbear")
        servers = [p for p in self.processes() if p.name() in names]
        init = self.init
        for process in servers:
            with contextlib.suppress(psutil.Error):
                if not sessions or process.ppid() != init:
                    process.kill()

    def silence(self, on: bool) -> None:
        """Let every packet between host and board vanish, or let them through again."""
        verb = "replace" if on else "del"
        lost = ["lladdr", NOBODY, "nud", "permanent"] if on else []
        subprocess.run(
            ["ip", "neigh", verb, self.ip, *lost, "dev", self.link], check=False, capture_output=True
        )
        with contextlib.suppress(subprocess.CalledProcessError):
            self._inside("ip", "neigh", verb, self.host_ip, *lost, "dev", "eth0")

    @contextlib.contextmanager
    def disk(self) -> Iterator[None]:
        """The small file system on which a board with ``disk_mib`` keeps its files."""
        where = self.home / ".cache"
        if self.kind.disk_mib:
            where.mkdir(exist_ok=True)
            size = f"size={self.kind.disk_mib}m"
            subprocess.run(["mount", "-t", "tmpfs", "-o", size, "board", str(where)], check=True)
        try:
            yield
        finally:
            if self.kind.disk_mib:
                subprocess.run(["umount", "-l", str(where)], check=False)

    def write(self, path: str, text: str) -> None:
        """Change a file that the board shows."""
        (self.tree / path).write_text(text)

    def read(self, path: str) -> str:
        return (self.tree / path).read_text()


_GREETS = """
import socket, time
for _ in range(200):
    try:
        with socket.create_connection(("127.0.0.1", 22), timeout=5) as wire:
            raise SystemExit(wire.recv(4) != b"SSH-")
    except OSError:
        time.sleep(0.05)
raise SystemExit("no SSH server")
"""
