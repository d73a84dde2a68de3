"""The MobileNets of the Wav2Small paper: a log-mel read as an image, tokens pooled over time, two heads.

Source: Kounadis-Bastian et al., "Wav2Small: Distilling Wav2Vec2 to 72K Parameters for Low-Resource
Speech Emotion Recognition", Sections III-A and V: the log-mel layer is part of the net, one more
convolution makes an image of the channels that the pretrained weights expect, and the last maps are
tokens (16 a second, 960 wide) for the learnable pooling of Listing 1. What the paper leaves open, and
how it was settled by its Table I: ``docs/decisions/0013-mobilenets-of-table-1.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from edgebench.models.layers.frontend import LogMel, normalise_level
from edgebench.models.layers.speech_heads import initialise
from edgebench.models.layers.speech_net import Answers, SpeechNet, read_heads

# About those of normalised speech (80 clips of the corpora at hand: -44 and 28 dB at 64 points, -37 and 29
# at 144): the image starts at mean 0 and deviation 1, which pretrained weights expect, and learns on.
MEAN_DB, DEVIATION_DB = -40.0, 28.0


class LearnablePooling(nn.Module):
    """Tokens (batch, tokens, width) to (batch, width): a weighted mean, each channel by its own weights."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lin, self.sof = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        pooled: Tensor = (self.sof(tokens).softmax(1) * self.lin(tokens)).sum(1)
        return pooled


class LogMelImage(SpeechNet):
    """A trunk of an image net over log-mels, with pooling over time and two heads.

    ``trunk`` maps an image (batch, channels, frames, mels) to maps (batch, width, tokens, 1). With
    ``narrowed`` a linear layer takes the tokens to that width before they are pooled. ``dropout`` acts
    on the pooled vector.
    """

    def __init__(
        self,
        trunk: nn.Module,
        *,
        log_mel: LogMel,
        channels: int,
        width: int,
        narrowed: int | None = None,
        emotions: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.log_mel, self.hop_samples = log_mel, log_mel.hop
        self.image = nn.Conv2d(1, channels, kernel_size=1)
        nn.init.constant_(self.image.weight, 1.0 / DEVIATION_DB)
        assert self.image.bias is not None
        nn.init.constant_(self.image.bias, -MEAN_DB / DEVIATION_DB)
        self.trunk = trunk
        self.narrow = nn.Identity() if narrowed is None else nn.Linear(width, narrowed)
        pooled = narrowed or width
        self.pool, self.dropout = LearnablePooling(pooled), nn.Dropout(dropout)
        self.adv = initialise(nn.Linear(pooled, 3), bias=0.5)
        self.emotion = initialise(nn.Linear(pooled, emotions), bias=0.0)

    def new_parameters(self) -> Iterator[nn.Parameter]:
        """All but the trunk, which a checkpoint fills, and the fixed front end."""
        for module in (self.image, self.narrow, self.pool, self.adv, self.emotion):
            yield from module.parameters()

    def features(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log-mel (batch, 1, frames, mels) by one matrix product, without gradient."""
        return self.log_mel.fast(normalise_level(waveform))

    def front_end(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log-mel (batch, 1, frames, mels) in dB."""
        log_mel: Tensor = self.log_mel(normalise_level(waveform))
        return log_mel

    def classify(
        self, features: Tensor, lengths: Tensor | None = None, *, outputs: Sequence[str] | None = None
    ) -> Answers:
        """From log-mel (batch, 1, frames, mels) in dB."""
        names = self.asked(outputs)
        maps = self.trunk(self.image(features))
        # subtle: contiguous, since the exporter otherwise asks whether there are as many tokens as
        # channels, and ties the graph to the answer.
        tokens = maps.squeeze(3).transpose(1, 2).contiguous()  # (batch, tokens, width)
        return read_heads(self, self.pool(self.narrow(tokens)), names)
