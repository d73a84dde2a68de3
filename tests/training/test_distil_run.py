"""From a teacher to artifacts: a whole distillation in small, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
pytest.importorskip("onnxscript", reason="export needs onnxscript: pip install edgebench[train]")
import numpy as np  # noqa: E402
from distil_tiny import ADV_NAME, TINY, tiny_teacher  # noqa: E402

from edgebench.corpora import Split, write_split  # noqa: E402
from edgebench.errors import ConfigError, CorpusError, UsageError  # noqa: E402
from edgebench.models import load_artifact  # noqa: E402
from edgebench.training import train  # noqa: E402
from edgebench.training.clips.gather import gather  # noqa: E402
from edgebench.training.lineage import without_seen_speakers  # noqa: E402
from edgebench.training.methods import load_recipe  # noqa: E402
from edgebench.training.run import command_line  # noqa: E402
from edgebench.training.teachers.teacher import load_teacher  # noqa: E402

pytestmark = pytest.mark.train

SPLIT = Split(
    "tiny",
    # v04 taught the packaged model, v01 and v05 did not.
    {"synthetic": {"train": ("v03",), "validation": ("v02",), "test": ("v01", "v04", "v05")}},
)


@pytest.fixture(scope="module")
def overrides(tmp_path_factory) -> tuple[str, ...]:
    path = tmp_path_factory.mktemp("split") / "tiny.json"
    write_split(SPLIT, path)
    return (*TINY, "optimiser.steps=4", f"data.split={path}")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, overrides):
    """The output of a run taught by the packaged model, and the steps it reported."""
    output, seen = tmp_path_factory.mktemp("run"), []
    train(
        "wav2small_distill",
        corpora={},
        output=output,
        overrides=(*overrides, "teacher=wav2small.fp32"),
        notify=seen.append,
    )
    return output, seen


def test_a_run_leaves_artifacts_manifests_card_curves_and_notes(finished):
    output, seen = finished
    assert [progress.step for progress in seen] == [1, 2, 3, 4]
    assert seen[-1].score == "CCC with the teacher"
    assert {path.name for path in output.iterdir()} == {
        "checkpoint.pt",
        "curves.jsonl",
        "notes.txt",
        "split.json",
        "tensorboard",
        "wav2small.fp32.onnx",
        "wav2small.fp32.json",
        "wav2small.int8_static.onnx",
        "wav2small.int8_static.json",
        "wav2small.md",
    }
    rows = [json.loads(line) for line in (output / "curves.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    assert all({"score", "quadrants", "ccc_valence_synthetic"} <= set(row) for row in rows)


def test_the_artifact_is_the_papers_net_of_one_output(finished):
    output, _ = finished
    for name in ("wav2small.fp32", "wav2small.int8_static"):
        artifact = load_artifact(output / f"{name}.onnx")
        assert list(artifact.outputs) == [ADV_NAME] == list(artifact.manifest.tasks)
        assert artifact.parameters == 72_659  # the paper's 72 K; no head of ours


def test_its_answers_are_the_trained_nets(finished):
    output, _ = finished
    from edgebench.models.architectures import build_architecture

    net = build_architecture("wav2small")
    net.load_state_dict(torch.load(output / "checkpoint.pt", weights_only=True)["best"])
    given = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 7000)).astype(np.float32)
    answers, _ = load_teacher(str(output / "wav2small.fp32.onnx"), threads=1, emotions=False)(given)
    with torch.no_grad():
        expected = net.eval()(torch.from_numpy(given))["arousal_dominance_valence"].numpy()
    assert np.abs(answers - expected).max() < 1e-5


def test_what_the_teacher_has_seen_counts_as_seen(finished):
    output, _ = finished
    ours = load_artifact(output / "wav2small.fp32.onnx").manifest.training
    teacher = load_artifact("wav2small.fp32")
    theirs = teacher.manifest.training
    assert ours.label_source.startswith(f"teacher wav2small.fp32 {teacher.sha256[:12]}")
    for corpus, known in theirs.corpora.items():
        assert set(known.train) <= set(ours.corpora[corpus].train)
        seen = {*ours.corpora[corpus].train, *ours.corpora[corpus].validation}
        assert {*known.train, *known.validation} <= seen
        assert not seen & set(ours.corpora[corpus].test)
    assert ours.corpora["synthetic"].test == ["v01", "v05"]
    assert "left out because the teacher has seen them in its own training: synthetic v04" in (
        (output / "notes.txt").read_text()
    )


def test_resuming_a_finished_run_makes_the_same_files(finished, overrides):
    output, _ = finished
    before = (output / "wav2small.int8_static.onnx").read_bytes()
    options = (*overrides, "teacher=wav2small.fp32")
    with pytest.raises(UsageError, match="already holds a run"):
        train("wav2small_distill", corpora={}, output=output, overrides=options)
    train("wav2small_distill", corpora={}, output=output, overrides=options, resume=True)
    assert (output / "wav2small.int8_static.onnx").read_bytes() == before


def test_soft_emotion_targets_leave_both_outputs(tmp_path, overrides, capsys):
    teacher = tiny_teacher(tmp_path / "t.onnx", emotions=True)
    options = (*overrides, f"teacher={teacher}", "loss.emotion_weight=10.0", "optimiser.steps=2")
    train("wav2small_distill", corpora={}, output=tmp_path / "out", overrides=options)
    artifact = load_artifact(tmp_path / "out" / "wav2small.fp32.onnx")
    assert list(artifact.outputs) == [ADV_NAME, "emotion_logits"] == list(artifact.manifest.tasks)
    assert artifact.manifest.training.label_source.startswith("teacher t ")
    told = capsys.readouterr().err
    assert "note: no films given" in told
    assert "does not say which speakers it was trained on" in told
    card = (tmp_path / "out" / "wav2small.md").read_text()
    assert "--set teacher=PATH" in card and str(tmp_path) not in card


def test_no_test_speaker_left(tmp_path):
    path = tmp_path / "seen.json"
    write_split(
        Split("seen", {"synthetic": {"train": ("v01",), "validation": ("v05",), "test": ("v03",)}}), path
    )
    recipe = load_recipe("wav2small_distill", overrides=[f"data.split={path}"])
    teacher = load_teacher("wav2small.fp32", threads=1, emotions=False)
    with pytest.raises(CorpusError, match="has seen every test speaker of split 'seen'"):
        without_seen_speakers(gather(recipe, {}), [teacher.artifact])


def test_without_a_teacher_nothing_starts(tmp_path, overrides):
    with pytest.raises(ConfigError, match="--set teacher=PATH"):
        train("wav2small_distill", corpora={}, output=tmp_path / "out", overrides=overrides)
    assert not (tmp_path / "out").exists()


def test_an_empty_bucket_is_said_before_anything_is_written(tmp_path, overrides):
    (tmp_path / "nothing").mkdir()
    options = (*overrides, "teacher=wav2small.fp32", f"data.other_sounds={tmp_path / 'nothing'}")
    with pytest.raises(CorpusError, match=r"the other_sounds bucket .* is empty"):
        train("wav2small_distill", corpora={}, output=tmp_path / "out", overrides=options)
    assert not (tmp_path / "out").exists()


def test_unlabelled_clips_join_the_speech_bucket_alone(corpora_root: Path):
    recipe = load_recipe("wav2small_distill", overrides=["data.synthetic=false"])
    corpora = {"ravdess": corpora_root / "ravdess"}
    with_others, labelled = gather(recipe, corpora, unlabelled=True), gather(recipe, corpora)
    assert len(with_others.train) == 15 * 60 and len(labelled.train) == 15 * 28
    assert (with_others.validation, with_others.test) == (labelled.validation, labelled.test)


def test_command_line_keeps_a_packaged_teacher_and_no_folder():
    line = command_line(
        "wav2small_distill", {}, ["teacher=wav2small.fp32", "data.background=/mnt/noise", "seed=3"]
    )
    assert line == (
        "edgebench train wav2small_distill --set teacher=wav2small.fp32 --set data.background=PATH "
        "--set seed=3 --output DIR"
    )
