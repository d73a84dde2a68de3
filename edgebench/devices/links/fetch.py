"""Bringing a file from a board, by any connection that can run a command."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import DeviceError
from edgebench.files import write_bytes

if TYPE_CHECKING:
    from edgebench.devices.links.connection import Connection

# A file comes through memory: what a run leaves for the host is small. A trace of 20 inferences of
# a large net takes a few MB.
LIMIT_BYTES = 64 << 20
# The slowest link that is waited for, in bytes per second.
SLOWEST = 100_000


def fetch(connection: Connection, source: str, target: Path, *, size_bytes: int, sha256: str) -> None:
    """See ``Connection.fetch``. ``head`` reads no more than was promised, whatever the file has become."""
    if size_bytes > LIMIT_BYTES:
        raise DeviceError(
            f"{connection.address}: {source} has {size_bytes:,} bytes; {LIMIT_BYTES:,} are fetched at most. "
            "Copy it by hand if it is wanted."
        )
    argv = ["head", "-c", str(size_bytes + 1), source]
    result = connection.exec(argv, timeout_s=60.0 + size_bytes / SLOWEST)
    if not result.ok:
        raise DeviceError(f"{connection.address}: {source} cannot be read: {result.ending()}")
    if hashlib.sha256(result.stdout).hexdigest() != sha256:
        raise DeviceError(
            f"{connection.address}: {source} is not what was promised ({len(result.stdout):,} bytes read of "
            f"{size_bytes:,}, and another sha256). It was changed after the run, or the storage is failing."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(target, result.stdout)
    except OSError as error:
        raise DeviceError(f"cannot write {target}: {error.strerror or error}.") from error
