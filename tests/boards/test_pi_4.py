"""The main job on an emulated Raspberry Pi 4, and what verdicts say of the board's state."""

from __future__ import annotations

import json

import pytest
from support import board_kinds
from support.board_jobs import DEVICE, RUN, main_job, state_codes
from support.cli import Edgebench
from support.emulated_board import EmulatedBoard

pytestmark = [pytest.mark.board, pytest.mark.timeout(900)]

KIND = board_kinds.PI_4
POLICY = "/sys/devices/system/cpu/cpufreq/policy0"
TEMPERATURE = "/sys/class/thermal/thermal_zone0/temp"


def test_from_wheels_to_accuracy(edgebench: Edgebench, speech: list[str]) -> None:
    main_job(edgebench, "rpi4", *speech)


def test_throttled_from_the_start(edgebench: Edgebench, board: EmulatedBoard) -> None:
    board.write("/run/throttled", "throttled=0x50005\n")
    assert state_codes(edgebench, "rpi4") == {"THROTTLED", "UNDERVOLT"}


def test_throttled_in_a_launch(edgebench: Edgebench, board: EmulatedBoard) -> None:
    """It came and went: only the sticky bit tells."""
    board.during_a_launch("echo throttled=0x40000 > /run/throttled")
    assert state_codes(edgebench, "rpi4") == {"THROTTLED"}


def test_a_governor_that_changes_in_a_launch(edgebench: Edgebench, board: EmulatedBoard) -> None:
    board.during_a_launch(f"echo powersave > {POLICY}/scaling_governor")
    assert state_codes(edgebench, "rpi4") == {"GOV_CHANGED"}


def test_a_hot_start(edgebench: Edgebench, board: EmulatedBoard) -> None:
    board.write(TEMPERATURE, "81000\n")
    assert state_codes(edgebench, "rpi4") == {"HOT_START"}


def test_the_governor_of_a_run_is_put_back(edgebench: Edgebench, board: EmulatedBoard) -> None:
    """Set by sudo for the user, who may not write the file."""
    board.during_a_launch(f"cp {POLICY}/scaling_governor /run/seen")
    assert state_codes(edgebench, "rpi4", "--condition", "governor=ondemand") == set()
    assert board.root("cat /run/seen") == "ondemand\n"
    assert board.root(f"cat {POLICY}/scaling_governor") == "performance\n"


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("governor=turbo", "no governor 'turbo'; it has conservative, ondemand"),
        ("mode=MAXN", "no power mode 'MAXN'"),
    ],
)
def test_a_state_that_this_board_does_not_have(
    edgebench: Edgebench, board: EmulatedBoard, condition: str, says: str
) -> None:
    edgebench.refuses(*RUN, "rpi4", "--condition", condition, status=DEVICE, says=[says], own_process=True)
    assert board.root(f"cat {POLICY}/scaling_governor") == "performance\n"


def test_no_sudo(edgebench: Edgebench, board: EmulatedBoard) -> None:
    """The clock could be held by the user, the governor could not: neither is."""
    board.root(f"mv /etc/sudoers.d/pi /run/sudoers-pi; chmod 666 {POLICY}/scaling_min_freq")
    try:
        run = [*RUN, "rpi4", "--condition", "governor=powersave,clocks=max"]
        edgebench.refuses(*run, status=DEVICE, says=["sudo", "visudo"], own_process=True)
    finally:
        board.root("mv /run/sudoers-pi /etc/sudoers.d/pi")
    assert board.root(f"cat {POLICY}/scaling_governor {POLICY}/scaling_min_freq") == "performance\n600000\n"


def test_an_entry_of_its_own_and_folders_that_do_not_do(edgebench: Edgebench, board: EmulatedBoard) -> None:
    """Written by looking at the board; then with a folder that is full, read-only, or somebody else's."""
    add = ["devices", "add", "desk", "--host", "rpi4", "--json"]
    found = json.loads(edgebench(*add).stdout)
    assert found["entry"]["profile"] == "rpi4"
    assert found["facts"]["device_tree_model"].startswith("Raspberry Pi 4 Model B")
    board.root("mkdir -p /mnt/small && mount -t tmpfs -o size=24m,mode=777 small /mnt/small")
    in_folder = [*add, "--replace", "--folder"]
    assert edgebench(*in_folder, "/mnt/small/edgebench").returncode == 0
    says = ["MB are free there (nothing was sent)"]
    edgebench.refuses(*RUN, "desk", status=DEVICE, says=says, own_process=True)
    board.root("mount -o remount,ro /mnt/small")
    for folder, owned in (("/mnt/small/edgebench", "read-only"), ("/opt/edgebench", "user pi cannot write")):
        edgebench.refuses(*in_folder, folder, status=DEVICE, says=[owned], own_process=True)
