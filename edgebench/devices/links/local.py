"""The connection to this machine: subprocesses and a plain copy, behaving as SSH does."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from edgebench.devices.links.bounded import LINE_BYTES, OUTPUT_BYTES, LineBuffer, Patience, Tail, too_much
from edgebench.devices.links.connection import SIGNAL_BASE, ByteProgress, ExecResult, read_status
from edgebench.devices.links.fetch import fetch
from edgebench.errors import ConnectionFailed, DeviceError

COPY_BYTES = 1 << 20
KILL_AFTER_S = 2.0
READ_BYTES = 65536


class LocalConnection:
    """Runs commands on this machine, each in a session of its own."""

    address = "local"
    is_local = True

    def exec(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: bytes | None = None,
        limit_bytes: int = OUTPUT_BYTES,
    ) -> ExecResult:
        try:
            process = _start(argv, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE)
        except OSError as error:
            return _not_started(argv, error)
        try:
            stdout, stderr = _converse(process, stdin, timeout_s=timeout_s, limit_bytes=limit_bytes)
        except OverflowError:
            raise too_much(self.address, argv[0], "its output", limit_bytes) from None
        except TimeoutError:
            raise ConnectionFailed(
                f"'{argv[0]}' did not finish within {timeout_s:g} s on this machine and was ended."
            ) from None
        finally:
            # Also on Ctrl-C: nothing this call started outlives it.
            if process.returncode is None:
                _end(process)
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        status, signal_number = read_status(_as_shell(process.returncode))
        return ExecResult(status, signal_number, stdout, stderr)

    def stream(
        self, argv: Sequence[str], *, idle_timeout_s: float, limit_bytes: int = LINE_BYTES
    ) -> LocalStream:
        return LocalStream(argv, idle_timeout_s, limit_bytes)

    def put(self, source: Path, target: str, *, progress: ByteProgress | None = None) -> None:
        try:
            with source.open("rb") as reader, Path(target).open("wb") as writer:
                while piece := reader.read(COPY_BYTES):
                    writer.write(piece)
                    if progress:
                        progress(len(piece))
        except OSError as error:
            raise DeviceError(f"cannot copy {source} to {target}: {error.strerror or error}.") from error

    def fetch(self, source: str, target: Path, *, size_bytes: int, sha256: str) -> None:
        fetch(self, source, target, size_bytes=size_bytes, sha256=sha256)

    def close(self) -> None:
        """Nothing is held."""


class LocalStream:
    """The lines of a local command; see `edgebench.devices.links.connection.LineStream`."""

    def __init__(self, argv: Sequence[str], idle_timeout_s: float, limit_bytes: int) -> None:
        self.result: ExecResult | None = None
        self._argv, self._limit_bytes = argv, limit_bytes
        self._lines, self._patience = LineBuffer(limit_bytes), Patience(idle_timeout_s)
        self._stderr = Tail()
        self._drain: threading.Thread | None = None
        try:
            self._process = _start(argv, stdin=subprocess.DEVNULL)
        except OSError as error:
            self.result = _not_started(argv, error)
            return
        # Read all the time: a pipe that nobody reads would block the command.
        self._drain = threading.Thread(target=self._read_stderr, name="edgebench-stderr", daemon=True)
        self._drain.start()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while True:
            try:
                line = self._lines.line()
            except OverflowError:
                self.close()
                raise too_much("local", self._argv[0], "one line", self._limit_bytes) from None
            if line is not None:
                self._patience.line_ended()
                return line
            if self.result is not None:
                raise StopIteration
            piece = self._read()
            if piece:
                self._patience.heard(len(piece))
                self._lines.feed(piece)
                continue
            self._finish()
            if rest := self._lines.rest():
                return rest

    def _read_stderr(self) -> None:
        pipe = self._process.stderr
        assert pipe is not None
        while piece := os.read(pipe.fileno(), READ_BYTES):
            self._stderr.feed(piece)

    def _read(self) -> bytes:
        pipe = self._process.stdout
        assert pipe is not None
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            if not selector.select(self._patience.left_s()):
                self.close()
                raise ConnectionFailed(
                    f"'{self._argv[0]}' {self._patience.lost()} on this machine and was ended."
                )
        return os.read(pipe.fileno(), READ_BYTES)

    def _finish(self) -> None:
        assert self._drain is not None
        returncode = self._process.wait()
        # Something that the command left running may hold its standard error open.
        self._drain.join(KILL_AFTER_S)
        status, signal_number = read_status(_as_shell(returncode))
        self.result = ExecResult(status, signal_number, b"", self._stderr.value())
        for pipe in (self._process.stdout, None if self._drain.is_alive() else self._process.stderr):
            if pipe is not None:
                pipe.close()

    def close(self) -> None:
        if self.result is None:
            _end(self._process)
            self._finish()
        self._lines.rest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _converse(
    process: subprocess.Popen[bytes], stdin: bytes | None, *, timeout_s: float, limit_bytes: int
) -> tuple[bytes, bytes]:
    """Feed a command and hear it to its end: standard output, and the end of standard error.

    Raises TimeoutError, and OverflowError for more than ``limit_bytes`` of output.
    """
    deadline = time.monotonic() + timeout_s
    stdout, stderr = bytearray(), Tail()
    to_feed = memoryview(stdin or b"")
    assert process.stdout is not None and process.stderr is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
        while selector.get_map():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            for key, _ in selector.select(left_s):
                if key.fileobj is process.stdin:
                    to_feed = to_feed[_feed(process.stdin, to_feed) :]
                    done = not to_feed
                else:
                    piece = os.read(key.fd, READ_BYTES)
                    done = not piece
                    if key.fileobj is process.stderr:
                        stderr.feed(piece)
                    else:
                        stdout += piece
                if done:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
            if len(stdout) > limit_bytes:
                raise OverflowError
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    return bytes(stdout), stderr.value()


def _feed(pipe: IO[bytes], data: memoryview) -> int:
    """Write what fits. A command that has stopped reading is told no more."""
    try:
        return os.write(pipe.fileno(), data[:READ_BYTES])
    except BrokenPipeError:
        return len(data)


def _start(argv: Sequence[str], *, stdin: int) -> subprocess.Popen[bytes]:
    # A session of its own, as under sshd: Ctrl-C at the terminal reaches edgebench alone, which
    # then ends the command itself.
    return subprocess.Popen(
        list(argv), stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the command and what it started, SIGKILL after a moment."""
    deadline = time.monotonic() + KILL_AFTER_S
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
            return
    process.wait()


def _as_shell(returncode: int) -> int:
    return SIGNAL_BASE - returncode if returncode < 0 else returncode


def _not_started(argv: Sequence[str], error: OSError) -> ExecResult:
    """What a shell says of a command it cannot start: 127 not found, 126 not executable."""
    status = 127 if isinstance(error, FileNotFoundError) else 126
    return ExecResult(status, None, b"", f"{argv[0]}: {error.strerror}\n".encode())
