"""The main job on an emulated Jetson Orin Nano: power rails, the power mode, held clocks."""

from __future__ import annotations

import pytest
from support import board_kinds
from support.board_jobs import DEVICE, RUN, launches, main_job, state_codes
from support.cli import Edgebench
from support.emulated_board import EmulatedBoard

pytestmark = [pytest.mark.board, pytest.mark.timeout(900)]

KIND = board_kinds.ORIN_NANO
NAME = "jetson_orin_nano"
POLICY = "/sys/devices/system/cpu/cpufreq/policy0"


def test_from_wheels_to_accuracy(edgebench: Edgebench, speech: list[str]) -> None:
    main_job(edgebench, NAME, *speech)
    for launch in launches(edgebench):
        rails = launch["telemetry"]["before"]["rails"]
        assert set(rails) == {"VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"}
        # 5.048 V and 1.032 A.
        assert rails["VDD_IN"]["power_w"] == pytest.approx(5.209536, abs=1e-6)
        assert launch["telemetry"]["before"]["state"]["power_mode"] == {"name": "MAXN_SUPER", "id": "2"}


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
