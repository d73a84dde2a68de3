"""What stands between a speech transformer's frames and our two outputs: pooling over time and heads.

Every head maps frames (batch, frames, width), and which of them are sound, to named answers: arousal,
dominance and valence (batch, 3), emotion logits (batch, emotions) and the embedding (batch, width) that both
are read from. ``PUBLISHED`` maps tensor names of that head's published checkpoint to ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from edgebench.models.layers.speech_net import Answers, read_heads

HEAD_DEVIATION = 0.01
DEVIATION_FLOOR = 1e-5  # under the variance, where all frames are alike


def mean_over_time(frames: Tensor, sound: Tensor | None) -> Tensor:
    """Mean (batch, width) of the frames that ``sound`` (batch, frames) marks; of all without it."""
    if sound is None:
        return frames.mean(1)
    kept = sound.to(frames.dtype).unsqueeze(-1)
    return (frames * kept).sum(1) / kept.sum(1)


def initialise(linear: nn.Linear, *, bias: float) -> nn.Linear:
    """Small weights: answers start together, at ``bias``, the middle of their range."""
    nn.init.normal_(linear.weight, std=HEAD_DEVIATION)
    nn.init.constant_(linear.bias, bias)
    return linear


class MeanHead(nn.Module):
    """Mean over time, then one linear layer an output; no checkpoint fills it."""

    PUBLISHED: ClassVar[Mapping[str, str]] = {}

    def __init__(self, width: int, *, emotions: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.adv = initialise(nn.Linear(width, 3), bias=0.5)
        self.emotion = initialise(nn.Linear(width, emotions), bias=0.0)

    def forward(self, frames: Tensor, sound: Tensor | None, names: Sequence[str]) -> Answers:
        return read_heads(self, mean_over_time(frames, sound), names)


class DenseTanhHead(nn.Module):
    """Mean over time, dense, tanh, projection: the head of ``dawn``; emotions read the tanh's output.

    Source: J. Wagner et al., "Dawn of the Transformer Era in Speech Emotion Recognition: Closing the
    Valence Gap", IEEE TPAMI 45 (9), 2023, and the published model
    ``audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim``.
    """

    PUBLISHED: ClassVar[Mapping[str, str]] = {
        f"classifier.{theirs}.{part}": f"{ours}.{part}"
        for theirs, ours in (("dense", "dense"), ("out_proj", "adv"))
        for part in ("weight", "bias")
    }

    def __init__(self, width: int, *, emotions: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(width, width)
        self.adv = initialise(nn.Linear(width, 3), bias=0.5)
        self.emotion = initialise(nn.Linear(width, emotions), bias=0.0)

    def forward(self, frames: Tensor, sound: Tensor | None, names: Sequence[str]) -> Answers:
        pooled = self.dropout(mean_over_time(frames, sound))
        return read_heads(self, self.dense(pooled).tanh(), names)


class AttentiveStatisticsHead(nn.Module):
    """Attentive mean and deviation over time, dense, norm, ReLU, projection: the Odyssey 2024 baseline.

    Sources: K. Okabe, T. Koshinaka, K. Shinoda, "Attentive Statistics Pooling for Deep Speaker
    Embedding", Interspeech 2018; L. Goncalves et al., "Odyssey 2024 - Speech Emotion Recognition
    Challenge: Dataset, Baseline Framework, and Results", Odyssey 2024, its published code
    (MSP-Podcast_Challenge) and model ``3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes``.
    """

    PUBLISHED: ClassVar[Mapping[str, str]] = {
        "pool_model.attention": "attention",
        **{
            f"{theirs}.{part}": f"{ours}.{part}"
            for theirs, ours in (
                ("pool_model.sap_linear", "score"),
                ("ser_model.fc.0.0", "dense"),
                ("ser_model.fc.0.1", "norm"),
                ("ser_model.out.0", "adv"),
            )
            for part in ("weight", "bias")
        },
    }

    def __init__(self, width: int, *, emotions: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.score = nn.Linear(width, width)
        self.attention = nn.Parameter(torch.randn(width, 1))
        self.dense, self.norm = nn.Linear(2 * width, width), nn.LayerNorm(width)
        self.adv = initialise(nn.Linear(width, 3), bias=0.5)
        self.emotion = initialise(nn.Linear(width, emotions), bias=0.0)

    def forward(self, frames: Tensor, sound: Tensor | None, names: Sequence[str]) -> Answers:
        scores = self.score(frames).tanh() @ self.attention  # (batch, frames, 1)
        if sound is not None:
            scores = scores.masked_fill(~sound.unsqueeze(-1), -torch.inf)
        share = scores.softmax(1)
        mean = (share * frames).sum(1)
        variance = (share * frames * frames).sum(1) - mean * mean
        pooled = self.dropout(torch.cat([mean, variance.clamp(min=DEVIATION_FLOOR).sqrt()], dim=1))
        return read_heads(self, self.norm(self.dense(pooled)).relu(), names)
