"""Files of nets with random weights: what they are, where they lie, what is refused before they are made."""

from __future__ import annotations

import importlib.util
import json
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import onnx
import psutil
import pytest
from support.untrained import SIZE_BYTES, pretend

from edgebench.errors import ModelError, UsageError
from edgebench.models import load_artifact
from edgebench.models.making import untrained
from edgebench.models.making.untrained import UntrainedNet

NET = UntrainedNet("wav2small", 1, SIZE_BYTES)

has_torch = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("torch", "onnxscript")),
    reason="export needs torch: pip install edgebench[train]",
)


@pytest.fixture
def with_torch(monkeypatch):
    """As if torch were there; nothing in these tests gets as far as using it."""
    monkeypatch.setattr(untrained, "_require_torch", lambda: None)


@has_torch
@pytest.mark.train
def test_the_file_is_the_architecture_s_and_says_that_it_learnt_nothing(untrained_cache: Path) -> None:
    path = NET.path(untrained_cache)
    artifact = load_artifact(path)
    assert artifact.key == "wav2small.untrained"
    # Listing 1 of the paper, counted by hand in test_models_architectures: without a head for emotions.
    assert artifact.parameters == 72_659
    assert list(artifact.outputs) == ["arousal_dominance_valence"]
    manifest = artifact.manifest
    assert manifest.scheme == {"name": "fp32", "weights": "untrained", "seed": 1}
    assert (manifest.tasks, manifest.training, manifest.parent) == ({}, None, None)
    assert manifest.macs.value == artifact.macs(5.0).value
    inside = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(inside["edgebench"])["scheme"]["weights"] == "untrained"
    assert [p.name for p in path.parent.parent.iterdir()] == [path.parent.name]  # no scratch is left


@has_torch
@pytest.mark.train
def test_what_is_there_is_not_made_again(untrained_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UntrainedNet, "_export", lambda *_: pytest.fail("exported again"))
    assert NET.make(untrained_cache) == NET.path(untrained_cache)


@pytest.mark.train
def test_a_part_is_that_part_of_the_same_net() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from edgebench.models.architectures.wav2vec2_parts import Encoder, FeatureExtractor

    torch.manual_seed(1)
    extractor = FeatureExtractor(layers=1).eval()
    torch.manual_seed(1)
    encoder = Encoder(layers=1).eval()
    with torch.no_grad():
        for samples in (16_000, 24_000):
            features = extractor(torch.randn(1, samples))["features"]
            states = encoder(torch.randn(1, samples))["hidden_states"]
            assert features.shape[:2] == (1, 512)
            assert states.shape == (1, features.shape[2], 1024)  # as many frames as it would be given
    # VGG7: seven convolutions with bias and layer norm; kernels 10, 3, 3, 3, 3, 2, 2 of 512 channels.
    weights = 512 * 10 + 512 * 512 * (4 * 3 + 2 * 2)
    assert sum(p.numel() for p in extractor.parameters()) == weights + 7 * (512 + 2 * 512)


def test_another_seed_library_or_source_is_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = NET.path(tmp_path)
    assert first == NET.path(tmp_path)
    assert UntrainedNet("wav2small", 2, SIZE_BYTES).path(tmp_path) != first
    with monkeypatch.context() as patched:
        patched.setattr(untrained.importlib.metadata, "version", lambda name: "9.9")
        assert NET.path(tmp_path) != first
    read = Path.read_bytes

    def changed(self: Path) -> bytes:
        return read(self) + (b"#" if self.name == "frontend.py" else b"")

    other = UntrainedNet("dawn", 1, SIZE_BYTES).path(tmp_path)
    monkeypatch.setattr(Path, "read_bytes", changed)
    assert NET.path(tmp_path) != first  # which Wav2Small reads
    monkeypatch.setattr(Path, "read_bytes", lambda self: read(self) + b"#" * (self.name == "mobilenetv4.py"))
    assert NET.path(tmp_path) == first
    assert UntrainedNet("dawn", 1, SIZE_BYTES).path(tmp_path) == other


def test_an_unknown_net_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'wav2small'"):
        UntrainedNet("wav2smal", 1, SIZE_BYTES).make(tmp_path)


def test_without_torch_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
    with pytest.raises(UsageError, match=r"needs torch.*pip install 'edgebench\[train\]'"):
        NET.make(tmp_path)


def test_too_little_memory_is_said_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_torch: None
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=4_000_000_000))
    with pytest.raises(
        ModelError, match=r"file of 1\.94 GB takes about \d+\.\d\d GB of memory, 4\.00 GB are"
    ):
        UntrainedNet("wav2small", 1, 1_935_600_000).make(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_too_little_disk_is_said_before_anything_is_made(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, with_torch: None
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=10**12))
    with pytest.raises(ModelError, match=r"takes 0\.12 GB of disk, 0\.0\d GB are free"):
        UntrainedNet("wav2small", 1, 120_000_000).make(small_disk)


def python_that(tmp_path: Path, script: str) -> str:
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_an_exporter_that_dies_for_want_of_memory_is_one_paragraph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_torch: None
) -> None:
    monkeypatch.setattr(sys, "executable", python_that(tmp_path, f"kill -{int(signal.SIGKILL)} $$"))
    with pytest.raises(ModelError, match=r"died of signal 9; signal 9 mostly means that memory ran out"):
        NET.make(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_the_exporter_says_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_torch: None
) -> None:
    monkeypatch.setattr(sys, "executable", python_that(tmp_path, "echo no such operator >&2; exit 3"))
    with pytest.raises(ModelError, match="no such operator"):
        NET.make(tmp_path / "cache")


def test_older_files_of_the_same_net_make_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_torch: None
) -> None:
    ready = pretend("wav2small", tmp_path / "made")
    older = pretend("wav2small", tmp_path / "cache").parent
    older.rename(older.with_name("wav2small-seed1-000000000000"))
    other_seed = tmp_path / "cache" / "wav2small-seed2-000000000000"
    other_seed.mkdir()
    # The exporter is given NAME SEED FOLDER after its own two words and the module's name.
    script = f'cp "{ready}" "{ready.with_suffix(".json")}" "$5"'
    monkeypatch.setattr(sys, "executable", python_that(tmp_path, script))
    path = NET.make(tmp_path / "cache")
    assert load_artifact(path).key == "wav2small.untrained"
    assert {p.name for p in (tmp_path / "cache").iterdir()} == {path.parent.name, other_seed.name}
    shutil.rmtree(tmp_path / "made")
