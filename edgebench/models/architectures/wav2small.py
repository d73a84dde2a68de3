"""Wav2Small: a seven-layer convolutional net of 72,659 parameters that keeps 250 frames a second.

Source: Kounadis-Bastian, Schrüfer, Derington, Wierstorf, Eyben, Burkhardt, Schuller, "Wav2Small:
Distilling Wav2Vec2 to 72K Parameters for Low-Resource Speech Emotion Recognition", Listing 1.
The second head, ``emotion_logits``, is ours and reads the same pooled vector (680 parameters more).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from edgebench.models.checkpoints.hugging_face import read_checkpoint
from edgebench.models.checkpoints.weights import load_exactly
from edgebench.models.layers.frontend import LogMel, normalise_level
from edgebench.models.layers.speech_net import Answers, SpeechNet, read_heads

CHANNELS = 13
HOP = 32  # samples a frame of the front end
MELS_AFTER_POOL = 13  # 26 mel bands, halved once
WIDTH = CHANNELS * MELS_AFTER_POOL  # 169 virtual channels
VECTOR = 16  # channels that fill a processor's vectors, where 13 leave each one odd


def _convolution(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


def _layers(channels: int) -> Iterator[nn.Module]:
    yield _convolution(1, channels)
    yield _convolution(channels, channels)
    yield _convolution(channels, channels)
    yield nn.MaxPool2d(3, stride=2, padding=1)
    for _ in range(4):
        yield _convolution(channels, channels)
    yield nn.Conv2d(channels, CHANNELS, kernel_size=1)


class Vgg7(nn.Sequential):
    """The convolutions of Listing 1: log-mel (batch, 1, frames, mels) to (batch, 13, tokens, mels / 2).

    With its weights in the order of channels last it trains in 16 channels, of which three are zero: norm
    and pooling work through whole vectors, and a step takes less time. It is the same net: a channel of
    zeros stays zero, and neither gives nor gets a gradient. ``in_whole_vectors = False`` turns it off.
    """

    in_whole_vectors = True

    def __init__(self) -> None:
        super().__init__(*_layers(CHANNELS))

    def forward(self, log_mel: Tensor) -> Tensor:
        kernel = self.get_submodule("1.0").get_parameter("weight")
        channels_last = kernel.is_contiguous(memory_format=torch.channels_last)
        if self.in_whole_vectors and self.training and channels_last:
            return self._wide(log_mel)
        maps: Tensor = super().forward(log_mel)  # type: ignore[no-untyped-call]
        return maps

    def _wide(self, log_mel: Tensor) -> Tensor:
        with torch.device("meta"):
            wide = nn.Sequential(*_layers(VECTOR))
        shapes = {name: tensor.shape for name, tensor in wide.state_dict().items()}
        tensors = {
            name: _filled_up(tensor, shapes[name]) for name, tensor in self.state_dict(keep_vars=True).items()
        }
        maps: Tensor = functional_call(wide, tensors, (log_mel,))
        with torch.no_grad():
            for name, statistic in self.named_buffers():
                statistic.copy_(tensors[name][: len(statistic)] if statistic.ndim else tensors[name])
        return maps


def _filled_up(tensor: Tensor, shape: torch.Size) -> Tensor:
    """``tensor`` with zeros behind it in every dimension, up to ``shape``."""
    missing = [edge for want, have in zip(shape, tensor.shape, strict=True) for edge in (want - have, 0)]
    return functional.pad(tensor, missing[::-1]) if any(missing) else tensor


class Wav2Small(SpeechNet):
    """Wav2Small with a second head for four emotions.

    ``dropout`` acts on the pooled vector while training; the paper has none, and nothing of it
    reaches an artifact. ``weights`` is a checkpoint of this very net (a folder in the Hugging Face
    layout, a file, or a name on the hub); anything else raises :class:`ModelError`, and nothing is loaded.
    """

    hop_samples = HOP

    def __init__(self, *, emotions: int = 4, dropout: float = 0.0, weights: str | Path | None = None) -> None:
        super().__init__()
        self.log_mel = LogMel(hop=HOP)
        self.vgg7 = Vgg7()
        self.lin = nn.Linear(WIDTH, WIDTH)
        self.sof = nn.Linear(WIDTH, WIDTH)
        self.dropout = nn.Dropout(dropout)
        self.adv = nn.Linear(WIDTH, 3)
        self.emotion = nn.Linear(WIDTH, emotions)
        if weights is not None:
            load_exactly(self, read_checkpoint(weights).tensors, source=weights)

    def features(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log-mel (batch, 1, frames, 26) by one matrix product, without gradient."""
        return self.log_mel.fast(normalise_level(waveform))

    def front_end(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log-mel (batch, 1, frames, 26)."""
        log_mel: Tensor = self.log_mel(normalise_level(waveform))
        return log_mel

    def classify(
        self, features: Tensor, lengths: Tensor | None = None, *, outputs: Sequence[str] | None = None
    ) -> Answers:
        """From log-mel (batch, 1, frames, 26)."""
        names = self.asked(outputs)
        maps = self.vgg7(features)  # (batch, 13, tokens, 13)
        # subtle: a reshape without a transpose. The paper reads channel-major memory as if it were
        # (tokens, 169), so that a row holds 13 neighbouring frames of one channel: its "vectorisation
        # of tokens as channels". A transpose first would be the usual thing, and another net.
        tokens = maps.reshape(maps.shape[0], -1, WIDTH)
        pooled = (self.sof(tokens).softmax(1) * self.lin(tokens)).sum(1)  # learnable pooling over time
        return read_heads(self, pooled, names)
