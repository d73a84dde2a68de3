"""``edgebench evaluate`` as its own process: held out, scored, compared, and what it refuses."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import audmetric
import numpy as np
import onnxruntime
import pytest
import soundfile
from support.cli import Edgebench
from support.few_clips import few_of_emodb
from support.speech_models import small_model

from edgebench.corpora import ADV, EMOTIONS, Clip, load_waveform, packaged_split, read_corpus
from edgebench.models import load_artifact

FP32, INT8 = "wav2small.fp32", "wav2small.packed_mixed_int8"
UNSEEN, SEEN = ("09", "10", "13"), ("03", "08")  # EmoDB's speakers, by the packaged models
CODES = {"anger": "W", "happiness": "F", "neutral": "N", "sadness": "T"}
USAGE, MODEL, CORPUS, DEVICE = 2, 3, 4, 5


@pytest.fixture
def emodb(tmp_path: Path) -> Path:
    """A small EmoDB in its official layout: one clip an emotion of three speakers unseen and two seen."""
    folder = tmp_path / "emodb" / "wav"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    for speaker in (*UNSEEN, *SEEN):
        for code in CODES.values():
            wave = 0.2 * rng.standard_normal(8000) * np.hanning(8000)
            soundfile.write(folder / f"{speaker}a01{code}a.wav", wave, 16000, subtype="PCM_16")
    return folder.parent


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Path]:
    """A small model with a manifest that says what its four outputs are; ``changes`` go into the manifest."""

    def make(name: str, *, samples: int | str = "samples", **changes: Any) -> Path:
        path = small_model(tmp_path / f"{name}.onnx", samples=samples)
        values = {
            "manifest_version": 1,
            "key": "small.fp32",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "size_bytes": path.stat().st_size,
            "format": "onnx",
            "opset": 17,
            "ir_version": 8,
            "sample_rate_hz": 16000,
            "tasks": {"emotion_logits": {"kind": "categorical", "labels": list(EMOTIONS)}},
            "preparation": [],
            "parameters": 3232,
            "macs": None,
            "scheme": {"name": "fp32"},
            "licence": "CC0",
            **changes,
        }
        path.with_suffix(".json").write_text(json.dumps(values))
        return path

    return make


def evaluate(edgebench: Edgebench, *args: str) -> list[dict[str, Any]]:
    result = edgebench.here("evaluate", *args, "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["schema_version"] == 1
    records: list[dict[str, Any]] = found["records"]
    return records


def outputs(clips: list[Clip]) -> dict[str, np.ndarray]:
    """The fp32 model's outputs (clips, values), by onnxruntime alone."""
    session = onnxruntime.InferenceSession(str(load_artifact(FP32).path))
    rows = [session.run(None, {"waveform": load_waveform(clip)[None]}) for clip in clips]
    names = [output.name for output in session.get_outputs()]
    return {name: np.concatenate([row[i] for row in rows]) for i, name in enumerate(names)}


@pytest.mark.corpora
def test_figures_are_those_of_another_hand_on_the_speakers_that_were_held_out(
    edgebench: Edgebench, corpora_root: Path
) -> None:
    import sklearn.metrics  # not at the top: every test process collects every file

    (row,) = evaluate(edgebench, FP32, "--corpus", f"emodb={corpora_root / 'emodb'}")
    labelled = [clip for clip in read_corpus("emodb", corpora_root / "emodb") if clip.labelled]
    test = packaged_split("wav2small").corpora["emodb"]["test"]
    clips = [clip for clip in labelled if clip.speaker in test]
    assert row["corpus"]["n_clips"] == len(clips)
    assert row["corpus"]["n_speakers"] == len(test)
    assert row["corpus"]["left_out"]["seen_speaker"] == len(labelled) - len(clips)
    assert row["corpus"]["seen_in_training"] == 0
    assert row["trained_on_corpus"] is True

    # Longer than the least and shorter than the most that the manifest prepares for: taken as they are.
    found = outputs(clips)
    truth = [EMOTIONS.index(str(clip.emotion)) for clip in clips]
    prediction = found["emotion_logits"].argmax(1)
    metrics = row["metrics"]
    assert row["confusion"] == sklearn.metrics.confusion_matrix(truth, prediction).tolist()
    assert row["labels"] == list(EMOTIONS)
    expected = {
        "ua": sklearn.metrics.balanced_accuracy_score(truth, prediction),
        "wa": sklearn.metrics.accuracy_score(truth, prediction),
        "macro_f1": sklearn.metrics.f1_score(truth, prediction, average="macro"),
    }
    by_class = sklearn.metrics.f1_score(truth, prediction, average=None)
    expected |= {f"f1_{emotion}": value for emotion, value in zip(EMOTIONS, by_class, strict=True)}
    for column, name in enumerate(ADV):
        ratings = [getattr(clip, name) for clip in clips]
        expected[f"ccc_{name}"] = audmetric.concordance_cc(
            ratings, found["arousal_dominance_valence"][:, column]
        )
    assert set(metrics) == set(expected)
    for name, value in expected.items():
        assert metrics[name]["value"] == pytest.approx(value, abs=1e-6), name
        if len(test) < 5:
            assert metrics[name]["lo"] is None and "an interval needs 5" in metrics[name]["reason"]
        else:
            assert metrics[name]["lo"] <= metrics[name]["value"] <= metrics[name]["hi"]
        assert metrics[name]["unit"] == "1"
        assert metrics[name]["n"] == len(clips)


@pytest.mark.corpora
@pytest.mark.board
def test_a_run_on_this_machine_says_the_same(
    edgebench: Edgebench, corpora_root: Path, tmp_path: Path
) -> None:
    few = few_of_emodb(corpora_root / "emodb", tmp_path / "few", ("03", "09", "10"))  # 03 is seen
    corpus = ("--corpus", f"emodb={few}")
    rows = evaluate(edgebench, FP32, INT8, *corpus)
    suite = 'name = "once"\nscenarios = ["offline"]\nlaunches = 1\nmin_duration_s = 0.1\nmin_count = 1\n'
    (edgebench.folder / "once.toml").write_text(suite)
    result = edgebench("run", "--suite", "once.toml", *corpus, "--json")
    assert result.returncode == 0, result.stderr
    run = {row["artifact"]: row for row in json.loads(result.stdout)["records"] if row["corpus"]}
    assert [row["artifact"] for row in rows] == [FP32, INT8]
    for row in rows:
        same = run[row["artifact"]]
        assert row["corpus"] == same["corpus"]
        assert row["metrics"] == {name: same["metrics"][name] for name in row["metrics"]}
    assert "ua_loss" in rows[1]["metrics"]


@pytest.mark.corpora
def test_a_corpus_never_trained_on_is_scored_whole_and_called_so(
    edgebench: Edgebench, corpora_root: Path
) -> None:
    result = edgebench.here("evaluate", FP32, "--corpus", f"urdu={corpora_root / 'urdu'}")
    assert result.returncode == 0, result.stderr
    said = " ".join(result.stdout.split())
    assert "never trained on this corpus (cross-corpus)" in said
    assert "400 clips of" in said
    assert "0 of speakers seen in training" in said


def test_speakers_seen_in_training_are_left_out_and_counted(edgebench: Edgebench, emodb: Path) -> None:
    (row,) = evaluate(edgebench, FP32, "--corpus", f"emodb={emodb}")
    assert row["corpus"]["n_clips"] == len(UNSEEN) * 4
    assert row["corpus"]["left_out"] == {"seen_speaker": len(SEEN) * 4, "no_label": 0, "unreadable": 0}
    assert np.sum(row["confusion"]) == len(UNSEEN) * 4
    # An evaluation is no run.
    assert not edgebench.store.exists()


def test_include_seen_scores_and_marks_them(edgebench: Edgebench, emodb: Path) -> None:
    options = (FP32, "--corpus", f"emodb={emodb}", "--include-seen")
    (row,) = evaluate(edgebench, *options)
    assert row["corpus"]["n_clips"] == len((*UNSEEN, *SEEN)) * 4
    assert row["corpus"]["seen_in_training"] == len(SEEN) * 4
    assert row["corpus"]["left_out"]["seen_speaker"] == 0
    shown = edgebench.here("evaluate", *options)
    said = " ".join(shown.stdout.split())
    assert f"SEEN IN TRAINING: {len(SEEN) * 4} of the" in said
    assert f"{FP32}: {len(SEEN) * 4} of these clips are of speakers it was trained on" in said
    assert "trained on other speakers" not in said


def test_a_model_is_compared_with_its_parent_whatever_the_order(edgebench: Edgebench, emodb: Path) -> None:
    int8, fp32 = evaluate(edgebench, INT8, FP32, "--corpus", f"emodb={emodb}")
    assert (int8["against"], fp32["against"]) == (FP32, None)
    for name in ("ua", "wa", "macro_f1", *(f"ccc_{part}" for part in ADV)):
        loss = fp32["metrics"][name]["value"] - int8["metrics"][name]["value"]
        assert int8["metrics"][f"{name}_loss"]["value"] == pytest.approx(loss, abs=1e-9)
        assert f"{name}_loss" not in fp32["metrics"]


def test_strangers_are_compared_with_the_first_on_clips_that_neither_has_seen(
    edgebench: Edgebench, emodb: Path, make_model: Callable[..., Path]
) -> None:
    speakers = {"train": ["09"], "validation": [], "test": [], "licence": "CC0"}
    training = {
        "corpora": {"emodb": speakers},
        "split_sha256": "0" * 64,
        "seed": 1,
        "recipe": "none",
        "label_source": "human",
    }
    model = make_model("other", training=training)
    first, other = evaluate(edgebench, FP32, str(model), "--corpus", f"emodb={emodb}")
    assert (first["artifact"], other["artifact"], other["against"]) == (FP32, "small.fp32", FP32)
    for row in (first, other):
        assert row["corpus"]["n_clips"] == (len(UNSEEN) - 1) * 4
        assert row["corpus"]["left_out"]["seen_speaker"] == (len(SEEN) + 1) * 4
    loss = first["metrics"]["ua"]["value"] - other["metrics"]["ua"]["value"]
    assert other["metrics"]["ua_loss"]["value"] == pytest.approx(loss)
    # It has no dimensions: null with a reason, never 0.
    assert other["metrics"]["ccc_arousal"]["value"] is None
    assert "arousal" in other["metrics"]["ccc_arousal"]["reason"]
    assert other["metrics"]["ccc_arousal_loss"]["value"] is None


def test_a_speaker_nobody_knows_may_be_one_that_was_learnt(
    edgebench: Edgebench, emodb: Path, make_model: Callable[..., Path]
) -> None:
    """In a corpus that the model learnt from; in any other, nobody's voice was learnt."""
    names = {"09": "Unknown", "10": "anna", "13": "bert"}
    lines = [
        f"{path},{names[path.name[:2]]},{emotion}"
        for emotion, code in CODES.items()
        for path in sorted((emodb / "wav").glob(f"*{code}a.wav"))
        if path.name[:2] in names
    ]
    (edgebench.folder / "mine.csv").write_text("\n".join(["file,speaker,emotion", *lines]) + "\n")
    speakers = {"train": ["carl"], "validation": [], "test": ["anna", "bert"], "licence": "CC0"}
    about = {"split_sha256": "0" * 64, "seed": 1, "recipe": "none", "label_source": "human"}
    learnt = make_model("learnt", training={"corpora": {"mine": speakers}, **about})
    (row,) = evaluate(edgebench, str(learnt), "--corpus", "mine=mine.csv")
    assert row["corpus"]["left_out"]["seen_speaker"] == 4
    (row,) = evaluate(edgebench, FP32, "--corpus", "mine=mine.csv")
    assert row["corpus"]["left_out"]["seen_speaker"] == 0


def test_the_tables(edgebench: Edgebench, emodb: Path, make_model: Callable[..., Path]) -> None:
    """A model whose training nobody wrote down says so; every table is there, at 80 columns too."""
    model = make_model("unknown")
    edgebench.environment = {"COLUMNS": "80"}
    result = edgebench("evaluate", FP32, str(model), "--corpus", f"emodb={emodb}")
    assert result.returncode == 0, result.stderr
    said = " ".join(result.stdout.split())
    for needed in (
        "Accuracy on emodb, predicted on this host",
        "F1 by emotion on emodb",
        "Confusion of wav2small.fp32 on emodb",
        "Confusion of small.fp32 on emodb",
        "Loss on emodb, same clips",
        "12 clips of 3 speakers were scored",
        "small.fp32: its manifest does not say what it was trained on",
        "wav2small.fp32: trained on other speakers of this corpus",
    ):
        assert needed in said, needed
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


def test_an_unreadable_clip_is_left_out_and_named(edgebench: Edgebench, emodb: Path) -> None:
    (emodb / "wav" / "09a01Wa.wav").write_bytes(b"")
    result = edgebench.here("evaluate", FP32, "--corpus", f"emodb={emodb}", "--json")
    assert result.returncode == 0, result.stderr
    (row,) = json.loads(result.stdout)["records"]
    assert row["corpus"]["left_out"]["unreadable"] == 1
    assert row["corpus"]["n_clips"] == len(UNSEEN) * 4 - 1
    assert "09a01Wa" in result.stderr


def test_torch_is_not_needed(edgebench: Edgebench, emodb: Path) -> None:
    (edgebench.folder / "without" / "torch").mkdir(parents=True)
    (edgebench.folder / "without" / "torch" / "__init__.py").write_text("raise ImportError('no torch here')")
    edgebench.environment = {"PYTHONPATH": str(edgebench.folder / "without")}
    result = edgebench("evaluate", FP32, "--corpus", f"emodb={emodb}", "--json")
    assert result.returncode == 0, result.stderr
    assert len(json.loads(result.stdout)["records"]) == 1


def test_a_run_on_this_machine_is_not_disturbed(edgebench: Edgebench, emodb: Path) -> None:
    root = edgebench.folder / "cache" / "edgebench"
    root.mkdir(parents=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        json.dump({"run_id": "01RUNNING", "pid": 1, "user": "somebody"}, lock)
        lock.flush()
        says = ["busy", "01RUNNING"]
        edgebench.refuses("evaluate", FP32, "--corpus", f"emodb={emodb}", status=DEVICE, says=says)


# --- what it refuses ------------------------------------------------------------------------------


def test_no_corpus_says_what_to_pass(edgebench: Edgebench) -> None:
    edgebench.refuses("evaluate", FP32, status=USAGE, says=["--corpus NAME=PATH", "synthetic"])


def test_unknown_corpus_names_the_nearest(edgebench: Edgebench, tmp_path: Path) -> None:
    says = ["emodbb", "emodb"]
    edgebench.refuses("evaluate", FP32, "--corpus", f"emodbb={tmp_path}", status=USAGE, says=says)


def test_a_model_without_a_manifest(edgebench: Edgebench, emodb: Path, tmp_path: Path) -> None:
    model = small_model(tmp_path / "bare.onnx")
    says = ["bare.onnx", "no manifest", "what its outputs mean"]
    edgebench.refuses("evaluate", str(model), "--corpus", f"emodb={emodb}", status=MODEL, says=says)


def test_a_model_of_one_length(edgebench: Edgebench, emodb: Path, make_model: Callable[..., Path]) -> None:
    model = make_model("fixed", samples=16000)
    says = ["exactly 16000 samples"]
    edgebench.refuses("evaluate", str(model), "--corpus", f"emodb={emodb}", status=MODEL, says=says)


def test_a_model_that_is_not_there_or_is_there_twice(edgebench: Edgebench, emodb: Path) -> None:
    corpus = ("--corpus", f"emodb={emodb}")
    edgebench.refuses("evaluate", "wav2smal.fp32", *corpus, status=MODEL, says=["wav2smal.fp32", FP32])
    edgebench.refuses("evaluate", FP32, FP32, *corpus, status=USAGE, says=["same file", "once"])


def test_no_clip_left(edgebench: Edgebench, emodb: Path) -> None:
    for path in (emodb / "wav").glob("*.wav"):
        if path.name.startswith(UNSEEN):
            path.unlink()
    says = ["nothing is left to score", "--include-seen"]
    edgebench.refuses("evaluate", FP32, "--corpus", f"emodb={emodb}", status=CORPUS, says=says)


def test_one_speaker(edgebench: Edgebench, emodb: Path) -> None:
    for path in (emodb / "wav").glob("*.wav"):
        if path.name.startswith(UNSEEN[1:]):
            path.unlink()
    says = ["one speaker", "emodb/09"]
    edgebench.refuses("evaluate", FP32, "--corpus", f"emodb={emodb}", status=CORPUS, says=says)
