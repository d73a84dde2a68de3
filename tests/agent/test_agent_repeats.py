"""Which launches are made again: planted telemetry, and runs through the agent's own zip."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from agent_board import Board, Message, model, trial

from edgebench.agent import repeats
from edgebench.corpora import packfile

SETTINGS = {"budget": 4, "others": 0.10, "steal": 0.02, "queue_wait": 0.02, "busy_host": 0.5}
CALM = {"elapsed_ns": 400_000_000, "cpu_ns": 0, "queue_wait_ns": 0, "others": 0.01, "steal": 0.0}


def planned(groups: int, members: int = 2) -> list[dict[str, Any]]:
    return [{"id": f"g{g}m{m}", "group": g} for g in range(groups) for m in range(members)]


def carried_out(
    trials: list[dict[str, Any]], disturbed: dict[str, dict[str, float]], settings: dict[str, Any] | None
) -> tuple[list[str], dict[str, dict[str, float]]]:
    """Ids in the order of a run whose telemetry was ``disturbed``, and what each record says of it."""
    queue = repeats.Queue(trials, settings)
    said = {}
    for one in queue:
        record = {"window": {**CALM, **disturbed.get(one["id"], {})}}
        queue.judge(one, record)
        said[one["id"]] = record["disturbed"]
    return list(said), said


def test_the_group_of_a_disturbed_launch_is_made_again_whole_after_the_last_one() -> None:
    trials = planned(4)
    order, said = carried_out(trials, {"g1m0": {"others": 0.63}}, SETTINGS)
    assert order == [one["id"] for one in trials] + ["g1m0r1", "g1m1r1"]
    assert said["g1m0"] == {"others": 0.63}
    assert not any(shares for id_, shares in said.items() if id_ != "g1m0")


@pytest.mark.parametrize(
    ("shares", "kind", "share"),
    [
        ({"others": 0.11}, "others", 0.11),
        ({"steal": 0.03}, "steal", 0.03),
        ({"queue_wait_ns": 20_000_000}, "queue_wait", 0.05),
    ],
)
def test_each_counter_has_its_own_limit(shares: dict[str, float], kind: str, share: float) -> None:
    order, said = carried_out(planned(3), {"g0m1": shares}, SETTINGS)
    assert said["g0m1"] == {kind: pytest.approx(share)}
    assert order[-2:] == ["g0m0r1", "g0m1r1"]


def test_at_its_limit_or_unknown_a_counter_disturbs_nothing() -> None:
    calm = {"others": 0.10, "steal": None, "queue_wait_ns": None}
    order, said = carried_out(planned(2), {"g0m0": calm}, SETTINGS)  # type: ignore[dict-item]
    assert len(order) == 4 and not any(said.values())


def test_the_budget_goes_to_the_worst_groups() -> None:
    disturbed = {"g0m0": {"others": 0.20}, "g2m1": {"steal": 0.40}, "g3m0": {"others": 0.50}}
    order, _ = carried_out(planned(6), disturbed, SETTINGS)
    # Twenty times its limit, five times, twice: room for two groups of two.
    assert order[12:] == ["g2m0r1", "g2m1r1", "g3m0r1", "g3m1r1"]
    assert len(carried_out(planned(6), disturbed, {**SETTINGS, "budget": 3})[0]) == 12 + 2
    assert len(carried_out(planned(6), disturbed, {**SETTINGS, "budget": 0})[0]) == 12


def test_a_repeat_that_is_disturbed_again_is_marked_and_not_made_a_third_time() -> None:
    disturbed = {"g0m0": {"others": 0.3}, "g0m0r1": {"others": 0.4}}
    order, said = carried_out(planned(4), disturbed, SETTINGS)
    assert order[8:] == ["g0m0r1", "g0m1r1"]
    assert said["g0m0r1"] == {"others": 0.4}


def test_a_host_that_is_always_busy_repeats_nothing() -> None:
    half = {f"g{g}m{m}": {"others": 0.9} for g in range(2) for m in range(2)}
    assert len(carried_out(planned(4), half, {**SETTINGS, "budget": 8})[0]) == 8 + 4
    more = {**half, "g3m1": {"others": 0.9}}
    order, said = carried_out(planned(4), more, {**SETTINGS, "budget": 8})
    assert len(order) == 8 and sum(bool(shares) for shares in said.values()) == 5


def test_without_settings_or_a_group_nothing_is_repeated() -> None:
    everything = {"g0m0": {"others": 0.9}}
    assert len(carried_out(planned(4), everything, None)[0]) == 8
    alone = [{"id": "null", "group": None}, *planned(2)]
    order, said = carried_out(alone, {"null": {"others": 0.9}}, SETTINGS)
    assert order == ["null", "g0m0", "g0m1", "g1m0", "g1m1"] and said["null"] == {"others": 0.9}


def test_a_launch_that_died_has_no_window_and_disturbs_nothing() -> None:
    queue = repeats.Queue(planned(1), SETTINGS)
    for one in queue:
        record: dict[str, Any] = {"window": None}
        queue.judge(one, record)
        assert record["disturbed"] == {}


def run(board: Board, *trials: Message, settings: dict[str, Any]) -> list[Message]:
    plan, run_dir = board.plan(*trials, repeats=settings)
    assert board.verb("start", plan, run_dir)[0]["kind"] == "started"
    return board.verb("follow", run_dir, 0)


def test_the_supervisor_repeats_and_says_what_for(board: Board) -> None:
    artifact = board.blob(model())
    # No process can stay below a billionth of the machine: every counter that there is, is over.
    settings = {"budget": 2, "others": 1e-9, "steal": 1e-9, "queue_wait": 1e-9, "busy_host": 1.0}
    pair = [trial(artifact, id=id_, group=0) for id_ in ("a", "b")]
    messages = run(board, *pair, trial(None, id="null", group=None), settings=settings)
    begun = [(m["id"], m["index"], m.get("repeat_of")) for m in messages if m["kind"] == "trial_begin"]
    trials = [m for m in messages if m["kind"] == "trial"]
    assert any(m["disturbed"] for m in trials[:2]), "this machine shows no counter at all"
    assert begun == [("a", 0, None), ("b", 1, None), ("null", 2, None), ("ar1", 3, "a"), ("br1", 4, "b")]
    assert [(m["id"], m.get("repeat_of")) for m in trials[3:]] == [("ar1", "a"), ("br1", "b")]
    assert len({m["pid"] for m in trials}) == 5
    assert (messages[-1]["status"], messages[-1]["trials_done"]) == ("complete", 5)
    for message in trials[:2]:
        assert message["window"]["elapsed_ns"] >= message["elapsed_ns"]
        assert len(message["samples_cpu_ns"]) == len(message["samples_ns"])
        assert sum(message["samples_cpu_ns"]) <= message["window"]["cpu_ns"]


def test_predictions_that_are_the_same_again_are_written_once(board: Board, tmp_path: Any) -> None:
    rng = np.random.default_rng(3)
    packfile.write(tmp_path / "pack", [(c, rng.integers(-9000, 9000, 800).astype(np.int16)) for c in "ab"])
    packed = board.blob((tmp_path / "pack").read_bytes())
    artifact, other = board.blob(model()), board.blob(model(ballast=64))

    def offline(id_: str, of: str | None, file: str = artifact) -> Message:
        changes = {"scenario": "offline", "input_s": None, "pack": packed, "predictions_of": of}
        return trial(file, id=id_, **changes)

    first, again, unlike, after_none = board.results(
        offline("first", None),
        offline("again", "first"),
        offline("unlike", "first", other),
        offline("x", "nobody"),
    )
    assert first["predictions"]["clips"] == ["a", "b"] and "same_as" not in first["predictions"]
    assert again["predictions"]["same_as"] == "first" and "values" not in again["predictions"]
    assert again["predictions"]["audio_s"] == first["predictions"]["audio_s"]
    assert len(again["predictions"]["pass_ns"]) * 2 == len(again["samples_ns"])
    assert unlike["predictions"]["values"] != first["predictions"]["values"]
    assert after_none["predictions"] == {
        **first["predictions"],
        "pass_ns": after_none["predictions"]["pass_ns"],
    }
