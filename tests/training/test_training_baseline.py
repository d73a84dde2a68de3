"""The baseline against scikit-learn's, and against plain statistics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
from tiny_run import few_clips  # noqa: E402

from edgebench.corpora import EMOTIONS, load_waveform  # noqa: E402
from edgebench.models.layers.frontend import LogMel  # noqa: E402
from edgebench.training.artifacts.baseline import fit, predict_baseline, statistics  # noqa: E402

pytestmark = pytest.mark.train


def test_is_scikit_learns_logistic_regression():
    linear_model = pytest.importorskip("sklearn.linear_model", reason="the test extra brings scikit-learn")
    rng = np.random.default_rng(0)
    features, labels = rng.standard_normal((80, 6)), rng.integers(0, 4, 80)
    features[:, 0] += labels
    weights, biases = fit(features, labels, classes=4)
    theirs = linear_model.LogisticRegression(C=1.0, tol=1e-8, max_iter=10_000).fit(features, labels)
    np.testing.assert_allclose(weights.T, theirs.coef_, atol=1e-3)
    # Only differences of biases are determined.
    np.testing.assert_allclose(
        biases - biases.mean(), theirs.intercept_ - theirs.intercept_.mean(), atol=1e-3
    )


def test_statistics_are_mean_and_deviation_of_each_band():
    clip = few_clips()[0]
    bands = LogMel()(torch.from_numpy(load_waveform(clip))[None])[0, 0].numpy().astype(np.float64)
    found = statistics([clip])[0]
    np.testing.assert_allclose(found[:26], bands.mean(0), atol=1e-3)
    np.testing.assert_allclose(found[26:], bands.std(0), atol=1e-3)


def test_hears_the_synthetic_emotions_it_was_taught():
    train, test = few_clips(every=2), few_clips(part="test", every=2)
    predicted = predict_baseline(train, test)
    answers = [EMOTIONS[int(np.argmax(row))] for row in predicted.values[0]]
    right = [answer == clip.emotion for answer, clip in zip(answers, test, strict=True)]
    assert np.mean(right) > 0.5  # chance is a quarter


def test_aligned_it_says_every_emotion_as_often_over_what_it_heard():
    train, test = few_clips(), few_clips(part="test")
    leaning = [clip for clip in few_clips() if clip.emotion in ("anger", "sadness")]
    plain = np.array(predict_baseline(train, leaning).values[0])
    aligned = np.array(predict_baseline(train, leaning, unlabelled=leaning).values[0])
    powers = np.exp(aligned - aligned.max(1, keepdims=True))
    np.testing.assert_allclose((powers / powers.sum(1, keepdims=True)).mean(0), 0.25, atol=0.01)
    shift = aligned - plain  # one number an emotion, of which only differences count
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-5)
    assert np.ptp(shift[0]) > 0.5
    others = [np.array(predict_baseline(train, test, unlabelled=heard).values[0]) for heard in ((), leaning)]
    np.testing.assert_allclose(others[1] - others[0], np.broadcast_to(shift[0], others[0].shape), atol=1e-5)
    blind = [replace(clip, emotion=None) for clip in leaning]
    assert predict_baseline(train, test, unlabelled=blind) == predict_baseline(
        train, test, unlabelled=leaning
    )
