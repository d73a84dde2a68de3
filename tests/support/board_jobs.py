"""What a test asks of a run on an emulated board."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from support.cli import Edgebench

# The codes that speak of the board's state. Others, such as UNSTABLE, an emulator earns at any time.
STATE_CODES = {"THROTTLED", "UNDERVOLT", "FREQ_DRIFT", "GOV_CHANGED", "MODE_CHANGED", "HOT_START", "QUOTA"}
JOB_S = 900.0
DEVICE = 5
MIXED, TERNARY = "wav2small.packed_mixed_int8", "wav2small.packed_ternary_int8"
# The most by which an output of the packaged int8 files differs from the host's fp32 answer.
MOST_OFF = 0.2
# Of a small model; the device's name follows.
RUN = ("run", "--offline", "--suite", "state.toml", "--model", "my.onnx", "--device")


def records(edgebench: Edgebench, *words: str) -> list[dict[str, Any]]:
    """The records of a run that ends well."""
    result = edgebench("run", "--offline", "--json", *words, timeout_s=JOB_S)
    assert result.returncode == 0, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)["records"]
    return found


def main_job(edgebench: Edgebench, device: str, speech: Sequence[str], models: Sequence[str]) -> None:
    """Offline wheels, a private environment, then cost and accuracy by the board's own int8 kernels, and no
    code that speaks of the board's state.

    The fp32 file would take the emulator minutes: the host's answers with it are what parity is held against.
    """
    words = [word for name in models for word in ("--model", name)]
    rows = records(edgebench, "--device", device, "--suite", "job.toml", *words, *speech)
    assert {row["artifact"] for row in rows} == {*models, "null"}
    assert {row["scenario"] for row in rows} == {"single_stream", *(["offline"] if speech else [])}
    for row in rows:
        assert not STATE_CODES & set(row["verdict"]["codes"]), row["verdict"]
        if row["artifact"] == "null":
            continue
        assert row["metrics"]["parity_max_abs"]["value"] < MOST_OFF
        if row["scenario"] == "offline":
            # Chance is a quarter.
            assert row["metrics"]["ua"]["value"] > 0.35, row["metrics"]["ua"]


def state_codes(edgebench: Edgebench, device: str, *words: str, launches: int = 1) -> list[set[str]]:
    """Measure a small model; what the verdict on each launch says of the board's state, in their order.

    Each launch is a condition of its own, with an input length of its own, and so has a verdict of its own.
    """
    lengths = [word for number in range(launches) for word in ("--input-s", f"{1 + number / 10:g}")]
    run = ("--device", device, "--suite", "state.toml", "--model", "my.onnx", *lengths, *words)
    codes = {row["input_s"]: STATE_CODES & set(row["verdict"]["codes"]) for row in records(edgebench, *run)}
    lines = map(json.loads, (edgebench.store / "records.jsonl").read_text().splitlines())
    order = [line["condition"]["input_s"] for line in lines if line["kind"] == "trial"]
    return [codes[length] for length in order[-launches:]]


def launches(edgebench: Edgebench, kind: str = "trial") -> list[dict[str, Any]]:
    """Every launch in the store of the kind ``trial`` or ``energy``, as the board told of it."""
    lines = map(json.loads, (edgebench.store / "records.jsonl").read_text().splitlines())
    return [line["trial"] for line in lines if line["kind"] == kind]
