"""Bringing a file from a board, by any connection that can run a command."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import DeviceError
from edgebench.files import replacing

if TYPE_CHECKING:
    from edgebench.devices.links.connection import Connection

# What a run leaves for the host is small. A trace of 20 inferences of a large net takes a few MB.
LIMIT_BYTES = 64 << 20
# A file comes in pieces, so that its size does not count in memory.
PIECE_BYTES = 4 << 20
# The slowest link that is waited for, in bytes per second.
SLOWEST = 100_000


def fetch(connection: Connection, source: str, target: Path, *, size_bytes: int, sha256: str) -> None:
    """See ``Connection.fetch``. No more is read than was promised, whatever the file has become."""
    if size_bytes > LIMIT_BYTES:
        raise DeviceError(
            f"{connection.address}: {source} has {size_bytes:,} bytes; {LIMIT_BYTES:,} are fetched at most. "
            "Copy it by hand if it is wanted."
        )
    digest, read_bytes = hashlib.sha256(), 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as part, part.open("wb") as writer:
            while read_bytes <= size_bytes:
                piece = _piece(connection, source, read_bytes // PIECE_BYTES)
                digest.update(piece)
                read_bytes += len(piece)
                writer.write(piece)
                if len(piece) < PIECE_BYTES:
                    break
            if read_bytes != size_bytes or digest.hexdigest() != sha256:
                raise DeviceError(
                    f"{connection.address}: {source} is not what was promised ({read_bytes:,} bytes read of "
                    f"{size_bytes:,}, or another sha256). It was changed after the run, or the storage is "
                    "failing."
                )
    except OSError as error:
        raise DeviceError(f"cannot write {target}: {error.strerror or error}.") from error


def _piece(connection: Connection, source: str, number: int) -> bytes:
    argv = ["dd", f"if={source}", f"bs={PIECE_BYTES}", f"skip={number}", "count=1"]
    result = connection.exec(argv, timeout_s=60.0 + PIECE_BYTES / SLOWEST, limit_bytes=PIECE_BYTES)
    if not result.ok:
        raise DeviceError(f"{connection.address}: {source} cannot be read: {result.ending()}")
    return result.stdout
