"""The main job on an emulated Jetson Orin Nano: power rails, the power mode, held clocks."""

from __future__ import annotations

import numpy as np
import pytest
from support import board_kinds
from support.board_jobs import DEVICE, RUN, energy_row, launches, main_job, state_codes
from support.cli import Edgebench
from support.emulated_board import EmulatedBoard

pytestmark = [pytest.mark.board, pytest.mark.timeout(900)]

KIND = board_kinds.ORIN_NANO
NAME = "jetson_orin_nano"
RAILS = "/sys/bus/i2c/devices/1-0040/hwmon/hwmon1"
POLICY = "/sys/devices/system/cpu/cpufreq/policy0"


def test_from_wheels_to_accuracy(edgebench: Edgebench, speech: list[str]) -> None:
    main_job(edgebench, NAME, *speech)
    for launch in launches(edgebench):
        rails = launch["telemetry"]["before"]["rails"]
        assert set(rails) == {"VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"}
        # 5.048 V and 1.032 A.
        assert rails["VDD_IN"]["power_w"] == pytest.approx(5.209536, abs=1e-6)
        assert launch["telemetry"]["before"]["state"]["power_mode"] == {"name": "MAXN_SUPER", "id": "2"}


def test_energy_is_the_integral_of_a_rail_that_changes(edgebench: Edgebench, board: EmulatedBoard) -> None:
    """The current climbs by 10 mA ten times, falls back, and climbs again."""
    board.root(
        f"nohup sh -c 'n=0; while :; do echo $((1000 + n % 10 * 10)) > {RAILS}/curr1_input; n=$((n + 1)); "
        "sleep 0.3; done' > /dev/null 2>&1 & echo $! > /run/climber"
    )
    metrics = energy_row(edgebench, NAME)
    board.root("kill $(cat /run/climber)")
    launch = launches(edgebench, "energy")[-1]
    seconds = np.array(launch["power"]["t_ns"]) / 1e9
    watts = np.array(launch["power"]["watts"]["VDD_IN"])
    written = {round(5.048 * (1.0 + 0.01 * step), 6) for step in range(10)}
    assert set(watts.round(6)) <= written
    assert len(set(watts)) > 3
    begin, end = launch["window"]["begun_ns"] / 1e9, launch["window"]["ended_ns"] / 1e9
    times = [begin, *seconds[(seconds > begin) & (seconds < end)], end]
    joules = np.trapezoid(np.interp(times, seconds, watts), times)
    inferences = len(launch["samples_ns"])
    assert metrics["energy_mj"]["value"] == pytest.approx(joules / inferences * 1000, rel=1e-6)


def test_rails_that_vanish_cost_the_energy_and_nothing_else(
    edgebench: Edgebench, board: EmulatedBoard
) -> None:
    board.during_a_launch(f"mv {RAILS} /run/away")
    metrics = energy_row(edgebench, NAME)
    board.root(f"cp -a /run/away {RAILS}")
    assert metrics["energy_mj"]["value"] is None
    assert metrics["energy_mj"]["reason"]
    assert metrics["latency_p50_ns"]["value"] > 0


def test_a_power_mode_that_changes_in_a_launch(edgebench: Edgebench, board: EmulatedBoard) -> None:
    board.during_a_launch("nvpmodel -m 0")
    assert state_codes(edgebench, NAME) == {"MODE_CHANGED"}


def test_a_supply_that_gives_too_little(edgebench: Edgebench, board: EmulatedBoard) -> None:
    """The Orin counts it as oc1; NVIDIA's developer guide calls that under-voltage."""
    counter = "$(dirname $(grep -l soctherm_oc /sys/class/hwmon/*/name))/oc1_event_cnt"
    board.during_a_launch(f"echo 3 > {counter}")
    assert state_codes(edgebench, NAME) == {"UNDERVOLT"}


def test_mode_and_clocks_of_a_run_are_put_back(edgebench: Edgebench, board: EmulatedBoard) -> None:
    board.during_a_launch(
        f"(nvpmodel -q; cat {POLICY}/scaling_governor {POLICY}/scaling_min_freq) > /run/seen"
    )
    wanted = "mode=15W,governor=performance,clocks=max"
    assert state_codes(edgebench, NAME, "--condition", wanted) == set()
    assert board.root("cat /run/seen") == "NV Power Mode: 15W\n0\nperformance\n1500000\n"
    after = board.root(f"nvpmodel -q; cat {POLICY}/scaling_governor {POLICY}/scaling_min_freq")
    assert after == "NV Power Mode: MAXN_SUPER\n2\nschedutil\n600000\n"


def test_a_mode_that_this_board_does_not_have(edgebench: Edgebench, board: EmulatedBoard) -> None:
    run = [*RUN, NAME, "--condition", "mode=40W,governor=performance"]
    edgebench.refuses(*run, status=DEVICE, says=["no power mode '40W'; it has 15W"], own_process=True)
    assert board.root(f"cat {POLICY}/scaling_governor") == "schedutil\n"
