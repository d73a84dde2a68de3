"""The store: a folder with ``records.jsonl`` (append only) and what can be made again from it.

``records.jsonl``       every line of every run, in the order written; never rewritten
``records.jsonl.cut-N`` a last line that a crash cut short, set aside by the next append
``index.sqlite``        where each run's lines lie; made again when missing, stale or corrupt
``unfinished/``         what is needed to finish a run that is not over (see harness.unfinished)
``reports/``            pages and tables, made again by ``edgebench report``

A writer holds an exclusive flock, a reader a shared one, so that no reader sees half a line of a
live writer; every append is fsynced before it returns. A damaged line costs that line and a
warning, never the report.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from edgebench.errors import StoreError, UsageError, nearest
from edgebench.results.records import codec
from edgebench.results.records import record as records
from edgebench.results.records.index import Index, LineRow
from edgebench.results.records.record import Record

RECORDS = "records.jsonl"
INDEX = "index.sqlite"
REPORTS = "reports"

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class StoreWarning(UserWarning):
    """Something in the store was damaged and was passed over."""


@dataclass(frozen=True)
class RunInfo:
    """One run as a list shows it. ``status``: that of its end, "open" without one, or "unreadable"."""

    run_id: str
    status: str
    started_wall_s: float | None
    device: str | None
    command: tuple[str, ...]
    trials: int


def new_run_id(*, now_s: float | None = None) -> str:
    """A run id: 26 characters that sort by the millisecond they were made in.

    48 bits of Unix time and 80 random bits in Crockford's base 32, as a ULID
    (github.com/ulid/spec).
    """
    milliseconds = round((time.time() if now_s is None else now_s) * 1000) & ((1 << 48) - 1)
    number = (milliseconds << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


class Store:
    """The results in one folder, made on the first append.

    ``warn`` is called with one sentence for each damaged thing passed over; without it they are Python
    warnings of class StoreWarning.
    """

    def __init__(self, path: Path | str, *, warn: Callable[[str], None] | None = None) -> None:
        self.path = Path(path)
        self._warn = warn or (lambda text: warnings.warn(text, StoreWarning, stacklevel=3))
        self._warned: set[str] = set()

    @property
    def records_path(self) -> Path:
        """Where the lines are."""
        return self.path / RECORDS

    @property
    def reports_path(self) -> Path:
        """Where reports go."""
        return self.path / REPORTS

    def append(self, record: Record) -> None:
        """Write one line, whole and synced to the disk, or nothing.

        Raises StoreError where the folder cannot be made or written, or the disk is full.
        """
        data = codec.encode(record)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            new = not self.records_path.exists()
            descriptor = os.open(self.records_path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            with os.fdopen(descriptor, "r+b", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                self._set_cut_line_aside(file)
                _write_whole(file, data)
            if new:
                _sync_folder(self.path)
        except OSError as error:
            raise StoreError(
                f"the results in {self.path} cannot be written: {error.strerror or error}. "
                "Free space or fix the permissions there, or choose another folder with --store."
            ) from error

    def runs(self) -> list[RunInfo]:
        """Every run, newest first. Empty where nothing was stored yet."""
        with self._open() as (file, index):
            if file is None:
                return []
            return [self._info(file, run_id, index.lines(run_id)) for run_id in reversed(index.run_ids())]

    def run(self, name: str) -> list[Record]:
        """The lines of one run, in the order written.

        ``name``: a run id, the beginning of one that fits a single run, or "last".
        Raises UsageError for an unknown or ambiguous name, StoreError where the run's header is
        damaged or a newer edgebench wrote it.
        """
        with self._open() as (file, index):
            run_id = self._resolve(name, index.run_ids() if file is not None else [])
            assert file is not None  # _resolve raises for an empty store
            found = []
            for row in index.lines(run_id):
                line = _read_line(file, row)
                try:
                    found.append(codec.decode(line))
                except StoreError as error:
                    if row.kind == "run" or _is_newer(line):
                        raise StoreError(
                            f"run {run_id}, line {row.number} of {self.records_path}: {error}"
                        ) from None
                    self._warn_once(
                        f"{self.records_path}, line {row.number} (run {run_id}) is left out: {error}"
                    )
        if not any(isinstance(line, records.RunHeader) for line in found):
            raise StoreError(
                f"run {run_id} in {self.records_path} has no header line left: nothing says what it "
                "measured. Take the file from a backup, or measure again."
            )
        return found

    # --- inside ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _open(self) -> Iterator[tuple[BinaryIO | None, Index]]:
        """The lines under a shared lock with an index that is true of them; None without lines."""
        try:
            file = self.records_path.open("rb")
        except FileNotFoundError:
            if self.path.exists() and not self.path.is_dir():
                raise StoreError(f"the store {self.path} is a file, not a folder.") from None
            yield None, Index(None)
            return
        except OSError as error:
            raise StoreError(
                f"the results in {self.path} cannot be read: {error.strerror or error}. Fix the "
                "permissions there, or choose another folder with --store."
            ) from error
        with file:
            fcntl.flock(file, fcntl.LOCK_SH)
            index = Index(self.path / INDEX)
            with contextlib.closing(index):
                index.refresh(file)
                for number in index.damaged():
                    self._warn_once(
                        f"{self.records_path}, line {number} is damaged and left out; the rest is read."
                    )
                if index.cut_bytes:
                    self._warn_once(
                        f"the last line of {self.records_path} was cut short ({index.cut_bytes} bytes "
                        "without an end) and is ignored; the next run sets it aside."
                    )
                yield file, index

    def _set_cut_line_aside(self, file: Any) -> None:
        """Move a last line without a newline to ``records.jsonl.cut-N`` (under the writer's lock)."""
        size = os.fstat(file.fileno()).st_size
        if size == 0 or os.pread(file.fileno(), 1, size - 1) == b"\n":
            return
        start, block = size, 1 << 16
        while start > 0:
            low = max(0, start - block)
            at = os.pread(file.fileno(), start - low, low).rfind(b"\n")
            if at >= 0:
                start = low + at + 1
                break
            start = low
        number = 1
        while (aside := self.path / f"{RECORDS}.cut-{number}").exists():
            number += 1
        with aside.open("xb") as out:
            os.lseek(file.fileno(), start, os.SEEK_SET)
            while piece := os.read(file.fileno(), 1 << 20):
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())
        _sync_folder(self.path)
        os.ftruncate(file.fileno(), start)
        self._warn_once(
            f"the last line of {self.records_path} was cut short by a crash; it is set aside in {aside.name} "
            f"({size - start} bytes) and the store goes on without it."
        )

    def _resolve(self, name: str, run_ids: list[str]) -> str:
        if not run_ids:
            raise UsageError(
                f"run {name!r} was asked for, and the store {self.path} holds no run yet. "
                "Measure one with `edgebench run`, or name the folder with --store."
            )
        if name == "last":
            return run_ids[-1]
        fits = [run_id for run_id in run_ids if run_id.startswith(name.upper())] if name else []
        if name in run_ids:
            return name
        if len(fits) == 1:
            return fits[0]
        if fits:
            raise UsageError(
                f"run {name!r} fits {len(fits)} runs in {self.path}: {', '.join(fits[-5:])}. "
                "Give more of the id, or `last`."
            )
        raise UsageError(
            f"there is no run {name!r} in {self.path}; {nearest(name, [*run_ids[-8:], 'last'])}."
        )

    def _info(self, file: BinaryIO, run_id: str, rows: list[LineRow]) -> RunInfo:
        status, started_wall_s, device = "open", None, None
        command: tuple[str, ...] = ()
        for row in rows:
            if row.kind not in {"run", "run_end"}:
                continue
            try:
                line = codec.decode(_read_line(file, row))
            except StoreError:
                status = "unreadable"
                break
            if isinstance(line, records.RunHeader):
                started_wall_s, device, command = line.started_wall_s, line.device.name, line.command
            elif isinstance(line, records.RunEnd):
                status = line.status
        trials = sum(row.kind == "trial" for row in rows)
        return RunInfo(run_id, status, started_wall_s, device, command, trials)

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self._warn(text)


def _read_line(file: BinaryIO, row: LineRow) -> bytes:
    file.seek(row.offset)
    return file.read(row.length)


def _is_newer(line: bytes) -> bool:
    head = codec.peek(line)
    if head is not None:
        return head.version > records.SCHEMA_VERSION
    try:
        version = json.loads(line).get("schema_version")
    except (ValueError, AttributeError):
        return False
    return isinstance(version, int) and version > records.SCHEMA_VERSION


def _write_whole(file: Any, data: bytes) -> None:
    """Append and sync, or put the file back as it was (a disk that filled up half way)."""
    before = os.fstat(file.fileno()).st_size
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file.fileno(), rest) :]
        os.fsync(file.fileno())
    except OSError:
        os.ftruncate(file.fileno(), before)
        raise


def _sync_folder(path: Path) -> None:
    """Sync a folder, so that a file made in it is still there after a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
