"""An aarch64 board in QEMU that takes itself for a Raspberry Pi or a Jetson, reached by SSH.

What is real there: the instructions of the processor that it names, an arm64 kernel and userland, memory,
the disk, OpenSSH, sudo. What is not: every figure of time, since QEMU translates each instruction, and
power, heat and clocks, which stand in files at their real paths until a test changes them.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from support.board_image import Image, archive
from support.board_kinds import PROCESSORS, Kind
from support.sshd import free_port

QEMU = "qemu-system-aarch64"
TOOLS = (QEMU, "fdtput", "setpriv")
MEMORY_MIB = 2048
START_S = 120.0
STOP_S = 10.0


@dataclass
class EmulatedBoard:
    """One board. Every start is from the image as it was made: nothing of an earlier start is left.

    ``config_path`` is an ssh config in which the board has its kind's name, for the user ``pi``.
    """

    kind: Kind
    image: Image
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def config_path(self) -> Path:
        return self.folder / "ssh_config"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def console(self) -> str:
        """What the board's kernel and its SSH server said."""
        return (self.folder / "console").read_text(errors="replace")

    def start(self) -> EmulatedBoard:
        """Start the board, and wait until its SSH server answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.folder / "tree", ignore_errors=True)
        tree = self.kind.tree(self.folder / "tree")
        self._device_tree(tree)
        with tempfile.TemporaryDirectory() as work:
            left_out = shutil.ignore_patterns("proc")  # that is the device tree's
            shutil.copytree(tree, Path(work) / "tree", symlinks=True, ignore=left_out)
            # The kernel unpacks archives that stand one behind the other.
            (self.folder / "initrd").write_bytes(self.image.initrd.read_bytes() + archive(Path(work)))
        self._write_client_files()
        with (self.folder / "qemu.log").open("wb") as log:
            self.process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait_for_greeting()
        return self

    def stop(self) -> None:
        """Cut the power."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(STOP_S)
            self.process = None

    def root(self, command: str, *, stdin: str = "") -> str:
        """Run a shell command there as root, and return what it printed."""
        options = ["-F", str(self.config_path), "-l", "root", "-o", "BatchMode=yes"]
        done = subprocess.run(
            ["ssh", *options, self.kind.name, command],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: status {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """Change a file there at once, for example what a sensor says."""
        self.root(f"cat > {path}", stdin=text)

    def reset(self) -> None:
        """Put back every file of the board that a test or a run changed."""
        self.root(
            "cp -a /run/tree/run/. /run; cd /run/tree/sys && find . -type f | "
            "while read file; do cmp -s $file /sys/$file || cat $file > /sys/$file; done"
        )

    def in_launches(self, *commands: str) -> None:
        """Have the board run a shell command as root in each launch of the run to come, in their order."""
        script = "last=\n"
        for command in commands:
            # A launch is a process of its own: the next one has another number.
            script += 'until now=$(pgrep -f \' trial$\') && [ "$now" != "$last" ]; do sleep 0.1; done\n'
            script += f"last=$now\n{command}\n"
        self.write("/run/in_launches", script)
        self.root("nohup sh /run/in_launches > /dev/null 2>&1 &")

    def _command(self) -> list[str]:
        return [
            # An emulator must not outlive tests that were killed.
            *("setpriv", "--pdeathsig", "KILL", QEMU),
            *("-M", "virt", "-accel", "tcg,thread=multi", *self._size()),
            *("-dtb", str(self.folder / "board.dtb")),
            *("-kernel", str(self.image.kernel), "-initrd", str(self.folder / "initrd")),
            *("-append", "console=ttyAMA0 quiet panic=-1 rdinit=/init"),
            *("-drive", f"if=none,id=disk,file={self.image.disk},format=raw,snapshot=on"),
            *("-device", "virtio-blk-pci,drive=disk"),
            *("-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22"),
            *("-device", "virtio-net-pci,netdev=net,romfile="),
            *("-device", "virtio-rng-pci", "-display", "none", "-monitor", "none", "-no-reboot"),
            *("-serial", f"file:{self.folder / 'console'}"),
        ]

    def _size(self) -> list[str]:
        return ["-cpu", self.kind.processor, "-smp", str(PROCESSORS), "-m", str(MEMORY_MIB)]

    def _device_tree(self, tree: Path) -> None:
        """QEMU's own device tree with the name and the serial number of the board in question."""
        target = self.folder / "board.dtb"
        # Without -nic none QEMU looks for the boot program of a network card, which is another package.
        dump = [QEMU, "-M", f"virt,dumpdtb={target}", *self._size(), "-nic", "none", "-display", "none"]
        subprocess.run(dump, check=True, capture_output=True)
        for name in ("model", "compatible", "serial-number"):
            values = (tree / "proc/device-tree" / name).read_text().rstrip("\0").split("\0")
            if name == "compatible":
                values.append("linux,dummy-virt")  # QEMU's own name: an emulated board never hides it
            subprocess.run(["fdtput", "-t", "s", str(target), "/", name, *values], check=True)

    def _write_client_files(self) -> None:
        key = self.image.host_key.with_name("host_key.pub").read_text()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {key}")
        lines = [
            f"Host {self.kind.name}",
            "  HostName 127.0.0.1",
            f"  Port {self.port}",
            "  User pi",
            f"  IdentityFile {self.image.client_key}",
            "  IdentitiesOnly yes",
            f"  UserKnownHostsFile {self.known_hosts}",
            "  GlobalKnownHostsFile none",
        ]
        self.config_path.write_text("\n".join(lines) + "\n")

    def _wait_for_greeting(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5.0) as probe:
                    if probe.recv(7) == b"SSH-2.0":
                        return
            except OSError:
                pass
            time.sleep(0.1)
        self.stop()
        log = (self.folder / "qemu.log").read_text(errors="replace")
        raise AssertionError(f"the emulated {self.kind.name} did not come up:\n{log}{self.console}")
