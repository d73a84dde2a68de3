"""Each distortion of a distillation against the formula, written plainly."""

from __future__ import annotations

import numpy as np
import pytest

from edgebench.training.distillation import augment as sound

RATE_HZ = 16_000


def noise(samples: int, seed: int = 0, level: float = 0.3) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(samples) * level).astype(np.float32)


def energy(waveform: np.ndarray) -> float:
    return float(np.square(waveform.astype(np.float64)).sum())


def test_mix_by_hand_and_beyond_full_scale():
    mixed = sound.mix_always(
        np.array([1.0, -1.0, 0.5, 0.0], np.float32),
        np.array([1.0, -1.0, 0.0, -0.5], np.float32),
        first_gain=0.64,
        second_gain=0.41,
    )
    assert mixed.dtype == np.float32
    assert mixed.tolist() == pytest.approx([1.05, -1.05, 0.32, -0.205])


def test_lengths_cover_the_range_evenly():
    rng = np.random.default_rng(1)
    lengths = np.array([sound.draw_length((0.4, 12.0), rng) for _ in range(4000)]) / RATE_HZ
    assert lengths.min() == pytest.approx(0.4, abs=0.05) and lengths.min() >= 0.4 - 0.0126
    assert lengths.max() == pytest.approx(12.0, abs=0.05) and lengths.max() <= 12.0 + 0.0126
    share, _ = np.histogram(lengths, bins=4, range=(0.4, 12.0))
    assert np.abs(share / len(lengths) - 0.25).max() < 0.03


def test_a_cut_is_a_stretch_of_the_sound_and_every_place_occurs():
    waveform, rng, starts = np.arange(10, dtype=np.float32), np.random.default_rng(0), set()
    for _ in range(200):
        piece = sound.cut(waveform, 4, rng)
        assert piece.tolist() == list(range(int(piece[0]), int(piece[0]) + 4))
        starts.add(int(piece[0]))
    assert starts == set(range(7))


def test_a_short_sound_is_repeated_from_any_place():
    waveform, rng = np.arange(3, dtype=np.float32), np.random.default_rng(0)
    seen = {tuple(sound.cut(waveform, 7, rng)) for _ in range(60)}
    assert seen == {(0, 1, 2, 0, 1, 2, 0), (1, 2, 0, 1, 2, 0, 1), (2, 0, 1, 2, 0, 1, 2)}


def test_rotation_is_cyclic_by_any_number_of_samples():
    waveform, rng = np.arange(5, dtype=np.float32), np.random.default_rng(0)
    seen = {tuple(sound.rotate(waveform, rng)) for _ in range(100)}
    assert seen == {tuple((i + s) % 5 for i in range(5)) for s in range(5)}


def test_dropped_bands_have_their_width_and_share():
    rng = np.random.default_rng(2)
    dropped = sound.draw_dropped(3001, width=10, share=0.3, rng=rng)
    assert dropped.shape == (3001,)
    assert all(len(set(dropped[low : low + 10].tolist())) == 1 for low in range(0, 3001, 10))
    rates = [sound.draw_dropped(3001, width=10, share=0.3, rng=rng).mean() for _ in range(100)]
    assert np.mean(rates) == pytest.approx(0.3, abs=0.01)
    assert not sound.draw_dropped(50, width=3, share=0.0, rng=rng).any()


@pytest.mark.parametrize("samples", [64, 65])
def test_dropping_against_the_plain_fourier_sum(samples):
    waveform = noise(samples)
    dropped = np.zeros(samples // 2 + 1, dtype=bool)
    dropped[[0, 3, 4, 20]] = True
    found = sound.drop_frequencies(waveform, dropped)
    # The transform written out, two-sided: a dropped frequency takes its mirror image with it.
    n = np.arange(samples)
    matrix = np.exp(-2j * np.pi * np.outer(n, n) / samples)
    spectrum = matrix @ waveform
    gone = np.array([dropped[min(k, samples - k)] for k in n])
    lost, kept = (np.abs(spectrum[gone]) ** 2).sum(), (np.abs(spectrum[~gone]) ** 2).sum()
    spectrum[gone] = 0.0
    spectrum *= np.sqrt((lost + kept) / kept)
    expected = (matrix.conj() @ spectrum / samples).real
    assert np.abs(found - expected).max() < 1e-6
    assert energy(found) == pytest.approx(energy(waveform), rel=1e-5)
    assert np.abs(np.fft.rfft(found)[dropped]).max() < 1e-4


def test_dropping_everything_and_silence_leave_the_sound_as_it_was():
    waveform = noise(100)
    assert sound.drop_frequencies(waveform, np.ones(51, dtype=bool)) is waveform
    silence = np.zeros(100, np.float32)
    assert np.array_equal(sound.drop_frequencies(silence, np.zeros(51, dtype=bool)), silence)


def test_tilt_by_hand():
    frequency_hz = np.array([0.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0])
    assert sound.tilt_db(frequency_hz, db_per_octave=4.0).tolist() == [0.0, 0.0, 0.0, 4.0, 8.0, 12.0, 12.0]


@pytest.mark.parametrize("pitch", [1.25, 1.5])
def test_a_shout_raises_the_pitch_of_a_tone(pitch):
    samples = RATE_HZ  # 1 s: bins are 1 Hz apart, and the longer ring holds whole periods of 200 Hz
    tone = np.sin(2 * np.pi * 200.0 * np.arange(samples) / RATE_HZ).astype(np.float32) * 0.1
    loud = sound.shout(tone, pitch=pitch, tilt_db_per_octave=3.0, level_db=0.0)
    spectrum = np.abs(np.fft.rfft(loud)) ** 2
    assert len(loud) == samples
    assert int(spectrum.argmax()) == round(200 * pitch)
    assert spectrum[round(200 * pitch)] / spectrum.sum() > 0.999


def test_a_shout_is_louder_by_its_level_and_is_not_clipped():
    waveform = noise(8000)
    loud = sound.shout(waveform, pitch=1.4, tilt_db_per_octave=4.0, level_db=12.0)
    assert 10 * np.log10(energy(loud) / energy(waveform)) == pytest.approx(12.0, abs=1e-3)
    assert np.abs(loud).max() > 1.5
    assert loud.dtype == np.float32 and len(loud) == 8000


def test_a_shout_flattens_the_spectrum():
    """On two tones an octave apart above 500 Hz, the upper gains the tilt over the lower."""
    time_s = np.arange(RATE_HZ) / RATE_HZ
    two = (np.sin(2 * np.pi * 800 * time_s) + np.sin(2 * np.pi * 1600 * time_s)).astype(np.float32) * 0.1
    power = np.abs(np.fft.rfft(sound.shout(two, pitch=1.25, tilt_db_per_octave=5.0, level_db=6.0))) ** 2
    assert 10 * np.log10(power[2000] / power[1000]) == pytest.approx(5.0, abs=0.01)


def test_silence_cannot_be_shouted():
    silence = np.zeros(400, np.float32)
    assert np.array_equal(sound.shout(silence, pitch=1.3, tilt_db_per_octave=3.0, level_db=6.0), silence)
