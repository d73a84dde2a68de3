"""The reliability campaign: its judge sees what is planted in a store, and whole rounds are clean."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import results_builder as b

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the benchmarks are no part of what is installed

from benchmarks.common import MissingError  # noqa: E402
from benchmarks.reliability import faults, hostile, lying, page, rounds  # noqa: E402
from benchmarks.reliability.__main__ import still_to_play  # noqa: E402
from benchmarks.reliability.board import Board, require_namespaces  # noqa: E402
from benchmarks.reliability.moments import PHASES, ended  # noqa: E402
from benchmarks.reliability.oracle import Judgement, differences, judge_store  # noqa: E402

WHERE = b.condition()
Lines = list[dict[str, Any]]


def lines() -> Lines:
    """A run of three launches, each with the board's clock."""
    own = [b.trial_line(WHERE, {**b.trial(n), "monotonic_ns": 100 + n}, launch=n) for n in range(3)]
    return [b.header(trials=b.planned(WHERE)), b.reference(), *own, b.run_end()]


def judged(change: Callable[[Lines], Any], **expected: Any) -> Judgement:
    """What the judge says of that run after a change."""
    found = copy.deepcopy(lines())
    change(found)
    return judge_store(
        b.records(found), b.records(lines()), on_board=expected.pop("on_board", {}), **expected
    )


def only(**wrong: int) -> dict[str, Any]:
    """Nothing wrong but this."""
    clean = dataclasses.asdict(Judgement())
    return {key: value for key, value in {**clean, **wrong}.items() if key != "other"}


def counts(found: Judgement) -> dict[str, Any]:
    return {key: value for key, value in dataclasses.asdict(found).items() if key != "other"}


def test_a_run_to_which_nothing_happened_is_clean() -> None:
    assert judged(lambda found: None, on_board={"t0000": 100, "t0001": 101}).clean


def test_times_and_readings_may_differ_and_nothing_else() -> None:
    def slower(found: Lines) -> None:
        found[0]["started_wall_s"] += 60.0
        for line in found[2:5]:
            line["trial"]["samples_ns"] = [2 * sample for sample in line["trial"]["samples_ns"]]
            line["trial"]["telemetry"] = b.telemetry(busy=0.9)
            line["trial"]["part"] = 2

    assert judged(slower).clean

    def answers_otherwise(found: Lines) -> None:
        found[3]["trial"]["output"]["values"][0][0] += 1e-6

    other = judged(answers_otherwise)
    assert counts(other) == only(unequal=1)
    assert other.other == ["unlike an undisturbed run: launch t0001"]


@pytest.mark.parametrize(
    ("name", "change", "wrong"),
    [
        ("a launch that is missing", lambda found: found.pop(3), only(lost=1, unequal=1)),
        ("a launch twice", lambda found: found.insert(4, found[3]), only(doubled=1)),
        ("measured again though the board had it", lambda found: None, only(lost=1)),
    ],
)
def test_what_is_lost_and_doubled_is_counted(name: str, change: Any, wrong: dict[str, Any]) -> None:
    on_board = {"t0001": 55} if "again" in name else {}
    assert counts(judged(change, on_board=on_board)) == wrong


def test_a_code_that_a_fault_calls_for_has_to_be_there() -> None:
    assert counts(judged(lambda found: None, codes=["THROTTLED"])) == only(wrongly_valid=1)

    def changed(found: Lines) -> None:
        found[3]["trial"]["telemetry"]["series"][-1]["governor"] = {"cpu3": "powersave"}

    assert judged(changed, codes=["GOV_CHANGED"]).clean


def test_a_failed_launch_is_allowed_only_with_its_code() -> None:
    def killed(found: Lines) -> None:
        found[3]["trial"] = {**b.failed("KILLED", "it died", signal=9), "id": "t0001"}

    assert judged(killed, may_fail=["KILLED"]).clean
    assert judged(killed).other == [f"t0001 failed: {b.records(_after(killed))[3].trial.error}"[:200]]


def _after(change: Callable[[Lines], Any]) -> Lines:
    found = lines()
    change(found)
    return found


def test_a_run_that_did_not_end_well_and_an_empty_store_are_not_clean() -> None:
    assert judged(lambda found: found.pop()).other == ["the run ended as nothing"]
    assert judge_store([], b.records(lines()), on_board={}).lost == 3
    assert differences(b.records(lines()), b.records(lines()[:-2])) == ["launch t0002"]


def test_what_had_ended_on_the_board_is_read_from_whole_lines_only(tmp_path: Path) -> None:
    board = dataclasses.make_dataclass("AtRoot", [("root", Path)])(tmp_path)
    (tmp_path / "runs/R").mkdir(parents=True)
    good, bad = (
        {"kind": "trial", "id": i, "status": s, "monotonic_ns": 7} for i, s in (("a", "ok"), ("b", "x"))
    )
    text = [json.dumps(message, separators=(",", ":")) for message in (good, bad, {**good, "id": "c"})]
    (tmp_path / "runs/R/journal.jsonl").write_text("\n".join(text))  # the last line has no end yet
    assert ended(board) == {"a": 7}


def test_rounds_are_played_once_and_again_where_they_were_not_clean() -> None:
    one, two = faults.FAULTS[:2]
    clean = {**dataclasses.asdict(Judgement()), "seed": 1}
    results = [{**clean, "fault": one.name, "round": 0}, {**clean, "fault": two.name, "round": 0, "lost": 1}]
    assert still_to_play([one, two], results, seed=1, rounds=2) == [(one, 1), (two, 1)]
    assert still_to_play([one, two], results, seed=1, rounds=1, again=True) == [(two, 0)]
    assert still_to_play([one], results, seed=2, rounds=1) == [(one, 0)]


def test_the_page_counts_the_last_word_of_each_round() -> None:
    fault = faults.FAULTS[0]
    line = {
        **dataclasses.asdict(Judgement()), "fault": fault.name, "round": 0, "seed": 1, "commit": "abc",
        "stage": "measuring", "ended": False, "statuses": [6, 0], "parts": 2,
    }  # fmt: skip
    text = page.page([{**line, "lost": 3}, line, {**line, "round": 1, "doubled": 2, "other": ["a | b"]}], [])
    assert "**2 rounds, 1 of them clean**" in text
    (row,) = [row for row in text.splitlines() if row.startswith(f"| {fault.name} |")]
    assert [cell.strip() for cell in row.split("|")[3:11]] == ["2", "0", "2", "0", "0", "0", "0", "1"]
    assert "round 1 of seed 1: doubled 2. a \\| b" in text
    with pytest.raises(MissingError):
        page.page([], [])


def test_every_fault_has_a_name_and_a_moment_of_its_own() -> None:
    assert len(faults.BY_NAME) == len(faults.FAULTS)
    assert {fault.phase for fault in faults.FAULTS} <= set(PHASES)


def test_messages_are_spoiled_in_one_place_and_by_the_seed_alone() -> None:
    message = json.loads(json.dumps(b.trial()))
    spoilt = [lying.spoil(copy.deepcopy(message), random.Random(seed)) for seed in range(30)]
    assert spoilt == [lying.spoil(copy.deepcopy(message), random.Random(seed)) for seed in range(30)]
    assert sum(one != message for one in spoilt) > 25


def test_what_a_lie_must_not_do_is_named() -> None:
    good = {"late": False, "peak_bytes": 2e8, "raw": 0, "outside": 0, "traceback": False, "status": 5}
    assert hostile.wrong(good) == ""
    bad = {**good, "peak_bytes": 3e8, "raw": 2, "status": 70}
    assert hostile.wrong(bad) == "300 MB, raw, status 70"


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Board, rounds.Undisturbed, Path]]:
    """A board, what an undisturbed run on it looks like, and a folder."""
    try:
        require_namespaces()
    except MissingError as missing:
        pytest.skip(str(missing))
    folder = tmp_path_factory.mktemp("campaign")
    board = Board(folder / "board", faults.PI)
    base = rounds.undisturbed(board, folder / "cache", folder / "first", fresh=True)
    yield board, base, folder
    board.stop()


@pytest.mark.board
@pytest.mark.ssh
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "name", ["connections dropped", "power cut", "host killed", "Ctrl-C", "governor changed", "throttle bit"]
)
def test_a_round_is_clean(played: tuple[Board, rounds.Undisturbed, Path], name: str) -> None:
    """One random moment each; EDGEBENCH_SEED chooses others, and the campaign tries many."""
    board, base, folder = played
    seed = int(os.environ.get("EDGEBENCH_SEED", "1"))
    where = folder / name.replace(" ", "_")
    line = rounds.play(
        faults.BY_NAME[name], 0, seed=seed, board=board, cache=folder / "cache", folder=where, base=base
    )
    said = (where / "said.txt").read_text() if (where / "said.txt").exists() else ""
    assert {key: line[key] for key in page.COLUMNS if line[key]} == {}, said
    shutil.rmtree(where, ignore_errors=True)
