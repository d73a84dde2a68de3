"""The fixed front end: level normalisation, power spectrogram by convolution, log-mel.

The geometry is that of torchlibrosa's ``Spectrogram`` and ``LogmelFilterBank``, which Wav2Small's
Listing 1 names: a hann window, reflected edges, squared magnitude, Slaney's mel scale with area
normalisation, and ``10 log10(max(1e-10, x))``. The Fourier and mel bases are parameters, because the
paper counts them and because an artifact carries them to the board; none of them is ever trained.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

AMIN = 1e-10  # torchlibrosa's floor under the logarithm: -100 dB
VARIANCE_FLOOR = 1e-7  # Listing 1: digital silence must not divide by zero


def hz_to_mel(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's mel scale: linear to 1 kHz (200/3 Hz a mel), then 27 steps an octave-and-a-bit (6.4)."""
    linear = frequency_hz / (200.0 / 3.0)
    logarithmic = 15.0 + np.log(np.maximum(frequency_hz, 1e-9) / 1000.0) / (math.log(6.4) / 27.0)
    return np.where(frequency_hz >= 1000.0, logarithmic, linear)


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of :func:`hz_to_mel`."""
    return np.where(mel >= 15.0, 1000.0 * np.exp((mel - 15.0) * (math.log(6.4) / 27.0)), mel * (200.0 / 3.0))


def mel_basis(*, sample_rate_hz: int, n_fft: int, n_mels: int) -> NDArray[np.float32]:
    """Triangles (n_fft / 2 + 1, n_mels) of unit area in Hz, from 0 to half the sample rate.

    With 64 points at 16 kHz a bin is 250 Hz wide and the lowest triangles are narrower than that, so
    the first one catches no bin at all: its log-mel is the floor, -100 dB. The paper's has it as well.
    """
    nyquist_hz = sample_rate_hz / 2.0
    bins_hz = np.linspace(0.0, nyquist_hz, n_fft // 2 + 1)
    corners_hz = mel_to_hz(np.linspace(0.0, float(hz_to_mel(np.array(nyquist_hz))), n_mels + 2))
    low, centre, high = corners_hz[:-2], corners_hz[1:-1], corners_hz[2:]
    rising = (bins_hz[:, None] - low) / (centre - low)
    falling = (high - bins_hz[:, None]) / (high - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * (2.0 / (high - low))).astype(np.float32)


def fourier_basis(n_fft: int) -> NDArray[np.float32]:
    """Windowed cosines, then windowed sines: (2 * (n_fft / 2 + 1), n_fft), periodic hann."""
    samples = np.arange(n_fft)
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * samples / n_fft)
    phase = 2.0 * np.pi * np.outer(np.arange(n_fft // 2 + 1), samples) / n_fft
    return (np.concatenate([np.cos(phase), -np.sin(phase)]) * window).astype(np.float32)


def normalise_level(waveform: Tensor) -> Tensor:
    """Remove the mean and divide by the deviation of each waveform (batch, samples)."""
    centred = waveform - waveform.mean(1, keepdim=True)
    variance = (centred * centred).mean(1, keepdim=True) + VARIANCE_FLOOR
    return centred / variance.sqrt()


class LogMel(nn.Module):
    """Waveform (batch, samples) to log-mel (batch, 1, frames, mels) in dB; frames = samples // hop + 1.

    More than ``n_fft / 2`` samples are needed, since the edges are reflected.
    """

    def __init__(
        self, *, sample_rate_hz: int = 16_000, n_fft: int = 64, hop: int = 32, n_mels: int = 26
    ) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        fourier = torch.from_numpy(fourier_basis(n_fft)).unsqueeze(1)  # (2 * bins, 1, n_fft)
        mel = torch.from_numpy(mel_basis(sample_rate_hz=sample_rate_hz, n_fft=n_fft, n_mels=n_mels))
        self.fourier = nn.Parameter(fourier, requires_grad=False)
        self.mel = nn.Parameter(mel, requires_grad=False)  # (bins, mels)

    def forward(self, waveform: Tensor) -> Tensor:
        half = self.n_fft // 2
        padded = functional.pad(waveform.unsqueeze(1), (half, half), mode="reflect")
        spectrum = functional.conv1d(padded, self.fourier, stride=self.hop)  # (batch, 2 * bins, frames)
        real, imaginary = spectrum.chunk(2, dim=1)
        power = (real * real + imaginary * imaginary).transpose(1, 2)  # (batch, frames, bins)
        return 10.0 * torch.log10(torch.clamp(power @ self.mel, min=AMIN)).unsqueeze(1)

    @torch.no_grad()
    def fast(self, waveform: Tensor) -> Tensor:
        """What :meth:`forward` computes, by one matrix product over a strided view: for training on a CPU."""
        half = self.n_fft // 2
        padded = functional.pad(waveform.unsqueeze(1), (half, half), mode="reflect").squeeze(1)
        frames = padded.unfold(1, self.n_fft, self.hop)  # (batch, frames, n_fft), a view
        real, imaginary = (frames @ self.fourier.squeeze(1).T).chunk(2, dim=-1)
        mel = (real * real + imaginary * imaginary) @ self.mel
        return mel.clamp_(min=AMIN).log10_().mul_(10.0).unsqueeze(1)
