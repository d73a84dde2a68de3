"""The folder of a run on the board: its journal, and who is writing it."""

from __future__ import annotations

import os
import time

from edgebench.agent import folders, protocol
from edgebench.agent.sensors import files, load

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any

_RESERVE_BYTES = 1 << 16


class Journal:
    """RUN_DIR/journal.jsonl being written: each message numbered, stamped and on the disk at once.

    Raises FileExistsError where the run has a journal already, OSError where the disk is full;
    then what was written before stays whole.
    """

    def __init__(self, run_dir: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._file = os.open(os.path.join(run_dir, folders.JOURNAL), flags, 0o644)
        # Room for the last message, which says why a run ended, where the disk has become full.
        self._reserve = os.path.join(run_dir, folders.RESERVE)
        with open(self._reserve, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)
        self._seq = 0
        self._size = 0

    def write(self, kind: str, **fields: Any) -> None:
        """Append one message. ``kind`` comes first in the line: `follow` looks no further.

        ``end`` may use the room that was set aside for it.
        """
        if kind == protocol.END:
            try:
                os.unlink(self._reserve)
            except OSError:
                pass  # somebody removed the run's folder
        stamp = {"kind": kind, "seq": self._seq, "monotonic_ns": time.monotonic_ns()}
        data = protocol.encode({**stamp, **fields})
        left = data
        try:
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)  # half a line would spoil the next one
            raise
        self._size += len(data)
        self._seq += 1


def sign(run_dir: str) -> None:
    """Write who runs the trials: this process's pid, its start time in ticks, the boot."""
    stat = load.process_stat(os.getpid())
    text = "%d %s %s\n" % (os.getpid(), stat[19] if stat else "-", files.boot_id() or "-")
    part = os.path.join(run_dir, folders.PID + ".part")
    with open(part, "w") as file:
        file.write(text)
    os.replace(part, os.path.join(run_dir, folders.PID))


def supervisor_of(run_dir: str) -> int | None:
    """The pid of the run's supervisor while it lives, else None.

    A pid alone may have gone to another process, hence the start time; after a restart of the
    board even both may agree by chance, hence the boot. A zombie counts as dead.
    """
    words = (files.read(os.path.join(run_dir, folders.PID)) or "").split()
    if len(words) != 3 or words[2] != (files.boot_id() or "-"):
        return None
    stat = load.process_stat(int(words[0]))
    if stat is None or stat[0] in "ZX" or words[1] not in ("-", stat[19]):
        return None
    return int(words[0])


def restarted(run_dir: str) -> bool:
    """Whether the board was restarted since the run began."""
    words = (files.read(os.path.join(run_dir, folders.PID)) or "").split()
    return len(words) == 3 and words[2] != (files.boot_id() or "-")
