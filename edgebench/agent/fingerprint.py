"""What the board is: everything that must match before two measurements may be compared."""

from __future__ import annotations

import hashlib
import os
import platform
import sys

from edgebench.agent import child, cores, identity, protocol
from edgebench.agent.sensors import clocks, device_tree, files, memory, power

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any, Mapping

PROBE = "probe"  # between fingerprint and its child only
_PROBE_TIMEOUT_S = 600.0  # an emulated board takes minutes to import a runtime

# Implementer/part of /proc/cpuinfo on Arm, and the name in the processor's reference manual.
_ARM_PARTS = """
0x41/0xb76 ARM1176     0x41/0xc07 Cortex-A7   0x41/0xd03 Cortex-A53    0x41/0xd04 Cortex-A35
0x41/0xd05 Cortex-A55  0x41/0xd07 Cortex-A57  0x41/0xd08 Cortex-A72    0x41/0xd09 Cortex-A73
0x41/0xd0b Cortex-A76  0x41/0xd0c Neoverse-N1 0x41/0xd42 Cortex-A78AE  0x4e/0x004 Carmel
"""
_words = iter(_ARM_PARTS.split())
_ARM_NAMES = dict(zip(_words, _words))


def answer(wire: int, verb: str, arguments: list[str]) -> None:
    """Answer ``fingerprint``, of a board as it is without a run; or ``probe``, in a child of that."""
    if verb == PROBE:
        probe(wire, arguments[0])
    from edgebench.agent import conditioning

    conditioning.put_back_left(child.ROOT.rsplit(os.sep, 2)[0])  # the agent lies in blobs/ of that folder
    named = [argument.partition("=") for argument in arguments]
    found = fingerprint({name: python for name, _, python in named})
    protocol.send(wire, {"kind": protocol.FINGERPRINT, **found})


def fingerprint(runtimes: Mapping[str, str], *, stop_fd: int | None = None) -> dict[str, Any]:
    """The board's fingerprint. ``runtimes``: name -> interpreter in which it is to be imported.

    Each is imported in a child, which may die of it.
    """
    memory_bytes, swap_bytes = memory.total_memory()
    name = os.uname()
    return {
        **hardware(),
        **{
            "cpu_count": os.cpu_count(),
            "affinity": cores.ALLOWED,
            "machine": name.machine,
            "kernel": name.release,
            "libc": _libc(),
            "python": platform.python_version(),
            "page_bytes": os.sysconf("SC_PAGE_SIZE"),
            "memory_bytes": memory_bytes,
            "swap_bytes": swap_bytes,
            "boot_id": files.boot_id(),
            "hostname_sha256": hashlib.sha256(name.nodename.encode()).hexdigest(),
            "runtimes": {
                name: probe_runtime(name, python, stop_fd=stop_fd) for name, python in runtimes.items()
            },
        },
    }


def hardware(root: str = "/") -> dict[str, Any]:
    """The part of the fingerprint that is read from /proc, /sys and /etc below ``root``."""
    maker = [files.read("/sys/class/dmi/id/" + key, root) for key in ("sys_vendor", "product_name")]
    compatible = [part for part in (device_tree.read("compatible", root) or "").split("\0") if part]
    cpu_model, features = _processor(root)
    return {
        "model": device_tree.read("model", root) or " ".join(filter(None, maker)) or None,
        "compatible": compatible,
        "cpu_model": cpu_model,
        "cpu_features": features,
        "governors": clocks.governors(root),
        "virtual": _virtual(compatible, features, root),
        "os": _os_name(root),
        "power": power.Source(root).facts(),
        **identity.identity(compatible, root),
    }


def _processor(root: str) -> tuple[str, list[str]]:
    """Name and sorted features of the processor; of unlike cores, every name in order."""
    names: list[str] = []
    features: list[str] = []
    implementer = ""
    for line in (files.read("/proc/cpuinfo", root) or "").splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key in ("flags", "Features"):
            features = sorted(set(value.split()))
        elif key == "CPU implementer":
            implementer = value
        elif key in ("model name", "CPU part"):
            unknown = "implementer %s part %s" % (implementer, value)
            name = value if key == "model name" else _ARM_NAMES.get(implementer + "/" + value, unknown)
            if name not in names:
                names.append(name)
    return " + ".join(names) or "unknown", features


def _virtual(compatible: list[str], features: list[str], root: str) -> str | None:
    """The kind of emulation or virtual machine this is, None on bare metal as far as one can see."""
    if "linux,dummy-virt" in compatible:
        return "qemu"
    hypervisor = files.read("/sys/hypervisor/type", root)
    return hypervisor or ("hypervisor" if "hypervisor" in features else None)


def _os_name(root: str) -> str:
    for line in (files.read("/etc/os-release", root) or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip("\"'")
    return "unknown"


def _libc() -> list[str]:
    """Name and version of the C library: ["glibc", "2.36"]."""
    try:
        words = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    except (ValueError, OSError):
        words = []
    return words if len(words) == 2 else ["unknown", ""]


def probe_runtime(name: str, python: str, *, stop_fd: int | None = None) -> dict[str, Any]:
    """Import a runtime in a child. A death by signal 4 (SIGILL) means: not on this processor."""
    heard: list[dict[str, Any]] = []
    ending = child.run(
        [PROBE, name], {}, hear=heard.append, timeout_s=_PROBE_TIMEOUT_S, python=python, stop_fd=stop_fd
    )
    if heard:
        return {key: value for key, value in heard[-1].items() if key != "kind"}
    if ending.signal is None:
        how = "%s with status %s" % (ending.why, ending.status)
    else:
        how = "%s by signal %d" % (ending.why if ending.why != child.EXITED else "killed", ending.signal)
    error = {
        "code": protocol.RUNTIME_IMPORT,
        "message": "importing %s: %s" % (name, how),
        "signal": ending.signal,
    }
    return {**_unknown(name), "error": error}


def _unknown(name: str) -> dict[str, Any]:
    """What is said of a runtime before anything is known of it."""
    return {"name": name, "version": None, "providers": [], "python": None, "numpy": None, "error": None}


def probe(wire: int, name: str) -> None:
    """In the child: import, say what was found, and leave without tearing anything down."""
    found = {**_unknown(name), "python": platform.python_version()}
    try:
        import numpy

        from edgebench.agent.runtimes import table

        found["numpy"] = numpy.__version__
        runtime = table.make(name)
        found.update(version=runtime.version, providers=runtime.providers)
    except Exception as problem:
        message = "%s: %s" % (type(problem).__name__, problem)
        found["error"] = {"code": protocol.RUNTIME_IMPORT, "message": message, "signal": None}
    protocol.send(wire, {"kind": PROBE, **found})
    sys.stderr.flush()
    os._exit(0)
