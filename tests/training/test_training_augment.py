"""Augmentations against what they claim: levels in dB, pitch in Hz, slopes, masks."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
from edgebench.training.supervised import augment  # noqa: E402

pytestmark = pytest.mark.train


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def tone(frequency_hz: float, samples: int = 16_000) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(samples) / 16_000).astype(np.float32)


def peak_hz(waveform: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(waveform)).argmax() * 16_000 / len(waveform))


def test_excerpt_is_a_piece_of_the_ring(rng):
    clip = np.arange(100, dtype=np.float32)
    starts = set()
    for _ in range(200):
        piece = augment.excerpt(clip, 250, rng)
        assert len(piece) == 250
        np.testing.assert_array_equal(np.diff(piece) % 100, 1.0)
        starts.add(int(piece[0]))
    assert len(starts) > 60  # any place, not the beginning


@pytest.mark.parametrize("speed", [0.9, 1.0, 1.12])
def test_speed_moves_pitch_and_length_together(speed):
    samples = round(16_000 / speed)
    changed = augment.change_speed_and_colour(tone(1000.0), samples=samples)
    assert len(changed) == samples
    assert changed.dtype == np.float32
    assert peak_hz(changed) == pytest.approx(1000.0 * speed, rel=2e-3)
    assert np.std(changed) == pytest.approx(np.std(tone(1000.0)), rel=0.01)


def test_resampling_adds_no_alias():
    # 7900 Hz played a tenth faster lies above half the rate: it has to vanish, not to come back lower.
    changed = augment.change_speed_and_colour(tone(7900.0), samples=14_400)
    assert np.std(changed) < 0.01


def test_gains_are_decibels_at_their_place():
    gains_db = np.array([0.0, 0.0, -6.0, 0.0, 0.0])  # -6 dB at (2/4)^2 of half the rate: 2000 Hz
    changed = augment.change_speed_and_colour(tone(2000.0), samples=16_000, gains_db=gains_db)
    ratio_db = 20 * np.log10(np.std(changed) / np.std(tone(2000.0)))
    assert ratio_db == pytest.approx(-6.0, abs=0.05)
    untouched = augment.change_speed_and_colour(tone(100.0), samples=16_000, gains_db=gains_db)
    assert np.std(untouched) == pytest.approx(np.std(tone(100.0)), rel=1e-3)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 20.0])
def test_noise_stands_at_its_ratio(rng, snr_db):
    clip, noise = tone(300.0) * 0.1, augment.coloured_noise(16_000, slope=1.0, rng=rng)
    added = augment.add_at_snr(clip, noise, snr_db=snr_db) - clip
    found = 10 * np.log10(np.mean(clip**2) / np.mean(added**2))
    assert found == pytest.approx(snr_db, abs=0.05)


def test_silence_stays_silent(rng):
    silent = np.zeros(1600, np.float32)
    noise = augment.coloured_noise(1600, slope=0.0, rng=rng)
    assert np.all(augment.add_at_snr(silent, noise, snr_db=10.0) == 0)
    assert np.isfinite(augment.mix(silent, silent, weight=0.3)).all()


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_noise_has_its_slope(rng, slope):
    noise = augment.coloured_noise(1 << 17, slope=slope, rng=rng)
    power = np.abs(np.fft.rfft(noise)) ** 2
    octaves = [(2**k, power[2**k : 2 ** (k + 1)].mean()) for k in range(6, 15)]
    places, levels = np.log2([f for f, _ in octaves]), np.log2([p for _, p in octaves])
    assert np.polyfit(places, levels, 1)[0] == pytest.approx(-slope, abs=0.1)
    assert np.std(noise) == pytest.approx(1.0, rel=1e-3)


def test_mix_has_its_share_of_power():
    first, second = tone(500.0) * 0.01, tone(3000.0)
    power = np.abs(np.fft.rfft(augment.mix(first, second, weight=0.2))) ** 2
    assert power[3000] / (power[500] + power[3000]) == pytest.approx(0.2, abs=1e-3)


def test_masks_hold_the_mean_and_leave_the_rest(rng):
    log_mel = torch.randn(8, 1, 120, 26, generator=torch.Generator().manual_seed(0))
    masked = augment.mask_log_mel(
        log_mel, mel_masks=1, mel_mask_bands=4, time_masks=1, time_mask_frames=30, rng=rng
    )
    for item in range(8):
        changed = (masked[item, 0] != log_mel[item, 0]).numpy()
        bands, frames = changed.all(0), changed.all(1)
        assert bands.sum() <= 4
        assert frames.sum() <= 30
        outside = changed[~frames][:, ~bands]
        assert not outside.any()
        values = masked[item, 0][torch.from_numpy(changed)]
        assert torch.allclose(values, log_mel[item].mean().expand_as(values))
    assert bool((masked != log_mel).any())


def test_no_masks_change_nothing(rng):
    log_mel = torch.randn(2, 1, 50, 26)
    masked = augment.mask_log_mel(
        log_mel, mel_masks=0, mel_mask_bands=4, time_masks=0, time_mask_frames=30, rng=rng
    )
    assert torch.equal(masked, log_mel)
