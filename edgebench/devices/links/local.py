"""The connection to this machine: subprocesses and a plain copy, behaving as SSH does."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from edgebench.devices.links.connection import SIGNAL_BASE, ByteProgress, ExecResult, read_status
from edgebench.devices.links.fetch import fetch
from edgebench.errors import ConnectionFailed, DeviceError

COPY_BYTES = 1 << 20
KILL_AFTER_S = 2.0


class LocalConnection:
    """Runs commands on this machine, each in a session of its own."""

    address = "local"
    is_local = True

    def exec(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes | None = None) -> ExecResult:
        try:
            process = _start(argv, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE)
        except OSError as error:
            return _not_started(argv, error)
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise ConnectionFailed(
                f"'{argv[0]}' did not finish within {timeout_s:g} s on this machine and was ended."
            ) from None
        finally:
            # Also on Ctrl-C: nothing this call started outlives it.
            if process.returncode is None:
                _end(process)
        status, signal_number = read_status(_as_shell(process.returncode))
        return ExecResult(status, signal_number, stdout, stderr)

    def stream(self, argv: Sequence[str], *, idle_timeout_s: float) -> LocalStream:
        return LocalStream(argv, idle_timeout_s)

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

    def __init__(self, argv: Sequence[str], idle_timeout_s: float) -> None:
        self.result: ExecResult | None = None
        self._argv, self._idle_timeout_s = argv, idle_timeout_s
        self._rest = b""
        # A file and not a pipe: a pipe that nobody reads would block the command.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (closed in _release)
        try:
            self._process = _start(argv, stdin=subprocess.DEVNULL, stderr=self._stderr.fileno())
        except OSError as error:
            self._stderr.close()
            self.result = _not_started(argv, error)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while True:
            line, newline, rest = self._rest.partition(b"\n")
            if newline:
                self._rest = rest
                return line
            if self.result is not None:
                raise StopIteration
            piece = self._read()
            if piece:
                self._rest += piece
                continue
            self._finish()
            if self._rest:
                line, self._rest = self._rest, b""
                return line

    def _read(self) -> bytes:
        pipe = self._process.stdout
        assert pipe is not None
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            if not selector.select(self._idle_timeout_s):
                self.close()
                raise ConnectionFailed(
                    f"'{self._argv[0]}' said nothing for {self._idle_timeout_s:g} s on this machine "
                    "and was ended."
                )
        return os.read(pipe.fileno(), 65536)

    def _finish(self) -> None:
        returncode = self._process.wait()
        self._stderr.seek(0)
        status, signal_number = read_status(_as_shell(returncode))
        self.result = ExecResult(status, signal_number, b"", self._stderr.read())
        self._release()

    def _release(self) -> None:
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._stderr.close()

    def close(self) -> None:
        if self.result is None and not self._stderr.closed:
            _end(self._process)
            self._finish()
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _start(argv: Sequence[str], *, stdin: int, stderr: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    # A session of its own, as under sshd: Ctrl-C at the terminal reaches edgebench alone, which
    # then ends the command itself.
    return subprocess.Popen(
        list(argv), stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True
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
