"""Augmentations of categorical fine-tuning, by audiomentations: gain, Gaussian noise, pitch, polarity.

The library draws its parameters from the global states of ``random`` and ``numpy.random``, which the threads
of a run share. Here every number is drawn from the generator given, and each call makes its own transform, so
that a batch is a pure function of its step. Source of the ranges: the DistilHuBERT paper, Sec. III-B.
"""

from __future__ import annotations

from typing import Any

import audiomentations
import numpy as np
from numpy.typing import NDArray

from edgebench.corpora import SAMPLE_RATE_HZ
from edgebench.training.fine_tuning.recipe import FineTuningAugmentSection

Waveform = NDArray[np.float32]


def augment(waveform: Waveform, options: FineTuningAugmentSection, rng: np.random.Generator) -> Waveform:
    """Each of the four by its probability, in the paper's order; as many samples as before."""
    if rng.random() < options.gain_probability:
        waveform = gain(waveform, float(rng.uniform(*options.gain_db)))
    if rng.random() < options.noise_probability:
        waveform = gaussian_noise(waveform, float(rng.uniform(*options.noise_amplitude)), rng)
    if rng.random() < options.pitch_probability:
        waveform = pitch_shift(waveform, float(rng.uniform(*options.pitch_semitones)))
    if rng.random() < options.polarity_probability:
        waveform = invert(waveform)
    return waveform


def gain(waveform: Waveform, gain_db: float) -> Waveform:
    """Louder by ``gain_db`` decibels; [-1, 1] may be left."""
    return _apply(audiomentations.Gain(p=1.0), waveform, amplitude_ratio=10.0 ** (gain_db / 20.0))


def gaussian_noise(waveform: Waveform, amplitude: float, rng: np.random.Generator) -> Waveform:
    """White noise of deviation ``amplitude`` (full scale is 1) added."""
    return _apply(_SeededNoise(rng), waveform, amplitude=np.float32(amplitude))


def pitch_shift(waveform: Waveform, semitones: float) -> Waveform:
    """Every frequency times ``2 ** (semitones / 12)``, the length kept."""
    return _apply(audiomentations.PitchShift(p=1.0), waveform, num_semitones=semitones)


def invert(waveform: Waveform) -> Waveform:
    """The other polarity."""
    return _apply(audiomentations.PolarityInversion(p=1.0), waveform)


class _SeededNoise(audiomentations.AddGaussianNoise):  # type: ignore[misc]  # the library is untyped
    """The library's transform, its noise from a generator of its own."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(p=1.0)
        self._rng = rng

    def apply(self, samples: Waveform, sample_rate: int) -> Waveform:
        noise = self._rng.standard_normal(len(samples), dtype=np.float32)
        noisy: Waveform = samples + self.parameters["amplitude"] * noise
        return noisy


def _apply(transform: Any, waveform: Waveform, **drawn: Any) -> Waveform:
    """Apply a transform with the parameters that it would have drawn itself."""
    transform.parameters = {"should_apply": True, **drawn}
    transform.freeze_parameters()
    return np.asarray(transform(waveform, SAMPLE_RATE_HZ), dtype=np.float32)
