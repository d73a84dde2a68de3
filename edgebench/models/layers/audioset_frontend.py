"""The log-mel that nets trained on AudioSet by the EfficientAT recipe read, made from 16 kHz speech.

The original front end works at 32 kHz: ``y[n] = x[n + 1] - 0.97 x[n]``, frames of 1024 points 320
samples apart, centred, under a symmetric hann window of 800, power, 128 Kaldi mel triangles (linear in
mel, height one) from 0 to 15 kHz, and ``(ln(mel + 1e-5) + 4.5) / 5``. Source: F. Schmid, K. Koutini,
G. Widmer, "Efficient Large-Scale Audio Tagging Via Transformer-to-CNN Knowledge Distillation", ICASSP
2023, and its published preprocessing.

A signal without content above 8 kHz is the same signal at 16 kHz, so the same numbers can be had from
it: half the points a frame keep each bin at its frequency, and half the hop keeps each frame at its
time. See ``docs/decisions/0011-audioset-net-at-16-khz.md``.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

N_FFT, WINDOW, PREEMPHASIS = 1024, 800, 0.97  # at 32 kHz
ORIGINAL_RATE_HZ, MAX_HZ, MELS = 32_000, 15_000.0, 128
HOP = 160  # at 16 kHz: 10 ms
BINS = N_FFT // 4  # 0 to 7968.75 Hz; the bin at 8 kHz would be aliased at 16 kHz
OFFSET, SHIFT, SCALE = 1e-5, 4.5, 5.0


def fourier_basis() -> NDArray[np.float32]:
    """Real, then imaginary kernels (2 * 256, 399): pre-emphasis, window and transform in one.

    A 32 kHz sample at place ``p`` of a frame enters the transform twice, through ``y[p - 1]`` and,
    times -0.97, through ``y[p]``. Only even places exist at 16 kHz, and each stands for two: hence the
    factor. The window ends in zeros, so that 399 of the 512 places of a frame are left.
    """
    ends = (N_FFT - WINDOW) // 2
    window = np.zeros(N_FFT)
    window[ends : ends + WINDOW] = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / (WINDOW - 1))
    turn = np.exp(-2j * np.pi * np.outer(np.arange(BINS), np.arange(N_FFT)) / N_FFT)
    places = np.arange(ends + 2, ends + WINDOW, 2)
    windowed = window * turn
    kernels = 2.0 * (windowed[:, places - 1] - PREEMPHASIS * windowed[:, places])
    return np.concatenate([kernels.real, kernels.imag]).astype(np.float32)


def kaldi_mel(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kaldi's mel scale, ``1127 ln(1 + f / 700)``."""
    return 1127.0 * np.log1p(frequency_hz / 700.0)


def mel_basis() -> NDArray[np.float32]:
    """Triangles (256, 128) of height one, linear in mel, 0 to 15 kHz; those above 8 kHz stay empty."""
    bins_mel = kaldi_mel(np.arange(BINS, dtype=np.float64) * (ORIGINAL_RATE_HZ / N_FFT))[:, None]
    corners = np.linspace(0.0, float(kaldi_mel(np.array(MAX_HZ))), MELS + 2)
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (bins_mel - low) / (centre - low), (high - bins_mel) / (high - centre)
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


class AudioSetLogMel(nn.Module):
    """Waveform (batch, samples) at 16 kHz to log-mel (batch, 1, frames, 128), about -1.4 to 3.

    frames = ceil(samples / 160). More than 199 samples are needed, since the edges are reflected. The
    level of the waveform stays in: these nets learnt with it.
    """

    def __init__(self) -> None:
        super().__init__()
        fourier = torch.from_numpy(fourier_basis()).unsqueeze(1)  # (2 * bins, 1, taps)
        self.fourier = nn.Parameter(fourier, requires_grad=False)
        self.mel = nn.Parameter(torch.from_numpy(mel_basis()), requires_grad=False)

    def forward(self, waveform: Tensor) -> Tensor:
        spectrum = functional.conv1d(self._padded(waveform), self.fourier, stride=HOP)
        real, imaginary = spectrum.chunk(2, dim=1)
        power = (real * real + imaginary * imaginary).transpose(1, 2)  # (batch, frames, bins)
        return self._normalised(power @ self.mel)

    @torch.no_grad()
    def fast(self, waveform: Tensor) -> Tensor:
        """What :meth:`forward` computes, by one matrix product over a strided view: for training on a CPU."""
        kernels = self.fourier.squeeze(1)
        frames = self._padded(waveform).squeeze(1).unfold(1, kernels.shape[1], HOP)
        real, imaginary = (frames @ kernels.T).chunk(2, dim=-1)
        return self._normalised((real * real + imaginary * imaginary) @ self.mel)

    def _padded(self, waveform: Tensor) -> Tensor:
        half = self.fourier.shape[-1] // 2
        return functional.pad(waveform.unsqueeze(1), (half, half), mode="reflect")

    def _normalised(self, mel: Tensor) -> Tensor:
        return (((mel + OFFSET).log() + SHIFT) / SCALE).unsqueeze(1)
