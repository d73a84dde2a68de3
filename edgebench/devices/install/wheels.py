"""Wheels for a board, picked on the host: `pip download` for another architecture, glibc and Python."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from edgebench.devices.install.facts import BoardFacts
from edgebench.errors import BoardUnfit, DeviceError

DOWNLOAD_TIMEOUT_S = 1800.0
# The oldest glibc a manylinux tag of the architecture names (PEP 600 and the tags before it).
OLDEST_GLIBC_MINOR = {"aarch64": 17, "x86_64": 5}
LEGACY_TAGS = {"aarch64": ("manylinux2014",), "x86_64": ("manylinux2014", "manylinux2010", "manylinux1")}


def default_cache() -> Path:
    """``$XDG_CACHE_HOME/edgebench`` or ``~/.cache/edgebench`` on the host."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path("~/.cache").expanduser()) / "edgebench"


def platform_tags(machine: str, glibc: tuple[int, int]) -> list[str]:
    """The wheel platforms a board with that glibc takes, newest first."""
    major, minor = glibc
    oldest = OLDEST_GLIBC_MINOR[machine]
    tags = [f"manylinux_{major}_{n}_{machine}" for n in range(minor, oldest - 1, -1)] if major == 2 else []
    # manylinux2014 means glibc 2.17, 2010 means 2.12, 1 means 2.5.
    return tags + [
        f"{tag}_{machine}"
        for tag, needs in zip(LEGACY_TAGS[machine], (17, 12, 5), strict=False)
        if minor >= needs
    ]


def pick_wheels(pins: Mapping[str, str], facts: BoardFacts, *, cache_dir: Path) -> dict[str, Path]:
    """File name -> path of one wheel a pin, fit for the board; downloaded once, then from the cache.

    pip's own settings on this machine hold: its index, its certificates, its proxy.
    Raises BoardUnfit when no wheel fits the board, DeviceError when pip cannot look for one.
    """
    wanted = [f"{name}=={version}" for name, version in sorted(pins.items())]
    folder = wheel_folder(wanted, facts, cache_dir)
    if not folder.is_dir():
        part = folder.with_name(f"{folder.name}.part-{secrets.token_hex(4)}")
        try:
            part.mkdir(parents=True)
            _download(wanted, facts, part)
            if not folder.is_dir():  # another run may have made it meanwhile
                part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return {path.name: path for path in sorted(folder.glob("*.whl"))}


def wheel_folder(wanted: list[str], facts: BoardFacts, cache_dir: Path) -> Path:
    """Where the host keeps the wheels of ``wanted`` for such a board; it exists only when complete."""
    asked = json.dumps([wanted, facts.machine, facts.libc_version, facts.python_version[1]])
    return cache_dir / "wheels" / hashlib.sha256(asked.encode()).hexdigest()[:16]


def _download(wanted: list[str], facts: BoardFacts, folder: Path) -> None:
    minor = facts.python_version[1]
    tags = platform_tags(facts.machine, facts.libc_version)
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    argv += ["--no-input", "--disable-pip-version-check", "--dest", str(folder)]
    argv += ["--implementation", "cp", "--python-version", f"3.{minor}"]
    for abi in (f"cp3{minor}", "abi3", "none"):
        argv += ["--abi", abi]
    for tag in tags:
        argv += ["--platform", tag]
    try:
        done = subprocess.run(
            [*argv, *wanted], capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise DeviceError(
            f"pip did not bring {', '.join(wanted)} within {DOWNLOAD_TIMEOUT_S:g} s. "
            "Check the network, then try again."
        ) from None
    if done.returncode == 0:
        return
    glibc = ".".join(map(str, facts.libc_version))
    what = f"{', '.join(wanted)} for Python 3.{minor} on {facts.machine} with glibc {glibc}"
    if "No module named pip" in done.stderr:
        raise DeviceError(
            "--offline needs pip in the Python that runs edgebench, to pick wheels for the board. "
            f"Install it: `{sys.executable} -m ensurepip`."
        )
    if "No matching distribution found" in done.stderr and "Retrying" not in done.stderr:
        looked = f"{tags[0]} down to {tags[-1]}" if tags else "none: that glibc is older than any"
        raise BoardUnfit(
            f"{facts.address}: no wheel of {what} was found (tags looked for: {looked}). The board needs "
            f"a newer operating system, or a Python of another version. pip said: {_tail(done.stderr)}"
        )
    raise DeviceError(
        f"pip could not download {what}. Check the network and pip's settings. It said: {_tail(done.stderr)}"
    )


def _tail(text: str) -> str:
    return " ".join(text.split())[-500:]
