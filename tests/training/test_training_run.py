"""From recipe to artifacts: a whole run in small, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import signal
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
pytest.importorskip("onnxscript", reason="export needs onnxscript: pip install edgebench[train]")
from tiny_run import TINY, few_clips  # noqa: E402

from edgebench.cli import main  # noqa: E402
from edgebench.corpora import Source, Split, read_split, synthetic_corpus, write_split  # noqa: E402
from edgebench.errors import CorpusError, UsageError  # noqa: E402
from edgebench.models import load_artifact  # noqa: E402
from edgebench.models.artifact import PACKAGED  # noqa: E402
from edgebench.training import train  # noqa: E402
from edgebench.training.artifacts.score import accuracy_drop, predict_corpora, score_artifact  # noqa: E402
from edgebench.training.clips.gather import calibration_clips, gather  # noqa: E402
from edgebench.training.lineage import weights_licence  # noqa: E402
from edgebench.training.methods import load_recipe  # noqa: E402
from edgebench.training.run import command_line  # noqa: E402
from edgebench.training.supervised.trainer import Trainer  # noqa: E402

pytestmark = pytest.mark.train

TINY_SPLIT = Split(
    "tiny", {"synthetic": {"train": ("v03", "v04"), "validation": ("v02",), "test": ("v01", "v05")}}
)


@pytest.fixture(scope="module")
def overrides(tmp_path_factory) -> tuple[str, ...]:
    """A handful of steps on four of the synthetic voices."""
    path = tmp_path_factory.mktemp("split") / "tiny.json"
    write_split(TINY_SPLIT, path)
    return (*TINY, "optimiser.steps=4", f"data.split={path}")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, overrides):
    """The output folder of a run on synthetic speech alone, and the steps it reported."""
    output, steps = tmp_path_factory.mktemp("run"), []
    train("wav2small", corpora={}, output=output, overrides=overrides, notify=lambda p: steps.append(p.step))
    return output, steps


def test_a_run_leaves_artifacts_manifests_card_and_curves(finished):
    output, steps = finished
    assert steps == [1, 2, 3, 4]
    assert {path.name for path in output.iterdir()} == {
        "checkpoint.pt",
        "curves.jsonl",
        "split.json",
        "tensorboard",
        "wav2small.fp32.onnx",
        "wav2small.fp32.json",
        "wav2small.int8_static.onnx",
        "wav2small.int8_static.json",
        "wav2small.md",
    }
    assert len((output / "curves.jsonl").read_text().splitlines()) == 2
    written = read_split(output / "split.json")
    assert written.sha256 == load_artifact(output / "wav2small.fp32.onnx").manifest.training.split_sha256


def test_its_manifests_tell_where_the_weights_come_from(finished):
    output, _ = finished
    fp32 = load_artifact(output / "wav2small.fp32.onnx").manifest
    small = load_artifact(output / "wav2small.int8_static.onnx").manifest
    assert fp32.training.split_sha256 == TINY_SPLIT.sha256
    assert set(fp32.training.corpora) == {"synthetic"}
    assert fp32.training.corpora["synthetic"].test == ["v01", "v05"]
    assert fp32.training.label_source == "synthetic"
    assert fp32.training.recipe == "wav2small"
    assert fp32.parameters == 73_339
    assert small.parent == fp32.sha256
    assert small.calibration.clips == 4  # one clip an emotion
    assert small.scheme["name"] == "int8_static"


def test_a_second_run_does_not_overwrite_the_first(finished, overrides):
    output, _ = finished
    with pytest.raises(UsageError, match="already holds a run"):
        train("wav2small", corpora={}, output=output, overrides=overrides)


def test_resuming_a_finished_run_makes_the_same_files(finished, overrides):
    output, _ = finished
    before = (output / "wav2small.int8_static.onnx").read_bytes()
    train("wav2small", corpora={}, output=output, overrides=overrides, resume=True)
    assert (output / "wav2small.int8_static.onnx").read_bytes() == before


def test_the_same_seed_gives_the_same_files_twice(finished, overrides, tmp_path):
    output, _ = finished
    train("wav2small", corpora={}, output=tmp_path / "again", overrides=overrides)
    for name in ("wav2small.fp32.onnx", "wav2small.int8_static.onnx", "wav2small.md"):
        again, first = (tmp_path / "again" / name).read_bytes(), (output / name).read_bytes()
        assert hashlib.sha256(again).hexdigest() == hashlib.sha256(first).hexdigest(), name


@pytest.mark.long
def test_a_stopped_command_says_how_to_go_on_and_does(finished, overrides, tmp_path, monkeypatch, capsys):
    settings = [word for override in overrides for word in ("--set", override)]
    command = ["edgebench", "train", "wav2small", *settings, "--output", str(tmp_path / "out")]
    steps = []

    def step(self, number, batch, plain=Trainer.step):
        steps.append(number)
        if number == 2 and len(steps) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(self, number, batch)

    monkeypatch.setattr(Trainer, "step", step)
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert ended.value.code == 130 and "artifacts" not in told.out
    said = told.err.splitlines()[-1]
    assert said.startswith(
        f"edgebench: stopped at step 3, with a checkpoint in {tmp_path / 'out'}. Go on with: "
    )
    again = shlex.split(said.partition("Go on with: ")[2])
    assert again == [*command, "--resume"]
    monkeypatch.setattr(sys, "argv", again)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0 and steps == [0, 1, 2, 3]
    told = capsys.readouterr()
    assert told.out == f"artifacts: {tmp_path / 'out'}\n"
    assert "step 4/4" in told.err and "of the time waiting for data" in told.err
    name = "wav2small.int8_static.onnx"
    assert (tmp_path / "out" / name).read_bytes() == (finished[0] / name).read_bytes()


def test_corpus_that_the_split_does_not_divide(tmp_path, overrides):
    with pytest.raises(UsageError, match="'urdu' has no speakers in split 'tiny'"):
        train("wav2small", corpora={"urdu": tmp_path}, output=tmp_path / "out", overrides=overrides)


def test_no_corpus_at_all(tmp_path):
    recipe = load_recipe("wav2small", overrides=["data.synthetic=false"])
    with pytest.raises(CorpusError, match="no clip of the train speakers"):
        gather(recipe, {})
    assert list(tmp_path.iterdir()) == []


def test_split_without_synthetic_voices(tmp_path):
    path = tmp_path / "real.json"
    write_split(Split("real", {"emodb": {"train": ("03",), "validation": ("08",), "test": ("09",)}}), path)
    with pytest.raises(UsageError, match="names no synthetic voices"):
        gather(load_recipe("wav2small", overrides=[f"data.split={path}"]), {})


def test_parts_share_no_speaker():
    gathered = gather(load_recipe("wav2small"), {})
    speakers = [{(c.corpus, c.speaker) for c in gathered.part(p)} for p in ("train", "validation", "test")]
    assert all(speakers)
    assert not speakers[0] & speakers[1] | speakers[1] & speakers[2] | speakers[0] & speakers[2]


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        (["CC0-1.0", "CC-BY-NC-SA-4.0"], "CC-BY-NC-SA-4.0"),
        (["CC0-1.0"], "CC0-1.0"),
        (["CC-BY-4.0", "CC0-1.0"], "CC-BY-4.0"),
        (["CC-BY-NC-SA-4.0", "research use only"], "research use only"),
        (["CC0-1.0", "a contract"], "a contract"),
    ],
)
def test_weights_follow_the_most_bound_corpus(licences, expected):
    assert weights_licence(licences) == expected


def test_calibration_takes_as_many_of_each_emotion():
    clips = synthetic_corpus(split="train")
    chosen = calibration_clips(clips, per_class=3, seed=1)
    assert [c.emotion for c in chosen] == [
        e for e in ("anger", "happiness", "neutral", "sadness") for _ in range(3)
    ]
    assert chosen == calibration_clips(clips[::-1], per_class=3, seed=1)
    assert chosen != calibration_clips(clips, per_class=3, seed=2)


def test_evaluation_is_the_plain_count():
    clips, artifact = few_clips(part="test", every=2), load_artifact("wav2small.fp32")
    predicted = predict_corpora(artifact, clips)
    found = score_artifact(artifact, clips, predicted)[0]
    names = artifact.manifest.tasks["emotion_logits"].labels
    answers = [names[int(np.argmax(row))] for row in predicted["synthetic"].values[1]]
    recalls = []
    for name in names:
        rows = [answer == name for answer, clip in zip(answers, clips, strict=True) if clip.emotion == name]
        recalls.append(sum(rows) / len(rows))
    assert found.figures["ua"].value == pytest.approx(np.mean(recalls))
    assert found.label_source == "synthetic"
    assert found.clips == len(clips)


def test_paired_loss_of_an_artifact_against_itself_is_zero():
    clips, artifact = few_clips(part="test", every=4), load_artifact("wav2small.fp32")
    predicted = predict_corpora(artifact, clips)
    losses = accuracy_drop((artifact, artifact), clips, (predicted, predicted))
    assert losses["synthetic"]["ua_loss"].value == 0.0
    assert losses["synthetic"]["ccc_arousal_loss"].value == 0.0


def test_command_line_can_be_typed_again():
    line = command_line(
        "wav2small", {"emodb": PACKAGED, "nemo": PACKAGED}, ["seed=3", "augment.speed_range=[1, 2]"]
    )
    assert line == (
        "edgebench train wav2small --corpus emodb=PATH --corpus nemo=PATH --set seed=3 "
        "--set 'augment.speed_range=[1, 2]' --output DIR"
    )


def test_command_line_keeps_a_packaged_split_and_no_file():
    for given, told in (("wav2small", "wav2small"), ("/home/me/split.json", "PATH"), ("'x.json'", "PATH")):
        assert f"--set data.split={told} " in command_line("wav2small", {}, [f"data.split={given}"])


def test_command_line_says_what_was_chosen_and_converted(tmp_path):
    msp = Source(tmp_path / "msp", partitions=("Train", "Test1"), resample_into=tmp_path)
    line = command_line("distilhubert_loso", {"msp_podcast": msp}, [], train_only={"emodb": tmp_path})
    assert line == (
        "edgebench train distilhubert_loso --corpus 'msp_podcast=PATH#partition=Train,Test1' "
        "--train-only emodb=PATH --resample --output DIR"
    )


def test_manifest_is_readable_json(finished):
    output, _ = finished
    values = json.loads((output / "wav2small.fp32.json").read_text())
    assert list(values)[:2] == ["manifest_version", "key"]
