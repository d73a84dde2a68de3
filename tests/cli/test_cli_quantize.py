"""``edgebench quantize``: what it lists, makes and refuses."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from support.cli import Edgebench

from edgebench.models import load_artifact
from edgebench.models.quantization import SCHEMES

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="needs the train extra: pip install edgebench[train]"
)


def test_the_list_is_the_table(edgebench: Edgebench) -> None:
    listed = json.loads(edgebench.here("quantize", "--list", "--json").stdout)
    assert [row["name"] for row in listed] == list(SCHEMES)
    for name in SCHEMES:
        assert name in edgebench.here("quantize", "--list").stdout


def test_a_packaged_model_on_generated_speech(edgebench: Edgebench, tmp_path: Path) -> None:
    done = edgebench.here(
        *("quantize", "wav2small.fp32", "--scheme", "int8_static", "--calibration", "synthetic"),
        *("--output", str(tmp_path / "new"), "--json"),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    artifact = load_artifact(found["path"])
    assert (artifact.key, artifact.sha256) == ("wav2small.int8_static", found["sha256"])
    assert artifact.manifest is not None and artifact.manifest.calibration is not None
    assert artifact.manifest.calibration.clips == 32  # eight of each emotion
    assert found["parity_max_abs"] == artifact.manifest.parity.max_abs


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("wav2small.fp32",), 2, "--scheme NAME"),
        (("--scheme", "int8_static"), 2, "--scheme NAME"),
        (("wav2small.fp32", "--scheme", "int9"), 2, "Known: fp16, int8_static"),
        (("wav2small.fp32", "--scheme", "int8_static"), 2, "--calibration synthetic"),
        (("wav2small.fp23", "--scheme", "int8_static", "--calibration", "synthetic"), 3, "did you mean"),
        (("wav2small.fp32", "--scheme", "int8_static", "--calibration", "emodb"), 2, "expected NAME=PATH"),
        (
            ("wav2small.fp32", "--scheme", "int8_static", "--calibration", "iemocap=/nowhere"),
            2,
            "was not trained on it",
        ),
    ],
)
def test_what_is_refused(edgebench: Edgebench, arguments, status: int, told: str) -> None:
    done = edgebench.here("quantize", *arguments)
    assert done.returncode == status
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(importlib.util.find_spec("litert_torch") is not None, reason="the extra is installed")
def test_a_scheme_whose_packages_are_not_here(edgebench: Edgebench, tmp_path: Path) -> None:
    done = edgebench.here("quantize", "wav2small.fp32", "--scheme", "litert_fp32", "--output", str(tmp_path))
    assert done.returncode == 2
    assert "edgebench[train,litert]" in " ".join(done.stderr.split())
