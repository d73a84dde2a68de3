"""Losses: cross-entropy on soft targets, and 1 - CCC."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-8


def smooth(targets: Tensor, smoothing: float) -> Tensor:
    """Mix each distribution (batch, classes) with the uniform one: ``(1 - s) * p + s / classes``."""
    return targets * (1.0 - smoothing) + smoothing / targets.shape[1]


def cross_entropy(targets: Tensor, logits: Tensor, *, weights: Tensor, smoothing: float = 0.0) -> Tensor:
    """Weighted mean of ``-sum_c p_c log softmax(logits)_c``; targets (batch, classes), weights (batch,)."""
    nats = -(smooth(targets, smoothing) * functional.log_softmax(logits, dim=1)).sum(1)
    return (weights * nats).sum() / (weights.sum() + EPSILON)


def ccc(truth: Tensor, prediction: Tensor) -> Tensor:
    """Concordance correlation coefficient (Lin 1989) of each column; both (batch, dimensions).

    ``2 cov / (var_truth + var_prediction + (mean_truth - mean_prediction)^2)`` with population moments.
    """
    mean_truth, mean_prediction = truth.mean(0), prediction.mean(0)
    covariance = ((truth - mean_truth) * (prediction - mean_prediction)).mean(0)
    variance_truth = truth.var(0, unbiased=False)
    variance_prediction = prediction.var(0, unbiased=False)
    distance = (mean_truth - mean_prediction) ** 2
    return 2.0 * covariance / (variance_truth + variance_prediction + distance + EPSILON)


def ccc_loss(truth: Tensor, prediction: Tensor) -> Tensor:
    """Mean over dimensions of ``1 - ccc``; rows with a NaN in the truth are left out."""
    labelled = torch.isfinite(truth).all(1)
    if int(labelled.sum()) < 2:
        return prediction.sum() * 0.0  # no variance, no concordance: a zero that still has a gradient
    return (1.0 - ccc(truth[labelled], prediction[labelled])).mean()
