"""The command line for tests: in a process of its own as a user starts it, or here, which is quicker."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from edgebench.cli import main

# Nothing is repeated: how much of a test is measured does not hang on what else the machine does.
QUICK_SUITE = """\
name = "quick-test"
input_s = [1.0]
launches = 1
min_duration_s = 0.2
min_count = 8
[repeats]
budget = 0
"""


@dataclass
class Edgebench:
    """The command, with a store, a cache and a home of the test's own."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def in_folder(cls, folder: Path) -> Edgebench:
        """The command in a folder with a suite of seconds, ``quick.toml``, and an empty inventory."""
        (folder / "inventory.toml").write_text("")
        (folder / "quick.toml").write_text(QUICK_SUITE)
        return cls(folder)

    @property
    def store(self) -> Path:
        return self.folder / "results"

    def _environment(self) -> dict[str, str]:
        own = {
            "HOME": str(self.folder),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "EDGEBENCH_LOCK_FOLDER": str(self.folder / "lock"),
            "EDGEBENCH_STORE": str(self.store),
            "EDGEBENCH_INVENTORY": str(self.folder / "inventory.toml"),
            "COLUMNS": "160",
            "NO_COLOR": "1",
        }
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("EDGEBENCH", "SSH_"))}
        return {**kept, **own, **self.environment}

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        return subprocess.Popen(
            [sys.executable, "-m", "edgebench", *args],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *args: str, timeout_s: float = 240.0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        process = self.start(*args)
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"edgebench {' '.join(args)} did not end in {timeout_s} s:\n{err}") from None
        return subprocess.CompletedProcess(["edgebench", *args], process.returncode, out, err)

    def here(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run a command in this process, through ``main``: for what starts no process of its own."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self._environment(), clear=True),
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                main(args)
            except SystemExit as end:
                status = end.code
        return subprocess.CompletedProcess(["edgebench", *args], status, out.getvalue(), err.getvalue())

    def refuses(self, *args: str, status: int, says: Sequence[str], own_process: bool = False) -> str:
        """A command that must fail as a user's mistake does: one paragraph, no traceback, nothing stored.

        In this process, or in one of its own where the test has to change what the process starts with.
        """
        before = self._stored()
        result = self(*args) if own_process else self.here(*args)
        assert result.returncode == status, f"exit {result.returncode}, wanted {status}:\n{result.stderr}"
        assert "Traceback" not in result.stderr
        last = result.stderr.strip().splitlines()[-1]
        assert last.startswith("edgebench: "), result.stderr
        for part in says:
            assert part in last, f"{part!r} is not in: {last}"
        assert self._stored() == before, "a refused command must leave the store as it was"
        return last

    def _stored(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.store.glob("records.jsonl*")}
