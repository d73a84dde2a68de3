"""The runtime's private environment on a board: exact versions, made through the wire, never half."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

import pydantic

from edgebench.devices.install.deploy import deploy
from edgebench.devices.install.facts import BoardFacts
from edgebench.devices.install.onboard_call import Answer, call_onboard
from edgebench.devices.install.wheels import default_cache, pick_wheels
from edgebench.devices.links.connection import Connection, signal_name
from edgebench.errors import BoardUnfit, DeviceError, UsageError, nearest
from edgebench.text import plain

# Called with a few words for the step, and bytes done of bytes to do where there are any (else 0, 0).
ProvisionProgress = Callable[[str, int, int], None]

# Unpacking and compiling numpy takes minutes on a Zero 2 W, and on a board in software.
BUILD_TIMEOUT_S = 1800.0
CHECK_TIMEOUT_S = 300.0
# Compiled modules, of those that are imported, and the environment's own files: some 8 MB on Python 3.11.
BYTECODE_BYTES = 16 << 20


@dataclass(frozen=True)
class Environment:
    """Where the runtime lives."""

    python: str
    """The interpreter of the runtime's trials, absolute, on the board."""
    versions: dict[str, str]
    """Package as imported (``ai_edge_litert``) -> version."""
    key: str
    """``local``, or the folder under ``<root>/envs``."""
    created: bool
    """False if it was there already."""


class _Made(Answer):
    """Of ``make_env``: the environment, or the error."""

    python: str | None = None
    versions: dict[str, str] = pydantic.Field(default={})
    created: bool = False
    error: str | None = None
    message: str = ""
    signal: int | None = None


@functools.cache
def _runtimes() -> dict[str, Any]:
    return tomllib.loads(resources.files("edgebench.devices.install").joinpath("runtimes.toml").read_text())


def _runtime(name: str) -> dict[str, Any]:
    table = _runtimes()
    if name not in table:
        raise UsageError(f"there is no runtime '{name}': {nearest(name, table)}.")
    entry: dict[str, Any] = table[name]
    return entry


def pins_for(runtime: str, facts: BoardFacts) -> dict[str, str]:
    """Package -> exact version for the board's Python. Raises BoardUnfit if there are none for it."""
    pins: dict[str, dict[str, str]] = _runtime(runtime)["python"]
    version = ".".join(map(str, facts.python_version[:2]))
    if facts.libc != "glibc":
        raise BoardUnfit(
            f"{facts.address} has the C library {facts.libc or 'nobody knows'}; {runtime} has wheels for "
            "glibc only. Use an operating system with glibc, such as Raspberry Pi OS."
        )
    if version not in pins:
        raise BoardUnfit(
            f"{facts.address} has Python {version}, for which no version of {runtime} is known to "
            f"run (there is one for {', '.join(pins)}). Install one of those there and name it with python = "
            "in the inventory."
        )
    return dict(pins[version])


def provision(
    connection: Connection,
    facts: BoardFacts,
    runtime: str = "onnxruntime",
    *,
    offline: bool = False,
    progress: ProvisionProgress | None = None,
    cache_dir: Path | None = None,
    pip_index: str | None = None,
) -> Environment:
    """Make sure that the board has the environment of ``runtime``, and return it.

    With the network, pip on the board installs exact versions. With ``offline``, the host picks the
    wheels, sends them with pip's own, and the board needs neither network nor pip nor ensurepip; so it
    is on this machine too. The runtime that edgebench depends on is here in the running interpreter.

    ``cache_dir``: where the host keeps wheels; by default its user cache. ``pip_index``: where pip on the
    board looks for wheels, instead of in the index of its own settings.

    Raises BoardUnfit where no version or wheel fits, where the runtime dies on the processor, or
    where there is no room; DeviceError where pip fails for another reason; ConnectionFailed.
    """
    say = progress or (lambda step, done, total: None)
    if connection.is_local and _runtime(runtime).get("dependency", False):
        return _running_environment(runtime)
    if connection.is_local and importlib.util.find_spec("pip"):
        offline = True  # the wheels stay in the cache for boards, and no pip has to be bootstrapped
    pins = pins_for(runtime, facts)
    pip = pins.pop("pip")
    requirements = [f"{name}=={version}" for name, version in sorted(pins.items())]
    key = _key(requirements, facts)
    request = {"envs": facts.envs, "key": key, "imports": _runtime(runtime)["imports"], "build": None}

    say("looking for the environment", 0, 0)
    answer = call_onboard(connection, facts, "make_env", request, expect=_Made, timeout_s=CHECK_TIMEOUT_S)
    if answer.python is None and answer.error is None:
        wheels = None
        if offline:
            say("picking wheels", 0, 0)
            files = pick_wheels({**pins, "pip": pip}, facts, cache_dir=cache_dir or default_cache())
            _require_room(facts, requirements, offline_bytes(files.values()))
            wheels = deploy(
                connection, facts, files, progress=lambda done, total: say("sending wheels", done, total)
            ).paths
        else:
            _require_room(facts, requirements, _runtime(runtime)["space_mb"] * 1_000_000)
        say("installing", 0, 0)
        request["build"] = {"requirements": requirements, "wheels": wheels, "index": pip_index}
        answer = call_onboard(connection, facts, "make_env", request, expect=_Made, timeout_s=BUILD_TIMEOUT_S)
    if answer.error is not None:
        raise _explain(facts, answer, requirements, offline=offline)
    if answer.python != str(PurePosixPath(facts.envs, key, "bin", "python")):
        raise DeviceError(
            f"{facts.address}: the environment was asked for at {facts.envs}/{key}, and the board names "
            f"{plain(repr(answer.python))}. Look on the board at what answers there."
        )
    versions = {plain(name): plain(version) for name, version in answer.versions.items()}
    return Environment(answer.python, versions, key, answer.created)


def offline_bytes(wheels: Iterable[Path]) -> int:
    """What an environment takes on the board: these wheels, their files, and what Python adds."""
    total = BYTECODE_BYTES
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            total += wheel.stat().st_size + sum(member.file_size for member in archive.infolist())
    return total


def _require_room(facts: BoardFacts, requirements: list[str], needed_bytes: int) -> None:
    if facts.disk_free_bytes >= needed_bytes:
        return
    raise BoardUnfit(
        f"{facts.address}: {' and '.join(requirements)} take {needed_bytes / 1e6:.0f} MB at {facts.root}, "
        f"and {facts.disk_free_bytes / 1e6:.0f} MB are free there (nothing was sent). Make room: `edgebench "
        "devices clean` removes what edgebench keeps on a board; or name a folder on another disk of it with "
        "folder = in the inventory."
    )


def _key(requirements: list[str], facts: BoardFacts) -> str:
    what = [requirements, facts.python_version, facts.python, facts.machine, facts.libc_version]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


def _running_environment(runtime: str) -> Environment:
    versions = {}
    for module in _runtime(runtime)["imports"]:
        try:
            versions[module] = importlib.metadata.version(module)
        except importlib.metadata.PackageNotFoundError:
            raise BoardUnfit(
                f"this machine's Python ({sys.executable}) has no {module}. "
                "Install edgebench with its dependencies."
            ) from None
    return Environment(sys.executable, versions, "local", created=False)


def _explain(facts: BoardFacts, answer: _Made, requirements: list[str], *, offline: bool) -> DeviceError:
    """The error of an environment that could not be made; ``offline``: --offline was given already."""
    what, code = " and ".join(requirements), answer.error
    version = ".".join(map(str, facts.python_version))
    said = plain(" ".join(answer.message.split())[-500:])
    no_network = "" if offline else " If it has no network, use --offline."
    if code == "DIES" and answer.signal is not None:
        return BoardUnfit(
            f"{facts.address}: {what} was installed and dies of signal {signal_name(answer.signal)} when "
            "it is imported: this build is not for this processor."
        )
    if code == "NO_PIP":
        instead = "" if offline else ", or let the host send it all with --offline"
        return BoardUnfit(
            f"{facts.address}: {facts.python} ({version}) cannot make an environment: {said}. Install "
            f"what is missing (`sudo apt install python3-venv`){instead}."
        )
    if code == "NO_EXEC":
        return BoardUnfit(
            f"{facts.address}: nothing can be run in {facts.envs} ({said}), and libraries of the runtime "
            "have to. Name a folder on another disk of the board with folder = in the inventory."
        )
    if code == "NO_SPACE":
        return BoardUnfit(
            f"{facts.address}: the disk is full at {facts.envs}: installing {what} needs some 200 MB. "
            "Make room there, or name a folder on another disk of the board with folder = in the inventory."
        )
    if code == "NO_WHEEL":
        return BoardUnfit(
            f"{facts.address}: pip on the board found no wheel of {what} for Python {version} on "
            f"{facts.machine} with {facts.libc} {facts.libc_version[0]}.{facts.libc_version[1]}."
            f"{no_network} pip said: {said}"
        )
    return DeviceError(
        f"{facts.address}: {what} could not be installed on the board.{no_network} pip said: {said}"
    )
