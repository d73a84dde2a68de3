"""``edgebench reproduce distilhubert-table2``: both arms, the production model and Fig. 1, in small."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.cli import Edgebench
from support.fold_corpora import write_crema_d, write_iemocap, write_ravdess
from typer.testing import CliRunner

from edgebench.errors import ConfigError, CorpusError, UsageError

pytestmark = pytest.mark.train

CORPUS = 4

TINY = (
    "model.weights=''",
    "prepare.length_s=0.5",
    "optimiser.batch=8",
    "optimiser.epochs=1",
    "optimiser.learning_rate=0.01",
    "compute.threads=1",
    "data.cache_mb=20",
    "production.holdout_share=0.25",
    "quantization.clips_per_class=1",
)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora")
    return {
        "iemocap": write_iemocap(folder / "iemocap"),
        "crema_d": write_crema_d(folder / "crema"),
        "ravdess": write_ravdess(folder / "ravdess"),
    }


@pytest.fixture(scope="module")
def finished(corpora, tmp_path_factory):
    """The output folder of a whole run of a tiny net, its JSON, and the words it said."""
    for needed in ("torch", "transformers", "audiomentations", "onnxscript"):
        pytest.importorskip(needed, reason="training needs the extra: pip install edgebench[train]")
    from support import tiny_hubert

    from edgebench.cli.app import app
    from edgebench.models.architectures import ARCHITECTURES

    output = tmp_path_factory.mktemp("table2") / "out"
    words = ["reproduce", "distilhubert-table2", "--output", str(output)]
    for name in ("iemocap", "ravdess"):
        words += ["--corpus", f"{name}={corpora[name]}"]
    words += ["--train-only", f"crema_d={corpora['crema_d']}"]
    for setting in (*TINY, f"architecture={tiny_hubert.NAME}"):
        words += ["--set", setting]
    ARCHITECTURES[tiny_hubert.NAME] = tiny_hubert.PLACE_OF_ONE_LAYER
    try:
        result = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
        again = CliRunner().invoke(app, [*words, "--resume"], catch_exceptions=False)
    finally:
        del ARCHITECTURES[tiny_hubert.NAME]
    assert result.exit_code == 0, result.stderr
    assert again.exit_code == 0, again.stderr
    return output, json.loads(result.stdout), again.stdout


@pytest.mark.board
def test_it_leaves_folds_models_table_and_figures(finished):
    output, found, _ = finished
    assert {path.name for path in output.iterdir()} == {
        "alone",
        "joined",
        "production",
        "table2.json",
        "table2.html",
        "fig1.json",
        "fig1.html",
    }
    for arm in ("alone", "joined"):
        assert len(list((output / arm).glob("iemocap.Session*/fold.json"))) == 5
    assert json.loads((output / "fig1.json").read_text()) == found["figure1"]
    table = json.loads((output / "table2.json").read_text())
    assert table == {key: value for key, value in found.items() if key != "figure1"}
    assert found["command"].startswith("edgebench reproduce distilhubert-table2 --corpus iemocap=PATH")


@pytest.mark.board
def test_its_table_is_what_the_predictions_say(finished):
    output, found, _ = finished
    row = next(r for r in found["corpora"]["iemocap"]["rows"] if r["metric"] == "wa")
    for arm in ("alone", "joined"):
        accuracies = []
        for number in range(1, 6):
            document = json.loads(
                (output / arm / f"iemocap.Session{number}" / "predictions.json").read_text()
            )
            names = document["labels"]
            hits = [names[int(np.argmax(clip["logits"]))] == clip["emotion"] for clip in document["clips"]]
            accuracies.append(np.mean(hits))
        assert row[arm]["mean"] == pytest.approx(np.mean(accuracies))
        assert row[arm]["deviation"] == pytest.approx(np.std(accuracies, ddof=1))
    trained = [fold["clips"]["train"] for fold in found["folds"]]
    assert trained == [24] * 5 + [32] * 5  # CREMA-D's eight join the second arm alone


@pytest.mark.board
def test_the_production_model_is_two_files_that_say_how_they_hear(finished):
    from edgebench.models import load_artifact

    output, found, _ = finished
    keys = {path.stem for path in (output / "production").glob("*.onnx")}
    assert keys == {"tiny_hubert.fp32", "tiny_hubert.int8_static_conv"}
    fp32 = load_artifact(output / "production" / "tiny_hubert.fp32.onnx")
    manifest = fp32.manifest
    assert [step["step"] for step in manifest.preparation] == ["trim", "pre_emphasis", "peak", "crop", "pad"]
    assert list(manifest.tasks) == ["emotion_logits"] == list(fp32.outputs)
    assert set(manifest.training.corpora) == {"crema_d", "iemocap"}
    known = manifest.training.corpora["iemocap"]
    assert len(known.train) == 10 and known.test == []  # every voice was learnt
    assert found["production"]["clips"] == {"train": 38, "validation": 5, "test": 5}
    assert found["production"]["leaks_speakers"] is True
    card = (output / "production" / "tiny_hubert.md").read_text()
    assert "On held-out clips of learnt speakers" in card
    assert "no estimate for a new one" in card


@pytest.mark.board
def test_figure_one_is_the_file_on_ravdess(finished, corpora):
    from edgebench.models import load_artifact
    from edgebench.training.artifacts.score import predict
    from edgebench.training.fine_tuning.folds import cross_corpus_clips
    from edgebench.training.methods import load_recipe

    output, found, _ = finished
    clips = cross_corpus_clips(load_recipe("distilhubert_loso"), corpora["ravdess"])
    model = found["figure1"]["models"]["tiny_hubert.fp32"]
    assert (model["clips"], model["speakers"]) == (10, 2)
    artifact = load_artifact(output / "production" / "tiny_hubert.fp32.onnx")
    labels = artifact.manifest.tasks["emotion_logits"].labels
    counts = np.zeros((4, 4), int)
    for clip, (logits,) in zip(clips, zip(*predict(artifact, clips).values, strict=True), strict=True):
        counts[labels.index(clip.emotion), int(np.argmax(logits))] += 1
    assert model["confusion"] == counts.tolist()
    assert model["paper"]["wa"] == 0.4664


@pytest.mark.board
def test_resumed_it_prints_the_same_table(finished):
    _, found, words = finished
    row = next(r for r in found["corpora"]["iemocap"]["rows"] if r["metric"] == "wa")
    assert f"{row['alone']['mean']:.3f}" in words
    assert "0.595" in words  # the paper's
    assert "Production model" in words
    assert "DistilHuBERT, Fig. 1" in words


def test_what_it_says_to_mistakes(corpora, tmp_path):
    from edgebench.papers.distilhubert.reproduce import reproduce_table2

    def refused(kind, *, tested=(), learnt=(), overrides=()) -> str:
        with pytest.raises(kind) as told:
            reproduce_table2(
                corpora={name: corpora.get(name, tmp_path / name) for name in tested},
                train_only={name: corpora[name] for name in learnt},
                output=tmp_path / "out",
                overrides=overrides,
            )
        return str(told.value)

    assert "--corpus iemocap=PATH" in refused(UsageError)
    assert "'ravdess'" in refused(UsageError, tested=["iemocap"], learnt=["ravdess"])
    assert "Give it once" in refused(UsageError, tested=["iemocap"], learnt=["iemocap"])
    assert "'gamma'" in refused(ConfigError, tested=["iemocap"], overrides=["loss.gama=1"])
    (tmp_path / "k_folds").mkdir()
    corpora = {**corpora, "iemocap": tmp_path / "k_folds"}
    assert "Session1 to Session5" in refused(CorpusError, tested=["iemocap"])
    assert not (tmp_path / "out").exists()


def test_a_missing_iemocap_is_one_paragraph_and_a_status(edgebench: Edgebench) -> None:
    says = ["Session1 to Session5", "no such folder"]
    command = ("reproduce", "distilhubert-table2", "--corpus", "iemocap=nowhere")
    edgebench.refuses(*command, status=CORPUS, says=says)
