"""The kinds of board that are emulated: processor, device tree and files, with programs that can be told."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support import board_trees

PROCESSORS = 2
CPU = "sys/devices/system/cpu"

MODES = """\
< POWER_MODEL ID=0 NAME=15W >
< POWER_MODEL ID=1 NAME=25W >
< POWER_MODEL ID=2 NAME=MAXN_SUPER >
"""
# Only root can write the mode, as on the real board.
NVPMODEL = """\
#!/bin/sh
case $1 in
-q) id=$(cat /run/mode)
  name=$(sed -n "s/.* ID=$id NAME=\\\\([^ ]*\\\\) .*/\\\\1/p" /etc/nvpmodel.conf)
  printf 'NV Power Mode: %s\\n%s\\n' "$name" "$id" ;;
-m) echo "$2" > /run/mode ;;
esac
"""


@dataclass(frozen=True)
class Kind:
    """A kind of board: the device name that edgebench has for it, its processor, and its files."""

    name: str
    processor: str
    """As QEMU calls it. Of the Orin's Cortex-A78AE, QEMU 7.2 knows the forerunner alone."""
    tree: Callable[[Path], Path]


def _pi(root: Path, model: str) -> Path:
    board_trees.pi(root, model=model, at="")
    return _one_policy(root, "conservative ondemand userspace powersave performance schedutil")


def _orin_nano(root: Path) -> Path:
    board_trees.orin_nano(root)
    board_trees.write(root, {"etc/nvpmodel.conf": MODES, "run/mode": "2\n"})
    board_trees.program(root, "usr/sbin/nvpmodel", NVPMODEL.replace("{", "{{").replace("}", "}}"))
    return _one_policy(root, "schedutil performance")


def _one_policy(root: Path, governors: str) -> Path:
    """One clock for all processors, as on these boards: each processor's cpufreq is a link to the policy."""
    policy = root / CPU / "cpufreq/policy0"
    for name in ("scaling_cur_freq", "scaling_governor"):
        shutil.copy(root / CPU / "cpu0/cpufreq" / name, policy)
    board_trees.write(policy, {"scaling_available_governors": governors + "\n"})
    for folder in (root / CPU).glob("cpu[0-9]*"):
        shutil.rmtree(folder)
    for number in range(PROCESSORS):
        link = root / CPU / f"cpu{number}/cpufreq"
        link.parent.mkdir()
        link.symlink_to("../cpufreq/policy0")
    return root


PI_4 = Kind("rpi4", "cortex-a72", lambda root: _pi(root, "4"))
PI_5 = Kind("rpi5", "cortex-a76", lambda root: _pi(root, "5"))
ORIN_NANO = Kind("jetson_orin_nano", "cortex-a76", _orin_nano)
