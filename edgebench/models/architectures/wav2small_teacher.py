"""Wav2Small's teacher: the mean of two published nets' answers to the same waveform.

Source: Kounadis-Bastian et al., "Wav2Small", section II-A.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from edgebench.models.architectures.speech_transformer import Dawn, WavLMLarge
from edgebench.models.checkpoints.hugging_face import read_checkpoint
from edgebench.models.checkpoints.weights import load_exactly
from edgebench.models.layers.speech_net import Answers, SpeechNet
from edgebench.models.outputs import HEADS


class Wav2SmallTeacher(SpeechNet):
    """``dawn`` and ``wavlm_large`` side by side. Their embeddings have no mean, so it gives none.

    ``dawn`` and ``wavlm`` name the checkpoints of the two nets, ``weights`` that of both as we save them;
    ``config`` replaces settings of both. Errors are those of :class:`SpeechTransformer`.
    """

    available = HEADS
    takes_lengths = True

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

    def front_end(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The waveform itself: each net has a level of its own."""
        return waveform

    def classify(
        self, features: Tensor, lengths: Tensor | None = None, *, outputs: Sequence[str] | None = None
    ) -> Answers:
        """The mean of both nets' answers."""
        names = self.asked(outputs)
        first, second = (net(features, lengths, outputs=names) for net in (self.dawn, self.wavlm))
        return {name: (first[name] + second[name]) / 2.0 for name in names}
