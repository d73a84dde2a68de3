"""The main job on an emulated Jetson Orin Nano: power rails, the power mode, held clocks."""

from __future__ import annotations

import numpy as np
import pytest
from support import board_kinds
from support.board_jobs import DEVICE, RUN, TERNARY, launches, main_job, records, state_codes
from support.cli import Edgebench
from support.emulated_board import EmulatedBoard

pytestmark = [pytest.mark.board, pytest.mark.timeout(900)]

KIND = board_kinds.ORIN_NANO
NAME = "jetson_orin_nano"
RAILS = "/sys/bus/i2c/devices/1-0040/hwmon/hwmon1"
POLICY = "/sys/devices/system/cpu/cpufreq/policy0"


def test_from_wheels_to_accuracy(edgebench: Edgebench, speech: list[str]) -> None:
    main_job(edgebench, NAME, speech, [TERNARY])
    for launch in launches(edgebench):
        rails = launch["telemetry"]["before"]["rails"]
        assert set(rails) == {"VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"}
        # 5.048 V and 1.032 A.
        assert rails["VDD_IN"]["power_w"] == pytest.approx(5.209536, abs=1e-6)
        assert launch["telemetry"]["before"]["state"]["power_mode"] == {"name": "MAXN_SUPER", "id": "2"}


def test_what_happens_in_a_launch_is_said_of_that_launch(edgebench: Edgebench, board: EmulatedBoard) -> None:
    """Nothing; the counter that NVIDIA's developer guide calls under-voltage; another power mode."""
    folder = board.root("dirname $(grep -l soctherm_oc /sys/class/hwmon/*/name)").strip()
    board.in_launches(":", f"echo 3 > {folder}/oc1_event_cnt", "nvpmodel -m 0")
    assert state_codes(edgebench, NAME, launches=3) == [set(), {"UNDERVOLT"}, {"MODE_CHANGED"}]


def test_energy_in_a_mode_of_its_own(edgebench: Edgebench, board: EmulatedBoard) -> None:
    """The run sets mode and clocks, by sudo, and puts them back. In the launch for energy a rail changes ten
    times; its integral is the energy. In the next one the rails vanish, which costs that one its energy."""
    board.root(
        # Never empty for a moment, as a file is that is being written.
        f"nohup sh -c 'n=0; while :; do echo $((1000 + n % 10 * 10)) > {RAILS}/next; n=$((n + 1)); "
        f"mv {RAILS}/next {RAILS}/curr1_input; sleep 0.3; done' > /dev/null 2>&1 & echo $! > /run/climber"
    )
    settings = f"nvpmodel -q; cat {POLICY}/scaling_governor; echo; cat {POLICY}/scaling_min_freq"
    before = board.root(settings)
    board.in_launches(f"({settings}) > /run/seen", ":", f"mv {RAILS} /run/away")
    wanted = "mode=15W,governor=performance,clocks=max"
    words = ("--device", NAME, "--suite", "energy.toml", "--energy", "--model", "my.onnx")
    row = next(row for row in records(edgebench, *words, "--condition", wanted) if row["artifact"] == "my")
    board.root(f"kill $(cat /run/climber); mv /run/away {RAILS}")
    assert " ".join(board.root("cat /run/seen").split()) == "NV Power Mode: 15W 0 performance 1500000"
    after = " ".join(board.root(settings).split())
    assert after == " ".join(before.split()) == "NV Power Mode: MAXN_SUPER 2 schedutil 600000"

    whole, broken = launches(edgebench, "energy")
    seconds = np.array(whole["power"]["t_ns"]) / 1e9
    watts = np.array(whole["power"]["watts"]["VDD_IN"])
    assert len(set(watts)) > 3
    assert set(watts.round(6)) <= {round(5.048 * (1.0 + 0.01 * step), 6) for step in range(10)}
    begin, end = whole["window"]["begun_ns"] / 1e9, whole["window"]["ended_ns"] / 1e9
    times = [begin, *seconds[(seconds > begin) & (seconds < end)], end]
    joules = np.trapezoid(np.interp(times, seconds, watts), times)
    millijoules = joules / len(whole["samples_ns"]) * 1000
    assert row["metrics"]["energy_mj"]["value"] == pytest.approx(millijoules, rel=1e-6)
    assert None in broken["power"]["watts"]["VDD_IN"] or broken["power"]["reason"]
    assert row["metrics"]["latency_p50_ns"]["value"] > 0


def test_a_mode_that_this_board_does_not_have(edgebench: Edgebench, board: EmulatedBoard) -> None:
    run = [*RUN, NAME, "--condition", "mode=40W,governor=performance"]
    edgebench.refuses(*run, status=DEVICE, says=["no power mode '40W'; it has 15W"], own_process=True)
    assert board.root(f"cat {POLICY}/scaling_governor") == "schedutil\n"
