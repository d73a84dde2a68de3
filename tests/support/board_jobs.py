"""What a test asks of a run on an emulated board."""

from __future__ import annotations

import json
from typing import Any

from support.cli import Edgebench

# The codes that speak of the board's state. Others, such as UNSTABLE, an emulator earns at any time.
STATE_CODES = {"THROTTLED", "UNDERVOLT", "FREQ_DRIFT", "GOV_CHANGED", "MODE_CHANGED", "HOT_START", "QUOTA"}
JOB_S = 900.0


def records(edgebench: Edgebench, *words: str) -> list[dict[str, Any]]:
    """The records of a run that ends well."""
    result = edgebench("run", "--offline", "--json", *words, timeout_s=JOB_S)
    assert result.returncode == 0, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)["records"]
    return found


def state_codes(edgebench: Edgebench, device: str, *words: str) -> set[str]:
    """Measure a small model, and return what its verdict says of the board's state."""
    run = ("--device", device, "--suite", "state.toml", "--model", "my.onnx", *words)
    row = next(row for row in records(edgebench, *run) if row["artifact"] == "my")
    return STATE_CODES & set(row["verdict"]["codes"])


def launches(edgebench: Edgebench) -> list[dict[str, Any]]:
    """Every launch in the store, as the board told of it."""
    lines = map(json.loads, (edgebench.store / "records.jsonl").read_text().splitlines())
    return [line["trial"] for line in lines if line["kind"] == "trial"]
