"""Runs that are not over: what is needed to finish one, kept beside the results until it is.

``unfinished/RUN_ID.json`` in the store's folder holds the plan as the board got it, where the files lie,
and the lines that begin the run. It is written before the board starts, so that no run is lost however
this process ends. ``unfinished/RUN_ID.lock`` is held by the process that collects the run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic

from edgebench.agent import protocol
from edgebench.errors import StoreError, UsageError
from edgebench.files import write_text
from edgebench.results import LaunchRecord, Record, RunHeader, Store, record_from

FOLDER = "unfinished"


class Unfinished(pydantic.BaseModel):
    """A run that is not over.

    ``plan``: as the agent read it the first time. ``files``: sha256 -> path on this machine. ``lines``: the
    lines of the store that begin the run. ``part``: a run is measured in parts, each a run of its own to
    the board.
    """

    model_config = pydantic.ConfigDict(strict=True, extra="forbid")

    plan: dict[str, Any]
    files: dict[str, str]
    lines: list[dict[str, Any]]
    offline: bool
    part: int = 1

    @property
    def run_id(self) -> str:
        """The id under which the store knows the run."""
        return str(self.plan["run_id"])

    @property
    def board_run_id(self) -> str:
        """The id under which the board knows the present part."""
        return board_run_id(self.run_id, self.part)

    def save(self, store: Store) -> None:
        """Write it, whole. Raises StoreError."""
        path = _path(store, self.run_id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, self.model_dump_json())
        except OSError as error:
            raise StoreError(
                f"{path} cannot be written: {error.strerror or error}. Free space or fix the permissions "
                "there, or choose another folder with --store. Nothing was started."
            ) from error

    def remove(self, store: Store) -> None:
        """Forget the run: it is over, or never began."""
        _path(store, self.run_id).unlink(missing_ok=True)

    def next_part(self) -> Unfinished:
        """The part that comes after this one."""
        return self.model_copy(update={"part": self.part + 1})

    def rest(
        self, trials: Sequence[str], *, repeats: int, pythons: Mapping[str, str], root: str
    ) -> dict[str, Any]:
        """The plan of these launches alone, for the board as it is now.

        ``repeats``: how many launches were repeated before; ``pythons``: runtime -> interpreter.
        """
        first, wanted = next(iter(pythons.values())), set(trials)
        settings = self.plan.get("repeats")
        if isinstance(settings, dict):
            settings = {**settings, "budget": max(0, settings["budget"] - repeats)}
        kept = [
            {**trial, "python": pythons.get(trial["runtime"], first)}
            for trial in self.plan["trials"]
            if trial["id"] in wanted
        ]
        return {**self.plan, "run_id": self.board_run_id, "root": root, "repeats": settings, "trials": kept}


def board_run_id(run_id: str, part: int) -> str:
    """The id under which a board knows a part of a run."""
    return run_id if part == 1 else f"{run_id}.{part}"


def load(store: Store, run_id: str) -> Unfinished | None:
    """What is kept of a run; None where nothing is. Raises StoreError for a damaged file."""
    path = _path(store, run_id)
    try:
        return Unfinished.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, pydantic.ValidationError) as error:
        raise StoreError(
            f"{path}, which tells how run {run_id} is finished, cannot be read: {error}. Remove it to report "
            "what was measured, and measure the rest again."
        ) from None


def restore_lines(store: Store, name: str) -> list[Record]:
    """The stored lines of a run; those that begin it are stored first where that was cut short.

    Raises UsageError for a run that nobody knows.
    """
    kept = load(store, name) if (_path(store, name)).is_file() else None
    if kept is None:
        return store.run(name)
    stored = store.run(name) if any(run.run_id == name for run in store.runs()) else []
    for line in map(record_from, kept.lines):
        if line not in stored:
            store.append(line)
    return store.run(name)


@contextlib.contextmanager
def collecting(store: Store, run_id: str) -> Iterator[None]:
    """Be the one process that stores the launches of a run. Raises UsageError where another is."""
    path = _path(store, run_id).with_suffix(".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}.") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = os.pread(lock, 200, 0).decode(errors="replace") or "another process"
            raise UsageError(
                f"run {run_id} is being collected by {who}: a second one would store each launch twice. Wait "
                "until that one ends, or stop it with Ctrl-C, which stops the run as well."
            ) from None
        with contextlib.suppress(OSError):  # a full disk: the lock holds without a name in it
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield
        path.unlink(missing_ok=True)
    finally:
        os.close(lock)


def done(lines: Sequence[Record]) -> list[str]:
    """Ids of the launches that the store holds; one that was cancelled is not among them."""
    return [line.trial.id for line in lines if isinstance(line, LaunchRecord) and not was_cancelled(line)]


def was_cancelled(line: LaunchRecord) -> bool:
    """Whether a launch was stopped with its run: it says nothing of the model."""
    return line.trial.error is not None and line.trial.error.code == protocol.CANCELLED_BY_HOST


def missing(header: RunHeader, kept: Unfinished | None, lines: Sequence[Record]) -> list[str]:
    """Ids of the planned launches that are still to be measured, in their order."""
    if kept is not None:
        planned = [str(trial["id"]) for trial in kept.plan["trials"]]
    else:
        broken = {name for name, facts in header.device.fingerprint.runtimes.items() if facts.error}
        planned = [trial.id for trial in header.trials if trial.condition.runtime not in broken]
    there = set(done(lines))
    return [id_ for id_ in planned if id_ not in there]


def _path(store: Store, run_id: str) -> Path:
    return store.path / FOLDER / f"{Path(run_id).name}.json"
