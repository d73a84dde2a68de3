"""Names and files that are not what the user thinks: devices, suites, inventories, runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cli import Edgebench
from support.speech_models import small_model

USAGE, DEVICE = 2, 5


def test_a_condition_that_this_machine_cannot_be_brought_into(edgebench: Edgebench, tmp_path: Path) -> None:
    """A governor that no kernel has: refused by the board's agent, with nothing changed or stored."""
    model = str(small_model(tmp_path / "my.onnx"))
    run = ["run", "--suite", "quick.toml", "--model", model, "--condition"]
    edgebench.refuses(*run, "governor=turbo", status=DEVICE, says=["governor", "'turbo'"])
    edgebench.refuses("doctor", "--fix", "--condition", "governor=turbo", status=DEVICE, says=["'turbo'"])
    edgebench.refuses(*run, "turbo", status=USAGE, says=["--condition", "NAME=VALUE"])


@pytest.mark.parametrize("command", [["run"], ["doctor"]])
def test_unknown_device_names_the_nearest(edgebench: Edgebench, command: list[str]) -> None:
    edgebench.refuses(*command, "--device", "rpi44", status=USAGE, says=["rpi44", "rpi4"])


def test_unknown_key_in_a_suite(edgebench: Edgebench, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('name = "x"\nlaunchez = 2\n')
    edgebench.refuses("run", "--suite", "bad.toml", status=USAGE, says=["launchez", "launches"])


def test_unknown_key_in_the_inventory(edgebench: Edgebench, tmp_path: Path) -> None:
    (tmp_path / "inventory.toml").write_text('[devices.attic]\nprofile = "rpi4"\nhots = "10.0.0.9"\n')
    edgebench.refuses("devices", status=USAGE, says=["hots", "host"])


def test_a_password_in_the_inventory_is_refused(edgebench: Edgebench, tmp_path: Path) -> None:
    (tmp_path / "inventory.toml").write_text('[devices.attic]\nhost = "10.0.0.9"\npassword = "raspberry"\n')
    said = edgebench.refuses("devices", status=USAGE, says=["password"])
    assert "raspberry" not in said


@pytest.mark.parametrize("arguments", [["report", "last"], ["compare", "last", "last"]])
def test_an_empty_store(edgebench: Edgebench, arguments: list[str]) -> None:
    edgebench.refuses(*arguments, status=USAGE, says=["no run yet", "edgebench run"])


def test_unknown_option_is_a_usage_error(edgebench: Edgebench) -> None:
    result = edgebench("run", "--devise", "local")
    assert result.returncode == USAGE
    assert "Traceback" not in result.stderr
    assert "--device" in result.stderr


@pytest.mark.parametrize("value", ["--launches=0", "--threads=0", "--input-s=-1", "--level=slow"])
def test_values_out_of_range(edgebench: Edgebench, value: str) -> None:
    edgebench.refuses("run", value, status=USAGE, says=["suite"])


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("arema=off", ["arena"]),
        ("arena=perhaps", ["on or off"]),
        ("arena", ["on or off"]),
        ("graph_level=most", ["graph_level", "extended"]),
    ],
)
def test_a_setting_that_no_runtime_has(edgebench: Edgebench, value: str, says: list[str]) -> None:
    edgebench.refuses("run", "--runtime-option", value, status=USAGE, says=says)


def test_a_folder_that_cannot_be_written(edgebench: Edgebench, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    edgebench.refuses("report", "--store", str(blocked), status=7, says=["file"])
