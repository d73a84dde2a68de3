"""The baseline against the conditions of its optimum, and against plain statistics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
from tiny_run import few_clips  # noqa: E402

from edgebench.corpora import EMOTIONS, load_waveform  # noqa: E402
from edgebench.models.layers.frontend import LogMel  # noqa: E402
from edgebench.training.artifacts.baseline import Baseline, predict_baseline, statistics  # noqa: E402

pytestmark = pytest.mark.train


def test_it_is_the_optimum_of_the_penalised_likelihood():
    """Where ``|weights|^2 / 2 - sum of log p`` has no slope: weights = sum of (truth - p) x, biases free."""
    clips = few_clips(every=3)
    features = statistics(clips)
    deviation = features.std(0)
    moving = deviation > 1e-6  # the lowest band is silent
    x = (features[:, moving] - features[:, moving].mean(0)) / deviation[moving]
    logits = Baseline(clips)(clips)
    truth = np.eye(4)[[EMOTIONS.index(clip.emotion) for clip in clips]]
    rest = truth - np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    weights = x.T @ rest
    np.testing.assert_allclose(rest.sum(0), 0.0, atol=1e-4)
    biases = (logits - x @ weights).mean(0)
    np.testing.assert_allclose(x @ weights + biases, logits, atol=1e-3)
    assert np.abs(weights).max() > 0.05


@pytest.mark.parametrize("kept", [("anger",), ("anger", "sadness"), ("anger", "neutral", "sadness")])
def test_an_emotion_that_no_clip_has_is_never_the_answer(kept):
    clips = [clip for clip in few_clips(every=7) if clip.emotion in kept]
    logits = Baseline(clips)(few_clips(every=7))
    assert {EMOTIONS[index] for index in logits.argmax(1)} == set(kept)
    own = Baseline(clips)(clips).argmax(1)
    assert np.mean([EMOTIONS[index] == clip.emotion for index, clip in zip(own, clips, strict=True)]) > 0.8


def test_statistics_are_mean_and_deviation_of_each_band():
    clip = few_clips()[0]
    bands = LogMel()(torch.from_numpy(load_waveform(clip))[None])[0, 0].numpy().astype(np.float64)
    found = statistics([clip])[0]
    np.testing.assert_allclose(found[:26], bands.mean(0), atol=1e-3)
    np.testing.assert_allclose(found[26:], bands.std(0), atol=1e-3)


def test_recognises_the_synthetic_emotions():
    train, test = few_clips(every=2), few_clips(part="test", every=2)
    predicted = predict_baseline(train, test)
    answers = [EMOTIONS[int(np.argmax(row))] for row in predicted.values[0]]
    right = [answer == clip.emotion for answer, clip in zip(answers, test, strict=True)]
    assert np.mean(right) > 0.5  # chance is a quarter


def test_aligned_it_says_every_emotion_as_often_over_the_unlabelled_clips():
    train, test = few_clips(), few_clips(part="test")
    leaning = [clip for clip in few_clips() if clip.emotion in ("anger", "sadness")]
    plain = np.array(predict_baseline(train, leaning).values[0])
    aligned = np.array(predict_baseline(train, leaning, unlabelled=leaning).values[0])
    powers = np.exp(aligned - aligned.max(1, keepdims=True))
    np.testing.assert_allclose((powers / powers.sum(1, keepdims=True)).mean(0), 0.25, atol=0.01)
    shift = aligned - plain  # one number an emotion, of which only differences count
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-5)
    assert np.ptp(shift[0]) > 0.5
    others = [np.array(predict_baseline(train, test, unlabelled=clips).values[0]) for clips in ((), leaning)]
    np.testing.assert_allclose(others[1] - others[0], np.broadcast_to(shift[0], others[0].shape), atol=1e-5)
    blind = [replace(clip, emotion=None) for clip in leaning]
    assert predict_baseline(train, test, unlabelled=blind) == predict_baseline(
        train, test, unlabelled=leaning
    )
