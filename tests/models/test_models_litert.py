"""An fp32 file back into its net, and from there to .tflite."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from model_files import manifest_values, save, tiny_graph

torch = pytest.importorskip("torch", reason="architectures need torch: pip install edgebench[train]")

from test_models_schemes import EXPECTED  # noqa: E402

from edgebench.corpora import load_waveform, synthetic_corpus  # noqa: E402
from edgebench.errors import ModelError  # noqa: E402
from edgebench.models import load_artifact  # noqa: E402
from edgebench.models.graph.parity import largest_difference, outputs  # noqa: E402
from edgebench.models.making.quantized import quantize_artifact  # noqa: E402
from edgebench.models.manifest import Calibration  # noqa: E402
from edgebench.models.quantization.litert_convert import fitted  # noqa: E402
from edgebench.models.quantization.net_from_onnx import net_from_onnx  # noqa: E402

pytestmark = pytest.mark.train


def test_the_net_of_a_file_answers_as_the_file_does():
    path = load_artifact("wav2small.fp32").path
    waveform = load_waveform(synthetic_corpus(split="test")[0])
    with torch.no_grad():
        answers = net_from_onnx(path)(torch.from_numpy(waveform[np.newaxis]))
    (expected,) = outputs(path, [waveform])
    assert list(answers) == ["arousal_dominance_valence", "emotion_logits"]
    for found, there in zip(answers.values(), expected, strict=True):
        np.testing.assert_allclose(found.numpy(), there, atol=2e-5)


def with_manifest(path: Path, **changed: object) -> Path:
    path.with_suffix(".json").write_text(json.dumps(manifest_values(**changed)))
    return path


def test_a_file_that_no_net_fits(tmp_path: Path):
    path = save(tiny_graph(), tmp_path / "tiny.fp32.onnx")
    with pytest.raises(ModelError, match="has no manifest"):
        net_from_onnx(path)
    with pytest.raises(ModelError, match="'tiny'"):
        net_from_onnx(with_manifest(path))
    with pytest.raises(ModelError, match=r"weights .* of a wav2small are not in the file"):
        net_from_onnx(with_manifest(path, key="wav2small.fp32"))


@pytest.mark.parametrize("scheme", ["litert_fp32", "litert_static", "litert_dynamic", "litert_fp16"])
def test_a_tflite_of_wav2small(tmp_path: Path, scheme: str):
    """Made, read back, and run by LiteRT: answers of the parent, at every length and for every clip."""
    for package in ("litert_torch", "ai_edge_quantizer", "ai_edge_litert"):
        pytest.importorskip(package, reason="needs the extra litert")
    parent = load_artifact("wav2small.fp32")
    train = [load_waveform(clip) for clip in synthetic_corpus(split="train")[::20]]
    fresh = [load_waveform(clip) for clip in synthetic_corpus(split="validation")[::15]]
    artifact = quantize_artifact(
        parent,
        scheme,
        clips=train,
        calibration=Calibration(sha256="0" * 64, clips=len(train)),
        validation=fresh,
        folder=tmp_path,
    )
    assert artifact.lengths == ()
    assert (artifact.format, artifact.manifest.parent) == ("tflite", parent.sha256)
    assert set(artifact.outputs) == set(parent.outputs)
    assert artifact.manifest.preparation == parent.manifest.preparation
    assert artifact.macs(5.0).value == parent.macs(5.0).value
    assert artifact.macs(1.0) is None and "runtime alone knows" in str(artifact.why_no_macs(1.0))
    part, allowed = EXPECTED[scheme]
    assert artifact.size_bytes < part * parent.size_bytes
    lengths_s = (12.0, 0.004, 1.23457, 5.0)  # the shortest that the front end can reflect is 64 samples
    clips = [fitted(fresh[at], length_s)[0] for at, length_s in enumerate(lengths_s)]
    assert largest_difference(parent.path, artifact.path, [*clips, *fresh]) < allowed


def test_a_tflite_of_fixed_lengths_is_given_them(tmp_path: Path):
    """A net whose graph holds lengths gets one signature for each, and its clips are repeated up to them."""
    for package in ("litert_torch", "ai_edge_quantizer", "ai_edge_litert"):
        pytest.importorskip(package, reason="needs the extra litert")
    parent = load_artifact("wav2small.fp32")
    clip = load_waveform(synthetic_corpus(split="validation")[0])
    artifact = quantize_artifact(
        parent,
        "litert_fp32",
        clips=[],
        calibration=None,
        validation=[clip],
        folder=tmp_path,
        overrides={"free_length": False, "lengths_s": (1.0, 5.0)},
    )
    assert artifact.lengths == (16_000, 80_000)
    assert artifact.manifest.preparation[-1] == {"step": "fit", "lengths_s": [1.0, 5.0]}
    assert artifact.macs(1.0).value == parent.macs(1.0).value
    clips = [fitted(clip, length_s)[0] for length_s in (1.0, 5.0)]
    assert largest_difference(parent.path, artifact.path, clips) < 1e-4
