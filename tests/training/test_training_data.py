"""Batches: a pure function of the step, every clip once an epoch, weights by the formula."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
from tiny_run import few_clips, tiny_recipe

from edgebench.corpora import EMOTIONS
from edgebench.errors import CorpusError
from edgebench.training.clips.waveforms import Waveforms
from edgebench.training.loop.batches import Prefetcher
from edgebench.training.supervised.data import TrainingData, balance_weights, emotion_targets

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return TrainingData(few_clips(), tiny_recipe())


def test_a_step_always_gives_the_same_batch(data):
    fresh = TrainingData(few_clips(), tiny_recipe())
    fresh.batch(0)  # what was drawn before must not matter
    for a, b in zip(data.batch(5), fresh.batch(5), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_seed_or_step_gives_another(data):
    other = TrainingData(few_clips(), tiny_recipe("seed=9"))
    assert not np.array_equal(data.batch(5).waveforms, other.batch(5).waveforms)
    assert not np.array_equal(data.batch(5).waveforms, data.batch(6).waveforms)


def test_shapes(data):
    batch = data.batch(0)
    assert batch.waveforms.shape == (4, 4800)
    assert batch.emotions.shape == (4, 4)
    assert batch.adv.shape == (4, 3)
    assert batch.weights.shape == (4,)
    assert {array.dtype for array in batch} == {np.dtype(np.float32)}
    np.testing.assert_allclose(batch.emotions.sum(1), 1.0, rtol=1e-6)


def test_every_clip_once_an_epoch_across_batches(data):
    clips = len(data.clips)
    steps = 3 * clips  # of 4 clips each: 12 epochs
    drawn = [index for step in range(steps) for index in data.indices(step)]
    for epoch in range(12):
        assert sorted(drawn[epoch * clips : (epoch + 1) * clips]) == list(range(clips))
    assert drawn[:clips] != drawn[clips : 2 * clips]


def test_balance_weights_by_the_formula():
    base = few_clips()[0]
    clips = [replace(base, corpus="a", emotion="anger")] * 8 + [
        replace(base, corpus="a", emotion="sadness")
    ] * 2
    clips += [replace(base, corpus="b", emotion="anger")] * 4
    weights = balance_weights(clips, power=0.5, corpus_weights={"b": 3.0})
    raw = [8**-0.5] * 8 + [2**-0.5] * 2 + [3.0 * 4**-0.5] * 4
    np.testing.assert_allclose(weights, np.array(raw) / np.mean(raw), rtol=1e-6)
    np.testing.assert_allclose(balance_weights(clips, power=0.0, corpus_weights={}), 1.0)


def test_targets_are_in_the_order_of_the_emotions():
    clips = [replace(few_clips()[0], emotion=name) for name in EMOTIONS]
    np.testing.assert_array_equal(emotion_targets(clips), np.eye(4))


def test_unlabelled_clip_is_refused():
    with pytest.raises(CorpusError, match="no emotion label"):
        TrainingData([replace(clip, emotion=None) for clip in few_clips()], tiny_recipe())


def test_a_clip_without_one_dimension_is_refused():
    with pytest.raises(CorpusError, match="has no dominance and cannot be trained on"):
        TrainingData([replace(clip, dominance=None) for clip in few_clips()], tiny_recipe())


def test_fewer_clips_than_a_batch():
    with pytest.raises(CorpusError, match="fewer than one batch"):
        TrainingData(few_clips()[:3], tiny_recipe())


def test_same_class_mixing_keeps_the_label():
    recipe = tiny_recipe("augment.same_class_probability=1.0", "augment.any_class_probability=0.0")
    data = TrainingData(few_clips(), recipe)
    for step in range(10):
        batch = data.batch(step)
        np.testing.assert_allclose(batch.emotions, data.emotions[data.indices(step)], atol=1e-6)


def test_any_class_mixing_mixes_labels():
    recipe = tiny_recipe("augment.same_class_probability=0.0", "augment.any_class_probability=1.0")
    data = TrainingData(few_clips(), recipe)
    soft = np.concatenate([data.batch(step).emotions for step in range(20)])
    np.testing.assert_allclose(soft.sum(1), 1.0, rtol=1e-5)
    mixed = np.count_nonzero(soft > 0, axis=1)
    assert Counter(mixed.tolist())[2] > 20
    assert soft.max(1).min() >= 0.5 - 1e-6  # the first clip keeps at least half


def test_memory_budget_is_kept():
    clips = few_clips()
    store = Waveforms(clips, budget_bytes=200_000)
    first = [store[index] for index in range(len(clips))]
    assert store.kept_bytes <= 200_000
    for index, waveform in enumerate(first):
        np.testing.assert_array_equal(store[index], waveform)


def test_prefetcher_gives_the_steps_in_order(data):
    fetched = list(Prefetcher(data).batches(3, 6))
    assert [step for step, _ in fetched] == [3, 4, 5]
    np.testing.assert_array_equal(fetched[1][1].waveforms, data.batch(4).waveforms)
    assert list(Prefetcher(data).batches(6, 6)) == []
