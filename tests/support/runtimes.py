"""Private environments of runtimes on this machine, made once and kept for the next test session."""

from __future__ import annotations

import dataclasses
import functools
import os
import tempfile
from pathlib import Path

import pytest

from edgebench.devices import Environment, connect, probe_board, provision, resolve_device
from edgebench.errors import DeviceError


def shared_root() -> Path:
    """The folder that stands for ``~/.cache/edgebench``."""
    return Path(tempfile.gettempdir()) / f"edgebench-test-runtimes-{os.getuid()}"


@functools.cache
def _provided(runtime: str) -> Environment | str:
    connection = connect(resolve_device("local"))
    facts = dataclasses.replace(probe_board(connection), root=str(shared_root()))
    try:
        return provision(connection, facts, runtime, cache_dir=shared_root() / "wheels")
    except DeviceError as error:
        return str(error)


def runtime_python(runtime: str) -> str:
    """The interpreter of a runtime's environment; skips the test where it cannot be had."""
    made = _provided(runtime)
    if isinstance(made, str):
        pytest.skip(f"{runtime} cannot be installed here: {made}")
    return made.python


def share_environments(cache: Path) -> None:
    """Let a command whose XDG_CACHE_HOME is ``cache`` find the environments that were made already."""
    (cache / "edgebench").mkdir(parents=True, exist_ok=True)
    (cache / "edgebench" / "envs").symlink_to(shared_root() / "envs")


def share_wheels(cache: Path) -> None:
    """Let it find the wheels for boards without network that were downloaded already."""
    (shared_root() / "host-wheels").mkdir(parents=True, exist_ok=True)
    (cache / "edgebench" / "wheels").symlink_to(shared_root() / "host-wheels")
