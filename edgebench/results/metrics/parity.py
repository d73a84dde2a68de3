"""Parity: how far the device's outputs are from the host's fp32 outputs on the same input.

The host predicts with the fp32 file (``reference`` lines); an artifact is compared with the
reference that its manifest names (``parity.reference``), else with its parent, else with its own
prediction on the host.

An output that is not finite (NaN or infinite) is always a mismatch, whether or not there is anything to
compare it with, and also where the host gives the same: NaN equals nothing, and nobody can use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np

from edgebench.results.metrics.statistics import Floats
from edgebench.results.metrics.table import Figure, exact, missing
from edgebench.results.records.messages import Output, Predictions, TrialMessage
from edgebench.results.records.record import ArtifactFacts, Condition, ReferenceRecord

# What an fp32 file may differ from its own prediction on the host: other kernels add in another
# order (1e-7 on one machine; a few 1e-5 between processors on long inputs).
FP32_TOLERANCE = 1e-3


class Values(NamedTuple):
    """One output: ``lengths`` of its answers (one a clip, or one in all), ``flat (sum(lengths),)``."""

    lengths: tuple[int, ...]
    flat: Floats

    @property
    def not_finite(self) -> int:
        """How many of the values are NaN or infinite."""
        return int(np.count_nonzero(~np.isfinite(self.flat)))


NOT_FINITE = "is not finite"  # in the words of every mismatch of NaN or infinity

Named = dict[str, Values]


@dataclass(frozen=True)
class Parity:
    """``figure``: parity_max_abs. ``tolerance``: what is allowed, None where nobody said.

    ``mismatch``: why the outputs cannot be subtracted (not finite, other names or shapes), or None.
    """

    figure: Figure
    tolerance: float | None
    mismatch: str | None = None


def parity(
    artifact: ArtifactFacts | None,
    condition: Condition,
    launches: Sequence[TrialMessage],
    references: Sequence[ReferenceRecord],
) -> Parity:
    """parity_max_abs over all launches: offline over all predictions, single_stream over the first
    inference's output (its first 64 floats)."""
    name = "parity_max_abs"
    if artifact is None:
        return Parity(missing(name, "the null runtime has no outputs"), None)
    tolerance = _tolerance(artifact)
    offline = condition.scenario == "offline"
    stored = (trial.predictions if offline else trial.output for trial in launches)
    answers = [named for output in stored if (named := _named(output)) is not None]
    reference = _reference(artifact, condition, references)
    expected = None
    if reference is not None:
        expected = _named(reference.predictions if offline else reference.output)
    problem = _not_finite(answers, expected=expected) or _not_finite_beyond(launches)
    if problem:
        return Parity(missing(name, problem), tolerance, problem)
    if reference is None:
        return Parity(missing(name, "the host made no fp32 prediction of this input"), tolerance)
    worst, count = 0.0, 0
    for found in answers if expected is not None else []:
        assert expected is not None
        difference, problem, compared = _compare(expected, found)
        if problem:
            return Parity(missing(name, problem), tolerance, problem)
        worst, count = max(worst, difference), max(count, compared)
    if count == 0:
        return Parity(missing(name, "no outputs were stored"), tolerance)
    return Parity(exact(name, worst, n=count, reason="exact: the largest of all, not an estimate"), tolerance)


def _reference(
    artifact: ArtifactFacts, condition: Condition, references: Sequence[ReferenceRecord]
) -> ReferenceRecord | None:
    """The host's prediction of this input by the first file that the artifact is to be compared with.

    Clips that were prepared as the artifact prepares them come before clips prepared as the file does.
    """
    here = [r for r in references if r.corpus == condition.corpus and r.input_s == condition.input_s]
    for sha in _reference_shas(artifact):
        for prepared_as in (artifact.sha256, None):
            for line in here:
                if line.artifact_sha256 == sha and line.prepared_as == prepared_as:
                    return line
    return None


def _reference_shas(artifact: ArtifactFacts) -> list[str]:
    manifest = artifact.manifest or {}
    named = (manifest.get("parity") or {}).get("reference")
    return [sha for sha in (named, manifest.get("parent"), artifact.sha256) if sha]


def _tolerance(artifact: ArtifactFacts) -> float | None:
    """The manifest's; 1e-3 for a file that is compared with itself; None for a child without one."""
    manifest = artifact.manifest or {}
    stated = (manifest.get("parity") or {}).get("max_abs")
    if stated is not None:
        return float(stated)
    return FP32_TOLERANCE if _reference_shas(artifact) == [artifact.sha256] else None


def _named(stored: Output | Predictions | None) -> Named | None:
    """Output name -> its values; a null of the record is NaN."""
    if stored is None:
        return None
    per_output = stored.values if isinstance(stored, Predictions) else tuple((v,) for v in stored.values)
    return {
        # numpy reads None as NaN.
        name: Values(tuple(map(len, rows)), np.array(list(chain.from_iterable(rows)), dtype=np.float64))
        for name, rows in zip(stored.names, per_output, strict=False)
    }


def _not_finite(answers: Sequence[Named], *, expected: Named | None) -> str | None:
    """What is not finite in the board's answers or the host's, in words, or None.

    ``expected``: the host's answer of the file that is compared with, None without one.
    """
    for where, named in [*(("on the board", answer) for answer in answers), ("on the host", expected)]:
        for name, found in sorted((named or {}).items()):
            bad = found.not_finite
            if bad:
                also = expected is not None and where == "on the board" and _has_bad(expected, name)
                return (
                    f"output {name} {NOT_FINITE}: {bad} of {found.flat.size} values are NaN or infinite "
                    f"{where}{', and some on the host too' if also else ''}"
                )
    return None


def _not_finite_beyond(launches: Sequence[TrialMessage]) -> str | None:
    """The same of the values that the record does not hold: an output has more than its first 64."""
    for trial in launches:
        counts = trial.output.not_finite if trial.output else ()
        for name, bad in zip(trial.output.names if trial.output else (), counts, strict=False):
            if bad:
                return f"output {name} {NOT_FINITE}: {bad} of its values are NaN or infinite on the board"
    return None


def _has_bad(named: Named, name: str) -> bool:
    return name in named and named[name].not_finite > 0


def _compare(expected: Named, found: Named) -> tuple[float, str | None, int]:
    """(largest difference, what makes them incomparable, how many values were compared)."""
    shared = expected.keys() & found.keys()
    if not shared:
        names = f"{', '.join(sorted(found))} on the device, {', '.join(sorted(expected))} on the host"
        return 0.0, f"the outputs have no name in common: {names}", 0
    worst, count = 0.0, 0
    for name in sorted(shared):
        ours, theirs = expected[name], found[name]
        if ours.lengths != theirs.lengths:
            return 0.0, f"output {name} has another shape on the device than on the host", 0
        worst = max(worst, float(np.max(np.abs(ours.flat - theirs.flat), initial=0.0)))
        count += ours.flat.size
    return worst, None, count
