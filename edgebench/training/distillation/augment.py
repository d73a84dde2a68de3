"""What is done to the sounds of a distillation before teacher and student receive them.

Source: Kounadis-Bastian et al., "Wav2Small", Sec. II-B and answer 10 to the reviewers. The teacher
labels the result, so that an augmentation may change the emotion. Nothing here clips: values beyond
[-1, 1] are meant. Waveforms are (samples,) float32.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgebench.corpora import SAMPLE_RATE_HZ

Waveform = NDArray[np.float32]

# Where the tilt of a shout begins and ends; see :func:`shout`.
TILT_FROM_HZ, TILT_TO_HZ = 500.0, 4000.0
# Lengths of small factors transform several times faster than any length.
GRID_SAMPLES = 400


def draw_length(length_s: tuple[float, float], rng: np.random.Generator) -> int:
    """Samples of a length drawn uniformly from ``length_s``, to the nearest 25 ms ("0.4s up to 12s")."""
    return GRID_SAMPLES * max(1, round(float(rng.uniform(*length_s)) * SAMPLE_RATE_HZ / GRID_SAMPLES))


def cut(waveform: Waveform, samples: int, rng: np.random.Generator) -> Waveform:
    """``samples`` in a row from a random place; a shorter sound is repeated from a random place on."""
    if len(waveform) >= samples:
        start = int(rng.integers(len(waveform) - samples + 1))
        return waveform[start : start + samples]
    start = int(rng.integers(len(waveform)))
    repeated: Waveform = np.resize(np.roll(waveform, -start), samples)
    return repeated


def mix_always(first: Waveform, second: Waveform, *, first_gain: float, second_gain: float) -> Waveform:
    """``first_gain * first + second_gain * second``: the paper's 0.64 and 0.41, which may leave [-1, 1].

    Levels are taken as recorded; nothing is normalised.
    """
    return np.float32(first_gain) * first + np.float32(second_gain) * second


def rotate(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """Cyclic rotation by a random number of samples (``np.roll``)."""
    rolled: Waveform = np.roll(waveform, int(rng.integers(len(waveform))))
    return rolled


def draw_dropped(bins: int, *, width: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which of ``bins`` frequencies to drop: bands of ``width`` bins, each with probability ``share``."""
    bands = -(-bins // width)
    return np.repeat(rng.random(bands) < share, width)[:bins]


def drop_frequencies(waveform: Waveform, dropped: NDArray[np.bool_]) -> Waveform:
    """Silence the ``dropped`` bins (samples // 2 + 1,) of the whole sound's spectrum, keep its energy.

    The paper's "drop of random frequencies and re-normalisation of the lost energy to the remaining
    non-zero frequencies (metallic speech effect)": what remains is scaled by
    ``sqrt(energy before / energy after)``. Where nothing would remain, the sound stays as it was.
    """
    spectrum = np.fft.rfft(waveform)
    spectrum[dropped] = 0.0
    kept = np.fft.irfft(spectrum, n=len(waveform))
    before = float(np.square(waveform, dtype=np.float64).sum())
    after = float(np.square(kept, dtype=np.float64).sum())
    if after <= 1e-9 * before:
        return waveform
    scaled: Waveform = (kept * np.sqrt(before / after)).astype(np.float32)
    return scaled


def tilt_db(frequency_hz: NDArray[np.float64], *, db_per_octave: float) -> NDArray[np.float64]:
    """0 dB up to 500 Hz, then ``db_per_octave`` up to 4 kHz, then level: a flatter voice spectrum."""
    inside = np.clip(frequency_hz, TILT_FROM_HZ, TILT_TO_HZ)
    return db_per_octave * np.log2(inside / TILT_FROM_HZ)


def shout(waveform: Waveform, *, pitch: float, tilt_db_per_octave: float, level_db: float) -> Waveform:
    """Make a sound as if shouted: higher, flatter in its spectrum and louder; as many samples as before.

    After Raitio, Suni, Pohjalainen, Airaksinen, Vainio, Alku, "Analysis and synthesis of shouted
    speech", Interspeech 2013, which the Wav2Small paper cites without a number. Taken from its subject:
    a shout has a raised fundamental, raised low formants, less fall of the spectrum towards high
    frequencies, and a higher level. Approximated: they transform a vocoder's glottal and
    vocal-tract parameters; here the whole sound, noise and music included, is resampled by ``pitch``
    (all formants rise with the pitch, and the sound gets shorter, whereas vowels of shouts get longer; the
    sound is a ring that fills up the time won), weighed by :func:`tilt_db`, and scaled so that its
    RMS is ``level_db`` above what it was. The ranges in the recipe are ours.
    """
    samples = len(waveform)
    longer = GRID_SAMPLES * max(1, round(samples * pitch / GRID_SAMPLES))
    ring = np.resize(waveform, longer)
    spectrum = np.fft.rfft(ring)
    kept = np.zeros(samples // 2 + 1, dtype=spectrum.dtype)
    count = min(len(kept), len(spectrum))
    kept[:count] = spectrum[:count]
    frequency_hz = np.linspace(0.0, SAMPLE_RATE_HZ / 2.0, len(kept))
    kept *= (10.0 ** (tilt_db(frequency_hz, db_per_octave=tilt_db_per_octave) / 20.0)).astype(np.float32)
    raised = np.fft.irfft(kept, n=samples)
    before = float(np.square(waveform, dtype=np.float64).mean())
    after = float(np.square(raised, dtype=np.float64).mean())
    if after <= 0.0:
        return waveform
    gain = np.sqrt(before / after) * 10.0 ** (level_db / 20.0)
    loud: Waveform = (raised * gain).astype(np.float32)
    return loud
