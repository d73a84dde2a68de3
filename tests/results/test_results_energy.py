"""Energy: figures from readings whose integral is known on paper."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.stats
from support import launches_in_time as in_time
from support import results_builder as b

from edgebench.results import summarise
from edgebench.results.compare import compare_artifacts
from edgebench.results.metrics.energy import Energy, counted_rails, energy_of, integral_j
from edgebench.results.records.messages import TrialMessage
from edgebench.results.report import run_markdown
from edgebench.results.report.plots import plot_data

SECONDS, INFERENCES = 10.0, 500


def step(idle_w: float, busy_w: float):
    """Idle outside of the loop, busy within it and a little beside it."""
    return lambda t: busy_w if -0.25 < t < SECONDS + 0.25 else idle_w


def message(readings, **changes) -> TrialMessage:
    line = in_time.energy_line(0, readings, seconds=SECONDS, inferences=INFERENCES, **changes)
    (record,) = b.records([line])
    return record.trial


def run(readings, **header):
    """The row of a run with one launch for energy for each of ``readings``, and ordinary launches."""
    ordinary = [b.trial_line(b.condition(), b.trial(n), launch=n) for n in range(3)]
    lines = [
        in_time.energy_line(n, one, seconds=SECONDS, inferences=INFERENCES) for n, one in enumerate(readings)
    ]
    summary = summarise(b.records([b.header(**header), *ordinary, *lines]))
    (row,) = summary.rows
    return summary, row


def test_gross_and_net_energy_by_hand() -> None:
    readings = in_time.power({"VDD_IN": step(2.0, 5.0)}, seconds=SECONDS, idle_s=5.0)
    found = energy_of(message(readings))
    assert isinstance(found, Energy)
    # 5 W for 10 s, of which 2 W would have been drawn anyway.
    assert found.gross_j == pytest.approx(50.0) and found.net_j == pytest.approx(30.0)
    assert (found.idle_before_w, found.idle_after_w, found.power_w) == pytest.approx((2.0, 2.0, 5.0))
    assert found.coverage.readings == 21 and found.coverage.covered_s == pytest.approx(10.0)
    _, row = run([readings, readings])
    (power,) = row.to_json()["power"]
    assert (power["source"], power["rails"], power["launches"]) == ("ina3221", ["VDD_IN"], 2)
    assert (power["readings"], power["covered_s"], power["loop_s"]) == pytest.approx((42, 20.0, 20.0))
    assert row.figures["energy_mj"].value == pytest.approx(50_000 / INFERENCES)
    assert row.figures["energy_net_mj"].value == pytest.approx(30_000 / INFERENCES)


def test_an_idle_board_that_warms_up_counts_with_both_its_ends() -> None:
    # 2 W before, 3 W after: 2.5 W on average.
    def watts(t: float) -> float:
        return 2.0 if t < -0.25 else 5.0 if t < SECONDS + 0.25 else 3.0

    found = energy_of(message(in_time.power({"VDD_IN": watts}, seconds=SECONDS, idle_s=5.0)))
    assert found.net_j == pytest.approx(50.0 - 25.0)


def test_the_integral_is_that_of_the_lines_between_readings() -> None:
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 10, 40))
    watts = rng.uniform(1, 9, 40)
    begin, end = times[3] + 0.01, times[35] - 0.01
    fine = np.linspace(begin, end, 400_001)
    plain = np.interp(fine, times, watts).mean() * (end - begin)
    assert integral_j(times, watts, begin, end) == pytest.approx(plain, rel=1e-5)


def test_an_interval_over_launches_is_students() -> None:
    busy = [4.8, 5.0, 5.1, 5.3, 4.9]
    readings = [in_time.power({"VDD_IN": step(2.0, w)}, seconds=SECONDS, idle_s=5.0) for w in busy]
    _, row = run(readings)
    gross = np.array(busy) * SECONDS * 1e3 / INFERENCES
    figure, net = row.figures["energy_mj"], row.figures["energy_net_mj"]
    assert figure.value == pytest.approx(scipy.stats.gmean(gross)) and figure.n == 5
    logs = scipy.stats.ttest_1samp(np.log(gross), 0.0).confidence_interval(0.95)
    assert (figure.lo, figure.hi) == pytest.approx((np.exp(logs.low), np.exp(logs.high)))
    plain = gross - 2.0 * SECONDS * 1e3 / INFERENCES
    interval = scipy.stats.ttest_1samp(plain, 0.0).confidence_interval(0.95)
    assert (net.value, net.lo, net.hi) == pytest.approx((plain.mean(), interval.low, interval.high))


def test_launches_for_energy_say_nothing_of_latency_and_are_not_missed() -> None:
    readings = [in_time.power({"VDD_IN": step(2.0, 5.0)}, seconds=SECONDS, idle_s=5.0)] * 5
    _, alone = run([])
    _, row = run(readings)
    assert row.figures["latency_p50_ns"] == alone.figures["latency_p50_ns"]
    assert row.verdict == alone.verdict and len(row.trials) == 3


@pytest.mark.parametrize(
    ("source", "names", "counted"),
    [
        ("ina3221", ("POM_5V_CPU", "POM_5V_GPU", "POM_5V_IN"), ("POM_5V_IN",)),
        ("ina3221", ("VDDQ_VDD2_1V8AO", "VDD_CPU_CV", "VDD_GPU_SOC", "VIN_SYS_5V0"), None),
        ("ina3221", ("CPU", "GPU", "SOC"), ("CPU", "GPU", "SOC")),
        ("pmic", ("3V3_SYS", "VDD_CORE"), ("3V3_SYS", "VDD_CORE")),
    ],
)
def test_a_total_rail_stands_alone(source, names, counted) -> None:
    assert counted_rails(source, names)[0] == (counted or ("VDD_CPU_CV", "VDD_GPU_SOC", "VIN_SYS_5V0"))


def test_the_rails_of_a_pi_5_are_added_up() -> None:
    rails = {"VDD_CORE": step(1.0, 3.0), "3V3_SYS": lambda _: 0.5}
    readings = in_time.power(rails, seconds=SECONDS, idle_s=5.0, source="pmic")
    found = energy_of(message(readings))
    assert found.gross_j == pytest.approx(35.0) and found.net_j == pytest.approx(20.0)
    assert "EXT5V" in found.coverage.leaves_out


def test_readings_that_lack_a_rail_are_none() -> None:
    """A sum without one of its parts would be too small."""
    broken = {"VDD_CORE": step(1.0, 3.0), "3V3_SYS": lambda t: None if 4 < t < 7 else 0.5}
    why = energy_of(message(in_time.power(broken, seconds=SECONDS, idle_s=5.0, source="pmic", reason="gone")))
    assert isinstance(why, str) and "of the 10.0 s" in why and why.endswith(": gone")


def test_rails_that_vanish_cost_one_launch_its_energy() -> None:
    whole = in_time.power({"VDD_IN": step(2.0, 5.0)}, seconds=SECONDS, idle_s=5.0)
    cut = in_time.power(
        {"VDD_IN": step(2.0, 5.0)}, seconds=SECONDS, idle_s=5.0, skip=[(6.0, 99.0)], reason="the rails left"
    )
    summary, row = run([whole, cut, whole])
    figure = row.figures["energy_mj"]
    assert figure.value == pytest.approx(100.0) and figure.n == 2
    assert "1 of 3 launches have no energy" in run_markdown(summary)
    _, lost = run([cut])
    assert lost.figures["energy_mj"].value is None and "the rails left" in lost.figures["energy_mj"].reason


def test_a_meter_goes_before_the_rails() -> None:
    readings = in_time.power({"VDD_IN": step(2.0, 5.0)}, seconds=SECONDS, idle_s=5.0)
    watts = step(4.0, 9.0)
    meter = {
        "program": ["wattmeter", "--outlet", "3"],
        "reason": None,
        "t_ns": readings["t_ns"],
        "watts": [watts((t - in_time.BEGUN_NS) / 1e9) for t in readings["t_ns"]],
    }
    found = energy_of(message(readings, meter=meter))
    assert (found.gross_j, found.net_j) == pytest.approx((90.0, 50.0))
    assert found.coverage.rails == ("wattmeter --outlet 3",)
    dead = {**meter, "t_ns": [], "watts": [], "reason": "the meter 'wattmeter' ended with status 1"}
    assert energy_of(message(readings, meter=dead)) == "the meter 'wattmeter' ended with status 1"


def test_without_energy_the_reason_says_why() -> None:
    _, plain = run([])
    assert "--energy" in plain.figures["energy_mj"].reason
    board = b.header()["device"] | {
        "fingerprint": b.fingerprint(power={"source": None, "rails": [], "reason": "no rails here"})
    }
    asked = b.header()["suite"] | {"energy": {"launches": 5}}
    _, without = run([], device=board, suite=asked)
    assert without.to_json()["power"] == []
    found = json.loads(json.dumps(without.to_json()))["metrics"]["energy_net_mj"]
    assert found["value"] is None and found["reason"] == "no rails here, and no meter was named"


def two_files(busy_fp32, busy_int8, *, rails=("VDD_IN", "VDD_IN")):
    """A run of two files with launches for energy in five rounds."""
    lines = []
    for round_, powers in enumerate(zip(busy_fp32, busy_int8, strict=True)):
        for key, busy_w, rail in zip((b.FP32, b.INT8), powers, rails, strict=True):
            readings = in_time.power({rail: step(2.0, busy_w)}, seconds=SECONDS, idle_s=5.0, source="pmic")
            line = in_time.energy_line(round_, readings, seconds=SECONDS, inferences=INFERENCES)
            line["trial"]["id"] += key
            lines.append({**line, "condition": b.condition(key)})
    ordinary = [
        b.trial_line(b.condition(key), b.trial(n, id=f"o{n}{key}"), launch=n)
        for n in range(6)
        for key in (b.FP32, b.INT8)
    ]
    return summarise(b.records([b.header(), *ordinary, *lines]))


def test_energies_of_two_files_are_compared_by_the_launches_of_a_round() -> None:
    fp32, int8 = [5.0, 5.2, 5.4, 5.6, 5.8], [3.5, 3.62, 3.8, 3.9, 4.1]
    (row,) = compare_artifacts(two_files(fp32, int8), against=b.FP32).rows
    change = next(change for change in row.changes if change.metric == "energy_mj")
    ratios = np.array(int8) / np.array(fp32)
    assert change.ratio == pytest.approx(scipy.stats.gmean(ratios)) and change.clusters == 5
    interval = scipy.stats.ttest_1samp(np.log(ratios), 0.0).confidence_interval(0.95)
    assert (change.lo, change.hi) == pytest.approx((np.exp(interval.low), np.exp(interval.high)))
    assert change.outcome == "better"


def test_energies_by_other_rails_are_not_compared() -> None:
    summary = two_files([5.0] * 5, [3.5] * 5, rails=("VDD_CORE", "VDD_IN"))
    (row,) = compare_artifacts(summary, against=b.FP32).rows
    change = next(change for change in row.changes if change.metric == "energy_mj")
    assert change.outcome == "not judged"
    assert change.reason == "power was read otherwise: VDD_CORE against VDD_IN"


def test_energy_is_drawn_against_accuracy_where_it_was_measured() -> None:
    lines = b.run_lines()
    without = plot_data(summarise(b.records(lines)))
    assert "energy_mj" not in [cost["name"] for cost in without["costs"]]
    conditions = {
        line["condition"]["artifact"]: line["condition"]
        for line in lines
        if line["kind"] == "trial" and line["condition"]["input_s"] == 5.0
    }
    for watts, key in ((5.0, b.FP32), (4.0, b.INT8)):
        for number in range(5):
            readings = in_time.power({"VDD_IN": step(2.0, watts)}, seconds=SECONDS, idle_s=5.0)
            line = in_time.energy_line(number, readings, seconds=SECONDS, inferences=INFERENCES)
            line["trial"]["id"] += key
            lines.append({**line, "condition": conditions[key]})
    found = plot_data(summarise(b.records(lines)))
    points = found["planes"]["emodb|ua|5|"]["energy_mj"]
    assert sorted(point["x"] for point in points) == pytest.approx([80.0, 100.0])
