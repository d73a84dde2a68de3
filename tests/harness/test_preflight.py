"""What cannot work is refused before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.speech_models import small_model

from edgebench.devices import resolve_device
from edgebench.errors import BoardUnfit, ModelError
from edgebench.harness.checks.preflight import (
    check_models,
    require_profile,
    start_limit_c,
    usable_runtimes,
)
from edgebench.models import load_artifact, packaged_artifacts
from edgebench.results import Fingerprint


def fingerprint(version: str = "1.19.2", error: dict[str, Any] | None = None) -> dict[str, Any]:
    runtime = {"name": "onnxruntime", "version": version, "error": error}
    return {"runtimes": {"onnxruntime": runtime}, "cpu_model": "Cortex-A72"}


def test_packaged_models_load_on_the_oldest_runtime_we_deploy() -> None:
    check_models([load_artifact(key) for key in packaged_artifacts()], fingerprint("1.19.2"), "rpi3")


@pytest.mark.parametrize(
    ("version", "opset", "ir_version"),
    [("1.19.2", 22, 10), ("1.19.2", 21, 11), ("1.23.2", 24, 11), ("1.31.1", 27, 13)],
)
def test_a_model_too_new_for_the_boards_runtime(
    tmp_path: Path, version: str, opset: int, ir_version: int
) -> None:
    model = load_artifact(small_model(tmp_path / "new.onnx", opset=opset, ir_version=ir_version))
    with pytest.raises(ModelError) as caught:
        check_models([model], fingerprint(version), "rpi3")
    said = str(caught.value)
    assert all(part in said for part in ["new", version, f"opset {opset}", "nothing was sent"])


@pytest.mark.parametrize(
    ("version", "opset", "ir_version"), [("1.19.2", 21, 10), ("1.23.2", 23, 11), ("9.9.9", 99, 99)]
)
def test_a_model_that_fits_and_a_runtime_nobody_measured(
    tmp_path: Path, version: str, opset: int, ir_version: int
) -> None:
    """An unlisted release is asked itself: its refusal becomes the verdict."""
    model = load_artifact(small_model(tmp_path / "fits.onnx", opset=opset, ir_version=ir_version))
    check_models([model], fingerprint(version), "rpi5")


def test_a_runtime_that_dies_on_the_processor() -> None:
    error = {"code": "RUNTIME_IMPORT", "message": "died of signal 4", "signal": 4}
    with pytest.raises(BoardUnfit, match=r"SIGILL.*Cortex-A72"):
        usable_runtimes(fingerprint("1.21.0", error), "rpi4")


def test_a_runtime_that_is_missing() -> None:
    error = {"code": "RUNTIME_IMPORT", "message": "No module named 'onnxruntime'", "signal": None}
    with pytest.raises(BoardUnfit, match="No module named"):
        usable_runtimes(fingerprint("", error), "rpi4")
    assert usable_runtimes(fingerprint(), "rpi4") == ["onnxruntime"]


def test_a_runtime_that_is_missing_leaves_the_others() -> None:
    found = fingerprint()
    found["runtimes"]["litert"] = {"name": "litert", "error": {"code": "RUNTIME_INSTALL", "message": "no"}}
    assert usable_runtimes(found, "rpi4") == ["onnxruntime"]


PI4 = ("raspberrypi,4-model-b", "brcm,bcm2711")


@pytest.mark.parametrize(
    ("compatible", "model", "says"),
    [
        (PI4, "Raspberry Pi 4 Model B Rev 1.4", ["Raspberry Pi 5", "Raspberry Pi 4", "name rpi4", "--force"]),
        ((), "x86_64", ["x86_64", "no device tree", "--force"]),
    ],
)
def test_another_board_than_the_profiles_is_refused(
    compatible: tuple[str, ...], model: str, says: list[str]
) -> None:
    with pytest.raises(BoardUnfit) as caught:
        require_profile(resolve_device("rpi5"), compatible, model)
    assert all(part in str(caught.value) for part in says)
    require_profile(resolve_device("rpi5", any_board=True), compatible, model)


def test_the_right_board_and_this_machine_are_not_refused() -> None:
    require_profile(resolve_device("rpi4"), PI4, "Raspberry Pi 4")
    require_profile(resolve_device("local"), (), "x86_64")


@pytest.mark.parametrize(
    ("name", "compatible", "trip_c", "limit_c"),
    [
        ("rpi4", PI4, None, 80.0),
        ("local", PI4, None, 80.0),  # edgebench that runs on the board itself
        ("rpi4", ("nvidia,p3767-0005",), 95.0, 99.0),  # forced: the limit of what is there
        ("jetson_nano", ("nvidia,jetson-nano",), 97.0, 97.0),
        ("local", (), 90.0, 90.0),
        ("local", (), None, None),
    ],
)
def test_the_starting_temperature_is_the_boards(
    name: str, compatible: tuple[str, ...], trip_c: float | None, limit_c: float | None
) -> None:
    board = Fingerprint(machine="aarch64", compatible=compatible, throttle_trip_c=trip_c)
    assert start_limit_c(resolve_device(name), board) == limit_c
