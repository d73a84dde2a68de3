"""The loss of categorical fine-tuning: focal, balanced by class, with smoothed labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from edgebench.corpora import EMOTIONS, Clip
from edgebench.errors import CorpusError
from edgebench.training.loop.losses import EPSILON, smooth


def focal_loss(
    truth: Tensor, logits: Tensor, *, weights: Tensor, gamma: float, smoothing: float = 0.0
) -> Tensor:
    """Mean over the batch of ``-sum_c q_c a_c (1 - p_c) ** gamma log p_c``.

    ``truth (batch,)`` class numbers, ``logits (batch, classes)``, ``weights a (classes,)``; p is the
    softmax, and q the one-hot truth mixed with the uniform distribution by ``smoothing``. Without
    smoothing this is the equation of Lin et al. 2017 (ICCV, Sec. 3.2) and of the DistilHuBERT paper; with
    it, that equation's mean over the labels that q deals out. With ``gamma = 0`` it is torch's weighted
    cross-entropy with label smoothing, summed and divided by the batch.
    """
    log_p = functional.log_softmax(logits, dim=1)
    targets = smooth(functional.one_hot(truth, logits.shape[1]).to(log_p.dtype), smoothing)
    # subtle: 1 - p from log p keeps its digits where p is near 1; a power below 1 has no slope at 0.
    doubt = (-torch.expm1(log_p)).clamp_min(EPSILON) ** gamma
    return -(targets * weights * doubt * log_p).sum(1).mean()


def balanced_weights(clips: Sequence[Clip]) -> NDArray[np.float64]:
    """``clips / (classes * clips of the class)`` for each of ``EMOTIONS``: the mean over clips is 1.

    Raises :class:`CorpusError` where an emotion has no clip, or a clip none of the four.
    """
    counts = np.bincount(emotion_numbers(clips), minlength=len(EMOTIONS))
    missing = [emotion for emotion, count in zip(EMOTIONS, counts, strict=True) if not count]
    if missing:
        raise CorpusError(
            f"no clip of {' or '.join(missing)} among the {len(clips)} to train on, so that emotion can be "
            "neither learnt nor weighed. Give a corpus that has it with --corpus or --train-only."
        )
    weights: NDArray[np.float64] = len(clips) / (len(EMOTIONS) * counts.astype(np.float64))
    return weights


def emotion_numbers(clips: Sequence[Clip]) -> NDArray[np.int64]:
    """The place of each clip's emotion in ``EMOTIONS``, (clips,).

    Raises :class:`CorpusError` for a clip whose emotion is none of the four.
    """
    for clip in clips:
        if clip.emotion not in EMOTIONS:
            raise CorpusError(
                f"clip {clip.name!r} has the emotion {clip.emotion!r}; a net of four classes learns "
                f"{', '.join(EMOTIONS)}. Correct its label, or leave it out."
            )
    return np.array([EMOTIONS.index(str(clip.emotion)) for clip in clips], dtype=np.int64)
