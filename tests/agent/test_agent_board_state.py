"""What a board tells of its own state, read from file trees of boards and from their programs."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from agent_board import trial
from support import board_trees

from edgebench.agent import blobs, fingerprint, supervisor
from edgebench.agent.sensors import cgroup, jetson, load, programs, raspberry, thermal
from edgebench.agent.sensors.rails import Rails
from edgebench.agent.sensors.telemetry import Telemetry


def test_a_raspberry_pi_tells_throttling_and_its_true_clock_between_trials(tmp_path: Path) -> None:
    root = board_trees.pi(tmp_path, throttled="0x50005", hz=600_117_184)
    readings = Telemetry(str(root))
    taken = readings.take_between()
    assert taken["state"]["throttled"] == 0x50005
    assert taken["state"]["firmware_hz"] == 600_117_184
    assert taken["state"]["kernel_hz"] == 1_500_000_000
    assert taken["limits_hz"] == {"policy0": [600_000_000, 1_500_000_000]}
    assert taken["undervolt"] is False
    assert taken["state"]["unknown"] == {}
    board_trees.write(root, {"sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n"})
    assert readings.take()["undervolt"] is True


def test_a_device_tree_without_its_link_in_proc_is_found_below_sys(tmp_path: Path) -> None:
    """As the host's probe finds it: both must take the machine for the same board."""
    root = board_trees.pi(tmp_path, throttled="0x4")
    (root / "sys/firmware/devicetree").mkdir(parents=True)
    (root / "proc/device-tree").rename(root / "sys/firmware/devicetree/base")
    assert fingerprint.hardware(str(root))["compatible"] == ["raspberrypi,4-model-b", "brcm,bcm2711"]
    assert Telemetry(str(root)).take_between()["state"]["throttled"] == 0x4


def test_no_program_is_called_while_a_trial_runs(tmp_path: Path) -> None:
    root = board_trees.pi(tmp_path)
    board_trees.program(root, "usr/bin/vcgencmd", "#!/bin/sh\necho called >> {root}/run/calls\n")
    readings = Telemetry(str(root))
    readings.take()
    assert not (root / "run/calls").exists()
    readings.take_between()
    assert (root / "run/calls").exists()


def test_the_rails_of_a_pi_5(tmp_path: Path) -> None:
    found = Telemetry(str(board_trees.pi(tmp_path, model="5"))).take_between()["state"]["pmic"]
    assert found["VDD_CORE"] == {
        "voltage_v": 0.8936988,
        "current_a": 1.43652,
        "power_w": pytest.approx(0.8936988 * 1.43652),
    }
    assert found["EXT5V"] == {"voltage_v": 4.9245}  # no current is measured there
    assert Telemetry(str(board_trees.pi(tmp_path / "4"))).take_between()["state"]["pmic"] is None


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("#!/bin/sh\necho 'VCHI initialization failed'\n", "VCHI initialization failed"),
        ("#!/bin/sh\necho 'error=1 error_msg=\"Command not registered\"'\n", "not registered"),
        ("#!/bin/sh\nexit 3\n", "status 3"),
        ("not a program", "cannot be run"),
    ],
)
def test_a_program_that_fails_is_no_reading(tmp_path: Path, script: str, why: str) -> None:
    """These programs print their errors on standard output, some with exit status 0."""
    root = board_trees.pi(tmp_path)
    board_trees.program(root, "usr/bin/vcgencmd", script)
    state = Telemetry(str(root)).take_between()["state"]
    assert "throttled" not in state
    assert "firmware_hz" not in state
    assert why in state["unknown"]["throttled"]


def test_a_pi_without_vcgencmd_says_so(tmp_path: Path) -> None:
    root = board_trees.pi(tmp_path)
    (root / "usr/bin/vcgencmd").unlink()
    state = Telemetry(str(root)).take_between()["state"]
    assert "throttled" not in state
    assert "not installed" in state["unknown"]["throttled"]


def test_a_program_that_hangs_is_left_alone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "LIMIT_S", 0.2)
    board_trees.program(tmp_path, "usr/bin/vcgencmd", "#!/bin/sh\necho x >> {root}/calls\nexec sleep 60\n")
    asked = programs.Programs(str(tmp_path))
    before = time.monotonic()
    for _ in range(2):
        value, why = asked.ask(raspberry.VCGENCMD, ["get_throttled"], raspberry.throttle_word)
        assert value is None and why is not None and "did not answer" in why
    assert time.monotonic() - before < 30
    assert (tmp_path / "calls").read_text() == "x\n"


def test_a_jetson_tells_rails_mode_gpu_and_release(tmp_path: Path) -> None:
    root = board_trees.orin_nano(tmp_path)
    taken = Telemetry(str(root)).take_between()
    assert taken["rails"]["VDD_IN"] == {"voltage_v": 5.048, "current_a": 1.032, "power_w": 5.209536}
    assert list(taken["rails"]) == ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]
    assert taken["gpu"] == {"freq_hz": 306e6, "min_hz": 306e6, "max_hz": 624.75e6, "load": 0.125}
    assert taken["cooling"] == {"cpufreq-cpu0": 0}  # a fan that turns holds nothing down
    assert taken["state"]["power_mode"] == {"name": "MAXN_SUPER", "id": "2"}
    assert taken["state"]["clocks_locked"] is False
    assert taken["state"]["throttle_counts"] == {"oc1": 0, "oc2": 0, "oc3": 0}
    found = fingerprint.hardware(str(root))
    assert (found["l4t"], found["power_mode"]["name"]) == ("36.4.7", "MAXN_SUPER")
    assert found["throttle_trip_c"] == 99.0


def test_jetson_clocks_sets_the_lowest_clock_to_the_highest(tmp_path: Path) -> None:
    root = board_trees.orin_nano(tmp_path)
    policy = "sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq"
    board_trees.write(root, {policy: "1500000\n"})
    assert jetson.clocks_locked(str(root)) is False  # the GPU still moves
    board_trees.write(root, {"sys/class/devfreq/17000000.gpu/min_freq": "624750000\n"})
    assert jetson.clocks_locked(str(root)) is True
    assert jetson.clocks_locked(str(tmp_path / "nothing")) is None


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("NV Power Mode: 15W\n0", {"name": "15W", "id": "0"}),
        ("NVPM WARN: fan mode is not set!\nNV Power Mode: 30W_ALL\n3", {"name": "30W_ALL", "id": "3"}),
        ("NV Power Mode: MAXN", {"name": "MAXN", "id": None}),
        ("NVPM ERROR: Error opening /var/lib/nvpmodel/status: 13", None),
    ],
)  # fmt: skip
def test_power_modes_by_name(text: str, mode: object) -> None:
    assert jetson.mode_of(text) == mode


def test_the_rails_of_jetpack_4_and_of_two_chips(tmp_path: Path) -> None:
    chip = "sys/bus/i2c/devices/6-0040"
    device = chip + "/iio:device0"
    board_trees.write(
        tmp_path,
        {
            f"{chip}/name": "ina3221x\n",
            f"{device}/rail_name_0": "POM_5V_IN\n",
            f"{device}/in_voltage0_input": "5112\n",
            f"{device}/in_current0_input": "496\n",
            f"{device}/in_power0_input": "2545\n",
            f"{device}/rail_name_1": "NC\n",
            "sys/bus/i2c/devices/1-0041/name": "ina3221\n",
            "sys/bus/i2c/devices/1-0041/hwmon/hwmon5/in1_label": "VIN_SYS_5V0\n",
            "sys/bus/i2c/devices/1-0041/hwmon/hwmon5/in1_input": "5000\n",
            "sys/bus/i2c/devices/1-0041/hwmon/hwmon5/curr1_input": "400\n",
            "sys/bus/i2c/devices/1-0041/hwmon/hwmon5/in2_label": "OFF\n",
            "sys/bus/i2c/devices/1-0041/hwmon/hwmon5/in2_enable": "0\n",
            "sys/bus/i2c/devices/1-0050/name": "24c02\n",
        },
    )
    rails = Rails(str(tmp_path))
    assert rails.take() == {
        "VIN_SYS_5V0": {"voltage_v": 5.0, "current_a": 0.4, "power_w": 2.0},
        "POM_5V_IN": {"voltage_v": 5.112, "current_a": 0.496, "power_w": 2.545},
    }
    (tmp_path / f"{device}/in_power0_input").unlink()
    (tmp_path / "sys/bus/i2c/devices/1-0041/hwmon/hwmon5/in1_input").unlink()
    (tmp_path / "sys/bus/i2c/devices/1-0041/hwmon/hwmon5/curr1_input").unlink()
    assert rails.take() == {"POM_5V_IN": {"voltage_v": 5.112, "current_a": 0.496, "power_w": 2.535552}}


def test_sixteen_boards_of_one_kind_are_told_apart(tmp_path: Path) -> None:
    found = []
    for n in range(16):
        root = board_trees.pi(tmp_path / str(n))
        serial = f"10000000abcdef{n:02x}"
        same = {"etc/machine-id": "0123456789abcdef0123456789abcdef\n"}  # all written from one image
        board_trees.write(root, {"proc/device-tree/serial-number": serial + "\0", **same})
        found.append(fingerprint.hardware(str(root)))
        assert serial not in str(found[-1])
    assert len({one["board_sha256"] for one in found}) == 16
    assert found[0]["board_sha256"] == hashlib.sha256(b"edgebench board 10000000abcdef00").hexdigest()
    assert found[0]["firmware"] == "Jan  5 2023 10:46:54, 8ba17717fbce"
    board_trees.write(tmp_path / "0", {"proc/device-tree/serial-number": "0000000000000000\0"})
    assert fingerprint.hardware(str(tmp_path / "0"))["board_id_source"] == "/etc/machine-id"


def test_quota_of_cgroup_version_2_over_all_levels(tmp_path: Path) -> None:
    base = "sys/fs/cgroup"
    board_trees.write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/user.slice/session-3.scope\n",
            f"{base}/cpu.stat": "usage_usec 7\nuser_usec 5\nsystem_usec 2\n",  # the top counts none
            f"{base}/user.slice/cpu.max": "150000 100000\n",
            f"{base}/user.slice/cpu.stat": "usage_usec 7\nnr_periods 9\nnr_throttled 3\nthrottled_usec 400\n",
            f"{base}/user.slice/session-3.scope/cpu.max": "50000 100000\n",
            f"{base}/user.slice/session-3.scope/cpu.stat": "nr_throttled 20\nthrottled_usec 1600\n",
        },
    )
    found = cgroup.quota(str(tmp_path))
    assert found == {"quota_cpus": 0.5, "nr_throttled": 23, "throttled_ns": 2_000_000}


def test_quota_of_cgroup_version_1_and_inside_a_container(tmp_path: Path) -> None:
    base = "sys/fs/cgroup/cpu,cpuacct"
    board_trees.write(
        tmp_path,
        {
            "proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/\n",
            f"{base}/cpu.cfs_quota_us": "25000\n",
            f"{base}/cpu.cfs_period_us": "100000\n",
            f"{base}/cpu.stat": "nr_periods 5\nnr_throttled 2\nthrottled_time 70000000\n",
        },
    )
    found = cgroup.quota(str(tmp_path))
    assert found == {"quota_cpus": 0.25, "nr_throttled": 2, "throttled_ns": 70_000_000}
    board_trees.write(tmp_path, {f"{base}/cpu.cfs_quota_us": "-1\n"})
    unlimited = cgroup.quota(str(tmp_path))
    assert unlimited is not None and unlimited["quota_cpus"] is None
    assert cgroup.quota(str(tmp_path / "nothing")) is None


def test_pressure_counts_by_resource(tmp_path: Path) -> None:
    line = "{} avg10=0.00 avg60=0.12 avg300=0.05 total={}\n"
    board_trees.write(
        tmp_path,
        {
            "proc/pressure/cpu": line.format("some", 1234),
            "proc/pressure/memory": line.format("some", 20) + line.format("full", 10),
        },
    )
    found = load.pressure_us(str(tmp_path))
    assert found == {"cpu.some": 1234, "memory.some": 20, "memory.full": 10}


def test_heat_counters_of_a_pc(tmp_path: Path) -> None:
    cpu = "sys/devices/system/cpu"
    board_trees.write(
        tmp_path,
        {
            f"{cpu}/cpu{n}/thermal_throttle/{kind}_throttle_count": f"{count}\n"
            for n, kind, count in [(0, "core", 2), (1, "core", 3), (0, "package", 7), (1, "package", 7)]
        },
    )
    assert thermal.throttle_counts(str(tmp_path)) == {"core": 5, "package": 7}


def test_a_trial_carries_the_boards_state_before_and_after_it(tmp_path: Path) -> None:
    """One real trial of the null runtime, on a board that turns throttled while it runs."""
    root = board_trees.pi(tmp_path / "board")
    counted = "#!/bin/sh\necho $1 >> {root}/run/calls\n" + board_trees.VCGENCMD.partition("\n")[2]
    board_trees.program(root, "usr/bin/vcgencmd", counted)
    plan = {"root": str(tmp_path), "telemetry_hz": 20.0}
    one = {**trial(None), "python": sys.executable, "min_duration_s": 0.6, "max_count": 10_000_000}
    change = threading.Timer(0.5, board_trees.write, [root, {"run/throttled": "throttled=0x40000\n"}])
    never, _ = os.pipe()
    allowed = os.sched_getaffinity(0)
    try:
        change.start()
        files = blobs.Blobs(str(tmp_path))
        readings = Telemetry(str(root))
        record = supervisor.run_trial(plan, one, str(tmp_path), store=files, readings=readings, stop_fd=never)
    finally:
        change.join()
        os.sched_setaffinity(0, allowed)
    assert record["error"] is None
    told = record["telemetry"]
    assert told["before"]["state"]["throttled"] == 0
    assert told["after"]["state"]["throttled"] == 0x40000
    assert len(told["series"]) > 2 and not any("state" in point for point in told["series"])
    between = ["get_throttled", "measure_clock", "pmic_read_adc"]
    assert (root / "run/calls").read_text().split() == between * 2


def test_a_board_without_any_of_it(tmp_path: Path) -> None:
    taken = Telemetry(str(tmp_path)).take_between()
    assert taken["rails"] == taken["cooling"] == taken["limits_hz"] == {}
    assert taken["state"]["throttle_counts"] == taken["state"]["pressure_us"] == {}
    assert taken["state"]["quota"] is None and taken["state"]["unknown"] == {}
    found = fingerprint.hardware(str(tmp_path))
    assert found["board_sha256"] is None and found["firmware"] is None and "l4t" not in found
