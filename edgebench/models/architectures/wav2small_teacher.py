"""Wav2Small's teacher: the mean of two published nets' answers to the same waveform.

Source: Kounadis-Bastian et al., "Wav2Small", section II-A. It learns nothing of its own; trained or not,
both nets hear everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from edgebench.models.architectures.speech_transformer import Dawn, WavLMLarge
from edgebench.models.checkpoints.hugging_face import read_checkpoint
from edgebench.models.checkpoints.weights import load_exactly


class Teacher(nn.Module):
    """Waveform (batch, samples) at 16 kHz to arousal, dominance, valence and four emotion logits.

    ``dawn`` and ``wavlm`` name the checkpoints of the two nets, ``weights`` that of both as we save them;
    ``config`` replaces settings of both. Errors are those of :class:`SpeechTransformer`.
    """

    def __init__(
        self,
        *,
        emotions: int = 4,
        dropout: float = 0.0,
        weights: str | Path | None = None,
        dawn: str | Path | None = None,
        wavlm: str | Path | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.dawn = Dawn(emotions=emotions, dropout=dropout, weights=dawn, config=config)
        self.wavlm = WavLMLarge(emotions=emotions, dropout=dropout, weights=wavlm, config=config)
        self.hop_samples = self.dawn.hop_samples
        self._filled = weights is not None
        if weights is not None:
            load_exactly(self, read_checkpoint(weights).tensors, source=weights)

    def new_parameters(self) -> Iterator[nn.Parameter]:
        """What no checkpoint filled of the two heads."""
        if not self._filled:
            yield from self.dawn.new_parameters()
            yield from self.wavlm.new_parameters()

    def freeze_feature_encoder(self) -> None:
        """Leave the convolutions of both nets as they are."""
        self.dawn.freeze_feature_encoder()
        self.wavlm.freeze_feature_encoder()

    def features(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The waveform itself: each net has a level of its own."""
        return waveform

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.classify(waveform, lengths)

    def classify(self, features: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean of both answers: (batch, 3) and (batch, emotions)."""
        (adv, logits), (other_adv, other_logits) = self.dawn(features, lengths), self.wavlm(features, lengths)
        return (adv + other_adv) / 2.0, (logits + other_logits) / 2.0
