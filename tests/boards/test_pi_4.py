"""The main job on an emulated Raspberry Pi 4, what verdicts say of its state, and what a user gets wrong."""

from __future__ import annotations

import json

import pytest
from support import board_kinds
from support.board_jobs import DEVICE, MIXED, RUN, main_job, state_codes
from support.cli import Edgebench
from support.emulated_board import EmulatedBoard

pytestmark = [pytest.mark.board, pytest.mark.timeout(900)]

KIND = board_kinds.PI_4
POLICY = "/sys/devices/system/cpu/cpufreq/policy0"
TEMPERATURE = "/sys/class/thermal/thermal_zone0/temp"


def test_from_wheels_to_accuracy(edgebench: Edgebench, speech: list[str]) -> None:
    main_job(edgebench, "rpi4", speech, [MIXED])


def test_throttled_and_hot_from_the_start(edgebench: Edgebench, board: EmulatedBoard) -> None:
    board.write("/run/throttled", "throttled=0x50005\n")
    board.write(TEMPERATURE, "81000\n")
    assert state_codes(edgebench, "rpi4") == [{"THROTTLED", "UNDERVOLT", "HOT_START"}]


def test_what_happens_in_a_launch_is_said_of_that_launch(edgebench: Edgebench, board: EmulatedBoard) -> None:
    """Nothing; a governor that changes for some seconds; a throttling of which only the sticky bit tells."""
    governor = f"{POLICY}/scaling_governor"
    changed = f"echo powersave > {governor}; sleep 5; echo performance > {governor}"
    board.in_launches(":", changed, "echo throttled=0x40000 > /run/throttled")
    assert state_codes(edgebench, "rpi4", launches=3) == [set(), {"GOV_CHANGED"}, {"THROTTLED"}]


def test_without_sudo_nothing_is_changed(edgebench: Edgebench, board: EmulatedBoard) -> None:
    """The user may hold the clock, and not set the governor."""
    board.root(f"mv /etc/sudoers.d/pi /run/sudoers-pi; chmod 666 {POLICY}/scaling_min_freq")
    try:
        run = [*RUN, "rpi4", "--condition", "governor=powersave,clocks=max"]
        edgebench.refuses(*run, status=DEVICE, says=["sudo", "visudo"], own_process=True)
    finally:
        board.root("mv /run/sudoers-pi /etc/sudoers.d/pi")
    assert board.root(f"cat {POLICY}/scaling_governor {POLICY}/scaling_min_freq") == "performance\n600000\n"


def test_a_governor_that_this_board_does_not_have(edgebench: Edgebench, board: EmulatedBoard) -> None:
    run = [*RUN, "rpi4", "--condition", "governor=turbo"]
    says = ["no governor 'turbo'; it has conservative, ondemand"]
    edgebench.refuses(*run, status=DEVICE, says=says, own_process=True)
    assert board.root(f"cat {POLICY}/scaling_governor") == "performance\n"


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
