"""Comparisons: two runs, or the artifacts of one run.

Within a run the launches of one round are neighbours in time, so their ratios are paired by round
(``compare_artifacts``), and each ratio has a verdict of its own. Between two runs nothing pairs the
launches (``compare``): what drifted between the runs (temperature, memory layout after a reboot, a
neighbour on a shared host) is in the ratio and not in its interval.

Numbers of unlike runs are not compared: the facts of ``likeness.must_match`` have to be the same, or
the comparison is refused with the facts that differ, unless the user forces it.

"better" and "worse" hold for a comparison as a whole: of two identical files, at most 5 % of
comparisons say either of any metric in any condition (``families``). Each interval is a 95 %
interval of its own. An exact metric is the same or it has changed. What a verdict speaks against is
not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgebench.errors import UsageError, nearest
from edgebench.results.changes import Change, changes_of, decided
from edgebench.results.likeness import differences, may_differ, must_match
from edgebench.results.metrics.families import FAMILY_ERROR
from edgebench.results.metrics.intervals import CONFIDENCE
from edgebench.results.summary import Row, RunSummary, parent_of


@dataclass(frozen=True)
class ComparedRow:
    """One condition of both."""

    before: Row
    after: Row
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Comparison:
    """Two runs, or a reference and other artifacts of one run (``paired``).

    ``differing``: facts that should match and do not; ``notes``: those that may differ.
    """

    before: RunSummary
    after: RunSummary
    paired: bool
    rows: tuple[ComparedRow, ...]
    differing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    only_before: tuple[Row, ...] = ()
    only_after: tuple[Row, ...] = ()

    @property
    def tests(self) -> int:
        """Over how many tests the words hold together."""
        return sum(change.p_adjusted is not None for row in self.rows for change in row.changes)

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        return {
            "before": self.before.run_id,
            "after": self.after.run_id,
            "paired": self.paired,
            "interval_level": CONFIDENCE,
            "words": {"family_error": FAMILY_ERROR, "method": "Holm", "tests": self.tests},
            "differing": list(self.differing),
            "notes": list(self.notes),
            "records": [
                {
                    **row.after.condition.model_dump(exclude={"artifact_sha256"}),
                    "against": row.before.condition.artifact,
                    "changes": {change.metric: change.to_json() for change in row.changes},
                }
                for row in self.rows
            ],
        }


def compare(before: RunSummary, after: RunSummary, *, force: bool = False) -> Comparison:
    """Compare two runs, condition by condition.

    Conditions match by artifact key, scenario, input length, threads, runtime and corpus: the file
    behind a key may have changed, that is what a comparison is for. Raises UsageError for unlike
    runs (the fields that differ are named; ``force`` compares them all the same) and where no
    condition is shared.
    """
    differing = differences(must_match(before.header), must_match(after.header))
    if differing and not force:
        raise UsageError(
            f"runs {before.run_id} and {after.run_id} are not alike: {'; '.join(differing)}. Ratios "
            "between them would say more about the conditions than about the models. Measure both "
            "under the same conditions, or add --force to see the ratios all the same."
        )
    first = {_key(row): row for row in before.rows}
    second = {_key(row): row for row in after.rows}
    shared = [key for key in first if key in second]
    if not shared:
        raise UsageError(
            f"runs {before.run_id} and {after.run_id} have no condition in common (artifact, scenario, "
            "input length, threads, corpus). `edgebench report RUN` shows what each measured."
        )
    return Comparison(
        before,
        after,
        paired=False,
        rows=_compared([(first[key], second[key]) for key in shared], paired=False),
        differing=tuple(differing),
        notes=tuple(differences(may_differ(before.header), may_differ(after.header))),
        only_before=tuple(row for key, row in first.items() if key not in second),
        only_after=tuple(row for key, row in second.items() if key not in first),
    )


def compare_artifacts(
    summary: RunSummary, *, artifacts: Sequence[str] = (), against: str | None = None
) -> Comparison:
    """Compare artifacts of one run with a reference, paired by round.

    ``artifacts``: keys of those to compare, all but the reference without any. ``against``: the
    reference's key; without one, each artifact is compared with its parent, where the run holds that,
    else with the run's first artifact. Raises UsageError for an unknown key, and where nothing is left
    to compare.
    """
    keys = list(dict.fromkeys(row.condition.artifact for row in summary.rows if not row.is_null))
    for key in (*artifacts, *([against] if against else [])):
        if key not in keys:
            raise UsageError(f"run {summary.run_id} measured no artifact {key!r}; {nearest(key, keys)}.")
    wanted = [row for row in summary.rows if not row.is_null]
    if artifacts:
        wanted = [row for row in wanted if row.condition.artifact in artifacts]
    pairs = [(base, row) for row in wanted if (base := _reference(row, summary, keys, against)) is not None]
    if not pairs:
        raise UsageError(
            f"run {summary.run_id} leaves nothing to compare: it measured "
            f"{', '.join(keys) or 'no artifact'}. Measure two artifacts in one run "
            "(`edgebench run --model A --model B`), or name two runs."
        )
    return Comparison(summary, summary, paired=True, rows=_compared(pairs, paired=True))


def compare_schemes(summary: RunSummary, schemes: Sequence[str]) -> Comparison:
    """Compare the quantization schemes of one run with the first that is named, paired by round.

    Two files belong together where they are of one parent, or one is the parent of the other. ``fp32`` names
    the parent. Raises UsageError for fewer than two schemes, one that the run did not measure, and where no
    two files belong together.
    """
    if len(dict.fromkeys(schemes)) < 2:
        raise UsageError("name two schemes or more to compare, as in --schemes fp32,int8_static.")
    by_scheme: dict[str, list[Row]] = {}
    for row in summary.rows:
        if row.artifact is not None and row.artifact.scheme is not None:
            by_scheme.setdefault(row.artifact.scheme, []).append(row)
    for name in schemes:
        if name not in by_scheme:
            raise UsageError(
                f"run {summary.run_id} measured no file of the scheme {name!r}; {nearest(name, by_scheme)}."
            )
    first, *others = dict.fromkeys(schemes)
    wanted = [row for name in others for row in by_scheme[name]]
    pairs = [(base, row) for row in wanted if (base := _relative(row, by_scheme[first])) is not None]
    if not pairs:
        raise UsageError(
            f"run {summary.run_id} measured {', '.join(schemes)}, but no two of these files come from one "
            "parent. Quantize one fp32 file by both schemes, and measure the two in one run."
        )
    return Comparison(summary, summary, paired=True, rows=_compared(pairs, paired=True))


def _compared(pairs: Sequence[tuple[Row, Row]], *, paired: bool) -> tuple[ComparedRow, ...]:
    changes = decided([changes_of(before, after, paired=paired) for before, after in pairs])
    return tuple(
        ComparedRow(before, after, found) for (before, after), found in zip(pairs, changes, strict=True)
    )


def _reference(row: Row, summary: RunSummary, keys: Sequence[str], against: str | None) -> Row | None:
    """The row that ``row`` is compared with: of the same input, threads and corpus, or None."""
    if against is None and (parent := parent_of(row, summary.rows)) is not None:
        return parent
    reference = against or keys[0]
    candidates = [
        other
        for other in summary.rows
        if other.condition.artifact == reference
        and other.condition.artifact != row.condition.artifact
        and _input_of(other) == _input_of(row)
    ]
    # Another runtime is compared with only where this one did not measure the reference.
    candidates.sort(key=lambda other: other.condition.runtime != row.condition.runtime)
    return candidates[0] if candidates else None


def _relative(row: Row, candidates: Sequence[Row]) -> Row | None:
    """The candidate of the same parent and input as ``row``, in its runtime where there is one."""
    assert row.artifact is not None
    like = [
        other
        for other in candidates
        if other.artifact is not None
        and other.artifact.origin == row.artifact.origin
        and _input_of(other) == _input_of(row)
    ]
    like.sort(key=lambda other: other.condition.runtime != row.condition.runtime)
    return like[0] if like else None


def _input_of(row: Row) -> tuple[Any, ...]:
    condition = row.condition
    return (
        condition.scenario,
        condition.input_s,
        condition.threads,
        condition.corpus,
        condition.rate_hz,
    )


def _key(row: Row) -> tuple[Any, ...]:
    return (row.condition.artifact, row.condition.runtime, *_input_of(row))
