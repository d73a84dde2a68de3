"""Files onto the board, each under the hash of its content: sent once, whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pydantic

from edgebench.devices.install.facts import BoardFacts
from edgebench.devices.install.onboard_call import Answer, call_onboard
from edgebench.devices.links.connection import Connection
from edgebench.errors import BoardUnfit, ConnectionFailed, DeviceError

Bytes = Annotated[int, pydantic.Field(ge=0)]


class _Present(Answer):
    """Of ``check_blobs``."""

    present: frozenset[str]
    free_bytes: Bytes


class _Finished(Answer):
    """Of ``finish_blob``."""

    sha256: Annotated[str, pydantic.Field(pattern="^[0-9a-f]{64}$")] | None


# Called with the bytes sent so far and the bytes to send in all.
DeployProgress = Callable[[int, int], None]

# A copy that is still going on writes more often than this; an older part was left by one that broke.
STALE_PART_S = 120.0
# What the board keeps for its journal and its log besides the files.
SPARE_BYTES = 8 << 20
# The slowest card we know reads some 5 MB/s; a board in software hashes more slowly still.
HASH_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class DeployReport:
    """What a deployment did."""

    bytes_sent: int
    files_sent: int
    files_present: int
    """Files that were there already, with the right content."""
    paths: dict[str, str]
    """Label -> absolute path on the board."""
    hashes: dict[str, str]
    """Label -> sha256."""


def sha256_of(path: Path) -> str:
    """The hash of a file's content. Raises DeviceError if it cannot be read."""
    try:
        with path.open("rb") as reader:
            return hashlib.file_digest(reader, "sha256").hexdigest()
    except OSError as error:
        raise DeviceError(f"cannot read {path} to send it: {error.strerror}.") from error


def deploy(
    connection: Connection,
    facts: BoardFacts,
    files: Mapping[str, Path],
    *,
    progress: DeployProgress | None = None,
) -> DeployReport:
    """Make sure that every file is on the board, under ``<root>/blobs/<sha256>``.

    One command finds what is there with the right content; the rest is uploaded beside its final
    name, hashed there, and renamed. Two deployments at once do not disturb each other.

    Raises BoardUnfit for a full disk (with the bytes needed and available), ConnectionFailed for the
    link, DeviceError for a file that cannot be read here or written there.
    """
    hashes = {label: sha256_of(path) for label, path in files.items()}
    sources = {hashes[label]: path for label, path in files.items()}
    there = call_onboard(
        connection,
        facts,
        "check_blobs",
        {"blobs": facts.blobs, "names": sorted(sources), "stale_s": STALE_PART_S},
        expect=_Present,
        timeout_s=HASH_TIMEOUT_S,
    )
    missing = [name for name in sources if name not in there.present]
    sizes = {name: sources[name].stat().st_size for name in missing}
    total_bytes = sum(sizes.values())
    if missing and there.free_bytes < total_bytes + SPARE_BYTES:
        raise _full(connection, facts, total_bytes + SPARE_BYTES, there.free_bytes)

    sent_bytes = 0

    def moved(count: int) -> None:
        nonlocal sent_bytes
        sent_bytes += count
        if progress:
            progress(sent_bytes, total_bytes)

    for name in missing:
        _send(connection, facts, sources[name], name, moved)
    return DeployReport(
        bytes_sent=total_bytes,
        files_sent=len(missing),
        files_present=len(sources) - len(missing),
        paths={label: f"{facts.blobs}/{name}" for label, name in hashes.items()},
        hashes=hashes,
    )


def _send(
    connection: Connection, facts: BoardFacts, source: Path, name: str, moved: Callable[[int], None]
) -> None:
    target = f"{facts.blobs}/{name}"
    part = f"{target}.part-{secrets.token_hex(8)}"
    request = {"part": part, "target": target, "sha256": name}
    try:
        connection.put(source, part, progress=moved)
        found = call_onboard(
            connection, facts, "finish_blob", request, expect=_Finished, timeout_s=HASH_TIMEOUT_S
        ).sha256
    except ConnectionFailed:
        raise  # the board cannot be reached to clean up; the next deployment does it
    except BaseException as error:
        with contextlib.suppress(DeviceError):
            remove = request | {"sha256": None}
            call_onboard(connection, facts, "finish_blob", remove, expect=_Finished, timeout_s=60.0)
        if isinstance(error, DeviceError):
            _explain_full_disk(connection, facts, source.stat().st_size, error)
        raise
    if found != name:
        raise DeviceError(
            f"{connection.address}: {source.name} arrived with other content than was sent (sha256 {found}, "
            f"expected {name}). If the file was being written meanwhile, try again; else suspect the "
            "board's storage."
        )


def _explain_full_disk(
    connection: Connection, facts: BoardFacts, needed_bytes: int, error: DeviceError
) -> None:
    """Raise BoardUnfit if a full disk is why a write failed (SFTP says only "Failure")."""
    free_bytes = call_onboard(
        connection,
        facts,
        "check_blobs",
        {"blobs": facts.blobs, "names": [], "stale_s": STALE_PART_S},
        expect=_Present,
        timeout_s=60.0,
    ).free_bytes
    if free_bytes < needed_bytes or "No space left" in str(error):
        raise _full(connection, facts, needed_bytes, free_bytes) from error


def _full(connection: Connection, facts: BoardFacts, needed_bytes: int, free_bytes: int) -> BoardUnfit:
    return BoardUnfit(
        f"{connection.address} has too little room: {needed_bytes:,} bytes are needed at {facts.root}, "
        f"{free_bytes:,} are available. Make room there; {facts.blobs} and {facts.envs} hold only what "
        "can be sent again."
    )
