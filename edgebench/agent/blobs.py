"""The files of a trial, held against the hashes that name them.

They were right when they were sent. A card that fails, or somebody who writes there, may have changed
them since; what is measured must be the file that the record names.
"""

from __future__ import annotations

import hashlib
import os

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any

_PIECE_BYTES = 1 << 20


class Blobs:
    """The folder of files by hash. A file is read again only where the kernel says that it changed."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._known: dict[str, tuple[int, ...]] = {}  # sha256 -> what stat said of the right content

    def problem(self, trial: dict[str, Any]) -> str | None:
        """Which file of a trial has another content than was sent; None where none has.

        A file that is gone is left to the trial, which cannot open it and says so.
        """
        for name in (trial["artifact"], trial["pack"]):
            if name is not None and not self._is_right(name):
                return "the file %s on the board has other content than was sent" % name
        return None

    def _is_right(self, name: str) -> bool:
        path = os.path.join(self._folder, name)
        try:
            with open(path, "rb") as file:
                # subtle: looked at before it is read. Who writes meanwhile is found the next time.
                found = os.fstat(file.fileno())
                facts = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
                if self._known.get(name) == facts:
                    return True
                digest = hashlib.sha256()
                for piece in iter(lambda: file.read(_PIECE_BYTES), b""):
                    digest.update(piece)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        if digest.hexdigest() != name:
            return False
        self._known[name] = facts
        return True


def facts(folder: str, name: str) -> dict[str, Any]:
    """Name, size and hash of a file that is small enough to be read whole."""
    with open(os.path.join(folder, name), "rb") as file:
        data = file.read()
    return {"name": name, "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
