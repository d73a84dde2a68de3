"""The main job on an emulated Raspberry Pi 4, and what its verdicts say of the board's state."""

from __future__ import annotations

import pytest
from support import board_kinds
from support.board_jobs import records, state_codes
from support.cli import Edgebench
from support.emulated_board import EmulatedBoard

pytestmark = [pytest.mark.board, pytest.mark.timeout(900)]

KIND = board_kinds.PI_4
CPU = "/sys/devices/system/cpu"
INT8 = ("wav2small.packed_mixed_int8", "wav2small.packed_ternary_int8")


def test_main_job_from_wheels_to_accuracy(
    edgebench: Edgebench, board: EmulatedBoard, speech: list[str]
) -> None:
    """Offline wheels, a private environment, then cost and accuracy by the board's own int8 kernels."""
    rows = records(edgebench, "--device", "rpi4", "--suite", "job.toml", *speech)
    assert {row["artifact"] for row in rows} == {"wav2small.fp32", *INT8, "null"}
    assert all(row["device"] == "rpi4" for row in rows)
    scored = {row["artifact"]: row for row in rows if row["scenario"] == "offline"}
    for name, row in scored.items():
        # Chance is a quarter.
        assert row["metrics"]["ua"]["value"] > 0.35, (name, row["metrics"]["ua"])
        assert row["metrics"]["parity_max_abs"]["value"] < (1e-4 if name.endswith("fp32") else 0.5), name
    codes = {code for row in rows for code in row["verdict"]["codes"]}
    assert not codes & {"THROTTLED", "UNDERVOLT", "FREQ_DRIFT", "GOV_CHANGED", "HOT_START"}


def test_throttled_from_the_start(edgebench: Edgebench, board: EmulatedBoard) -> None:
    board.write("/run/throttled", "throttled=0x50005\n")
    assert state_codes(edgebench, "rpi4") == {"THROTTLED", "UNDERVOLT"}
