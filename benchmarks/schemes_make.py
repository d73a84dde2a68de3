"""One file by each scheme, made by ``edgebench quantize`` in the first Python that has the scheme's packages.

What a scheme made, or why it made nothing, is kept as JSON beside the files, so that a second call makes
only what is missing. Seconds and peak memory are those of the whole command.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from edgebench.files import sha256_of, write_text
from edgebench.models import Artifact
from edgebench.models.quantization import Scheme
from edgebench.results.metrics.table import CCC, CHANGED, Figure

ROOT = Path(__file__).parents[1]
_ABSENT = """
import importlib.util, json, sys
def absent(name):
    try:
        return importlib.util.find_spec(name) is None
    except ModuleNotFoundError:  # the package around a module of it
        return True
print(json.dumps([name for name in sys.argv[1:] if absent(name)]))
"""


@dataclass(frozen=True)
class Loss:
    """What a file loses against its parent: the mean UA over corpora, the largest CCC over corpora and
    dimensions with its interval over speakers (None below five), and clips that change class."""

    ua: float
    ccc: float
    ccc_lo: float | None
    ccc_hi: float | None
    changed: int
    clips: int
    ua_intervals: tuple[tuple[float, float], ...] = ()

    @staticmethod
    def of(by_corpus: Sequence[Mapping[str, Figure]]) -> Loss | None:
        """From the losses of each corpus, keys as ``ua_loss``; None where nothing was scored."""
        uas = [found["ua_loss"] for found in by_corpus if _has_value(found.get("ua_loss"))]
        cccs = [f for found in by_corpus for name in CCC if _has_value(f := found.get(f"{name}_loss"))]
        changed = [found[CHANGED] for found in by_corpus if _has_value(found.get(CHANGED))]
        if not (uas and cccs and changed):
            return None
        worst = max(cccs, key=lambda figure: float(figure.value or 0))
        return Loss(
            ua=sum(float(figure.value or 0) for figure in uas) / len(uas),
            ccc=float(worst.value or 0),
            ccc_lo=worst.lo,
            ccc_hi=worst.hi,
            changed=sum(int(figure.value or 0) for figure in changed),
            clips=sum(figure.n for figure in changed),
            ua_intervals=tuple((f.lo, f.hi) for f in uas if f.lo is not None and f.hi is not None),
        )


def _has_value(figure: Figure | None) -> bool:
    return figure is not None and figure.value is not None


@dataclass(frozen=True)
class Made:
    """What one scheme made of the model. ``path`` is None where ``reason`` says why there is no file.

    ``request`` is what it was made from: where it differs, the file is made again. ``peak_rss_bytes`` is the
    largest resident memory of the command and of its children.
    """

    scheme: str
    request: Mapping[str, Any]
    duration_s: float | None = None
    peak_rss_bytes: int | None = None
    path: str | None = None
    sha256: str | None = None
    reason: str | None = None
    validation: Loss | None = None

    def holds(self, request: Mapping[str, Any]) -> bool:
        """Whether this is still the answer: of the same request, its file as it was."""
        if json.loads(json.dumps(request)) != self.request:
            return False
        return self.path is None or (Path(self.path).is_file() and sha256_of(Path(self.path)) == self.sha256)


def read(path: Path) -> Made | None:
    """A kept answer; None where there is none, or an older layout of it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if set(found) != {field.name for field in fields(Made)}:
        return None
    loss = found.pop("validation")
    if loss is not None:
        loss = Loss(**{**loss, "ua_intervals": tuple(map(tuple, loss["ua_intervals"]))})
    return Made(**found, validation=loss)


def make(
    scheme: Scheme, parent: Artifact, corpora: Sequence[str], folder: Path, pythons: Sequence[str]
) -> Made | None:
    """The file of one scheme in ``folder``, from an earlier call or made now.

    ``corpora`` are NAME=PATH. ``pythons`` are tried in order for one that has what the scheme needs; without
    any, nothing is made, and None says that there is no file yet.
    """
    request = {
        "parent": parent.sha256,
        "settings": scheme.described(),
        "corpora": sorted(name.partition("=")[0] for name in corpora),
    }
    kept = folder / f"{scheme.name}.made.json"
    found = read(kept)
    if found is not None and not found.holds(request):
        found = None
    if found is None and pythons:
        absent = {python: missing(python, scheme.needs) for python in pythons}
        python = next((one for one in pythons if not absent[one]), None)
        if python is None:
            names = ", ".join(min(absent.values(), key=len))
            found = Made(scheme.name, request, reason=f"no Python that was given has {names}")
        else:
            found = replace(_made(scheme, parent, corpora, folder, python), request=request)
        write_text(kept, json.dumps(asdict(found), indent=1) + "\n")
    return found


def _made(scheme: Scheme, parent: Artifact, corpora: Sequence[str], folder: Path, python: str) -> Made:
    """The file, made and judged in an environment of its own."""
    speech = [word for corpus in corpora for word in ("--calibration", corpus)]
    command = [python, "-m", "edgebench", "quantize", str(parent.path), "--scheme", scheme.name]
    done = run([*command, *speech, "--output", str(folder), "--json"])
    if done.status != 0:
        return Made(scheme.name, {}, done.duration_s, done.peak_rss_bytes, reason=reason_in(done.stderr))
    file = json.loads(done.stdout.splitlines()[-1])
    judge = [python, "-m", "benchmarks.schemes_judge", str(parent.path), file["path"]]
    judged = run([*judge, *(word for corpus in corpora for word in ("--corpus", corpus))])
    loss = None
    if judged.status == 0:
        told = json.loads(judged.stdout.splitlines()[-1])
        loss = Loss.of([{name: Figure(**one) for name, one in found.items()} for found in told.values()])
    return Made(
        scheme.name,
        {},
        done.duration_s,
        done.peak_rss_bytes,
        path=str(Path(file["path"]).resolve()),
        sha256=file["sha256"],
        reason=None if loss else f"not judged on validation speakers: {reason_in(judged.stderr)}",
        validation=loss,
    )


@functools.cache
def missing(python: str, needs: tuple[str, ...]) -> list[str]:
    """Modules of ``needs`` that a Python does not have."""
    out = subprocess.run([python, "-c", _ABSENT, *needs], check=True, capture_output=True, text=True).stdout
    names: list[str] = json.loads(out)
    return names


@dataclass(frozen=True)
class Done:
    """A command that ended: what it wrote, how long it ran, and the most memory that was resident."""

    status: int
    stdout: str
    stderr: str
    duration_s: float
    peak_rss_bytes: int


def run(command: Sequence[str]) -> Done:
    """Run a command of this checkout to its end."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        duration_s = time.monotonic() - began
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes there, kilobytes on Linux
    return Done(process.returncode, texts[0], texts[1], duration_s, usage.ru_maxrss * unit)


def reason_in(stderr: str) -> str:
    """What edgebench said when it gave up, on one line; for a crash, its last line."""
    _, known, said = stderr.rpartition("\nedgebench: ") if "\nedgebench: " in stderr else ("", "", stderr)
    if not known and not stderr.startswith("edgebench: "):
        said = (stderr.strip() or "it said nothing").splitlines()[-1]
    return " ".join(said.removeprefix("edgebench: ").split())
