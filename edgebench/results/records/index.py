"""The index of ``records.jsonl``: which run each line belongs to and where it lies.

It holds nothing that the lines do not: it is extended when lines were appended, and made again
when it is missing, corrupt, of another version, or does not fit the lines (they were replaced or
shortened). Where the folder cannot be written it is kept in memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from edgebench.results.records.codec import peek

# Index history. 1: first. 2: lines by run, a table of runs. Another version is simply made again; its
# tables have other names than those of version 1, which an older edgebench may still use here.
INDEX_VERSION = 2
# Bytes of the file's beginning, and of the end of what was indexed, that must be unchanged.
CHECK_BYTES = 4096

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run_lines (
    run_id TEXT NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL, number INTEGER NOT NULL,
    kind TEXT NOT NULL, PRIMARY KEY (run_id, offset)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (run_id TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_STATE = "SELECT name, value FROM state"
# The run id and kind of a line that is no record.
_DAMAGED = ("", "damaged")
_SCAN_BUFFER_BYTES = 1 << 20


class LineRow(NamedTuple):
    """Where one line lies: bytes from ``offset``, the ``number``-th line counted from 1."""

    offset: int
    length: int
    number: int
    kind: str


class Index:
    """Opened by the store, refreshed under its shared lock. ``path`` None: in memory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.cut_bytes = 0
        self._db = self._connect()

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    def refresh(self, records: BinaryIO) -> None:
        """Make the index true of the lines: extend it, or make it again."""
        for _ in range(2):
            try:
                self._refresh(records)
                return
            except sqlite3.OperationalError:
                # Locked by another reader, read-only, or no space: do without the file.
                self._db.close()
                self._path = None
                self._db = self._connect()
            except sqlite3.DatabaseError:
                self._remake()
        self._refresh(records)

    def run_ids(self) -> list[str]:
        """Run ids in the order in which the runs began."""
        return [row[0] for row in self._db.execute("SELECT run_id FROM runs ORDER BY offset")]

    def lines(self, run_id: str) -> list[LineRow]:
        """The lines of one run in the order written."""
        rows = self._db.execute(
            "SELECT offset, length, number, kind FROM run_lines WHERE run_id = ? ORDER BY offset", (run_id,)
        )
        return [LineRow(*row) for row in rows]

    def damaged(self) -> list[int]:
        """Numbers of the lines that are no record at all."""
        return [row.number for row in self.lines(_DAMAGED[0])]

    # --- inside ---------------------------------------------------------------------------------

    def _connect(self) -> sqlite3.Connection:
        if self._path is not None:
            db = None
            try:
                db = sqlite3.connect(self._path, timeout=5.0, isolation_level=None)
                db.executescript(_SCHEMA)
                return db
            except sqlite3.OperationalError:
                self._path = None
                if db is not None:
                    db.close()
            except sqlite3.DatabaseError:
                if db is not None:
                    db.close()
                self._delete()
                return self._connect()
        db = sqlite3.connect(":memory:", isolation_level=None)
        db.executescript(_SCHEMA)
        return db

    def _delete(self) -> None:
        if self._path is None:
            return
        try:
            for suffix in ("", "-journal", "-wal", "-shm"):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        except OSError:
            self._path = None

    def _remake(self) -> None:
        self._db.close()
        self._delete()
        self._db = self._connect()

    def _refresh(self, records: BinaryIO) -> None:
        size = records.seek(0, 2)
        if self._trusted(records, size)[0] == size:
            self.cut_bytes = 0
            return
        # One writer at a time; a second reader finds the first one's work done.
        self._db.execute("BEGIN IMMEDIATE")
        try:
            indexed, number = self._trusted(records, size)
            if indexed is None:
                self._db.execute("DELETE FROM run_lines")
                self._db.execute("DELETE FROM runs")
                indexed, number = 0, 0
            self._scan(records, indexed, number)
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def _trusted(self, records: BinaryIO, size: int) -> tuple[int | None, int]:
        """How many bytes and lines the index already knows; (None, 0) when it must not be trusted."""
        try:
            state: dict[str, Any] = dict(self._db.execute(_STATE).fetchall())
            indexed, number = int(state["indexed"]), int(state["number"])
            fits = int(state["version"]) == INDEX_VERSION and indexed <= size
        except (KeyError, ValueError):
            return None, 0
        if not fits or state["check"] != _check(records, indexed):
            return None, 0
        return indexed, number

    def _scan(self, records: BinaryIO, indexed: int, number: int) -> None:
        """Add the whole lines from byte ``indexed`` on; what follows the last newline is cut."""
        self.cut_bytes = 0
        rows: list[tuple[str, int, int, int, str]] = []
        runs: dict[str, int] = {}
        with open(records.fileno(), "rb", buffering=_SCAN_BUFFER_BYTES, closefd=False) as lines:
            lines.seek(indexed)
            for line in lines:
                if not line.endswith(b"\n"):
                    self.cut_bytes = len(line)
                    break
                number += 1
                run_id, kind = _name(line)
                rows.append((run_id, indexed, len(line), number, kind))
                runs.setdefault(run_id, indexed)
                indexed += len(line)
        runs.pop(_DAMAGED[0], None)
        if rows or not indexed:
            self._db.executemany("INSERT INTO run_lines VALUES (?, ?, ?, ?, ?)", rows)
            self._db.executemany("INSERT OR IGNORE INTO runs VALUES (?, ?)", runs.items())
            state = {
                "version": INDEX_VERSION,
                "indexed": indexed,
                "number": number,
                "check": _check(records, indexed),
            }
            self._db.executemany(
                "INSERT OR REPLACE INTO state VALUES (?, ?)",
                [(name, str(value)) for name, value in state.items()],
            )


def _name(line: bytes) -> tuple[str, str]:
    """(run_id, kind) of one line; _DAMAGED where it is no record.

    A line that begins and ends as ``encode`` writes it is not parsed for that: what is wrong inside
    it, the reader of its run will find.
    """
    head = peek(line)
    if head is not None and line.endswith(b"}\n") and b"\0" not in line:
        return head.run_id, head.kind
    try:
        found = json.loads(line)
        run_id, kind = found["run_id"], found["kind"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return _DAMAGED
    if not isinstance(run_id, str) or not isinstance(kind, str) or not run_id:
        return _DAMAGED
    return run_id, kind


def _check(records: BinaryIO, indexed: int) -> str:
    """A hash of the beginning and of the end of the indexed bytes."""
    digest = hashlib.sha256()
    for low, high in ((0, min(CHECK_BYTES, indexed)), (max(0, indexed - CHECK_BYTES), indexed)):
        records.seek(low)
        digest.update(records.read(high - low))
    return digest.hexdigest()
