"""The two parts of wav2vec 2.0 as nets of their own, to be timed apart: Fig. 5 of the Wav2Small paper.

The paper cuts the large net of its teacher to six transformer layers and asks which part is the slower.
Both classes build that same net (from one seed the same weights) and keep their part of it. Needs torch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgebench.models.architectures.speech_transformer import Dawn
from edgebench.models.layers.speech_net import Answers

LAYERS = 6  # the paper's Fig. 5
HOP = 320  # samples a frame of the feature extractor
_WIDTH = 512  # channels of the feature extractor


class FeatureExtractor(nn.Module):
    """VGG7: seven convolutions, each with norm and activation. Waveform (batch, samples) at 16 kHz to
    features (batch, 512, frames), 50 frames a second less one."""

    outputs: tuple[str, ...] = ("features",)

    def __init__(self, *, layers: int = LAYERS) -> None:
        super().__init__()
        self.feature_extractor = Dawn(config={"num_hidden_layers": layers}).backbone.feature_extractor

    def forward(self, waveform: Tensor) -> Answers:
        return {"features": self.feature_extractor(waveform)}


class Encoder(nn.Module):
    """What follows VGG7: projection to 1024, positional convolution and ``layers`` transformer layers.

    Takes a waveform (batch, samples) and gives hidden states (batch, frames, 1024), so that it can be fed
    like any model: each frame is 320 samples, the first 192 of them twice, which makes the 512 features.
    What the numbers are does not matter to the time they take; making them is one copy.
    """

    outputs: tuple[str, ...] = ("hidden_states",)

    def __init__(self, *, layers: int = LAYERS) -> None:
        super().__init__()
        backbone = Dawn(config={"num_hidden_layers": layers}).backbone
        self.feature_projection, self.encoder = backbone.feature_projection, backbone.encoder

    def forward(self, waveform: Tensor) -> Answers:
        frames = waveform.shape[1] // HOP - 1  # as many as the extractor makes of whole tenths of a second
        cut = waveform[:, : frames * HOP].reshape(waveform.shape[0], frames, HOP)
        features = torch.cat([cut, cut[:, :, : _WIDTH - HOP]], dim=2)
        hidden, _ = self.feature_projection(features)
        return {"hidden_states": self.encoder(hidden).last_hidden_state}
