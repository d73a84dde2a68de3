"""Writing files whole or not at all, and the hash that names a file's content."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it takes the name ``path`` once the block ends well.

    Who reads ``path`` sees the old content or the new one, never a part of it, also after a crash.
    Where the block raises, what it wrote is removed. Raises OSError.
    """
    # A name of its own: two processes that write the same file must not write into one another.
    part = path.with_name(f"{path.name}.part-{secrets.token_hex(4)}")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all. Raises OSError."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data``, whole or not at all. Raises OSError."""
    with replacing(path) as part:
        part.write_bytes(data)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
