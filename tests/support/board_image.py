"""A disk image, a kernel and an initial RAM disk of an aarch64 board, made from Debian's packages.

Debian 12 for arm64 is what Raspberry Pi OS (bookworm) is built on. Packages are unpacked and not
configured, so that nothing foreign runs while the image is made: the few files that the packages' own
scripts would have written are written here. That takes root, and half a minute.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from support.sshd import make_key

FOLDER_VARIABLE = "EDGEBENCH_BOARDS"
TOOLS = ("mmdebstrap", "mke2fs", "cpio", "ssh-keygen")
SUITE = "bookworm"
PACKAGES = (
    *(
        "python3",
        "python3-venv",
        "openssh-server",
        "sudo",
        "mount",
        "procps",
        "iproute2",
        "libstdc++6",
        "libgomp1",
    ),
    *("linux-image-cloud-arm64", "busybox-static"),
)
SIZE = "2G"
# Each after those that it needs. What the kernel has built in has no file, and is left out.
MODULES = (
    *("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci"),
    *("virtio_blk", "failover", "net_failover", "virtio_net", "virtio-rng", "overlay"),
)
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

# The first process: it finds the disk, keeps the board's own files in memory, and goes over to the disk.
INITRD_INIT = """\
#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev; $b mount -t proc proc /proc; $b mount -t sysfs sys /sys
for module in /modules/*; do $b insmod $module; done
until [ -b /dev/vda ]; do $b usleep 20000; done
$b mount -t ext4 -o noatime /dev/vda /newroot
$b mount -t tmpfs -o mode=755 run /newroot/run
[ -d /tree ] && $b cp -a /tree /newroot/run/tree
for folder in dev proc sys; do $b mount --move /$folder /newroot/$folder; done
exec $b switch_root /newroot /sbin/board-init
"""

# Instead of systemd, which takes a minute in an emulated board. The files of the board in question lie
# in /run/tree: its /sys goes over the emulator's, the rest goes into place.
BOARD_INIT = """\
#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mkdir -p /dev/pts /dev/shm /run/sshd /run/lock
chmod 1777 /run/lock
mount -t devpts -o gid=5,mode=620 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=1777 tmp /tmp
hostname board
if [ -d /run/tree/sys ]; then
  mkdir /run/upper /run/work
  mount -t overlay -o lowerdir=/run/tree/sys:/sys,upperdir=/run/upper,workdir=/run/work overlay /sys
fi
for folder in etc run usr; do [ -d /run/tree/$folder ] && cp -a /run/tree/$folder /; done
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
/usr/sbin/sshd -D -e &
while :; do wait; sleep 1; done
"""

SSHD_CONFIG = """\
HostKey /etc/ssh/host_key
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PermitRootLogin prohibit-password
Subsystem sftp /usr/lib/openssh/sftp-server
"""

ACCOUNTS = {
    "passwd": "root:x:0:0:root:/root:/bin/bash\n"
    "sshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    "pi:x:1000:1000::/home/pi:/bin/bash\n",
    "group": "root:x:0:\ntty:x:5:\nvideo:x:44:pi\nnogroup:x:65534:\npi:x:1000:\n",
    "shadow": "".join(f"{user}:*:19000:0:99999:7:::\n" for user in ("root", "sshd", "nobody", "pi")),
    "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
    "hostname": "board\n",
    "hosts": "127.0.0.1 localhost board\n",
}


@dataclass(frozen=True)
class Image:
    """What a board is started from. Any number of boards start from one image; none changes it."""

    folder: Path

    @property
    def disk(self) -> Path:
        return self.folder / "disk.ext4"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"

    @property
    def client_key(self) -> Path:
        return self.folder / "client_key"

    @property
    def host_key(self) -> Path:
        return self.folder / "host_key"


def missing_tools(tools: tuple[str, ...] = TOOLS) -> list[str]:
    """Those of ``tools`` that this machine lacks."""
    return [tool for tool in tools if shutil.which(tool, path=PATH) is None]


def cache_folder() -> Path:
    """``$EDGEBENCH_BOARDS``, or ``edgebench-boards`` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(FOLDER_VARIABLE) or Path(base) / "edgebench-boards").absolute()


def cached() -> Image:
    """The image, made on first use and kept. A changed recipe makes a new one.

    Test processes that ask at once wait for the one that makes it.
    """
    folder = cache_folder() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        target = folder / recipe
        if not target.is_dir():
            for old in folder.iterdir():
                if old.is_dir():
                    shutil.rmtree(old)
            with tempfile.TemporaryDirectory(dir=folder) as work:
                part = Path(work) / "image"
                part.mkdir()
                _make(Image(part), Path(work) / "root")
                part.rename(target)
    return Image(target)


def _make(image: Image, root: Path) -> None:
    for key in (image.client_key, image.host_key):
        make_key(key)
    _run(
        *("mmdebstrap", "--quiet", "--mode=root", "--variant=extract", "--architectures=arm64"),
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        '--aptopt=Apt::Install-Recommends "false"',
        *("--include=?essential", f"--include={','.join(PACKAGES)}", SUITE, root),
    )
    kernel = next((root / "boot").glob("vmlinuz-*"))
    shutil.copy(kernel, image.kernel)
    _make_initrd(root, image.initrd)
    _configure(root, image)
    for folder in (
        "boot",
        "lib/modules",
        "usr/share/doc",
        "usr/share/man",
        "usr/share/locale",
        "var/cache/apt",
    ):
        shutil.rmtree(root / folder)
    _run("truncate", "-s", SIZE, image.disk)
    _run("mke2fs", "-q", "-t", "ext4", "-d", root, image.disk)


def _make_initrd(root: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory() as work:
        tree = Path(work)
        for name in ("bin", "dev", "proc", "sys", "newroot", "modules"):
            (tree / name).mkdir()
        shutil.copy(root / "bin" / "busybox", tree / "bin")
        files = {path.stem: path for path in (root / "lib/modules").rglob("*.ko")}
        for number, module in enumerate(name for name in MODULES if name in files):
            shutil.copy(files[module], tree / "modules" / f"{number:02}-{module}.ko")
        _program(tree / "init", INITRD_INIT)
        target.write_bytes(archive(tree))


def archive(tree: Path) -> bytes:
    """A folder as the kernel unpacks it at its start; the files are root's there."""
    names = b"\0".join(str(path.relative_to(tree)).encode() for path in sorted(tree.rglob("*")))
    words = ("cpio", "--null", "--create", "--format=newc", "--owner=0:0", "--quiet")
    return subprocess.run(words, cwd=tree, input=names, stdout=subprocess.PIPE, check=True).stdout


def _configure(root: Path, image: Image) -> None:
    """The files that the packages' own scripts would have made, an account ``pi``, and the way in."""
    for name, text in ACCOUNTS.items():
        (root / "etc" / name).write_text(text)
    (root / "etc" / "shadow").chmod(0o640)
    shutil.copy(root / "usr/share/base-files/profile", root / "etc/profile")
    (root / "usr/bin/awk").symlink_to("mawk")
    _program(root / "sbin" / "board-init", BOARD_INIT)
    (root / "etc/ssh/sshd_config").write_text(SSHD_CONFIG)
    shutil.copy(image.host_key, root / "etc/ssh/host_key")
    (root / "etc/ssh/host_key").chmod(0o600)
    # As on Raspberry Pi OS. PAM, which sudo asks, has no rules without its packages' scripts.
    (root / "etc/sudoers.d/pi").write_text("pi ALL=(ALL) NOPASSWD: ALL\n")
    for service, module in (("sudo", "pam_permit.so"), ("other", "pam_deny.so")):
        rules = [f"{kind} required {module}\n" for kind in ("auth", "account", "session")]
        (root / "etc/pam.d" / service).write_text("".join(rules))
    for home, user in (("root", 0), ("home/pi", 1000)):
        folder = root / home / ".ssh"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(image.client_key.with_name("client_key.pub"), folder / "authorized_keys")
        for path in (folder.parent, folder, folder / "authorized_keys"):
            os.chown(path, user, user)
            path.chmod(0o700 if path.is_dir() else 0o600)


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _run(*words: str | Path) -> None:
    done = subprocess.run(
        [str(word) for word in words],
        env={**os.environ, "PATH": PATH},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{words[0]} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
