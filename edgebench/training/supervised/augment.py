"""Augmentations: small functions of an array and a random generator, none of which changes the label.

There is no change of polarity, since the nets trained with these read a power spectrum; gain is for nets
that do not normalise the level, as Wav2Small does. Waveforms are (samples,) float32; log-mels
(batch, 1, frames, mels), in dB or as the net scales them.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Waveform = NDArray[np.float32]
Range = tuple[float, float]


def excerpt(waveform: Waveform, samples: int, rng: np.random.Generator) -> Waveform:
    """``samples`` in a row from a random place, the clip taken as a ring.

    The ring is the paper's cyclic rotation (``np.roll``), and it fills up short clips with speech.
    """
    start = int(rng.integers(len(waveform)))
    ring: Waveform = waveform[np.arange(start, start + samples) % len(waveform)]
    return ring


def change_speed_and_colour(
    waveform: Waveform, *, samples: int, gains_db: NDArray[np.float64] | None = None
) -> Waveform:
    """Resample to ``samples`` in all and weigh the frequencies, in one pass through the spectrum.

    A tenth fewer samples raise pitch and formants by a tenth and shorten by a tenth. ``gains_db``
    (points,) stand at equal steps of the square root of frequency and are joined linearly.
    """
    spectrum = np.fft.rfft(waveform)
    bins = samples // 2 + 1
    if gains_db is not None:
        place = np.sqrt(np.linspace(0.0, 1.0, len(spectrum)))
        gain_db = np.interp(place, np.linspace(0.0, 1.0, len(gains_db)), gains_db)
        spectrum = spectrum * (10.0 ** (gain_db / 20.0)).astype(np.float32)
    kept = np.zeros(bins, dtype=spectrum.dtype)
    count = min(bins, len(spectrum))
    kept[:count] = spectrum[:count]
    return (np.fft.irfft(kept, n=samples) * (samples / len(waveform))).astype(np.float32)


def coloured_noise(samples: int, *, slope: float, rng: np.random.Generator) -> Waveform:
    """Noise of deviation 1 whose power falls as frequency ** -slope: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(samples, dtype=np.float32))
    frequency = np.arange(len(spectrum), dtype=np.float32)
    frequency[0] = 1.0
    spectrum *= frequency ** np.float32(-slope / 2.0)
    spectrum[0] = 0.0
    noise = np.fft.irfft(spectrum, n=samples)
    scaled: Waveform = (noise / (noise.std() + 1e-12)).astype(np.float32)
    return scaled


def add_at_snr(waveform: Waveform, noise: Waveform, *, snr_db: float) -> Waveform:
    """``waveform + g * noise`` with g such that signal power over noise power is ``snr_db``."""
    signal_power = float(np.mean(waveform.astype(np.float64) ** 2))
    noise_power = float(np.mean(noise.astype(np.float64) ** 2))
    gain = np.sqrt(signal_power / (noise_power * 10.0 ** (snr_db / 10.0) + 1e-20))
    return (waveform + np.float32(gain) * noise).astype(np.float32)


def gain(waveform: Waveform, gain_db: float) -> Waveform:
    """Louder by ``gain_db`` decibels; [-1, 1] may be left."""
    return (waveform * np.float32(10.0 ** (gain_db / 20.0))).astype(np.float32)


def mix(first: Waveform, second: Waveform, *, weight: float) -> Waveform:
    """Both at equal power, the second with a share ``weight`` of the sum's power (0..1)."""
    first_level = float(np.sqrt(np.mean(first.astype(np.float64) ** 2))) + 1e-12
    second_level = float(np.sqrt(np.mean(second.astype(np.float64) ** 2))) + 1e-12
    a, b = np.sqrt(1.0 - weight) / first_level, np.sqrt(weight) / second_level
    return (np.float32(a) * first + np.float32(b) * second).astype(np.float32)


def mask_log_mel(
    log_mel: Tensor,
    *,
    mel_masks: int,
    mel_mask_bands: int,
    time_masks: int,
    time_mask_frames: int,
    rng: np.random.Generator,
) -> Tensor:
    """Overwrite bands and stretches of each item with that item's mean (SpecAugment's masks).

    Widths are uniform from 0 to the maximum given. Returns a new tensor.
    """
    masked = log_mel.clone()
    batch, _, frames, mels = log_mel.shape
    means = log_mel.mean(dim=(1, 2, 3))
    for item in range(batch):
        for _ in range(mel_masks):
            width = int(rng.integers(mel_mask_bands + 1))
            low = int(rng.integers(mels - width + 1))
            masked[item, :, :, low : low + width] = means[item]
        for _ in range(time_masks):
            width = int(rng.integers(min(time_mask_frames, frames) + 1))
            low = int(rng.integers(frames - width + 1))
            masked[item, :, low : low + width, :] = means[item]
    return torch.as_tensor(masked)
