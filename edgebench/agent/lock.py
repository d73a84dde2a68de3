"""The board's lock: one measurement at a time, whichever account asks.

Two files are locked: one below the root, which is the account's, and one in a folder that every account
of the board can write. The kernel lets go of them when their holder dies, so that nothing has to be
tidied up after a kill or a power cut. What stands in them says who measures, for the one who has to wait.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time

from edgebench.agent import folders
from edgebench.agent.sensors import files, load

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any

# For several boards in one machine, such as containers or tests: each has a folder of its own.
FOLDER_VARIABLE = "EDGEBENCH_LOCK_FOLDER"
_NAME = "edgebench.lock"
_SHARED = ("/run/lock", "/var/lock", "/dev/shm", "/tmp")  # noqa: S108  the first that everybody can write
_READ_BYTES = 4096


class BusyError(Exception):
    """Somebody else has the lock. ``holder``: what is known of them."""

    def __init__(self, holder: dict[str, Any]) -> None:
        super().__init__("busy")
        self.holder = holder


class Lock:
    """Taken when it is made. Raises BusyError, and OSError where the root cannot be written."""

    def __init__(self, root: str, *, exclusive: bool) -> None:
        kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        self._held: list[int] = []
        try:
            self._take(os.open(os.path.join(root, folders.LOCK), os.O_RDWR | os.O_CREAT, 0o666), kind)
            folder = shared_folder()
            if folder is not None:
                self._take(_open_shared(os.path.join(folder, _NAME)), kind)
        except BaseException:
            self.release()
            raise

    def _take(self, file: int, kind: int) -> None:
        self._held.append(file)
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(_holder(file)) from None

    def sign(self, run_id: str, user: str) -> None:
        """Write who has it: this process, which may be a child of the one that took it."""
        found = load.process_stat(os.getpid())
        who = {
            "run_id": run_id,
            "user": user,
            "pid": os.getpid(),
            "start": found[19] if found else None,
            "boot_id": files.boot_id(),
            "since_wall_s": time.time(),
        }
        self._write(json.dumps(who).encode())

    def release(self, *, signed: bool = False) -> None:
        """Let go; ``signed``: wipe out who had it."""
        if signed:
            self._write(b"")
        for file in self._held:
            os.close(file)
        self._held = []

    def _write(self, text: bytes) -> None:
        for file in self._held:
            try:
                os.ftruncate(file, 0)
                os.pwrite(file, text, 0)
            except OSError:
                pass  # another account's file, or a full disk: the lock holds all the same


def shared_folder() -> str | None:
    """Where the lock of all accounts lies: the same folder whoever asks. None where there is none."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        os.makedirs(named, exist_ok=True)
        return named
    for folder in _SHARED:
        try:
            mode = os.stat(folder).st_mode
        except OSError:
            continue
        if stat.S_ISDIR(mode) and mode & stat.S_IWOTH and mode & stat.S_ISVTX:
            return folder
    return None


def _open_shared(path: str) -> int:
    """Open the lock of all accounts, made by the first who needs it. A link there is never followed.

    subtle: the kernel refuses O_CREAT on a file of another account in such a folder
    (fs.protected_regular), so it is opened without it first.
    """
    for _ in range(3):
        try:
            return os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            pass
        except PermissionError:
            return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)  # enough to lock it
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
            os.fchmod(file, 0o666)  # whatever the account's umask is
            return file
        except FileExistsError:
            continue  # another account was faster
    raise OSError("%s comes and goes" % path)


def _holder(file: int) -> dict[str, Any]:
    """Who has the lock, as far as they said, and whether that process runs."""
    try:
        said = json.loads(os.pread(file, _READ_BYTES, 0))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    return {**said, "state": _state(said)}


def _state(said: dict[str, Any]) -> str:
    """``running``; ``stopped`` by a signal; ``gone``, when something else has the file; or ``unknown``."""
    pid = said.get("pid")
    if not isinstance(pid, int) or not os.path.isdir("/proc/self"):
        return "unknown"
    found = load.process_stat(pid)
    if found is None:
        # Some boards hide the processes of others, but never pid 1's folder from those who see all.
        return "gone" if os.path.isdir("/proc/1") else "unknown"
    if said.get("start") not in (None, found[19]) or said.get("boot_id") not in (None, files.boot_id()):
        return "gone"
    return "stopped" if found[0] in "Tt" else "running"
