"""The runs behind the table of schemes: cost in batches, accuracy in one run; none is made twice.

Cost is measured in batches, since one run of all files would take too long. Each batch holds the parent, and
its files are measured in turn with it, so that each ratio is of neighbours in time.
"""

from __future__ import annotations

import datetime
import hashlib
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edgebench.agent.runtimes.table import RUNTIMES
from edgebench.files import write_text
from edgebench.models import Artifact
from edgebench.results import RunSummary, Store, summarise

COST = """\
name = "schemes"
scenarios = ["single_stream"]
input_s = [5.0]
launches = 12
min_duration_s = 0.5
min_count = 32
null_runtime = false
[warmup]
min_count = 5
max_s = 0.3
window = 5
tolerance = 0.02
[repeats]
busy_host = 0.5
"""
ACCURACY = """\
name = "schemes-accuracy"
scenarios = ["offline"]
offline_launches = 1
null_runtime = false
"""


@dataclass(frozen=True)
class Run:
    """A run that is in the store. ``key`` says of what: suite, files in order, runtimes and corpora."""

    key: str
    run_id: str
    date: str
    looked_at_test: bool


class Runs:
    """The runs in ``folder``."""

    def __init__(self, folder: Path, *, runtimes: Sequence[str]) -> None:
        self.folder, self.runtimes = folder, tuple(runtimes)
        self._kept = folder / "runs.json"
        self.all: list[Run] = []
        if self._kept.is_file():
            self.all = [Run(**one) for one in json.loads(self._kept.read_text(encoding="utf-8"))]

    @property
    def looks(self) -> int:
        """How many runs predicted test speakers."""
        return sum(run.looked_at_test for run in self.all)

    def found(self, suite: str, files: Sequence[Artifact], corpora: Sequence[str] = ()) -> RunSummary | None:
        """The run of these files, where there is one."""
        key = self._key(suite, files, corpora)
        run = next((run for run in reversed(self.all) if run.key == key), None)
        return None if run is None else summarise(Store(self.folder / "store").run(run.run_id))

    def measured(self, suite: str, files: Sequence[Artifact], corpora: Sequence[str] = ()) -> RunSummary:
        """The run of these files, from an earlier call or made now.

        Raises CalledProcessError where `edgebench run` refuses.
        """
        found = self.found(suite, files, corpora)
        if found is not None:
            return found
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "suite.toml"
        write_text(path, suite)
        store = self.folder / "store"
        command = [sys.executable, "-m", "edgebench", "run", "--suite", str(path), "--store", str(store)]
        command += [word for file in files for word in ("--model", str(file.path))]
        formats = {file.format for file in files}
        names = [name for name in self.runtimes if loads(name, formats)]
        command += [word for name in names for word in ("--runtime", name)]
        command += [word for corpus in corpora for word in ("--corpus", corpus)]
        subprocess.run([*command, "--json"], check=True, stdout=subprocess.DEVNULL)
        summary = summarise(Store(store).run("last"))
        today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
        self.all.append(Run(self._key(suite, files, corpora), summary.run_id, today, bool(corpora)))
        write_text(self._kept, json.dumps([asdict(run) for run in self.all], indent=1) + "\n")
        return summary

    def _key(self, suite: str, files: Sequence[Artifact], corpora: Sequence[str]) -> str:
        names = sorted(corpus.partition("=")[0] for corpus in corpora)
        parts = [suite, *(file.sha256 for file in files), *self.runtimes, *names]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def loads(runtime: str, formats: set[str]) -> bool:
    """Whether a runtime loads one of the formats."""
    return any(one in formats for one in RUNTIMES[runtime])


def batches(parent: Artifact, files: Sequence[Artifact], size: int) -> Iterator[list[Artifact]]:
    """The files in groups of ``size``, those of one format together, each with the parent before it."""
    ordered = sorted(files, key=lambda file: file.format)  # stable: the order of the schemes is kept
    for _, same in itertools.groupby(ordered, key=lambda file: file.format):
        group = list(same)
        for first in range(0, len(group), size):
            yield [parent, *group[first : first + size]]
