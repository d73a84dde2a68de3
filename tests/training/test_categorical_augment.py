"""Gain, noise, pitch and polarity: exact properties, and nothing drawn from anybody's global state."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("audiomentations", reason="training needs audiomentations: pip install edgebench[train]")

from edgebench.corpora import load_waveform, synthetic_corpus
from edgebench.training.fine_tuning import augment as sound
from edgebench.training.methods import load_recipe

pytestmark = pytest.mark.train


def tone(frequency: float, samples: int = 32_000) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(samples) / 16_000)).astype(np.float32)


def peak_hz(waveform: np.ndarray) -> float:
    """The strongest frequency, by a parabola through the three bins at the top."""
    level = np.log(np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)))) + 1e-12)
    top = int(level.argmax())
    a, b, c = level[top - 1 : top + 2]
    return (top + 0.5 * (a - c) / (a - 2 * b + c)) * 16_000 / len(waveform)


@pytest.mark.parametrize("gain_db", [-18.0, -6.0206, 0.0, 6.0])
def test_gain_in_decibels(gain_db):
    waveform = tone(440.0)
    found = sound.gain(waveform, gain_db)
    assert found.dtype == np.float32
    assert 20 * np.log10(found.std() / waveform.std()) == pytest.approx(gain_db, abs=1e-4)
    assert found == pytest.approx(waveform * 10 ** (gain_db / 20), abs=1e-6)


@pytest.mark.parametrize("amplitude", [0.001, 0.015])
def test_noise_of_that_deviation_and_white(amplitude):
    waveform = tone(440.0, 64_000)
    noise = (sound.gaussian_noise(waveform, amplitude, np.random.default_rng(2)) - waveform).astype(
        np.float64
    )
    assert noise.std() == pytest.approx(amplitude, rel=0.02)
    assert abs(noise.mean()) < 4 * amplitude / np.sqrt(64_000)
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 0.02
    normalised = noise / noise.std()
    assert (normalised**4).mean() == pytest.approx(3.0, abs=0.1)  # Gaussian: a uniform one has 1.8


@pytest.mark.parametrize("semitones", [-2.0, -0.7, 1.0, 2.0])
@pytest.mark.parametrize("frequency", [440.0, 1500.0])
def test_pitch_moves_a_tone_by_the_ratio(semitones, frequency):
    waveform = tone(frequency)
    found = sound.pitch_shift(waveform, semitones)
    assert found.shape == waveform.shape and found.dtype == np.float32
    ratio = peak_hz(found[4000:-4000]) / peak_hz(waveform[4000:-4000])
    assert 12 * np.log2(ratio) == pytest.approx(semitones, abs=0.1)  # the library's own precision


def test_pitch_shift_is_the_same_every_time():
    waveform = load_waveform(synthetic_corpus()[0])
    assert np.array_equal(sound.pitch_shift(waveform, 1.3), sound.pitch_shift(waveform, 1.3))


def test_polarity_is_the_negative():
    waveform = tone(300.0)
    assert np.array_equal(sound.invert(waveform), -waveform)


def options(*overrides: str):
    return load_recipe("distilhubert_loso", overrides=overrides).augment


OFF = [f"augment.{name}_probability=0" for name in ("gain", "noise", "pitch", "polarity")]


def test_with_no_probability_nothing_happens():
    waveform = tone(300.0)
    assert np.array_equal(sound.augment(waveform, options(*OFF), np.random.default_rng(1)), waveform)


def test_each_stays_in_its_range_and_comes_as_often_as_it_should():
    waveform = tone(300.0, 2000)
    rng = np.random.default_rng(5)
    only_gain = options(*OFF, "augment.gain_probability=0.5")
    gains = [
        20 * np.log10(sound.augment(waveform, only_gain, rng).std() / waveform.std()) for _ in range(600)
    ]
    changed = np.array([g for g in gains if abs(g) > 1e-6])
    assert len(changed) / 600 == pytest.approx(0.5, abs=0.07)
    assert -18.0 - 1e-3 <= changed.min() < -15.0 and 4.0 < changed.max() <= 6.0 + 1e-3
    only_noise = options(*OFF, "augment.noise_probability=1")
    deviations = np.array([(sound.augment(waveform, only_noise, rng) - waveform).std() for _ in range(200)])
    assert 0.0009 < deviations.min() < 0.002 and 0.0135 < deviations.max() < 0.016
    only_polarity = options(*OFF, "augment.polarity_probability=0.5")
    turned = [sound.augment(waveform, only_polarity, rng)[5] < 0 for _ in range(400)]
    assert np.mean(turned) == pytest.approx(0.5, abs=0.08)


def test_pitch_is_drawn_from_its_range():
    waveform = tone(500.0, 16_000)
    only_pitch = options(*OFF, "augment.pitch_probability=1")
    rng = np.random.default_rng(9)
    found = [
        12 * np.log2(peak_hz(sound.augment(waveform, only_pitch, rng)[3000:-3000]) / 500.0) for _ in range(40)
    ]
    assert -2.1 < min(found) < -1.2 and 1.2 < max(found) < 2.1


def test_draws_nothing_from_global_states_and_is_safe_among_threads():
    waveform, every = (
        load_waveform(synthetic_corpus()[0])[:8000],
        options(*(f"augment.{name}_probability=1" for name in ("gain", "noise", "pitch", "polarity"))),
    )

    def once(seed: int) -> np.ndarray:
        return sound.augment(waveform, every, np.random.default_rng(seed))

    expected = [once(seed) for seed in range(12)]
    random.seed(3)
    np.random.seed(3)
    before = random.getstate(), np.random.get_state()[1].copy()
    with ThreadPoolExecutor(max_workers=4) as pool:
        found = list(pool.map(once, range(12)))
    assert random.getstate() == before[0]
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    assert not np.array_equal(expected[0], expected[1])
