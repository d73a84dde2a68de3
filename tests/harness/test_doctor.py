"""What the doctor says of a board's throttle word, quota and rails, read from file trees of boards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support import board_trees

from edgebench.agent import fingerprint
from edgebench.agent.sensors.telemetry import Telemetry
from edgebench.devices import connect, probe_board, resolve_device
from edgebench.harness.checks.doctor import held_down, power, same_board


@pytest.mark.parametrize(("throttled", "status"), [("0x0", "ok"), ("0x50005", "warn"), ("0x50000", "warn")])
def test_the_throttle_word(tmp_path: Path, throttled: str, status: str) -> None:
    state = Telemetry(str(board_trees.pi(tmp_path, throttled=throttled))).take_between()["state"]
    (check,) = held_down(state)
    assert (check.name, check.status, check.found) == ("throttling", status, f"throttled={throttled}")
    assert bool(check.advice) == (status == "warn")


def test_a_user_outside_of_the_group_video(tmp_path: Path) -> None:
    root = board_trees.pi(tmp_path)
    board_trees.program(root, "usr/bin/vcgencmd", "#!/bin/sh\necho 'VCHI initialization failed'\n")
    (check,) = held_down(Telemetry(str(root)).take_between()["state"])
    assert check.status == "warn"
    assert "VCHI" in check.found and "video" in check.advice


def test_a_quota_is_said_and_a_board_without_either_has_no_line(tmp_path: Path) -> None:
    assert list(held_down(Telemetry(str(tmp_path)).take_between()["state"])) == []
    group = {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/cpu.max": "50000 100000\n",
        "sys/fs/cgroup/cpu.stat": "nr_throttled 0\nthrottled_usec 0\n",
    }
    board_trees.write(tmp_path, group)
    (check,) = held_down(Telemetry(str(tmp_path)).take_between()["state"])
    assert (check.status, check.found) == ("warn", "0.5 processors")


def test_another_board_than_the_entry_was_written_for() -> None:
    device = resolve_device("local")
    facts = probe_board(connect(device))
    assert list(same_board(device, facts)) == []
    (check,) = same_board(replace(device, board_sha256=facts.board_sha256), facts)
    assert check.status == "ok"
    (check,) = same_board(replace(device, board_sha256="0" * 64), facts)
    assert check.status == "warn" and "devices add local --replace" in check.advice


def test_the_rails_that_energy_is_measured_by(tmp_path: Path) -> None:
    (check,) = power(fingerprint.hardware(str(board_trees.orin_nano(tmp_path / "orin"))))
    assert check.found == "ina3221: VDD_CPU_GPU_CV, VDD_IN, VDD_SOC" and "--energy" in check.advice
    (check,) = power(fingerprint.hardware(str(board_trees.pi(tmp_path / "pi"))))
    assert check.status == "ok" and "Command not registered" in check.found and "--meter" in check.advice
