"""Batches are a pure function of recipe, clips and step: every clip once an epoch, padded at its end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
pytest.importorskip("audiomentations", reason="training needs audiomentations: pip install edgebench[train]")

from edgebench.agent.waveform import prepare
from edgebench.corpora import EMOTIONS, load_waveform, synthetic_corpus
from edgebench.errors import CorpusError
from edgebench.training.fine_tuning.data import FineTuningData
from edgebench.training.methods import load_recipe

pytestmark = pytest.mark.train

CLIPS = synthetic_corpus(split="train")[:22]
SMALL = ("optimiser.batch=4", "prepare.length_s=2.0", "data.cache_mb=20")
STILL = [f"augment.{name}_probability=0" for name in ("gain", "noise", "pitch", "polarity")]


def data(*overrides: str, clips=CLIPS) -> FineTuningData:
    recipe = load_recipe("distilhubert_loso", overrides=[*SMALL, *overrides])
    return FineTuningData(clips, recipe.for_clips(len(clips)))


def equal(a, b) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_batches_are_pure_functions_of_the_step():
    first, second = data(), data()
    expected = [first.batch(step) for step in range(7)]
    assert all(equal(second.batch(step), expected[step]) for step in (6, 0, 3, 3))
    assert not equal(data("seed=1").batch(0), expected[0])


def test_rows_are_the_same_whoever_makes_them():
    whole = data().batch(2)
    halves = [data().rows(2, rows) for rows in (range(2), range(2, 4))]
    joined = [np.concatenate(parts) for parts in zip(*halves, strict=True)]
    assert equal(joined, whole)


def test_every_clip_once_an_epoch_epochs_running_on():
    made = data()
    places = [index for step in range(11) for index in made.indices(step)]
    assert len(places) == 44
    assert sorted(places[:22]) == sorted(places[22:]) == list(range(22))
    assert places[:22] != places[22:]


def test_without_augmentation_a_row_is_the_prepared_clip_and_zeros():
    made = data(*STILL)
    batch = made.batch(1)
    assert batch.waveforms.shape == (4, 32_000)
    for row, index in enumerate(made.indices(1)):
        expected = prepare(load_waveform(CLIPS[index]), made.recipe.prepare.sound_steps(), 16_000)
        assert batch.lengths[row] == len(expected) <= 32_000
        assert np.array_equal(batch.waveforms[row, : len(expected)], expected)
        assert not batch.waveforms[row, len(expected) :].any()
        assert EMOTIONS[batch.emotions[row]] == CLIPS[index].emotion
    assert len(set(batch.lengths.tolist())) > 1


def test_augmentation_leaves_the_padding_silent():
    every = [f"augment.{name}_probability=1" for name in ("gain", "noise", "pitch", "polarity")]
    made, still = data(*every).batch(1), data(*STILL).batch(1)
    assert np.array_equal(made.lengths, still.lengths)
    for waveform, plain, length in zip(made.waveforms, still.waveforms, made.lengths, strict=True):
        assert not waveform[length:].any()
        assert not np.allclose(waveform[:length], plain[:length])


def test_weights_only_where_the_recipe_balances():
    unequal = [*(clip for clip in CLIPS if clip.emotion != "anger"), CLIPS[0], CLIPS[12]][-10:]
    assert {clip.emotion for clip in unequal} >= {"anger", "happiness", "neutral"}
    clips = [*unequal, replace(CLIPS[0], id="sad", emotion="sadness")]
    counts = [sum(clip.emotion == emotion for clip in clips) for emotion in EMOTIONS]
    assert data(clips=clips).weights == pytest.approx(len(clips) / (4 * np.array(counts)))
    assert data("loss.balanced=false", clips=clips).weights.tolist() == [1.0] * 4


def test_nothing_to_train_on():
    recipe = load_recipe("distilhubert_loso", overrides=SMALL).for_clips(4)
    with pytest.raises(CorpusError, match="no clip of the four emotions to train on"):
        FineTuningData([], recipe)
