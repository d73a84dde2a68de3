"""Losses against the formulas written plainly, and against audmetric."""

from __future__ import annotations

import math

import audmetric
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
from edgebench.training.loop import losses  # noqa: E402

pytestmark = pytest.mark.train


def plain_cross_entropy(targets, logits, weights, smoothing):
    total = weight_sum = 0.0
    for target, row, weight in zip(targets.tolist(), logits.tolist(), weights.tolist(), strict=True):
        peak = max(row)
        log_sum = peak + math.log(sum(math.exp(value - peak) for value in row))
        nats = 0.0
        for share, value in zip(target, row, strict=True):
            nats -= ((1 - smoothing) * share + smoothing / len(row)) * (value - log_sum)
        total, weight_sum = total + weight * nats, weight_sum + weight
    return total / weight_sum


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_the_formula(smoothing):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 4, generator=generator) * 5
    targets = torch.rand(7, 4, generator=generator)
    targets = targets / targets.sum(1, keepdim=True)
    weights = torch.rand(7, generator=generator) + 0.1
    found = losses.cross_entropy(targets, logits, weights=weights, smoothing=smoothing)
    assert float(found) == pytest.approx(plain_cross_entropy(targets, logits, weights, smoothing), rel=1e-5)


def test_cross_entropy_on_hard_labels_is_torchs():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(9, 4, generator=generator)
    labels = torch.randint(0, 4, (9,), generator=generator)
    one_hot = torch.nn.functional.one_hot(labels, 4).float()
    found = losses.cross_entropy(one_hot, logits, weights=torch.ones(9), smoothing=0.1)
    expected = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
    assert torch.allclose(found, expected, atol=1e-6)


def test_ccc_is_audmetrics():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 1, (50, 3)).astype(np.float32)
    prediction = (0.6 * truth + 0.3 * rng.uniform(0, 1, (50, 3)) + [0.0, 0.2, -0.1]).astype(np.float32)
    found = losses.ccc(torch.from_numpy(truth), torch.from_numpy(prediction))
    for column in range(3):
        expected = audmetric.concordance_cc(truth[:, column], prediction[:, column])
        assert float(found[column]) == pytest.approx(expected, abs=1e-4)


def test_ccc_worked_example():
    # truth 1 2 3, prediction 2 3 4: covariance 2/3, variances 2/3, distance of means 1.
    truth, prediction = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[2.0], [3.0], [4.0]])
    assert float(losses.ccc(truth, prediction)) == pytest.approx((4 / 3) / (4 / 3 + 1))


def test_ccc_loss_leaves_out_unlabelled_rows():
    truth = torch.tensor([[0.1, 0.2, 0.3], [math.nan] * 3, [0.5, 0.4, 0.9], [0.8, 0.1, 0.2]])
    prediction = torch.rand(4, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    kept = [0, 2, 3]
    loss = losses.ccc_loss(truth, prediction)
    expected = (1 - losses.ccc(truth[kept], prediction[kept])).mean()
    assert torch.allclose(loss, expected)
    loss.backward()
    assert torch.isfinite(prediction.grad).all()
    assert torch.all(prediction.grad[1] == 0)


def test_ccc_loss_without_labels_is_zero_and_trains_on():
    prediction = torch.rand(4, 3, requires_grad=True)
    loss = losses.ccc_loss(torch.full((4, 3), math.nan), prediction)
    loss.backward()
    assert float(loss.detach()) == 0.0


def test_perfect_and_opposite_predictions():
    truth = torch.tensor([[0.0], [0.5], [1.0]])
    assert float(losses.ccc_loss(truth, truth)) == pytest.approx(0.0, abs=1e-6)
    assert float(losses.ccc_loss(truth, 1 - truth)) == pytest.approx(2.0, abs=1e-6)
