"""Light-SERNet: a fully convolutional net over cepstra, three kernel shapes side by side at its entry.

Source: A. Aftab, A. Morsali, S. Ghaemmaghami, B. Champagne, "Light-SERNet: A Lightweight Fully
Convolutional Neural Network for Speech Emotion Recognition", ICASSP 2022, and what its published code
says of sizes (AryaAftab/LIGHT-SERNET). Certain from these: 64 ms hann frames every 16 ms without padding,
magnitudes, 128 mel triangles from 80 to 7600 Hz, ``ln(mel + 1e-6)``, 40 cepstra clipped at 10; paths of
32 channels with kernels over time (11), over cepstra (9) and over both (3 x 3); blocks of 64, 96, 128 and
160 channels, of 3 x 3, and one of 320, of 1 x 1; the poolings; dropout 0.3 in training. Its four-class
net has 460,740 trained parameters with one dense layer behind: 0.88 MiB at two bytes each, the size
that the paper gives. Ours puts the three dimensions beside the classes (963 more).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edgebench.models.checkpoints.hugging_face import read_checkpoint
from edgebench.models.checkpoints.weights import load_exactly
from edgebench.models.layers.audioset_frontend import kaldi_mel
from edgebench.models.layers.frontend import fourier_basis
from edgebench.models.layers.speech_heads import initialise
from edgebench.models.layers.speech_net import Answers, SpeechNet, read_heads

SAMPLE_RATE_HZ, N_FFT, HOP = 16_000, 1024, 256
MELS, LOWEST_HZ, HIGHEST_HZ, FLOOR = 128, 80.0, 7600.0, 1e-6
CEPSTRA, CLIP = 40, 10.0
PATH_CHANNELS = 32
PATHS = ((11, 1), (1, 9), (3, 3))  # kernels: frames x cepstra
# Channels, kernel, and pooling (frames x cepstra) of the blocks behind the paths.
BLOCKS = ((64, 3, (2, 2)), (96, 3, (2, 2)), (128, 3, (2, 1)), (160, 3, (2, 1)), (320, 1, None))
NORM_EPSILON, NORM_MOMENTUM = 1e-3, 1e-2  # Keras's, in which the net was published


def mel_basis() -> NDArray[np.float32]:
    """Triangles (513, 128) of height one, linear in mel; the bin at 0 Hz counts nothing."""
    bins_mel = kaldi_mel(np.linspace(0.0, SAMPLE_RATE_HZ / 2, N_FFT // 2 + 1))[:, None]
    lowest, highest = kaldi_mel(np.array([LOWEST_HZ, HIGHEST_HZ]))
    corners = np.linspace(lowest, highest, MELS + 2)
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (bins_mel - low) / (centre - low), (high - bins_mel) / (high - centre)
    triangles: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    return triangles.astype(np.float32)


def cosine_basis() -> NDArray[np.float32]:
    """The first 40 of the cosine transform of 128 bands (128, 40): type II, times sqrt(2 / 128) each."""
    phase = np.pi / MELS * np.outer(np.arange(MELS) + 0.5, np.arange(CEPSTRA))
    cosines: NDArray[np.float64] = np.sqrt(2.0 / MELS) * np.cos(phase)
    return cosines.astype(np.float32)


class MagnitudeLogMel(nn.Module):
    """Waveform (batch, samples) to log-mel (batch, 1, frames, 128); frames = (samples - 1024) // 256 + 1.

    The level of the waveform stays in, as in the original. At least 1024 samples (64 ms) are needed.
    """

    def __init__(self) -> None:
        super().__init__()
        fourier = torch.from_numpy(fourier_basis(N_FFT)).unsqueeze(1)  # (2 * bins, 1, taps)
        self.fourier = nn.Parameter(fourier, requires_grad=False)
        self.mel = nn.Parameter(torch.from_numpy(mel_basis()), requires_grad=False)

    def forward(self, waveform: Tensor) -> Tensor:
        spectrum = functional.conv1d(waveform.unsqueeze(1), self.fourier, stride=HOP)
        real, imaginary = spectrum.chunk(2, dim=1)
        return self._log_mel((real * real + imaginary * imaginary).transpose(1, 2))

    @torch.no_grad()
    def fast(self, waveform: Tensor) -> Tensor:
        """What :meth:`forward` computes, by one matrix product over a strided view: for training on a CPU."""
        frames = waveform.unfold(1, N_FFT, HOP)
        real, imaginary = (frames @ self.fourier.squeeze(1).T).chunk(2, dim=-1)
        return self._log_mel(real * real + imaginary * imaginary)

    def _log_mel(self, power: Tensor) -> Tensor:
        return (power.sqrt() @ self.mel + FLOOR).log().unsqueeze(1)


def _pool(shape: tuple[int, int]) -> nn.Module:
    """Means of whole windows, and of what there is of the last one: Keras's padding ``same``."""
    return nn.AvgPool2d(shape, ceil_mode=True, count_include_pad=False)


def _block(
    channels_in: int,
    channels: int,
    kernel: tuple[int, int],
    pool: tuple[int, int] | None,
    *,
    bias: bool = False,
) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2)
    convolution = nn.Conv2d(channels_in, channels, kernel, padding=padding, bias=bias)
    nn.init.xavier_uniform_(convolution.weight)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    norm = nn.BatchNorm2d(channels, eps=NORM_EPSILON, momentum=NORM_MOMENTUM)
    return nn.Sequential(convolution, norm, nn.ReLU(), *([_pool(pool)] if pool else []))


class LightSerNet(SpeechNet):
    """Light-SERNet with heads for arousal, dominance, valence and four emotions.

    ``weights`` is a checkpoint of this very net; the published ones are of TensorFlow. Raises
    :class:`ModelError` for anything else, and nothing is loaded then. ``dropout`` acts on the pooled
    vector; the paper's is 0.3.
    """

    hop_samples = HOP

    def __init__(self, *, emotions: int = 4, dropout: float = 0.0, weights: str | Path | None = None) -> None:
        super().__init__()
        self.log_mel = MagnitudeLogMel()
        self.cosine = nn.Parameter(torch.from_numpy(cosine_basis()), requires_grad=False)
        self.paths = nn.ModuleList(_block(1, PATH_CHANNELS, kernel, (2, 2), bias=True) for kernel in PATHS)
        channels, blocks = len(PATHS) * PATH_CHANNELS, []
        for wider, kernel, pool in BLOCKS:
            blocks.append(_block(channels, wider, (kernel, kernel), pool))
            channels = wider
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.adv = initialise(nn.Linear(channels, 3), bias=0.5)
        self.emotion = initialise(nn.Linear(channels, emotions), bias=0.0)
        if weights is not None:
            load_exactly(self, read_checkpoint(weights).tensors, source=weights)

    def features(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log-mel (batch, 1, frames, 128) by one matrix product, without gradient."""
        return self.log_mel.fast(waveform)

    def front_end(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log-mel (batch, 1, frames, 128)."""
        log_mel: Tensor = self.log_mel(waveform)
        return log_mel

    def classify(
        self, features: Tensor, lengths: Tensor | None = None, *, outputs: Sequence[str] | None = None
    ) -> Answers:
        """From log-mel (batch, 1, frames, 128)."""
        names = self.asked(outputs)
        cepstra = (features @ self.cosine).clamp(-CLIP, CLIP)  # (batch, 1, frames, 40)
        maps = self.blocks(torch.cat([path(cepstra) for path in self.paths], dim=1))
        return read_heads(self, maps.mean((2, 3)), names)
