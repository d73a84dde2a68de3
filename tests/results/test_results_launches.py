"""Which launches count: repeats in the place of what they repeat, predictions put back."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from support import results_builder as b

from edgebench.results import RunHeader, TrialRecord, summarise
from edgebench.results.records.launches import counted, once, with_predictions
from edgebench.results.report.conditions import conditions
from edgebench.results.report.launches import launches_sentence

PAIR = (b.condition(b.FP32), b.condition(b.INT8))


def run(repeated: dict[str, dict[str, Any]], **originals: dict[str, Any]) -> list[dict[str, Any]]:
    """A run of three rounds of two files, then the repeats: id of the original -> changes."""
    planned = [{**one, "group": one["round"]} for one in b.planned(*PAIR)]
    lines = [b.header(trials=planned)]
    by_id = {one["id"]: one for one in planned}
    for number, one in enumerate(planned):
        message = b.trial(number, **originals.get(one["id"], {}))
        lines.append(b.trial_line(one["condition"], message, launch=one["round"]))
    for number, (origin, changes) in enumerate(repeated.items(), start=len(planned)):
        message = b.trial(number, id=origin + "r1", repeat_of=origin) | changes
        one = by_id[origin]
        lines.append(b.trial_line(one["condition"], message, launch=one["round"]))
    return lines


def ids(lines: list[dict[str, Any]]) -> list[str]:
    header, *trials = b.records(lines)
    assert isinstance(header, RunHeader)
    found = counted(header, [line for line in trials if isinstance(line, TrialRecord)])
    return [line.trial.id for line in found]


def test_a_launch_that_a_store_holds_twice_counts_once() -> None:
    """Two processes of an older edgebench collected one run; or a launch was cancelled and made again."""
    cancelled = {"status": "failed", "error": {"code": "CANCELLED_BY_HOST", "message": "", "signal": None}}
    header, *lines = run({}, t0002=cancelled)
    again = copy.deepcopy(lines[2])
    again["trial"] |= {"status": "ok", "error": None, "part": 2}
    doubled = copy.deepcopy(lines[0])
    doubled["trial"]["load_ns"] = 1
    trials = [line for line in b.records([*lines, doubled, again]) if isinstance(line, TrialRecord)]
    found = {line.trial.id: line.trial for line in once(trials)}
    assert list(found) == [f"t{n:04d}" for n in range(6)] and len(once(trials)) == 6
    assert found["t0000"].load_ns != 1
    assert (found["t0002"].status, found["t0002"].part) == ("ok", 2)
    rows = summarise(b.records([header, *lines, doubled, again])).rows
    assert [row.verdict.status for row in rows] == ["VALID", "VALID"]


FAILED = {"status": "failed", "error": {"code": "KILLED", "message": "gone", "signal": 9}}


def test_a_repeated_group_takes_the_place_of_its_original() -> None:
    lines = run({"t0002": {}, "t0003": {}})
    assert ids(lines) == ["t0000", "t0001", "t0004", "t0005", "t0002r1", "t0003r1"]
    rows = summarise(b.records(lines)).rows
    # Still one launch a round for each file, so that every launch has its neighbour.
    assert [sorted(line.round for line in row.trials) for row in rows] == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize("repeated", [{"t0002": {}}, {"t0002": {}, "t0003": FAILED}])
def test_half_a_group_replaces_nothing(repeated: dict[str, dict[str, Any]]) -> None:
    assert ids(run(repeated)) == [f"t{n:04d}" for n in range(6)]


def test_what_failed_before_may_fail_again() -> None:
    lines = run({"t0002": {}, "t0003": FAILED}, t0003=FAILED)
    assert ids(lines) == ["t0000", "t0001", "t0003", "t0004", "t0005", "t0002r1"]
    healed = run({"t0002": {}, "t0003": {}}, t0003=FAILED)
    assert ids(healed) == ["t0000", "t0001", "t0004", "t0005", "t0002r1", "t0003r1"]


def test_runs_without_groups_count_every_launch() -> None:
    lines = b.run_lines()
    trials = [line["trial"]["id"] for line in lines if line["kind"] == "trial"]
    assert ids([line for line in lines if line["kind"] in ("run", "trial")]) == trials


def test_figures_are_made_of_the_repeat_not_of_the_disturbed_launch() -> None:
    slow = {"samples_ns": [40_000_000] * 300}
    fast = {"samples_ns": [20_000_000] * 300}
    launches = {f"t{n:04d}": fast for n in range(6)} | {"t0002": slow, "t0004": slow}
    before = summarise(b.records(run({}, **launches))).rows[0]
    after = summarise(
        b.records(run({"t0002": fast, "t0003": fast, "t0004": fast, "t0005": fast}, **launches))
    )
    assert before.figures["latency_p90_ns"].value == pytest.approx(20e6 * 2 ** (2 / 3))
    assert after.rows[0].figures["latency_p90_ns"].value == 20e6


def test_disturbed_launches_stay_in_the_record_and_are_counted() -> None:
    lines = run(
        {"t0002": {"disturbed": {"others": 0.9}}, "t0003": {}},
        t0002={"disturbed": {"others": 0.3, "steal": 0.04}},
        t0005={"disturbed": {"others": 0.63}},
    )
    summary = summarise(b.records(lines))
    found = summary.disturbances
    assert (found.launches, found.disturbed, found.repeated, found.replaced) == (6, 2, 2, 1)
    assert found.shares == {"others": 0.63, "steal": 0.04}


WINDOW = {"elapsed_ns": 500_000_000}


@pytest.mark.parametrize(
    ("repeated", "disturbed", "said"),
    [
        ({}, [], "6, none of them disturbed by what telemetry shows"),
        (
            {"t0002": {}, "t0003": {}},
            ["t0002", "t0005"],
            "2 of 6 were disturbed: other processes used up to 63% of all CPUs. 2 were made again, whole "
            "groups at a time, and stand for the first ones; 1 could not be replaced",
        ),
        (
            {},
            ["t0000", "t0001", "t0002", "t0003"],
            "4 of 6 were disturbed: other processes used up to 63% of all CPUs. None was made again: on a "
            "host that is busy all the time a repeat is disturbed as well",
        ),
        (
            {},
            ["t0000"],
            "1 of 6 were disturbed: other processes used up to 63% of all CPUs. None was made again: the "
            "suite's budget has no room for a group",
        ),
    ],
)
def test_the_report_says_what_was_disturbed(
    repeated: dict[str, dict[str, Any]], disturbed: list[str], said: str
) -> None:
    changes = {f"t{n:04d}": {"window": WINDOW} for n in range(6)}
    changes |= {id_: {"window": WINDOW, "disturbed": {"others": 0.63}} for id_ in disturbed}
    lines = run(repeated, **changes)
    lines[0]["suite"] = {"repeats": {"busy_host": 0.5}}
    assert launches_sentence(summarise(b.records(lines))) == said


def test_runs_that_did_not_look_say_nothing() -> None:
    assert launches_sentence(summarise(b.records(b.run_lines()))) is None


def test_predictions_that_only_name_their_equal_are_put_back() -> None:
    lines = b.run_lines()
    full = summarise(b.records(lines))
    short = copy.deepcopy(lines)
    first: dict[str, str] = {}
    for line in short:
        if line["kind"] == "trial" and line["trial"]["predictions"]:
            key = line["condition"]["artifact"]
            if key in first:
                for name in ("clips", "names", "values"):
                    del line["trial"]["predictions"][name]
                line["trial"]["predictions"]["same_as"] = first[key]
            first.setdefault(key, line["trial"]["id"])
    assert len(str(short)) < 0.8 * len(str(lines))
    assert summarise(b.records(short)).to_json() == full.to_json()


def test_predictions_whose_equal_is_lost_are_no_predictions() -> None:
    message = b.trial(predictions={"same_as": "t0009", "pass_ns": [5], "audio_s": 1.0})
    [line] = b.records([b.trial_line(b.condition(scenario="offline"), message)])
    assert isinstance(line, TrialRecord)
    assert with_predictions([line])[0].trial.predictions is None


def test_the_report_says_how_long_the_board_was_left_to_cool() -> None:
    lines = run({}, t0000={"cooled_s": 61.2}, t0003={"cooled_s": 30.1}, t0004={"cooled_s": 0.0})
    lines[0]["conditioning"] = {"cool_c": 55.0, "cool_limit_s": 600.0}
    said = dict(conditions(summarise(b.records(lines))))
    assert said["Set for the run"] == "launches waited until below 55 C, 91 s in all"
