"""The models that ship: a walk over every file, as a user's machine has it."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest

from edgebench.corpora import ADV, EMOTIONS, load_waveform, packaged_split, synthetic_corpus
from edgebench.files import sha256_of
from edgebench.models import default_artifacts, load_artifact, manifest_path, packaged_artifacts
from edgebench.models.artifact import PACKAGED
from edgebench.models.graph.parity import largest_difference, outputs
from edgebench.models.manifest import METADATA_KEY, parse_manifest

SIZE_LIMIT_BYTES = 550_000
SMALL_LIMIT_BYTES = 80_000  # both small files together
KEYS = packaged_artifacts()
SMALL = ["wav2small.packed_mixed_int8", "wav2small.packed_ternary_int8"]
OLDER = "wav2small.int8_static"


def test_fp32_and_two_small_files_are_measured_by_default():
    assert default_artifacts() == ["wav2small.fp32", *SMALL]


def test_the_older_int8_file_is_there_for_who_names_it_byte_for_byte():
    """A gate that names it goes on comparing the file that its older runs measured."""
    assert set(KEYS) - set(default_artifacts()) == {OLDER}
    assert load_artifact(OLDER).sha256 == "f3040b67ba7e44ebf6366352643f6003151ceb7a11de807435d42d30a9c21203"


def test_together_they_stay_small():
    assert sum(path.stat().st_size for path in PACKAGED.glob("wav2small.*.onnx")) < SIZE_LIMIT_BYTES
    assert sum(path.stat().st_size for path in PACKAGED.iterdir() if path.is_file()) < SIZE_LIMIT_BYTES
    assert sum(load_artifact(key).size_bytes for key in SMALL) < SMALL_LIMIT_BYTES


@pytest.mark.parametrize("key", KEYS)
def test_manifest_fits_the_file(key):
    artifact = load_artifact(key)
    manifest = artifact.manifest
    assert manifest is not None
    assert manifest.key == key == artifact.path.stem
    assert manifest.sha256 == sha256_of(artifact.path)
    assert manifest.size_bytes == artifact.path.stat().st_size
    assert (manifest.opset, manifest.ir_version) == (artifact.opset, artifact.ir_version)
    assert artifact.opset <= 21
    assert artifact.ir_version <= 10
    assert artifact.domains == ()
    assert manifest.tasks["arousal_dominance_valence"].labels == list(ADV)
    assert manifest.tasks["emotion_logits"].labels == list(EMOTIONS)
    assert manifest.macs is not None
    assert artifact.macs(manifest.macs.input_s).value == manifest.macs.value


@pytest.mark.parametrize("key", KEYS)
def test_the_copy_inside_says_the_same(key):
    artifact = load_artifact(key)
    properties = {entry.key: entry.value for entry in onnx.load(artifact.path).metadata_props}
    inside = parse_manifest(properties[METADATA_KEY], source="inside").model_dump()
    beside = json.loads(manifest_path(artifact.path).read_text())
    assert inside == beside | {"sha256": None, "size_bytes": None}


@pytest.mark.parametrize("key", KEYS)
def test_licence_follows_the_most_bound_corpus(key):
    manifest = load_artifact(key).manifest
    assert manifest is not None
    assert manifest.training is not None
    assert "CC-BY-NC-SA-4.0" in {c.licence for c in manifest.training.corpora.values()}
    assert manifest.licence == "CC-BY-NC-SA-4.0"


@pytest.mark.parametrize("key", KEYS)
def test_speakers_are_those_of_the_hashed_split(key):
    manifest = load_artifact(key).manifest
    assert manifest is not None
    assert manifest.training is not None
    split = packaged_split()
    assert manifest.training.split_sha256 == split.sha256
    for name, corpus in manifest.training.corpora.items():
        for part in ("train", "validation", "test"):
            assert sorted(split.corpora[name][part]) == sorted(getattr(corpus, part))
        assert manifest.seen_speakers(name) == {*corpus.train, *corpus.validation}
        assert not manifest.seen_speakers(name) & set(corpus.test)
    assert manifest.seen_speakers("never_heard_of") == frozenset()


@pytest.mark.parametrize("key", [OLDER, *SMALL])
def test_quantized_file_names_its_parent_and_keeps_its_tolerance(key):
    fp32, small = load_artifact("wav2small.fp32"), load_artifact(key)
    assert small.manifest is not None
    assert small.manifest.parent == fp32.sha256
    assert small.manifest.parity is not None
    assert small.manifest.parity.reference == fp32.sha256
    rng = np.random.default_rng(99)
    waveforms = [load_waveform(clip) for clip in synthetic_corpus(split="test")[::6]]
    waveforms += [rng.uniform(-1, 1, n).astype(np.float32) for n in (1600, 16_000, 80_000)]
    largest = largest_difference(fp32.path.read_bytes(), small.path.read_bytes(), waveforms)
    assert 0.0 < largest <= small.manifest.parity.max_abs
    assert small.manifest.parity.max_abs < 0.6  # of logits that span several units


@pytest.mark.parametrize("key", [OLDER, *SMALL])
def test_quantized_file_says_how_it_was_made(key):
    manifest = load_artifact(key).manifest
    assert manifest is not None
    assert manifest.scheme["name"] == key.partition(".")[2]
    assert manifest.calibration is not None
    assert manifest.calibration.clips >= 128


@pytest.mark.parametrize("key", SMALL)
def test_a_small_file_computes_in_integers_once_its_codes_are_decoded(key, tmp_path):
    """What onnxruntime makes of the file at load: integer convolutions, and no float ones beside the STFT."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    onnxruntime.InferenceSession(load_artifact(key).path, options, providers=["CPUExecutionProvider"])
    counts = Counter(node.op_type for node in onnx.load(tmp_path / "loaded.onnx").graph.node)
    assert counts["QLinearConv"] == 8
    assert counts["Conv"] == 1  # the STFT
    assert counts["Mod"] + counts["Cast"] == 0, "codes are still decoded at each inference"


@pytest.mark.parametrize("key", KEYS)
def test_answers_depend_on_the_input(key):
    """A file with destroyed ranges answers the same for everything: the classic failure of int8."""
    clips = synthetic_corpus(split="test")[::3]
    rows = outputs(load_artifact(key).path.read_bytes(), [load_waveform(clip) for clip in clips])
    logits = np.concatenate([row[1] for row in rows])
    assert len(set(logits.argmax(1).tolist())) >= 2
    assert np.all(np.std(logits, axis=0) > 0.05)


def test_card_belongs_to_the_files():
    for key in KEYS:
        artifact = load_artifact(key)
        assert artifact.manifest is not None
        assert artifact.manifest.card is not None
        text = (PACKAGED / artifact.manifest.card).read_text(encoding="utf-8")
        assert f"`{key}` | {artifact.size_bytes:,}" in text
        assert packaged_split().sha256 in text
        assert "label_source = prototype" in text
        assert artifact.manifest.licence in text
        assert "edgebench train wav2small" in text
