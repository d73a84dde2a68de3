"""What a connection to a board can do: run a command, follow one, copy a file, hang up.

`LocalConnection` and `SshConnection` are the two implementations; everything above this module
(deployment, provisioning, the runner) knows only the protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from edgebench.devices.links.bounded import LINE_BYTES, OUTPUT_BYTES
from edgebench.text import plain

# A copy calls it with the number of bytes that went out since the last call.
ByteProgress = Callable[[int], None]

# Shells report the death of a command by signal N as status 128 + N (POSIX, 2.8.2). Linux has 64.
SIGNAL_BASE = 128
LAST_SIGNAL = 64


@dataclass(frozen=True)
class TimeLimits:
    """How long each step on the wire may take, in seconds. Emulated boards want more."""

    connect_s: float = 10.0
    """Name resolution apart: until TCP is up, and until a jump host has opened the next hop."""
    handshake_s: float = 30.0
    """From TCP up to keys exchanged; a server that accepts and says nothing ends here."""
    auth_s: float = 30.0
    """For each key offered."""
    stall_s: float = 30.0
    """A copy that moves no byte for this long has failed."""
    dead_peer_s: float = 20.0
    """Unacknowledged data ends the TCP connection after this long (TCP_USER_TIMEOUT)."""


@dataclass(frozen=True)
class ExecResult:
    """How a command ended. Exactly one of ``status`` and ``signal`` is set.

    A status of 129 to 192 is read as a death by signal 1 to 64, as shells report it, on every
    kind of connection: 132 is SIGILL, 137 is SIGKILL.
    """

    status: int | None
    signal: int | None
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        return self.status == 0

    def ending(self) -> str:
        """``status 3`` or ``signal 4 (SIGILL)``, followed by the end of what it said, for an error text."""
        how = f"status {self.status}" if self.signal is None else f"signal {signal_name(self.signal)}"
        said = (self.stderr.strip() or self.stdout.strip()).decode(errors="replace")
        return f"{how}: {plain(said[-400:])}" if said else how


def signal_name(number: int) -> str:
    """``4 (SIGILL)``, or the bare number of a signal this machine has no name for."""
    import signal  # noqa: PLC0415  (the name would hide the field above)

    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:
        return str(number)


def read_status(status: int) -> tuple[int | None, int | None]:
    """Split a shell's exit status into ``(status, signal)``, one of which is None."""
    if SIGNAL_BASE < status <= SIGNAL_BASE + LAST_SIGNAL:
        return None, status - SIGNAL_BASE
    return status, None


class LineStream(Protocol):
    """The lines of a running command: iterate, or use as a context manager to be sure it ends.

    Lines are bytes without their newline. Iteration stops when the command ends, and ``result``
    then says how (its ``stdout`` is empty: the lines were it). A link that goes down, or a command
    that says nothing for longer than the idle limit, raises ConnectionFailed; a line that is too long
    raises DeviceError.
    """

    @property
    def result(self) -> ExecResult | None: ...

    def __iter__(self) -> Iterator[bytes]: ...

    def __next__(self) -> bytes: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def close(self) -> None:
        """End the command on the board (SIGTERM, then SIGKILL after 2 s), if it still runs."""


class Connection(Protocol):
    """A board that answers. Raises only classes of `edgebench.errors`."""

    @property
    def address(self) -> str:
        """For people: ``local``, ``pi@192.168.1.20:22``."""

    @property
    def is_local(self) -> bool: ...

    def exec(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: bytes | None = None,
        limit_bytes: int = OUTPUT_BYTES,
    ) -> ExecResult:
        """Run a command to its end and return what it said; of standard error the end.

        ``argv`` is a list of words and never read by a shell. A command that is not there ends with
        status 127. Raises ConnectionFailed when the link goes down or ``timeout_s`` passes, DeviceError
        when standard output is longer than ``limit_bytes``; the command is then ended.
        """

    def stream(
        self, argv: Sequence[str], *, idle_timeout_s: float, limit_bytes: int = LINE_BYTES
    ) -> LineStream:
        """Start a command and follow its lines, each of ``limit_bytes`` at most. See `LineStream`."""

    def put(self, source: Path, target: str, *, progress: ByteProgress | None = None) -> None:
        """Copy a file to ``target``, whose folder exists, overwriting.

        No check and no rename: a copy that breaks leaves a part behind (`deploy` is the safe way).
        Raises ConnectionFailed for the link, DeviceError for a target that cannot be written.
        """

    def fetch(self, source: str, target: Path, *, size_bytes: int, sha256: str) -> None:
        """Bring a file of the board, whose size and hash are known, to ``target``, whole or not at all.

        Raises ConnectionFailed for the link; DeviceError for a file that is larger than 64 MiB, cannot
        be read or written, or has other content.
        """

    def close(self) -> None: ...
