"""What a run will be able to tell, said before it: planted runs, and Student's t by hand."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import pytest
from support import results_builder as b

from edgebench.harness import precision
from edgebench.harness.plan import Plan, Subject, make_plan
from edgebench.harness.suite import Suite
from edgebench.results import Store

A = Subject("m.fp32", "a" * 64)
B = Subject("m.int8", "b" * 64)
# Ratios of int8 to fp32 in the six rounds of the planted run, at both lengths.
RATIOS = (0.70, 0.75, 0.80, 0.74, 0.76, 0.75)
DEVIATION = statistics.stdev(math.log(ratio) for ratio in RATIOS)
T_5 = 2.5706  # two-sided 95 % quantile of Student's t, 5 degrees of freedom


def plan(*subjects: Subject, launches: int) -> Plan:
    suite = Suite(name="t", scenarios=("single_stream",), launches=launches)
    return make_plan(suite, subjects, [], device="rpi4")


def store_of(folder: Path, *, device: str = "rpi4", status: str = "complete", cpu: bool = True) -> Store:
    """A store that holds one run, whose every round has its own level and the ratio of that round."""

    def change(line: dict[str, object]) -> None:
        trial, condition, round_ = line["trial"], line["condition"], line["round"]
        ratio = RATIOS[round_] if condition["artifact"] == b.INT8 else 1.0  # type: ignore[index]
        level = 8_000_000 * (1 + round_)  # type: ignore[operator]
        trial["samples_ns"] = [round(level * ratio)] * 20  # type: ignore[index]
        if cpu:
            trial["samples_cpu_ns"] = [round(level * ratio / 2)] * 20  # type: ignore[index]

    lines = b.run_lines(corpora=(), change=change)
    lines[0]["device"] = {**b.header()["device"], "name": device}
    lines[-1]["status"] = status
    store = Store(folder)
    for record in b.records(lines):
        store.append(record)
    return store


def test_the_scatter_is_that_of_the_pairs_of_the_last_run_of_the_device(tmp_path: Path) -> None:
    found = precision.scatter_of(store_of(tmp_path), "rpi4")
    assert found.run_id == b.RUN_ID
    assert found.deviations == pytest.approx({"cpu_p50_ns": DEVIATION, "latency_p50_ns": DEVIATION}, rel=1e-4)


def test_a_run_that_did_not_measure_cpu_time_says_nothing_of_it(tmp_path: Path) -> None:
    found = precision.scatter_of(store_of(tmp_path, cpu=False), "rpi4")
    assert list(found.deviations) == ["latency_p50_ns"]


@pytest.mark.parametrize("changes", [{"device": "rpi5"}, {"status": "cancelled"}])
def test_other_devices_and_broken_runs_do_not_count(tmp_path: Path, changes: dict[str, str]) -> None:
    found = precision.scatter_of(store_of(tmp_path, **changes), "rpi4")  # type: ignore[arg-type]
    assert found == precision.Scatter({"cpu_p50_ns": precision.ASSUMED_DEVIATION})


def test_the_halfwidth_is_students(tmp_path: Path) -> None:
    scatter = precision.Scatter({"cpu_p50_ns": 0.02}, "R")
    [outlook] = precision.outlooks(plan(A, B, launches=6), scatter)
    assert outlook.halfwidth == pytest.approx(T_5 * 0.02 / math.sqrt(6), rel=1e-4)
    assert (outlook.launches, outlook.needed) == (6, None)
    [sentence] = precision.sentences([outlook], scatter)
    assert sentence == (
        "CPU time: with pairs that deviate by 2.0% (as in run R), 6 launches a condition give a ratio to "
        "about ±2.1%"
    )


def test_where_it_is_too_wide_the_launches_that_would_do_are_said() -> None:
    scatter = precision.Scatter({"cpu_p50_ns": 0.04})
    [outlook] = precision.outlooks(plan(A, B, launches=6), scatter)
    assert outlook.needed == 10  # t of 9 degrees of freedom: 2.2622 * .04 / sqrt(10) = .0286; of 9: .0307
    [sentence] = precision.sentences([outlook], scatter)
    assert "assumed: no earlier run of this device" in sentence
    assert sentence.endswith("to about ±4.2%; 10 launches would do for ±3% (--launches 10)")


def test_three_launches_give_no_interval_and_a_wild_host_no_feasible_number() -> None:
    scatter = precision.Scatter({"cpu_p50_ns": 0.02, "latency_p50_ns": 0.3})
    cpu, wall = precision.sentences(precision.outlooks(plan(A, B, launches=3), scatter), scatter)
    assert "3 launches a condition give no interval of a ratio" in cpu and "--launches 5" in cpu
    assert "--launches" not in wall and "measure when less else runs there" in wall


def test_a_single_file_is_compared_with_nothing() -> None:
    assert precision.outlooks(plan(A, launches=3), precision.Scatter({"cpu_p50_ns": 0.02})) == []
