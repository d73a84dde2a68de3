"""Focal loss against plain loops, the papers' own numbers, and torch where gamma is 0."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")

from edgebench.corpora import EMOTIONS, synthetic_corpus  # noqa: E402
from edgebench.errors import CorpusError  # noqa: E402
from edgebench.training.fine_tuning.focal import balanced_weights, emotion_numbers, focal_loss  # noqa: E402

pytestmark = pytest.mark.train


def plain_focal(truth, logits, weights, gamma: float, smoothing: float) -> float:
    """The equation, one number at a time."""
    total = 0.0
    for label, row in zip(truth, logits, strict=True):
        scores = [math.exp(value - max(row)) for value in row]
        for number, score in enumerate(scores):
            p = score / sum(scores)
            q = (1.0 - smoothing) * (number == label) + smoothing / len(row)
            total -= q * weights[number] * (1.0 - p) ** gamma * math.log(p)
    return total / len(truth)


def drawn(seed: int, rows: int = 7):
    rng = np.random.default_rng(seed)
    return rng.integers(4, size=rows), rng.normal(0.0, 3.0, (rows, 4)), rng.uniform(0.2, 3.0, 4)


def ours(truth, logits, weights, gamma: float, smoothing: float) -> float:
    values = (torch.tensor(truth), torch.tensor(logits, dtype=torch.float64))
    return float(focal_loss(*values, weights=torch.tensor(weights), gamma=gamma, smoothing=smoothing))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_is_the_equation(gamma, smoothing):
    for seed in range(5):
        values = drawn(seed)
        assert ours(*values, gamma, smoothing) == pytest.approx(
            plain_focal(*values, gamma, smoothing), rel=1e-12
        )


def test_the_example_of_its_authors():
    """Lin et al. 2017, Sec. 3.2, gamma 2: a p of .9 costs 100 times less than by cross-entropy, .968 1000."""
    for p, times in ((0.9, 100.0), (0.968, 976.5625)):
        logits = [[math.log(p), *(3 * [math.log((1 - p) / 3)])]]
        focal = ours([0], logits, np.ones(4), 2.0, 0.0)
        assert focal * times == pytest.approx(-math.log(p), rel=1e-9)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_without_gamma_it_is_torchs_weighted_cross_entropy(smoothing):
    truth, logits, weights = drawn(3, rows=16)
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(logits),
        torch.tensor(truth),
        weight=torch.tensor(weights),
        label_smoothing=smoothing,
        reduction="sum",
    )
    assert ours(truth, logits, weights, 0.0, smoothing) * 16 == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_certainty_has_a_finite_loss_and_gradient(gamma):
    logits = torch.tensor([[200.0, 0.0, 0.0, 0.0], [200.0, 0.0, 0.0, 0.0]], requires_grad=True)
    loss = focal_loss(torch.tensor([0, 1]), logits, weights=torch.ones(4), gamma=gamma, smoothing=0.1)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_gradient_is_the_slope():
    truth, logits, weights = drawn(8)
    given = torch.tensor(logits, requires_grad=True)
    options = {"weights": torch.tensor(weights), "gamma": 2.0, "smoothing": 0.1}
    focal_loss(torch.tensor(truth), given, **options).backward()
    step = 1e-6
    for row, column in ((0, 0), (3, 2), (6, 1)):
        above, below = logits.copy(), logits.copy()
        above[row, column] += step
        below[row, column] -= step
        slope = (ours(truth, above, weights, 2.0, 0.1) - ours(truth, below, weights, 2.0, 0.1)) / (2 * step)
        assert float(given.grad[row, column]) == pytest.approx(slope, abs=1e-8)


def clips_of(counts):
    example = synthetic_corpus()[0]
    return [
        replace(example, id=f"{emotion}{n}", emotion=emotion)
        for emotion, count in zip(EMOTIONS, counts, strict=True)
        for n in range(count)
    ]


def test_weights_are_scikit_learns():
    compute = pytest.importorskip("sklearn.utils.class_weight").compute_class_weight
    clips = clips_of((5, 1, 12, 3))
    truth = emotion_numbers(clips)
    assert balanced_weights(clips) == pytest.approx(
        compute("balanced", classes=np.arange(4), y=truth), rel=1e-12
    )
    assert balanced_weights(clips)[truth].mean() == pytest.approx(1.0)


def test_weights_are_those_of_the_papers_table_one():
    """Its "average class weight" is that of a fold: three fifths of IEMOCAP and all of CREMA-D train."""
    iemocap, crema_d = np.array([1103, 1636, 1708, 1084]), np.array([1271, 1271, 1087, 1271])
    counts = np.round(0.6 * iemocap + crema_d).astype(int)
    assert balanced_weights(clips_of(counts)) == pytest.approx([1.065, 0.913, 0.974, 1.070], abs=0.003)


def test_an_emotion_without_clips_cannot_be_weighed():
    with pytest.raises(CorpusError, match="no clip of happiness or sadness among the 6 to train on"):
        balanced_weights(clips_of((2, 0, 4, 0)))


def test_a_label_outside_of_the_four():
    clips = [replace(synthetic_corpus()[0], emotion="fear")]
    with pytest.raises(CorpusError, match="has the emotion 'fear'; a net of four classes learns anger"):
        emotion_numbers(clips)
