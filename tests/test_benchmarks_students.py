"""The page of results: each figure of it is the one that the statistics give, in its place."""

from __future__ import annotations

import json
import shutil
import sys
from math import log
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
sys.path.insert(0, str(Path(__file__).parents[1]))  # the benchmarks are no part of what is installed

import numpy as np
import soundfile
from support import results_builder as b

from benchmarks.results_page import BEGIN, END, Arm, Block, page, renewed
from benchmarks.soft_labels import Answers, rows
from benchmarks.students import ARMS, Run, read_arms, score
from edgebench.results.metrics import accuracy
from edgebench.results.metrics.repeats import Trained
from edgebench.results.records.messages import Predictions
from edgebench.results.records.record import CorpusFacts
from edgebench.training import train
from edgebench.training.methods import load_recipe
from tests.training.distil_tiny import tiny_teacher
from tests.training.tiny_run import TINY

ROWS = b.clips(speakers=5, per_emotion=4)
CORPUS = CorpusFacts.model_validate_json(json.dumps(b.corpus(rows=ROWS)))


def training(error: float, seed: int) -> Trained:
    found = b.predictions(ROWS, error=error, seed=seed)
    return Trained(Predictions.model_validate_json(json.dumps(found)), b.TASKS)


def ua(one: Trained) -> float:
    return accuracy.score(one.predictions, CORPUS, one.tasks).figures["ua"].value


def cell(text: str, after: str, row: str, column: int = 1) -> str:
    rows = text[text.index(after) :].splitlines()
    return next(line for line in rows if line.startswith(f"| {row} |")).split(" | ")[column]


def test_every_figure_is_where_its_heading_says():
    errors = {"teacher": 0.4, "hard labels": 1.2, "soft labels": 0.7}
    arms = [
        Arm(name, which, [training(error + extra, seed) for seed in range(3)])
        for name, error in errors.items()
        for which, extra in (("fp32", 0.0), ("small", 0.3))
    ]
    arms.insert(0, Arm("logistic regression", "", [training(1.5, 0)]))
    block = Block(CORPUS, arms)
    commands = {name: ["edgebench train x --output DIR"] * 3 for name in errors}
    validated = {name: [0.25, 0.5, 0.75 + error] for name, error in errors.items()}
    adapted = [training(0.5, seed) for seed in range(3)]
    rival = Arm("logistic regression, aligned", "", [training(1.0, 1)])
    told = [rival, *(Arm("adapted", p, adapted) for p in ("fp32", "small"))]
    heard = Block(CORPUS, [*arms, *told], "labels not seen")
    text = page([block], [heard], commands, [("processor", "p")], validated=validated)
    assert cell(text, "### UA on the validation", "teacher").startswith("0.633")
    for arm in arms:
        values = [ua(one) for one in arm.trainings]
        assert cell(text, "#### ", arm.title).startswith(f"{sum(values) / len(values):.3f} [")
    hard, soft = block.arm("hard labels", "fp32"), block.arm("soft labels", "fp32")
    gains = [ua(after) - ua(before) for before, after in zip(hard, soft, strict=True)]
    found = cell(text, "### Soft labels minus hard labels", CORPUS.name)
    assert found.startswith(f"{sum(gains) / 3:+.3f} [") and found.endswith(
        f"{sum(g > 0 for g in gains)} of 3"
    )
    trivial = ua(arms[0].trainings[0])
    beyond = cell(
        text, "### UA beyond the logistic regression", CORPUS.name, list(errors).index("soft labels") + 1
    )
    assert beyond.startswith(f"{sum(ua(one) for one in soft) / 3 - trivial:+.3f} [")
    by_arm = text[text.index("### UA beyond the logistic regression") :].splitlines()
    assert next(line for line in by_arm if line.startswith(f"| {CORPUS.name} |")).endswith(" | - |")
    mean = sum(map(ua, adapted)) / 3
    for row, baseline in {heard.title: arms[0], f"{heard.title}, aligned": rival}.items():
        beyond = cell(text, "### UA beyond the logistic regression", row, len(errors) + 1)
        assert beyond.startswith(f"{mean - ua(baseline.trainings[0]):+.3f} [")
    gain = mean - sum(map(ua, soft)) / 3
    found = cell(text, "### Adapted minus soft labels", heard.title)
    assert found.startswith(f"{gain:+.3f} [")
    assert "(A/D/V labels: " in text and "3 seeds" in text
    from benchmarks.results_plot import plot  # matplotlib: every test process collects every file

    drawn = plot([block])
    assert drawn == plot([block])  # the page's picture changes with its figures alone
    names = ["logistic regression", *(name for name in errors if name != "logistic regression")]
    places = {name: dots(drawn, name) for name in names}
    assert [len(found) for found in places.values()] == [1, 3, 3, 3]
    values = [ua(one) for name in names for one in block.arm(name, "" if name == names[0] else "fp32")]
    spread = [place for found in places.values() for place in found]
    assert np.corrcoef(spread, values)[0, 1] == pytest.approx(1.0, abs=1e-6)  # one scale for all


def dots(svg: str, arm: str) -> list[float]:
    """The horizontal places of an arm's dots, in its order."""
    group = ElementTree.fromstring(svg).find(f".//{{*}}g[@id='{arm}']")
    return [float(use.get("x")) for use in group.iter("{http://www.w3.org/2000/svg}use")]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, corpora_root: Path) -> Path:
    """A run of two steps on real speech."""
    output = tmp_path_factory.mktemp("run") / "1"
    overrides = [*TINY, "optimiser.steps=2", "data.synthetic=false"]
    train("wav2small", corpora={"emodb": corpora_root / "emodb"}, output=output, overrides=overrides)
    return output


@pytest.mark.corpora
@pytest.mark.long
def test_runs_are_scored_on_speakers_whom_none_has_met(finished, corpora_root, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    run = Run.read(finished)
    assert run.command.startswith("edgebench train wav2small --corpus emodb=PATH")
    assert 0.0 <= run.validated <= 1.0
    (block,) = score({"hard labels": [run]}, {"emodb": corpora_root / "emodb"}, unlabelled=True)
    assert {clip.speaker for clip in block.corpus.clips} == {"09", "10", "13"}
    assert [arm.title for arm in block.arms] == [
        "logistic regression",
        "logistic regression, aligned",
        "hard labels fp32",
        "hard labels int8",
    ]
    baseline = accuracy.score(*_parts(block, 0)).figures["ua"].value
    assert baseline == pytest.approx(0.742, abs=0.01)  # as in the card of the shipped net: same speakers
    assert len(block.arm("hard labels", "fp32")[0].predictions.clips) == 87


def _parts(block: Block, arm: int):
    one = block.arms[arm].trainings[0]
    return one.predictions, block.corpus, one.tasks


def test_a_section_is_renewed_and_the_rest_stays():
    assert renewed(f"a\n{BEGIN}old\n{END}z\n", "new\n") == f"a\n{BEGIN}\nnew\n{END}z\n"
    with pytest.raises(ValueError, match="lacks the lines"):
        renewed("a page without marks\n", "new\n")


def test_answers_of_a_teacher_by_hand():
    human = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.float32)
    teacher = np.array([[0.75, 0.25], [0.5, 0.5], [1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    found = Answers.of(human, teacher)
    assert (found.excerpts, found.agreement) == (4, 0.75)  # a tie goes to the first class
    assert found.said == (0.75, 0.25)
    assert Answers.of(human[1:], teacher[1:]).unweighted == (1.0 + 0.5) / 2
    assert found.probability == pytest.approx((0.75 + 0.5 + 0.0 + 1.0) / 4)
    entropy = -(0.75 * log(0.75) + 0.25 * log(0.25)) - log(0.5)
    assert found.entropy_nats == pytest.approx(entropy / 4)


def test_a_corpus_whose_labels_are_withheld_is_asked_about_twice(tmp_path):
    folder = tmp_path / "emodb" / "wav"
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).normal(0, 3000, (8, 8000)).astype(np.int16)
    for number, sound in enumerate(noise):  # of a training speaker: anger, sadness, neutral, fear
        soundfile.write(folder / f"03a0{1 + number // 4}{'WTNA'[number % 4]}a.wav", sound, 16000)
    teacher = tiny_teacher(tmp_path / "t.onnx", emotions=True, gain=4.0)
    settings = [f'teacher.paths=["{teacher}"]', 'teacher.unlabelled_corpora=["emodb"]']
    recipe = load_recipe("wav2small_soft", overrides=[*TINY, *settings])
    found = dict(rows(recipe, {"emodb": folder.parent}, batches=2))
    blind = "emodb, labels withheld: "
    assert list(found) == [
        "train speakers",
        "validation speakers",
        f"{blind}as they are",
        f"{blind}aligned",
    ]
    assert [answers.excerpts for answers in found.values()] == [8, 8, 6, 6]  # fear is none of the four
    plain, aligned = found[f"{blind}as they are"], found[f"{blind}aligned"]
    assert aligned.entropy_nats > plain.entropy_nats  # this teacher is sure of one emotion; alignment is not


def test_a_folder_without_a_finished_run(tmp_path):
    with pytest.raises(SystemExit, match="not the folder of one finished run"):
        Run.read(tmp_path)


@pytest.mark.long
def test_runs_are_read_by_arm_and_seed(finished, tmp_path):
    for arm, seeds in {"teacher": [2], "hard": [10, 9], "soft": [9, 10]}.items():
        for seed in seeds:
            shutil.copytree(finished, tmp_path / arm / str(seed))
    (tmp_path / "hard" / "notes").mkdir()
    assert {arm: len(runs) for arm, runs in read_arms(tmp_path).items()} == dict(
        zip(list(ARMS)[:3], (1, 2, 2), strict=True)
    )
    shutil.copytree(finished, tmp_path / "adapted" / "9")
    with pytest.raises(SystemExit, match=r"soft has 9, 10; adapted has 9\."):
        read_arms(tmp_path)
    shutil.copytree(finished, tmp_path / "adapted" / "10")
    assert list(read_arms(tmp_path)) == list(ARMS)
    shutil.rmtree(tmp_path / "adapted")
    shutil.rmtree(tmp_path / "soft" / "9")
    with pytest.raises(SystemExit, match=r"hard has 9, 10; soft has 10\."):
        read_arms(tmp_path)
    shutil.rmtree(tmp_path / "teacher" / "2")
    with pytest.raises(SystemExit, match=r"teacher holds no runs"):
        read_arms(tmp_path)
