"""What a board is, learned in one command: its Python, its architecture, its room, its name."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from edgebench.agent import folders, identity
from edgebench.devices.links.connection import Connection
from edgebench.errors import BoardUnfit, DeviceError
from edgebench.text import plain

OLDEST_PYTHON = (3, 8)
MACHINES = ("aarch64", "x86_64")
PROBE_TIMEOUT_S = 60.0
# Device-tree name of QEMU's generic board: no figure from it is a measurement.
EMULATED = "linux,dummy-virt"

# Constant; the words it is given are the Python to use and the folder for edgebench's files, empty where
# it is to choose, and the files that may hold the board's serial number. It writes nothing.
PROBE = r"""
python=$1 folder=$2
shift 2
say() { printf '%s=%s\n' "$1" "$2"; }
say system "$(uname -s)"
say machine "$(uname -m)"
say userland_bits "$(getconf LONG_BIT 2>/dev/null)"
say libc "$(getconf GNU_LIBC_VERSION 2>/dev/null || ldd --version 2>&1 | head -n 2 | tr '\n' ' ')"
say user "$(id -un)"
say home "$HOME"
for tree in /proc/device-tree /sys/firmware/devicetree/base; do
  [ -r "$tree/model" ] || continue
  say model "$(tr -d '\0' < "$tree/model")"
  say compatible "$(tr '\0' ' ' < "$tree/compatible")"
  break
done
for file; do
  serial=$(tr -d '\0' < "$file") && [ -n "$(printf %s "$serial" | tr -d '0 ')" ] || continue
  say serial "$serial"
  break
done 2>/dev/null
case $folder,$XDG_CACHE_HOME in
  '~/'*) root=$HOME/${folder#'~/'} ;;
  /*) root=$folder ;;
  ,/*) root=$XDG_CACHE_HOME/edgebench ;;
  *) root=$HOME/.cache/edgebench ;;
esac
say root "$root"
folder=$root
while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
[ -w "$folder" ] || say unwritable "$folder"
say disk_free_kib "$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')"
set -- "$python"
[ -n "$python" ] || set -- python3 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8 python
for name; do
  found=$(command -v "$name") || continue
  said=$("$found" -E -c '
import sys, struct
try:
    from importlib.util import find_spec
    has = lambda name: "1" if find_spec(name) else "0"
except ImportError:
    has = lambda name: "0"
print("\n" + "|".join([
    sys.executable, ".".join(str(n) for n in sys.version_info[:3]), str(struct.calcsize("P") * 8),
    has("venv"), has("ensurepip"), has("pip"), "new" if sys.version_info >= (3, 8) else "old"]))
' 2>&1 | tail -n 1)
  say python "$found|$said"
  case $said in *'|new') break ;; esac
done
"""


@dataclass(frozen=True)
class BoardFacts:
    """What deployment and provisioning need to know of a board. Paths are the board's, absolute."""

    address: str
    system: str
    machine: str
    """As ``uname -m`` says: ``aarch64``, ``x86_64``."""
    userland_bits: int
    libc: str
    """``glibc``, ``musl``, or empty when nobody said."""
    libc_version: tuple[int, int]
    python: str
    python_version: tuple[int, int, int]
    has_venv: bool
    has_ensurepip: bool
    has_pip: bool
    user: str
    home: str
    root: str
    """The folder of the inventory, ``$XDG_CACHE_HOME/edgebench`` or ``~/.cache/edgebench``. It need not
    exist yet."""
    disk_free_bytes: int
    device_tree_model: str | None
    compatible: tuple[str, ...]
    board_sha256: str | None = None
    """As a fingerprint's; None where the board's serial number cannot be read."""

    @property
    def emulated(self) -> bool:
        """A board in software (``linux,dummy-virt``): its figures are no measurements."""
        return EMULATED in self.compatible

    @property
    def blobs(self) -> str:
        return folders.join(self.root, folders.BLOBS)

    @property
    def envs(self) -> str:
        return folders.join(self.root, folders.ENVS)

    @property
    def runs(self) -> str:
        return folders.join(self.root, folders.RUNS)


@dataclass(frozen=True)
class _Python:
    command: str
    path: str
    version: tuple[int, int, int]
    bits: int
    has_venv: bool
    has_ensurepip: bool
    has_pip: bool


def probe_board(
    connection: Connection, *, python: str | None = None, folder: str | None = None
) -> BoardFacts:
    """Learn what the board is.

    ``folder``: where edgebench's files are to lie there, absolute or below ``~/``; without it, in the
    user's cache folder.
    ``python``: the interpreter to use there (an inventory may name one); without it, the first of
    python3, python3.13 ... python3.8 that is new enough. On this machine, the one that runs us.

    Raises BoardUnfit for a board without Python 3.8+, with a 32-bit userland, or with a processor
    that has no wheels; the text says what was found and what to install.
    """
    if python is None and connection.is_local:
        python = sys.executable
    argv = ["/bin/sh", "-c", PROBE, "edgebench", python or "", folder or "", *identity.SERIALS]
    result = connection.exec(argv, timeout_s=PROBE_TIMEOUT_S)
    if not result.ok:
        raise DeviceError(f"{connection.address}: the board could not be examined: {result.ending()}")
    said: dict[str, str] = {}
    pythons: list[str] = []
    for line in result.stdout.decode(errors="replace").split("\n"):
        name, _, value = plain(line).partition("=")
        if name == "python":
            pythons.append(value)
        else:
            said[name] = value.strip()
    machine, bits = said.get("machine", ""), _number(said.get("userland_bits", ""))
    _check_architecture(connection.address, said.get("system", ""), machine, bits)
    chosen = _choose_python(connection.address, pythons, python)
    if chosen.bits != 64:
        raise BoardUnfit(_thirty_two_bit(connection.address, machine, f"{chosen.path} is a 32-bit program"))
    root = said.get("root", "")
    if not root.startswith("/") or "\\x" in root:
        raise DeviceError(
            f"{connection.address}: the board names {root!r} as the folder for edgebench's files, which is "
            "no absolute path. Set HOME there, or XDG_CACHE_HOME."
        )
    if folder := said.get("unwritable"):
        raise BoardUnfit(
            f"{connection.address}: user {said.get('user', '')} cannot write to {folder}, where edgebench's "
            f"files are to lie ({root}): it is another user's, or read-only. Change that, or name another "
            "folder with folder = in the inventory."
        )
    libc, libc_version = _read_libc(said.get("libc", ""))
    return BoardFacts(
        address=connection.address,
        system=said["system"],
        machine=machine,
        userland_bits=bits or chosen.bits,
        libc=libc,
        libc_version=libc_version,
        python=chosen.path,
        python_version=chosen.version,
        has_venv=chosen.has_venv,
        has_ensurepip=chosen.has_ensurepip,
        has_pip=chosen.has_pip,
        user=said.get("user", ""),
        home=said.get("home", ""),
        root=root,
        disk_free_bytes=_number(said.get("disk_free_kib", "")) * 1024,
        device_tree_model=said.get("model") or None,
        compatible=tuple(said.get("compatible", "").split()),
        board_sha256=identity.serial_sha256(said["serial"]) if said.get("serial") else None,
    )


def _number(text: str) -> int:
    """A whole number of the probe; 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _check_architecture(address: str, system: str, machine: str, bits: int) -> None:
    if system != "Linux":
        raise BoardUnfit(
            f"{address} runs {system or 'an unknown system'}; edgebench measures on Linux boards only."
        )
    if machine.startswith("arm") or (machine in MACHINES and bits == 32):
        raise BoardUnfit(_thirty_two_bit(address, machine, f"getconf LONG_BIT says {bits or 'nothing'}"))
    if machine not in MACHINES:
        raise BoardUnfit(
            f"{address} has the architecture '{machine}'; onnxruntime and numpy have wheels for "
            f"{' and '.join(MACHINES)}."
        )


def _thirty_two_bit(address: str, machine: str, evidence: str) -> str:
    return (
        f"{address} has a 32-bit userland (uname -m says {machine}; {evidence}), for which neither numpy nor "
        "onnxruntime has a wheel. Install the 64-bit image of its operating system."
    )


def _choose_python(address: str, lines: list[str], wanted: str | None) -> _Python:
    found = [python for line in lines if (python := _read_python(line))]
    for python in found:
        if python.version >= OLDEST_PYTHON:
            return python
    oldest = ".".join(map(str, OLDEST_PYTHON))
    install = "Install one there: `sudo apt install python3 python3-venv`"
    if found:
        names = ", ".join(f"{p.command} is {'.'.join(map(str, p.version))}" for p in found)
        raise BoardUnfit(
            f"{address} has no Python {oldest} or newer: {names}. {install} (where the distribution's own is "
            "older, `sudo apt install python3.8 python3.8-venv`), or name another with python = in the "
            "inventory."
        )
    broken = "".join(f" {line.partition('|')[0]} does not run: {line.partition('|')[2]}." for line in lines)
    looked = wanted or "python3, python3.13 ... python3.8"
    raise BoardUnfit(f"{address} has no Python {oldest} or newer (looked for {looked}).{broken} {install}.")


def _read_python(line: str) -> _Python | None:
    """One line of the probe; None for an interpreter that did not run."""
    try:
        command, path, version, bits, venv, ensurepip, pip, _ = line.split("|")
        major, minor, micro = (int(part) for part in version.split("."))
        word_bits = int(bits)
    except ValueError:
        return None
    return _Python(
        command, path or command, (major, minor, micro), word_bits, venv == "1", ensurepip == "1", pip == "1"
    )


def _read_libc(text: str) -> tuple[str, tuple[int, int]]:
    """``glibc 2.36`` of getconf, or ``musl libc (aarch64) Version 1.2.4`` of ldd."""
    name = "musl" if "musl" in text.lower() else "glibc" if "glibc" in text.lower() or "GNU" in text else ""
    for word in text.replace(",", " ").split():
        major, dot, minor = word.partition(".")
        minor = minor.split(".")[0]
        if dot and major.isdecimal() and minor.isdecimal() and len(major + minor) < 10:
            return name, (int(major), int(minor))
    return name, (0, 0)
