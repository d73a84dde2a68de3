"""A PostgreSQL server of the tests' own, reached through a socket in its folder."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_OWNER = "postgres"  # who runs the server where the tests run as root, which it refuses


def _program(name: str) -> str:
    """Where a program of the server lies: Debian keeps them out of the path."""
    found = shutil.which(name) or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None
    )
    if found is None:
        pytest.skip("no PostgreSQL server on this machine: install postgresql")
    return found


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Start a server with an empty database, and give the URL of that. Skips where there is no server."""
    pytest.importorskip("psycopg2", reason="no driver of PostgreSQL: pip install edgebench[postgresql]")
    initdb, server = _program("initdb"), _program("pg_ctl")
    user: dict[str, Any] = {}
    if os.getuid() == 0:
        try:
            pwd.getpwnam(_OWNER)
        except KeyError:
            pytest.skip(f"a PostgreSQL server does not run as root, and there is no user {_OWNER}")
        user = {"user": _OWNER}
    folder = Path(tempfile.mkdtemp(prefix="edgebench-postgres-", dir="/tmp"))  # a socket has a short path
    if user:
        shutil.chown(folder, _OWNER)
    data = folder / "data"

    def call(*command: str) -> None:
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, **user)

    try:
        call(initdb, "--no-sync", "--auth=trust", "--username=tests", "--encoding=UTF8", "-D", str(data))
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        call(server, "start", "-w", "-D", str(data), "-l", str(folder / "log"), "-o", options)
        try:
            yield f"postgresql+psycopg2://tests@/postgres?host={folder}"
        finally:
            call(server, "stop", "-m", "immediate", "-D", str(data))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
