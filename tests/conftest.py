"""Fixtures for everybody: a real SSH server on loopback, and the real corpora where there are any."""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

# Before numpy is imported. As many test processes as processors run side by side, and threads of one that
# wait for each other take the time of the others. Processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# pip reads this backwards (see "boolean options" in its manual): what it installs is compiled when it is
# imported, and most of it never is.
os.environ.setdefault("PIP_NO_COMPILE", "0")

import pytest
from support import untrained
from support.cli import Edgebench
from support.exporting import read_operators_once
from support.sshd import SshServer, find_sshd

from edgebench.corpora import audio

_LOCKS = itertools.count()
# Fixtures of a module or a session start runs before `own_lock` is asked: theirs is this process' lock.
_LOCK_FOLDER = tempfile.mkdtemp(prefix="edgebench-lock-")
atexit.register(shutil.rmtree, _LOCK_FOLDER, ignore_errors=True)
os.environ["EDGEBENCH_LOCK_FOLDER"] = _LOCK_FOLDER

MakeServer = Callable[..., SshServer]


# A shell starts what it puts into the background deaf to Ctrl-C, and children inherit that from us.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Folders of many short files come last: they fill the time until the last long file has ended."""
    items.sort(key=lambda item: item.path.parent.name in ("agent", "corpora", "results"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture that exports."""
    if item.get_closest_marker("train"):
        read_operators_once()


@pytest.fixture(scope="session")
def untrained_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds ``wav2small`` of seed 1, made by one of the test processes for all of them."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all workers
    return untrained.exported(folder / "untrained")


@pytest.fixture(autouse=True)
def own_lock(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test is a board of its own: tests that run side by side do not wait for each other."""
    folder = tmp_path_factory.getbasetemp() / f"lock-{next(_LOCKS)}"
    monkeypatch.setenv("EDGEBENCH_LOCK_FOLDER", str(folder))


@pytest.fixture(scope="session")
def sshd_binary() -> str:
    """The path of OpenSSH's server."""
    found = find_sshd()
    if found is None:
        pytest.skip("no sshd on this machine: install openssh-server")
    return found


@pytest.fixture(scope="session")
def ssh_server(sshd_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """A server for the whole test session. Do not change its files: make your own for that."""
    server = SshServer(tmp_path_factory.mktemp("sshd")).start()
    yield server
    server.stop()


@pytest.fixture
def make_ssh_server(sshd_binary: str, tmp_path: Path) -> Iterator[MakeServer]:
    """Start servers of one's own: ``make_ssh_server("name", sftp=False, ...)``; fields as of `SshServer`."""
    servers: list[SshServer] = []

    def make(name: str = "sshd", **fields: Any) -> SshServer:
        server = SshServer(tmp_path / name, **fields)
        servers.append(server)
        return server.start()

    yield make
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def corpora_root() -> Path:
    """The folder of real corpora that $EDGEBENCH_CORPORA names."""
    named = os.environ.get("EDGEBENCH_CORPORA")
    if not named:
        pytest.skip("EDGEBENCH_CORPORA is not set: no real speech to test on")
    root = Path(named)
    if not root.is_dir():
        pytest.skip(f"EDGEBENCH_CORPORA names {root}, which is not a folder")
    return root


@pytest.fixture
def edgebench(tmp_path: Path) -> Edgebench:
    """The real command line with a folder of its own, a suite of seconds and an empty inventory in it."""
    return Edgebench.in_folder(tmp_path)


@pytest.fixture(scope="session", autouse=True)
def synthetic_speech_is_made_once() -> Iterator[None]:
    """Whoever loads a clip of the synthetic corpus a second time in this process waits no second time."""
    with mock.patch.object(audio, "synthetic_waveform", functools.cache(audio.synthetic_waveform)):
        yield


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    (mount := tmp_path / "disk").mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "edgebench-test", str(mount)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("a small file system cannot be mounted (needs root)")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)
