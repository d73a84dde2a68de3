"""The plan: pure, interleaved, complete."""

from collections import Counter
from itertools import groupby
from pathlib import Path

from edgebench.harness.plan import PackedCorpus, Subject, make_plan
from edgebench.harness.suite import Suite

A = Subject("m.fp32", "a" * 64)
B = Subject("m.int8", "b" * 64)
CORPUS = PackedCorpus("emodb", Path("emodb.pack"), "c" * 64, audio_s=120.0)


def suite(**values: object) -> Suite:
    return Suite.model_validate({"name": "t", "launches": 3, "null_runtime": False, **values})


def test_every_condition_is_launched_as_often_as_the_suite_says() -> None:
    plan = make_plan(suite(threads=[1, 2]), [A, B], [CORPUS], device="rpi4")
    counts = Counter(trial.condition for trial in plan.trials)
    # (4 lengths + 1 corpus) x 2 thread counts x 2 artifacts
    assert len(counts) == 20
    assert set(counts.values()) == {3}
    assert len({trial.id for trial in plan.trials}) == 60


def test_variants_stand_side_by_side_and_change_order_every_round() -> None:
    plan = make_plan(suite(scenarios=["single_stream"], input_s=[1.0, 5.0]), [A, B], [], device="rpi4")
    for round_, trials in groupby(plan.trials, key=lambda trial: trial.round):
        listed = list(trials)
        for first, second in zip(listed[::2], listed[1::2], strict=True):
            assert first.condition.input_s == second.condition.input_s
            expected = (A.key, B.key) if round_ % 2 == 0 else (B.key, A.key)
            assert (first.condition.artifact, second.condition.artifact) == expected


def test_order_is_made_by_the_seed_alone() -> None:
    def order(seed: int) -> list[tuple[str, float | None]]:
        plan = make_plan(suite(seed=seed, launches=4), [A, B], [], device="rpi4")
        return [(trial.condition.artifact, trial.condition.input_s) for trial in plan.trials]

    assert order(1) == order(1)
    assert any(order(1) != order(seed) for seed in range(2, 6))


def test_seconds_and_counts_are_shared_by_the_launches() -> None:
    plan = make_plan(suite(min_count=100), [A], [CORPUS], device="rpi4")
    for trial in plan.trials:
        assert trial.spec["min_duration_s"] * 3 == 10.0
        assert trial.spec["min_count"] == 34  # three launches make 100 or a little more


def test_offline_launches_are_fewer_and_spread_over_the_rounds() -> None:
    plan = make_plan(suite(launches=6, offline_launches=3), [A, B], [CORPUS], device="local")
    offline = [trial for trial in plan.trials if trial.condition.scenario == "offline"]
    assert [(trial.round, trial.launch) for trial in offline[::2]] == [(0, 0), (2, 1), (4, 2)]
    # Their order changes from one launch to the next, not with the number of the round.
    assert [trial.condition.artifact for trial in offline] == [A.key, B.key, B.key, A.key, A.key, B.key]
    for trial in offline:
        assert trial.spec["min_duration_s"] * 3 == 10.0
        assert trial.spec["min_count"] == 22  # three launches make 64 or a little more


def test_neighbours_of_a_round_are_repeated_together_and_the_null_runtime_never() -> None:
    plan = make_plan(suite(null_runtime=True), [A, B], [CORPUS], device="local")
    for _, listed in groupby(plan.trials, key=lambda trial: trial.group):
        group = list(listed)
        conditions = [
            {**trial.condition.model_dump(), "artifact": "", "artifact_sha256": ""} for trial in group
        ]
        assert all(condition == conditions[0] for condition in conditions)
        assert len({trial.round for trial in group}) == 1
        if group[0].condition.runtime == "null":
            assert [trial.spec["group"] for trial in group] == [None]
        else:
            assert {trial.condition.artifact for trial in group} == {A.key, B.key}
            assert {trial.spec["group"] for trial in group} == {group[0].group}
    assert len({trial.group for trial in plan.trials}) == 3 * (4 + 1 + 1)


def test_every_launch_but_the_first_names_the_first_of_its_condition() -> None:
    plan = make_plan(suite(), [A, B], [CORPUS], device="local")
    seen: dict[object, str] = {}
    for trial in plan.trials:
        assert trial.spec["predictions_of"] == seen.get(trial.condition)
        seen.setdefault(trial.condition, trial.id)


def test_the_budget_of_repeats_is_a_share_of_the_launches() -> None:
    plan = make_plan(suite(repeats={"budget": 0.3, "others": 0.2}), [A, B], [CORPUS], device="local")
    message = plan.message(run_id="R", root="/", user="u", pythons={"onnxruntime": "/python"})
    assert len(message["trials"]) == 30
    assert message["repeats"] == {
        "budget": 9, "others": 0.2, "steal": 0.02, "queue_wait": 0.02, "busy_host": 0.5
    }  # fmt: skip


def test_a_file_without_manifest_is_measured_on_generated_input_alone() -> None:
    bare = Subject("my", "d" * 64, scored=False)
    plan = make_plan(suite(), [A, bare], [CORPUS], device="rpi4")
    scenarios = {trial.condition.scenario for trial in plan.trials if trial.condition.artifact == "my"}
    assert scenarios == {"single_stream"}


def test_a_fixed_time_axis_is_measured_at_its_own_length() -> None:
    fixed = Subject("fixed", "e" * 64, lengths_s=(3.0,))
    plan = make_plan(suite(), [A, fixed], [CORPUS], device="rpi4")
    lengths = {t.condition.input_s for t in plan.trials if t.condition.artifact == "fixed"}
    assert lengths == {3.0}
    assert 3.0 not in {t.condition.input_s for t in plan.trials if t.condition.artifact == A.key}


def test_the_null_runtime_is_measured_in_every_round() -> None:
    plan = make_plan(suite(null_runtime=True), [A], [], device="rpi4")
    null = [trial for trial in plan.trials if trial.condition.runtime == "null"]
    assert [trial.round for trial in null] == [0, 1, 2]
    assert all(trial.spec["artifact"] is None for trial in null)


def test_message_is_what_the_agent_reads() -> None:
    message = make_plan(suite(), [A], [CORPUS], device="rpi4").message(
        run_id="R", root="/home/pi/.cache/edgebench", user="u", pythons={"onnxruntime": "/envs/o/bin/python"}
    )
    assert message["protocol"] == 2
    assert message["root"] == "/home/pi/.cache/edgebench"
    assert {spec["python"] for spec in message["trials"]} == {"/envs/o/bin/python"}
    offline = next(spec for spec in message["trials"] if spec["scenario"] == "offline")
    assert offline["pack"] == CORPUS.sha256
    assert offline["input_s"] is None


L = Subject("m.tflite", "f" * 64, lengths_s=(1.0, 5.0), runtimes=("litert", "tflite_runtime"))


def test_runtimes_are_neighbours_in_every_round() -> None:
    plan = make_plan(suite(scenarios=["single_stream"], input_s=[1.0]), [A, L], [], device="rpi4")
    assert plan.runtimes == ("onnxruntime", "litert", "tflite_runtime")
    for round_, trials in groupby(plan.trials, key=lambda trial: trial.round):
        found = [trial.condition.runtime for trial in trials]
        assert found == list(plan.runtimes if round_ % 2 == 0 else plan.runtimes[::-1])


def test_signatures_are_measured_at_the_lengths_of_the_suite() -> None:
    plan = make_plan(suite(input_s=[1.0, 2.0, 5.0]), [A, L], [], device="rpi4")
    lengths = {t.condition.input_s for t in plan.trials if t.condition.artifact == L.key}
    assert lengths == {1.0, 5.0}


def test_trials_of_a_runtime_that_is_not_there_are_left_out_of_the_message() -> None:
    plan = make_plan(suite(null_runtime=True, scenarios=["single_stream"]), [A, L], [], device="rpi4")
    pythons = {"litert": "/envs/l/bin/python"}
    trials = plan.message(run_id="R", root="/r", user="u", pythons=pythons)["trials"]
    assert {spec["runtime"] for spec in trials} == {"litert", "null"}
    assert {spec["python"] for spec in trials} == {"/envs/l/bin/python"}
    assert {trial.condition.runtime for trial in plan.trials} > {"onnxruntime", "tflite_runtime"}


def test_traces_come_after_all_measurements_and_are_few_inferences() -> None:
    measured = make_plan(suite(), [A, L], [CORPUS], device="rpi4")
    plan = make_plan(suite(), [A, L], [CORPUS], device="rpi4", trace=True)
    assert plan.trials[: len(measured.trials)] == measured.trials
    traces = plan.trials[len(measured.trials) :]
    assert sorted(trial.condition.input_s for trial in traces) == [1.0, 2.0, 5.0, 10.0]
    assert {trial.condition.runtime for trial in traces} == {"onnxruntime"}
    assert all(trial.trace and trial.spec["trace"] and trial.spec["min_duration_s"] == 0 for trial in traces)
    assert not any(trial.trace or trial.spec["trace"] for trial in measured.trials)
