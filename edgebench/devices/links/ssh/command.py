"""A command running on a board over one SSH channel: its output drained, its end understood."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from edgebench.devices.links.bounded import CHATTER_BYTES, LineBuffer, Patience, Tail, too_much
from edgebench.devices.links.connection import ByteProgress, ExecResult, read_status
from edgebench.devices.links.shell import BOOTSTRAP, MarkedCommand
from edgebench.devices.links.ssh.errors import Watchdog, wire_errors
from edgebench.devices.links.ssh.link import Link
from edgebench.errors import ConnectionFailed, DeviceError
from edgebench.text import plain

READ_BYTES = 65536
# Handing paramiko a whole file at once is quadratic: 64 MiB took over 60 s, in pieces 2.5 s.
PIECE_BYTES = 256 * 1024
# How long after a command's own limit a stuck wire is cut.
GRACE_S = 10.0


class RemoteCommand:
    """One command, started. Standard error is drained by a thread, so neither stream can block the other."""

    def __init__(self, link: Link, argv: Sequence[str], *, reads_stdin: bool, open_s: float) -> None:
        self.name, self.address = argv[0], link.settings.address
        self.marked = MarkedCommand(argv, reads_stdin)
        with Watchdog(open_s + GRACE_S, link.cut), wire_errors(self.address, f"'{self.name}' was started"):
            self.link, self.channel = link.start(lambda channel: channel.exec_command(BOOTSTRAP), open_s)
            try:
                self._say_program()
            except BaseException:
                self.close()
                raise
        self._stderr = Tail()
        self._drain = threading.Thread(target=self._read_stderr, name="edgebench-stderr", daemon=True)
        self._drain.start()

    def _say_program(self) -> None:
        try:
            self.channel.sendall(self.marked.program())
        except OSError:
            # A login shell that runs no commands reads none. What it said comes with `result`.
            if not self.link.is_up():
                raise

    def _read_stderr(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            while piece := self.channel.recv_stderr(READ_BYTES):
                self._stderr.feed(piece)

    def read(self, limit_s: float) -> bytes:
        """The next piece of standard output, empty at its end. Raises TimeoutError after ``limit_s``."""
        self.channel.settimeout(max(0.001, limit_s))
        return bytes(self.channel.recv(READ_BYTES))

    def feed(self, data: bytes, progress: ByteProgress | None = None) -> None:
        """Write to the command's standard input, piece by piece."""
        for start in range(0, len(data), PIECE_BYTES):
            piece = data[start : start + PIECE_BYTES]
            self.channel.sendall(piece)
            if progress:
                progress(len(piece))

    def result(self, stdout: bytes, limit_s: float) -> ExecResult:
        """How the command ended, once its standard output has ended.

        Raises ConnectionFailed if nobody said: the link went down under it.
        """
        self._drain.join(limit_s)
        said, status = self.marked.split_end(self._stderr.value())
        if status is None:
            # The server reports the status after the streams have ended, if at all.
            self.channel.status_event.wait(min(limit_s, GRACE_S))
            shell_status = self.channel.exit_status
            if shell_status >= 0:
                words = plain((said.strip() or stdout.strip()).decode(errors="replace")[-400:])
                raise DeviceError(
                    f"{self.address}: the login shell did not run '{self.name}' and ended with status "
                    f"{shell_status}: {words or 'it said nothing'}. Check that the account may run "
                    "commands over SSH."
                )
            raise ConnectionFailed(
                f"{self.address}: the link went down while '{self.name}' ran. "
                "Check the board, then try again."
            )
        number, signal_number = read_status(status)
        return ExecResult(number, signal_number, stdout, said)

    def close(self) -> None:
        """Close the channel; the lifeline of `edgebench.devices.links.shell` then ends the command."""
        with Watchdog(2.0, self.link.cut), contextlib.suppress(Exception):
            self.link.end(self.channel)


def run_command(
    link: Link,
    argv: Sequence[str],
    *,
    timeout_s: float,
    stdin: bytes | None,
    open_s: float,
    limit_bytes: int,
) -> ExecResult:
    """Run one command to its end; see `edgebench.devices.links.connection.Connection.exec`."""
    deadline_s = time.monotonic() + timeout_s
    command = RemoteCommand(link, argv, reads_stdin=stdin is not None, open_s=min(open_s, timeout_s))
    stdout = bytearray()
    try:
        with (
            Watchdog(timeout_s + GRACE_S, link.cut),
            wire_errors(command.address, f"'{command.name}' ran"),
        ):
            feeder = _feed_in_background(command, stdin)
            try:
                while piece := command.read(_left_s(deadline_s)):
                    stdout += piece
                    if len(stdout) > limit_bytes + CHATTER_BYTES:
                        raise too_much(command.address, command.name, "its output", limit_bytes)
            except TimeoutError:
                raise ConnectionFailed(
                    f"{command.address}: '{command.name}' did not finish within {timeout_s:g} s "
                    "and was ended."
                ) from None
            own = command.marked.after_start(bytes(stdout))
            said = bytes(stdout) if own is None else own
            if len(said) > limit_bytes:
                raise too_much(command.address, command.name, "its output", limit_bytes)
            result = command.result(said, max(1.0, deadline_s - time.monotonic()))
    finally:
        command.close()
    if feeder:
        feeder.join(GRACE_S)
    return result


def _left_s(deadline_s: float) -> float:
    """Seconds until the deadline. Raises TimeoutError when it has passed, also while data still comes."""
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _feed_in_background(command: RemoteCommand, stdin: bytes | None) -> threading.Thread | None:
    if stdin is None:
        return None

    def feed() -> None:
        # A command may end without reading all of it, which closes the channel under the write.
        with contextlib.suppress(OSError, EOFError):
            command.feed(stdin)
            command.channel.shutdown_write()

    thread = threading.Thread(target=feed, name="edgebench-stdin", daemon=True)
    thread.start()
    return thread


def cat_file(
    link: Link, source: Path, target: str, *, stall_s: float, open_s: float, progress: ByteProgress | None
) -> None:
    """Copy a file by ``cat > target``, for boards whose SSH server has no SFTP (dropbear)."""
    argv = ["/bin/sh", "-c", 'cat > "$1"', "edgebench", target]
    command = RemoteCommand(link, argv, reads_stdin=True, open_s=open_s)
    try:
        with (
            Watchdog(stall_s, link.cut) as watchdog,
            wire_errors(command.address, f"{source.name} was sent"),
            source.open("rb") as reader,
        ):

            def moved(count: int) -> None:
                watchdog.feed()
                if progress:
                    progress(count)

            command.channel.settimeout(stall_s)
            try:
                while piece := reader.read(PIECE_BYTES):
                    command.feed(piece, moved)
                command.channel.shutdown_write()
            except OSError:
                # `cat` may have stopped reading because it could not write: it says so below.
                if not link.is_up():
                    raise
            while command.read(stall_s):
                pass
            result = command.result(b"", stall_s)
    finally:
        command.close()
    if not result.ok:
        raise DeviceError(f"{command.address}: {target} cannot be written: {result.ending()}")


class SshStream:
    """The lines of a command on a board; see `edgebench.devices.links.connection.LineStream`."""

    def __init__(
        self, link: Link, argv: Sequence[str], *, idle_timeout_s: float, limit_bytes: int, open_s: float
    ) -> None:
        self.result: ExecResult | None = None
        self._limit_bytes = limit_bytes
        self._command = RemoteCommand(link, argv, reads_stdin=False, open_s=open_s)
        self._lines = LineBuffer(limit_bytes)
        self._patience = Patience(idle_timeout_s)
        self._chatter: bytes | None = b""  # what came before the command's start; None once it has begun
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while True:
            line = None if self._chatter is not None else self._whole_line()
            if line is not None:
                self._patience.line_ended()
                return line
            if self._closed:
                raise StopIteration
            if piece := self._read():
                self._patience.heard(len(piece))
                self._hear(piece)
                continue
            self._finish()
            if rest := self._lines.rest():
                return rest

    def _hear(self, piece: bytes) -> None:
        if self._chatter is None:
            self._lines.feed(piece)
            return
        self._chatter += piece
        own = self._command.marked.after_start(self._chatter)
        if own is not None:
            self._chatter = None
            self._lines.feed(own)
        elif len(self._chatter) > CHATTER_BYTES:
            self._refuse("what the login shell prints first", CHATTER_BYTES)

    def _whole_line(self) -> bytes | None:
        try:
            return self._lines.line()
        except OverflowError:
            self._refuse("one line", self._limit_bytes)

    def _refuse(self, what: str, limit_bytes: int) -> NoReturn:
        self._lines.rest()
        self.close()
        raise too_much(self._command.address, self._command.name, what, limit_bytes)

    def _read(self) -> bytes:
        name, address = self._command.name, self._command.address
        with wire_errors(address, f"'{name}' was followed"):
            try:
                return self._command.read(self._patience.left_s())
            except TimeoutError:
                self.close()
                raise ConnectionFailed(
                    f"{address}: '{name}' {self._patience.lost()} and was ended."
                ) from None

    def _finish(self) -> None:
        try:
            self.result = self._command.result(self._chatter or b"", GRACE_S)
        finally:
            self.close()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._command.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
