"""What a round's store is judged by, after the fact, from its lines alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from edgebench.results import Record, RunEnd, RunHeader, TrialRecord, summarise

# Of a header: what differs between two runs of one kind on one board, though nothing happened to either.
OWN = ("run_id", "started_wall_s", "command", "deployment", "harness_commit")
# Of a launch: what it is and what it answered. All else are times, readings and memory.
KEPT = ("id", "repeat_of", "status", "error", "threads", "affinity", "runtime", "output", "trace")


@dataclass
class Judgement:
    """What went wrong in one round. ``other``: anything else that must not be, in words."""

    lost: int = 0
    doubled: int = 0
    wrongly_valid: int = 0
    hung: int = 0
    governor_left: int = 0
    unequal: int = 0
    other: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not any(asdict(self).values())


def judge_store(
    lines: Sequence[Record],
    undisturbed: Sequence[Record],
    *,
    on_board: Mapping[str, int],
    codes: Collection[str] = (),
    may_fail: Collection[str] = (),
) -> Judgement:
    """Hold a finished run against its plan and against an undisturbed one.

    ``on_board``: launches that had ended well on the board when the fault came, with the board's clock:
    they must be stored as they were, not measured again. ``codes``: at least one row must carry each.
    ``may_fail``: codes with which a launch may have failed; such a run need not equal the undisturbed one,
    but a row with such a launch must not be VALID.
    """
    found = Judgement()
    header = next((line for line in lines if isinstance(line, RunHeader)), None)
    if header is None:
        found.lost = sum(isinstance(line, TrialRecord) for line in undisturbed)
        found.other.append("nothing is stored")
        return found
    trials = [line for line in lines if isinstance(line, TrialRecord)]
    ids = [line.trial.id for line in trials]
    found.doubled = len(ids) - len(set(ids))
    found.lost = len({trial.id for trial in header.trials} - set(ids))
    stored = {line.trial.id: line.trial.model_dump().get("monotonic_ns") for line in trials}
    found.lost += sum(stored.get(id_) not in (None, at) for id_, at in on_board.items())
    failed = [line for line in trials if line.trial.error is not None]
    unexpected = [line for line in failed if line.trial.error and line.trial.error.code not in may_fail]
    for line in unexpected:
        found.other.append(f"{line.trial.id} failed: {line.trial.error}"[:200])
    rows = summarise(list(lines)).rows
    carried = {code for row in rows for code in row.verdict.codes}
    found.wrongly_valid = len(set(codes) - carried)
    for row in rows:
        own = [line for line in trials if line.condition == row.condition]
        whole = len({line.trial.id for line in own}) == header.requirements.launches and not any(
            line.trial.error for line in own
        )
        found.wrongly_valid += row.verdict.status == "VALID" and not whole
        still = any(stood_still(line.trial.samples_ns or ()) for line in own)
        found.wrongly_valid += still and "UNSTABLE" not in row.verdict.codes
    ends = [line for line in lines if isinstance(line, RunEnd)]
    if not ends or ends[-1].status != "complete":
        found.other.append(f"the run ended as {ends[-1].status if ends else 'nothing'}")
    if not failed and (differ := differences(lines, undisturbed)):
        found.unequal = 1
        found.other.append(f"unlike an undisturbed run: {', '.join(differ)}"[:300])
    return found


def stood_still(samples_ns: Sequence[int]) -> bool:
    """Whether one inference of a launch took 10 s, where the others took less than one."""
    ordered = sorted(samples_ns)
    return len(ordered) > 2 and ordered[-1] > 10e9 and ordered[len(ordered) // 2] < 1e9


def differences(lines: Sequence[Record], undisturbed: Sequence[Record]) -> list[str]:
    """What differs between two runs, of all that is not a time, a reading or memory."""
    first, second = timeless(lines), timeless(undisturbed)
    return sorted(key for key in {*first, *second} if first.get(key) != second.get(key))


def timeless(lines: Sequence[Record]) -> dict[str, Any]:
    """A run without times, readings and the names of the run and of the place: part -> content."""
    found: dict[str, Any] = {}
    answers: dict[str, Any] = {}
    for line in lines:
        plain = line.model_dump(mode="json")
        if isinstance(line, RunHeader):
            for key in OWN:
                plain.pop(key)
            for key in ("host", "address"):
                plain["device"].pop(key)
            plain["device"]["fingerprint"].pop("boot_id")
            found |= {f"header {key}": value for key, value in plain.items()}
        elif isinstance(line, TrialRecord):
            trial = plain["trial"]
            kept = {key: trial.get(key) for key in KEPT}
            told = dict(trial["predictions"] or {})
            told.pop("pass_ns", None)
            # A launch that answers as an earlier one says only that.
            same = told.pop("same_as", None)
            answers[trial["id"]] = told = answers[same] if same else told
            where = {key: plain[key] for key in ("condition", "launch", "round")}
            found[f"launch {trial['id']}"] = {**kept, **where, "predictions": told}
        elif not isinstance(line, RunEnd):
            plain.pop("run_id")
            (plain.get("predictions") or {}).pop("pass_ns", None)
            key = " ".join(str(plain.get(key)) for key in ("kind", "artifact_sha256", "input_s", "corpus"))
            found[key] = plain
    return found
