"""Soft labels: the teachers hear the very batch, and their answers stand where the recipe puts them."""

from __future__ import annotations

from dataclasses import replace
from math import exp

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch")

from edgebench.corpora import Split, write_split
from edgebench.errors import ConfigError, CorpusError, UsageError
from edgebench.models import load_artifact
from edgebench.training import train
from edgebench.training.clips.gather import gather
from edgebench.training.lineage import training_facts
from edgebench.training.methods import load_recipe
from edgebench.training.supervised import soft_labels
from edgebench.training.supervised.data import TrainingData
from edgebench.training.supervised.soft_labels import SoftLabels, blend, load_teachers
from edgebench.training.supervised.trainer import Trainer
from edgebench.training.teachers.distributions import even_factors, softmax
from tests.training.distil_tiny import tiny_teacher
from tests.training.tiny_run import TINY, few_clips

pytestmark = pytest.mark.train


def soft_recipe(*overrides: str):
    return load_recipe("wav2small_soft", overrides=[*TINY, *overrides])


def teachers_at(tmp_path, count: int = 2) -> str:
    paths = [tiny_teacher(tmp_path / f"t{i}.onnx", emotions=True, gain=2.0 * (i + 1)) for i in range(count)]
    return "teacher.paths=[" + ", ".join(f'"{path}"' for path in paths) + "]"


def few_voices(folder, **corpora) -> str:
    """The setting of a split of three synthetic voices, and of speakers of other corpora."""
    voices = {"train": ("v03",), "validation": ("v02",), "test": ("v01",)}
    write_split(Split("few", {"synthetic": voices, **corpora}), folder / "split.json")
    return f"data.split={folder / 'split.json'}"


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_softmax_against_the_formula(temperature):
    logits = np.random.default_rng(1).normal(0, 5, (6, 4)).astype(np.float32)
    for row, found in zip(logits.tolist(), softmax(logits, temperature=temperature), strict=True):
        powers = [exp(value / temperature) for value in row]
        np.testing.assert_allclose(found, [power / sum(powers) for power in powers], rtol=1e-5)
    assert np.isfinite(softmax(np.array([[1e4, 0.0]], dtype=np.float32), temperature=1.0)).all()


def test_blend_worked_out():
    hard = np.array([[1.0, 0.0], [np.nan, np.nan]], dtype=np.float32)
    soft = np.array([[0.2, 0.8], [0.3, 0.7]], dtype=np.float32)
    np.testing.assert_allclose(blend(hard, soft, share=0.25), [[0.8, 0.2], [0.3, 0.7]], rtol=1e-6)
    np.testing.assert_allclose(blend(hard, soft, share=1.0), soft)


def test_labels_are_the_mean_answer_of_the_teachers_to_the_same_waveforms(tmp_path):
    recipe = soft_recipe(teachers_at(tmp_path), "teacher.emotion_share=0.5", "teacher.adv_share=0.25")
    data, teachers = TrainingData(few_clips(), recipe), load_teachers(recipe)
    plain, soft = data.batch(3), SoftLabels(data, teachers, recipe.teacher).batch(3)
    np.testing.assert_array_equal(soft.waveforms, plain.waveforms)
    np.testing.assert_array_equal(soft.weights, plain.weights)
    answers = [teacher(plain.waveforms) for teacher in teachers]
    assert np.abs(answers[0][1] - answers[1][1]).max() > 0.01  # two teachers, two opinions
    spread = np.mean([softmax(logits, temperature=1.0) for _, logits in answers], axis=0)
    np.testing.assert_allclose(soft.emotions, 0.5 * plain.emotions + 0.5 * spread, rtol=1e-5)
    mean_adv = np.mean([adv for adv, _ in answers], axis=0)
    np.testing.assert_allclose(soft.adv, 0.75 * plain.adv + 0.25 * mean_adv, rtol=1e-5)
    np.testing.assert_allclose(soft.emotions.sum(1), 1.0, rtol=1e-5)


def test_a_clip_without_a_label_is_learnt_from_the_teacher_alone(tmp_path):
    recipe = soft_recipe(teachers_at(tmp_path, 1), "teacher.emotion_share=0.3")
    clips = [replace(clip, emotion=None) for clip in few_clips()]
    source = SoftLabels(TrainingData(clips, recipe), load_teachers(recipe), recipe.teacher)
    batch = source.batch(0)
    _, logits = source.teachers[0](batch.waveforms)
    np.testing.assert_allclose(batch.emotions, softmax(logits, temperature=1.0), rtol=1e-5)


def test_factors_that_make_every_class_as_frequent_worked_out():
    # Both rows lean four to one: a quarter of the first class' weight evens them.
    np.testing.assert_allclose(even_factors(np.array([[0.8, 0.2], [0.8, 0.2]])), [0.2, 0.8], rtol=1e-3)
    # Odds of 1/3 and of 9: r / (r + 3) + r / (r + 1/9) = 1 where the factors' ratio r is sqrt(3 * 1/9).
    first, second = even_factors(np.array([[0.25, 0.75], [0.9, 0.1]]))
    assert first / second == pytest.approx(3**-0.5, rel=1e-3)
    np.testing.assert_allclose(even_factors(np.eye(4, dtype=np.float32)), [0.25] * 4, rtol=1e-6)


def test_factors_even_the_mean_and_leave_the_order_within_a_class():
    rows = np.random.default_rng(3).dirichlet([4.0, 1.0, 0.5, 0.2], 50).astype(np.float32)
    factors = even_factors(rows)
    scaled = rows * factors
    scaled /= scaled.sum(1, keepdims=True)
    np.testing.assert_allclose(scaled.mean(0), 0.25, atol=1e-4)
    assert factors.sum() == pytest.approx(1.0)
    odds = rows[:, 0] / rows[:, 1]
    np.testing.assert_array_equal(np.argsort(scaled[:, 0] / scaled[:, 1]), np.argsort(odds))
    never = np.tile(np.array([1.0, 0.0], dtype=np.float32), (3, 1))
    assert np.isfinite(even_factors(never)).all()


def test_answers_over_a_corpus_without_labels_are_aligned_and_others_are_not(tmp_path):
    blind = 'teacher.unlabelled_corpora=["elsewhere"]'
    recipe = soft_recipe(teachers_at(tmp_path), blind)
    known = few_clips()
    clips = [*known, *(replace(clip, corpus="elsewhere", emotion=None) for clip in known)]
    data, teachers = TrainingData(clips, recipe), load_teachers(recipe)
    aligned = SoftLabels(data, teachers, recipe.teacher)
    plain = SoftLabels(data, teachers, recipe.teacher.model_copy(update={"align_unlabelled": False}))
    assert plain.factors == {} and list(aligned.factors) == ["elsewhere"]

    def scaled(distributions):
        products = distributions * aligned.factors["elsewhere"]
        return products / products.sum(-1, keepdims=True)

    answers, _ = plain.answers(data.once(range(len(known), len(clips))).waveforms)
    np.testing.assert_allclose(scaled(answers).mean(0), 0.25, atol=1e-3)
    assert np.abs(answers.mean(0) - 0.25).max() > 0.1
    corpora = set()
    for step in range(4):
        found, before = aligned.batch(step).emotions, plain.batch(step).emotions
        for row, index in enumerate(data.indices(step)):
            corpora.add(clips[index].corpus)
            expected = scaled(before[row]) if index >= len(known) else before[row]
            np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-12)
    assert corpora == {"synthetic", "elsewhere"}
    for step in range(4):
        mine, theirs = aligned.rows(step, range(1, 3)).emotions, plain.rows(step, range(1, 3)).emotions
        for row, index in enumerate(data.indices(step)[1:3]):
            expected = scaled(theirs[row]) if index >= len(known) else theirs[row]
            np.testing.assert_allclose(mine[row], expected, rtol=1e-4, atol=1e-12)


def test_of_a_large_corpus_some_clips_are_asked_about(tmp_path, monkeypatch):
    recipe = soft_recipe(teachers_at(tmp_path, 1), 'teacher.unlabelled_corpora=["synthetic"]')
    data = TrainingData([replace(clip, emotion=None) for clip in few_clips()], recipe)
    asked: list[int] = []
    once = data.once
    monkeypatch.setattr(data, "once", lambda indices: asked.extend(indices) or once(indices))
    monkeypatch.setattr(soft_labels, "ALIGNED_OVER", 9)
    factors = SoftLabels(data, load_teachers(recipe), recipe.teacher).factors
    first, asked[:] = list(asked), []
    again = SoftLabels(data, load_teachers(recipe), recipe.teacher).factors
    assert len(set(first)) == 9 and first == asked and max(first) > 9
    np.testing.assert_array_equal(factors["synthetic"], again["synthetic"])


@pytest.fixture
def emodb(tmp_path):
    """EmoDB's layout: a speaker of each part of the packaged split, anger, fear and sadness from each."""
    folder = tmp_path / "emodb" / "wav"
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).normal(0, 3000, 8000).astype(np.int16)
    for speaker in ("03", "12", "09"):
        for letter in "WAT":
            soundfile.write(folder / f"{speaker}a01{letter}a.wav", noise, 16000, subtype="PCM_16")
    return folder.parent


def test_a_corpus_whose_labels_are_withheld_is_heard_and_no_more(emodb):
    given = {"emodb": emodb}
    plain, blind = (gather(soft_recipe(), given, withheld=names) for names in ((), ("emodb",)))
    others = [clip for clip in plain.train if clip.corpus != "emodb"]
    heard = [clip for clip in blind.train if clip.corpus == "emodb"]
    assert [clip for clip in blind.train if clip.corpus != "emodb"] == others
    assert [clip.id for clip in heard] == ["03a01Aa", "03a01Ta", "03a01Wa"]  # fear is heard as well
    assert {(clip.emotion, clip.adv, clip.votes, clip.label) for clip in heard} == {(None, None, None, "")}
    assert any(clip.corpus == "emodb" for clip in plain.validation)
    assert not any(clip.corpus == "emodb" for clip in blind.validation)  # it would use the labels
    assert blind.test == plain.test and any(clip.corpus == "emodb" for clip in plain.test)


@pytest.mark.long
def test_withheld_labels_by_the_command(emodb, tmp_path):
    output = tmp_path / "out"
    speakers = {"train": ("03",), "validation": ("12",), "test": ("09",)}
    options = [*TINY, "optimiser.steps=2", teachers_at(tmp_path, 1), few_voices(tmp_path, emodb=speakers)]
    options.append('teacher.unlabelled_corpora=["emodb"]')
    train("wav2small_soft", corpora={"emodb": emodb}, output=output, overrides=options)
    heard = load_artifact(output / "wav2small.fp32.onnx").manifest.training.corpora["emodb"]
    assert (heard.train, heard.validation, heard.test) == (["03"], [], ["09"])
    assert "unlabelled_corpora" in (output / "wav2small.md").read_text()


def test_recordings_of_ones_own_need_no_label_and_no_split(emodb, tmp_path):
    folder = emodb / "wav"
    lines = [f"{folder / f'{name}.wav'},{name[:2]},,0.5,0.5,0.5" for name in ("03a01Wa", "12a01Aa")]
    (table := tmp_path / "office.csv").write_text(
        "\n".join(["file,speaker,emotion,arousal,dominance,valence", *lines])
    )
    given = {"emodb": emodb, "office": table}
    with pytest.raises(UsageError, match="corpus 'office' has no speakers in split"):
        gather(soft_recipe(), given)
    found = gather(soft_recipe(), given, withheld=("office",))
    heard = [clip for clip in found.train if clip.corpus == "office"]
    assert [(clip.speaker, clip.emotion) for clip in heard] == [("03", None), ("12", None)]
    assert not any(clip.corpus == "office" for clip in [*found.validation, *found.test])
    training = training_facts(soft_recipe(), found)
    assert training.label_source == "prototype + synthetic"  # and not the people who rated the office
    facts = training.corpora["office"]
    assert (facts.train, facts.validation, facts.test) == (["03", "12"], [], [])


def test_a_corpus_of_which_nothing_is_heard_is_refused(emodb):
    for speaker in ("03", "12"):
        for clip in (emodb / "wav").glob(f"{speaker}*"):
            clip.unlink()
    with pytest.raises(CorpusError, match=r"emodb=.* has no clip of a training speaker of split 'wav2small'"):
        gather(soft_recipe(), {"emodb": emodb}, withheld=("emodb",))


def test_a_corpus_that_is_not_given_cannot_be_withheld(tmp_path):
    options = [*TINY, teachers_at(tmp_path, 1), 'teacher.unlabelled_corpora=["nemo"]']
    with pytest.raises(UsageError, match=r"names nemo, which no --corpus gives\. Given: none"):
        train("wav2small_soft", corpora={}, output=tmp_path / "out", overrides=options)
    with pytest.raises(ConfigError, match="names none"):
        train("wav2small_soft", corpora={}, output=tmp_path / "out", overrides=[*TINY, options[-1]])


def test_one_batch_of_a_teacher_is_learnt_by_heart(tmp_path):
    recipe = soft_recipe(
        teachers_at(tmp_path, 1),
        "model.dropout=0.0",
        "optimiser.learning_rate=0.01",
        "optimiser.steps=100",
        "augment.mel_masks=0",
        "augment.time_masks=0",
        "loss.ccc_weight=0.0",
        "loss.smoothing=0.0",
    )
    source = SoftLabels(TrainingData(few_clips(), recipe), load_teachers(recipe), recipe.teacher)
    trainer, batch = Trainer(recipe, source, lambda model: {"score": 0.0}, tmp_path / "out"), source.batch(0)
    entropy = (
        -(batch.weights * (batch.emotions * np.log(batch.emotions + 1e-30)).sum(1)).sum()
        / batch.weights.sum()
    )
    divergence = [trainer.step(step, batch) - entropy for step in range(100)]
    assert -1e-4 < divergence[-1] < 0.05 * divergence[0]


def test_another_teacher_is_another_run(tmp_path):
    def trainer(gain: float) -> Trainer:
        path = tiny_teacher(tmp_path / "t.onnx", emotions=True, gain=gain)
        recipe = soft_recipe(f'teacher.paths=["{path}"]')
        source = SoftLabels(TrainingData(few_clips(), recipe), load_teachers(recipe), recipe.teacher)
        return Trainer(recipe, source, lambda model: {"score": 0.0}, tmp_path / "out")

    trainer(4.0).run(stop_after=1)
    assert trainer(4.0).resume()
    with pytest.raises(ConfigError, match="clips"):
        trainer(5.0).resume()


@pytest.mark.long
def test_the_whole_command(tmp_path):
    output = tmp_path / "out"
    options = [*TINY, "optimiser.steps=2", teachers_at(tmp_path), few_voices(tmp_path)]
    train("wav2small_soft", corpora={}, output=output, overrides=options)
    manifest = load_artifact(output / "wav2small.fp32.onnx").manifest
    assert manifest.training.label_source.startswith("synthetic + teacher t0 ")
    assert " + t1 " in manifest.training.label_source
    card = (output / "wav2small.md").read_text()
    assert "teacher.paths=PATH" in card and str(tmp_path) not in card


def test_no_teacher(tmp_path):
    with pytest.raises(ConfigError, match=r"learns from teachers, and names none.*teacher\.paths"):
        train("wav2small_soft", corpora={}, output=tmp_path / "out", overrides=list(TINY))
    assert not (tmp_path / "out").exists()
