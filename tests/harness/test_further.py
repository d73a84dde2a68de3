"""Launches beside those that figures of time are made of: energy, half an hour, traces."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from support import results_builder as b
from support.cli import Edgebench
from support.untrained import small_model

from edgebench.agent import protocol
from edgebench.agent.requests import KEPT
from edgebench.errors import ConfigError
from edgebench.harness import wire
from edgebench.harness.host.predict import _once
from edgebench.harness.plan import PackedCorpus, Plan, Subject, make_plan
from edgebench.harness.suite import Suite, load_suite

A = Subject("m.fp32", "a" * 64)
B = Subject("m.int8", "b" * 64)
CORPUS = PackedCorpus("emodb", Path("emodb.pack"), "c" * 64, audio_s=120.0)


def plan(*, trace: bool = False, **values: Any) -> Plan:
    asked = {"name": "t", "launches": 3, "input_s": [1.0, 5.0], **values}
    return make_plan(Suite.model_validate(asked), [A, B], [CORPUS], device="rpi5", trace=trace)


def test_launches_for_energy_come_after_the_others_and_change_nothing_of_them() -> None:
    without, found = plan(), plan(energy={"launches": 4, "duration_s": 7.0, "idle_s": 3.0, "hz": 1.0})
    energy = [trial for trial in found.trials if trial.energy]
    assert found.trials[: len(without.trials)] == without.trials
    assert found.trials[len(without.trials) :] == tuple(energy)
    assert not any("power" in trial.spec for trial in without.trials)
    # Two files at two lengths, four times; neither the corpus nor the null runtime.
    assert len(energy) == 4 * 4
    assert {trial.condition.scenario for trial in energy} == {"single_stream"}
    for trial in energy:
        assert trial.spec["power"] == {"hz": 1.0, "idle_s": 3.0}
        assert trial.spec["min_duration_s"] == 7.0 and trial.spec["group"] is None
        assert trial.spec["timeout_s"] > 7.0 and trial.estimate_s > 13.0
        assert not trial.measures and trial.record().energy
    assert len({trial.id for trial in found.trials}) == len(found.trials)


def test_every_second_round_of_energy_goes_backwards() -> None:
    energy = [trial for trial in plan(energy={}).trials if trial.energy]
    rounds = [[t.condition for t in listed] for _, listed in groupby(energy, key=lambda t: t.round)]
    assert len(rounds) == 5 and rounds[1] == rounds[0][::-1] == rounds[3]


def test_a_board_without_power_is_not_made_to_wait_for_it() -> None:
    found = plan(energy={})
    assert found.reads_power and not found.without_energy().reads_power
    assert found.without_energy().trials == plan().trials


def test_a_sustained_launch_is_one_and_comes_last() -> None:
    found = plan(scenarios=["single_stream", "sustained"], sustained={"duration_s": 600.0, "idle_s": 4.0})
    *others, first, second, third, fourth = found.trials
    assert not any(trial.condition.scenario == "sustained" for trial in others)
    for trial in (first, second, third, fourth):
        assert trial.condition.scenario == "sustained" and trial.measures
        assert trial.spec["min_duration_s"] == 600.0 and trial.spec["power"] == {"hz": 1.0, "idle_s": 4.0}
        assert trial.spec["timeout_s"] > 600.0


def test_a_day_is_read_no_more_often_than_half_an_hour() -> None:
    """A message of the wire has bounds: so many readings of a launch at most, whatever its time."""
    (day, *_) = plan(scenarios=["sustained"], null_runtime=False, sustained={"duration_s": 86_400.0}).trials
    assert day.spec["power"]["hz"] * 86_400 == pytest.approx(1800)
    assert day.spec["telemetry_hz"] * 86_400 == pytest.approx(360)


def test_half_an_hour_of_a_server_passes_the_wire() -> None:
    """256 processors with a clock, a governor and limits each, and all samples that a launch may keep."""
    (long, *_) = plan(scenarios=["sustained"], null_runtime=False).trials
    cpus = {f"cpu{n}": 3e9 for n in range(256)}
    governor, limits = dict.fromkeys(cpus, "performance"), {f"policy{n}": [1e9, 3e9] for n in range(256)}
    point = b.telemetry(freq_hz=cpus, governor=governor, limits_hz=limits)["after"]
    rows = [1] * KEPT
    message = b.trial(
        samples_ns=rows,
        samples_cpu_ns=rows,
        requests={"served": KEPT, "busy_ns": 1, "stride": 1, "starts_ns": rows, "waits_ns": rows},
        telemetry={
            "before": point,
            "after": point,
            "series": [point] * round(1800 * long.spec["telemetry_hz"]),
        },
    )
    assert wire.read(protocol.encode(message))["id"] == "t0000"


def test_a_rate_is_of_the_condition_but_for_corpus_null_and_trace() -> None:
    found = plan(rate_hz=5.0, trace=True)
    for trial in found.trials:
        paced = trial.condition.scenario == "single_stream" and trial.condition.runtime != "null"
        assert trial.condition.rate_hz == (5.0 if paced else None)
        assert trial.spec["rate_hz"] == (5.0 if paced and not trial.trace else None)
    assert sum(trial.trace for trial in found.trials) == 4


def test_the_host_predicts_a_sustained_input_once_and_at_once() -> None:
    asked = Suite.model_validate({"name": "t", "scenarios": ["sustained"], "input_s": [5.0], "rate_hz": 2.0})
    (trial,) = make_plan(_once(asked), [A], [], device="local").trials
    assert (trial.condition.scenario, trial.condition.rate_hz) == ("single_stream", None)
    assert trial.spec["min_duration_s"] < 1e-6


def test_suites_and_options_of_long_launches() -> None:
    packaged = load_suite("sustained")
    assert packaged.scenarios == ("sustained",) and packaged.sustained.duration_s == 1800.0
    short = load_suite(sustained_s=60.0, rate_hz=4.0)
    assert (short.scenarios, short.sustained.duration_s, short.rate_hz) == (("sustained",), 60.0, 4.0)
    assert load_suite().energy is None and load_suite(energy=True).energy.launches == 5


def test_settings_that_are_not_used_leave_a_suites_hash_alone() -> None:
    """The hash of the packaged suite before there were such settings."""
    before = "04ee31ed475ed6e431a6b305719d825ac2d4d09eaab4aa81bf32ffcc40b1af0a"
    assert load_suite().sha256() == before
    assert load_suite(energy=True).sha256() != before != load_suite(rate_hz=1.0).sha256()


@pytest.mark.parametrize(
    "text",
    [
        "rate_hz = -1",
        "[energy]\nhz = 0.0",
        "[energy]\nhz = 0.1",
        "[energy]\nidle_s = 0",
        "[sustained]\nduration_s = 1e9",
    ],
)
def test_a_setting_out_of_bounds_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(f'name = "x"\n{text}\n')
    key = text.rsplit("\n", maxsplit=1)[-1].split(maxsplit=1)[0]
    with pytest.raises(ConfigError, match=key):
        load_suite(str(tmp_path / "s.toml"))


# --- the command line -----------------------------------------------------------------------------------


@pytest.fixture
def edgebench(tmp_path: Path) -> Edgebench:
    small_model(tmp_path / "my.onnx")
    return Edgebench.in_folder(tmp_path)


def test_a_plan_names_launches_for_energy_and_rates(edgebench: Edgebench) -> None:
    asked = ("run", "--suite", "quick.toml", "--model", "my.onnx", "--plan")
    text = edgebench.here(*asked, "--energy", "--rate", "2.5").stdout
    lines = [line for line in text.splitlines() if line.startswith("t0")]
    assert sum(line.endswith("  energy") for line in lines) == 5
    assert sum("  2.5/s" in line for line in lines) == 6
    assert "sustained  1 s" in edgebench.here(*asked, "--sustained-s", "30").stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--meter", "a-meter-nobody-has 3"], "no such program on this host"),
        (["--meter", "'open"], "Quote its arguments"),
        (["--meter", ""], "names no program"),
        (["--rate", "0"], "rate_hz"),
        (["--sustained-s", "0.1"], "duration_s"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(
    edgebench: Edgebench, options: list[str], said: str
) -> None:
    asked = ("run", "--suite", "quick.toml", "--model", "my.onnx", *options)
    edgebench.refuses(*asked, status=2, says=[said])
