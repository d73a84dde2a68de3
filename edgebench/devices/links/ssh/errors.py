"""Where foreign exceptions stop: nothing of paramiko's or of the socket's goes further up."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from paramiko import SSHException
from paramiko.ber import BERException
from paramiko.hostkeys import InvalidHostKey
from paramiko.packet import NeedRekeyException
from paramiko.pkey import UnknownKeyType
from paramiko.sftp import SFTPError

from edgebench.errors import ConnectionFailed

# Without a handler of its own paramiko's log would fall through to standard error, traceback and all.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

# All that paramiko and a socket raise when the wire misbehaves (a test enumerates paramiko's classes).
FOREIGN = (
    SSHException,
    SFTPError,
    BERException,
    InvalidHostKey,
    NeedRekeyException,
    UnknownKeyType,
    OSError,
    EOFError,
)


@contextlib.contextmanager
def wire_errors(address: str, doing: str) -> Iterator[None]:
    """Turn whatever the wire raises into ConnectionFailed; ``doing`` completes "the link failed while"."""
    try:
        yield
    except FOREIGN as error:
        raise ConnectionFailed(
            f"{address}: the link failed while {doing} ({describe(error)}). "
            "Check that the board is up and reachable, then try again."
        ) from error


def describe(error: BaseException) -> str:
    """A few words for an exception that may have none of its own."""
    words = str(getattr(error, "strerror", None) or error).strip().rstrip(".")
    return words or type(error).__name__


class Watchdog:
    """Cuts the wire when nothing has fed it for ``limit_s``; use as a context manager.

    The limits of paramiko are not enough: a call that waits for room in the send buffer of a dead
    or frozen peer waits for ever, whatever ``settimeout`` was told. Cutting the socket under it wakes
    it up with an error.
    """

    def __init__(self, limit_s: float, cut: Callable[[], None]) -> None:
        self.bit = False
        self._limit_s, self._cut = limit_s, cut
        self._food = threading.Event()
        self._done = False
        self._thread = threading.Thread(target=self._watch, name="edgebench-watchdog", daemon=True)

    def feed(self) -> None:
        self._food.set()

    def _watch(self) -> None:
        while self._food.wait(self._limit_s):
            if self._done:
                return
            self._food.clear()
        if not self._done:
            self.bit = True
            self._cut()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done = True
        self._food.set()
        self._thread.join()
