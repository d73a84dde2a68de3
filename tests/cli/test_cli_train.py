"""``edgebench train``: from a command to artifacts, and what it says to mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cli import Edgebench
from support.few_clips import few_of_emodb

from edgebench.corpora import Split, write_split
from edgebench.models import load_artifact

CONFIG = 2


def test_unknown_recipe_names_the_nearest(edgebench: Edgebench) -> None:
    edgebench.refuses("train", "wav2smal", status=CONFIG, says=["wav2small"])


def test_unknown_key_names_the_nearest(edgebench: Edgebench) -> None:
    edgebench.refuses(
        "train", "wav2small", "--set", "optimiser.stepz=3", status=CONFIG, says=["stepz", "steps"]
    )


def test_without_torch_it_says_what_to_install(edgebench: Edgebench, tmp_path: Path) -> None:
    # A folder that is found first and has no spec for torch.
    blocker = tmp_path / "blocked" / "sitecustomize.py"
    blocker.parent.mkdir()
    blocker.write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torch' else find(name, *a)\n"
    )
    edgebench.environment = {"PYTHONPATH": str(blocker.parent)}
    edgebench.refuses(
        "train", "wav2small", status=CONFIG, says=["torch", "edgebench[train]"], own_process=True
    )


@pytest.mark.train
@pytest.mark.corpora
@pytest.mark.long
def test_a_short_training_leaves_artifacts_that_load(
    edgebench: Edgebench, corpora_root: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    # Few speakers: every clip of theirs is read for the baseline, and scored by both artifacts.
    emodb = {"train": ("03",), "validation": ("12",), "test": ("09",)}
    synthetic = {"train": ("v03",), "validation": ("v02",), "test": ("v01",)}
    write_split(Split("few", {"emodb": emodb, "synthetic": synthetic}), tmp_path / "few.json")
    few = few_of_emodb(corpora_root / "emodb", tmp_path / "few", ("03", "09", "12"))
    folders = ["--corpus", f"emodb={few}"]
    # One thread: two that wait for each other on a busy machine take minutes for what takes seconds.
    settings = ["optimiser.steps=4", "validation.every_steps=4", "optimiser.batch=4", "data.crop_s=1.0"]
    settings += ["compute.threads=1", "data.split=few.json"]
    result = edgebench.here(
        "train", "wav2small", *folders, "--output", "out", *[w for s in settings for w in ("--set", s)]
    )
    assert result.returncode == 0, result.stderr
    for key in ("wav2small.fp32", "wav2small.int8_static"):
        artifact = load_artifact(tmp_path / "out" / f"{key}.onnx")
        assert artifact.key == key
        assert artifact.manifest is not None
        assert artifact.manifest.training is not None
        known = artifact.manifest.training.corpora
        assert {corpus: facts.train for corpus, facts in known.items()} == {
            "emodb": ["03"],
            "synthetic": ["v03"],
        }
    assert "held-out speakers" in (tmp_path / "out" / "wav2small.md").read_text()
    edgebench.refuses("train", "wav2small", *folders, "--output", "out", status=CONFIG, says=["--resume"])
