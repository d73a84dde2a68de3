"""What cannot work is refused before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.speech_models import small_model

from edgebench.errors import BoardUnfit, ModelError
from edgebench.harness.checks.preflight import check_models, usable_runtimes
from edgebench.models import load_artifact, packaged_artifacts


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
