"""Wav2Small: a seven-layer convolutional net of 72,659 parameters that keeps 250 frames a second.

Source: Kounadis-Bastian, Schrüfer, Derington, Wierstorf, Eyben, Burkhardt, Schuller, "Wav2Small:
Distilling Wav2Vec2 to 72K Parameters for Low-Resource Speech Emotion Recognition", Listing 1.
The second head, ``emotion_logits``, is ours and reads the same pooled vector (680 parameters more).
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from edgebench.models.architectures.frontend import LogMel, normalise_level
from edgebench.models.architectures.hugging_face import read_checkpoint
from edgebench.models.architectures.weights import load_exactly

CHANNELS = 13
HOP = 32  # samples a frame of the front end
MELS_AFTER_POOL = 13  # 26 mel bands, halved once
WIDTH = CHANNELS * MELS_AFTER_POOL  # 169 virtual channels


def _convolution(channels_in: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, CHANNELS, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(CHANNELS),
        nn.ReLU(),
    )


class Wav2Small(nn.Module):
    """Waveform (batch, samples) at 16 kHz to arousal, dominance, valence and four emotion logits.

    ``dropout`` acts on the pooled vector while training; the paper has none, and nothing of it
    reaches an artifact. ``weights`` is a checkpoint of this very net (a folder in the Hugging Face
    layout, a file, or a name on the hub); anything else raises :class:`ModelError`, and nothing is loaded.
    """

    hop_samples = HOP

    def __init__(self, *, emotions: int = 4, dropout: float = 0.0, weights: str | Path | None = None) -> None:
        super().__init__()
        self.log_mel = LogMel(hop=HOP)
        self.vgg7 = nn.Sequential(
            _convolution(1),
            _convolution(CHANNELS),
            _convolution(CHANNELS),
            nn.MaxPool2d(3, stride=2, padding=1),
            _convolution(CHANNELS),
            _convolution(CHANNELS),
            _convolution(CHANNELS),
            _convolution(CHANNELS),
            nn.Conv2d(CHANNELS, CHANNELS, kernel_size=1),
        )
        self.lin = nn.Linear(WIDTH, WIDTH)
        self.sof = nn.Linear(WIDTH, WIDTH)
        self.dropout = nn.Dropout(dropout)
        self.adv = nn.Linear(WIDTH, 3)
        self.emotion = nn.Linear(WIDTH, emotions)
        if weights is not None:
            load_exactly(self, read_checkpoint(weights).tensors, source=weights)

    def features(self, waveform: Tensor) -> Tensor:
        """Log-mel (batch, 1, frames, 26) by the fast route, without gradient: what training augments."""
        return self.log_mel.fast(normalise_level(waveform))

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        return self.classify(self.log_mel(normalise_level(waveform)))

    def classify(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """From log-mel (batch, 1, frames, 26) to (batch, 3) and (batch, emotions)."""
        maps = self.vgg7(log_mel)  # (batch, 13, tokens, 13)
        # subtle: a reshape without a transpose. The paper reads channel-major memory as if it were
        # (tokens, 169), so that a row holds 13 neighbouring frames of one channel: its "vectorisation
        # of tokens as channels". A transpose first would be the usual thing, and another net.
        tokens = maps.reshape(maps.shape[0], -1, WIDTH)
        pooled = (self.sof(tokens).softmax(1) * self.lin(tokens)).sum(1)  # learnable pooling over time
        pooled = self.dropout(pooled)
        return self.adv(pooled), self.emotion(pooled)
