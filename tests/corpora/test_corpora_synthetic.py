"""The synthetic corpus: the same samples everywhere, labelled as it was made, learnable."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from edgebench.corpora import EMOTIONS, PROTOTYPES, load_waveform, synthetic_clips, synthetic_corpus
from edgebench.corpora.synthetic.corpus import synthetic_waveform
from edgebench.corpora.synthetic.vocal_tract import Cell, render
from edgebench.errors import UsageError

# Changing the generator changes these, and with them every figure scored on the corpus.
SAMPLES = "d62668adf16b7e65e2a7e5b93fd81f9d2900397a227ab73671ccb6bef4250347"
LABELS = "b43625390da10d9cb9f711958f1d60388a8b11416dee3e2553a407d430c1886f"

HASH = (
    "import hashlib; from edgebench.corpora.synthetic.corpus import synthetic_corpus, synthetic_waveform; "
    "print(hashlib.sha256(b''.join(synthetic_waveform(c).astype('<i2').tobytes() "
    "for c in synthetic_corpus('test'))).hexdigest())"
)


@pytest.fixture(scope="module")
def waveforms():
    return {clip.id: synthetic_waveform(clip) for clip in synthetic_corpus("test")}


def test_the_samples_are_pinned(waveforms):
    content = b"".join(waveform.astype("<i2").tobytes() for waveform in waveforms.values())
    assert hashlib.sha256(content).hexdigest() == SAMPLES


def test_the_samples_do_not_depend_on_vector_units_or_hash_seed():
    """The whole split in a process where numpy may use only the baseline of this processor."""
    from numpy._core._multiarray_umath import __cpu_dispatch__

    environment = {
        **os.environ,
        "NPY_DISABLE_CPU_FEATURES": " ".join(__cpu_dispatch__),
        "PYTHONHASHSEED": "7",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HASH],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == SAMPLES, done.stderr


def test_the_labels_are_pinned():
    rows = "\n".join(f"{clip.id} {clip.speaker} {clip.adv}" for clip in synthetic_clips())
    assert hashlib.sha256(rows.encode()).hexdigest() == LABELS


def test_the_parts_share_no_voice_and_cover_every_clip():
    parts = {part: synthetic_corpus(part) for part in ("train", "validation", "test")}
    assert {part: len(clips) for part, clips in parts.items()} == {"train": 240, "validation": 48, "test": 60}
    voices = [{clip.speaker for clip in clips} for clips in parts.values()]
    assert [len(names) for names in voices] == [20, 4, 5]
    assert len(set().union(*voices)) == 29
    for clips in parts.values():
        assert len(set(Counter(clip.emotion for clip in clips).values())) == 1


def test_an_unknown_part():
    with pytest.raises(UsageError, match="did you mean 'test'"):
        synthetic_corpus("tests")


def test_labels_scatter_about_the_prototype_and_say_where_they_come_from():
    clips = synthetic_clips()
    for emotion in EMOTIONS:
        rows = np.array([clip.adv for clip in clips if clip.emotion == emotion])
        assert np.all((rows >= 0) & (rows <= 1))
        assert np.allclose(rows.mean(0), PROTOTYPES[emotion], atol=0.03)
        assert np.all(rows.std(0) > 0.02)
    assert {(c.label_source, c.licence, c.language, c.path) for c in clips} == {
        ("synthetic", "CC0-1.0", "zxx", None)
    }


def test_clips_are_of_the_length_and_level_of_speech(waveforms):
    for waveform in waveforms.values():
        assert waveform.dtype == np.int16
        assert 1.5 * 16_000 <= len(waveform) <= 4.0 * 16_000
        assert 3000 < np.abs(waveform.astype(int)).max() < 32_700
        assert abs(float(waveform.mean())) < 20


def test_load_waveform_generates_a_clip_without_a_file(waveforms):
    clip = synthetic_corpus("test")[0]
    waveform = load_waveform(clip)
    assert waveform.dtype == np.float32
    assert np.array_equal(waveform * 32768, waveforms[clip.id])


def test_the_test_split_is_made_in_seconds():
    start = time.process_time()
    for clip in synthetic_corpus("test"):
        synthetic_waveform(clip)
    assert time.process_time() - start < 3.0


def pitch_hz(waveform: np.ndarray) -> float:
    """Median pitch of the loud frames by autocorrelation, 60 to 450 Hz, each lag over what it overlaps:
    else short lags win, and with them the first formant."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform.astype(float), 800)[::320]
    frames = frames[frames.std(1) > 0.5 * frames.std(1).max()]
    spectrum = np.abs(np.fft.rfft(frames, 2048)) ** 2
    correlation = np.fft.irfft(spectrum)[:, 36:266] / (800 - np.arange(36, 266))
    return float(np.median(16_000 / (36 + correlation.argmax(1))))


def test_women_speak_higher_than_men_and_arousal_raises_pitch_and_brightness():
    men, women = (
        [pitch_hz(synthetic_waveform(clip)) for clip in synthetic_clips()[::4] if clip.sex == sex][:12]
        for sex in ("male", "female")
    )
    assert 80 < np.median(men) < 180 < np.median(women) < 300
    clip = synthetic_corpus("test")[0]
    calm, excited = (synthetic_waveform(replace(clip, arousal=a)) for a in (0.1, 0.9))
    assert pitch_hz(excited) > 1.15 * pitch_hz(calm)

    def high_share(waveform: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(waveform.astype(float))) ** 2
        return float(power[len(power) // 8 : len(power) // 2].sum() / power.sum())  # 1 to 4 kHz

    assert high_share(excited) > high_share(calm)


def test_a_formant_rings_where_it_is_put():
    """One pulse through one strong resonator: the peak of the spectrum is its frequency."""
    noise = np.zeros(4000, dtype=np.int64)
    for formant_hz in (500.0, 1200.0, 2500.0):
        others = (6000.0, 6500.0, 7000.0, 7500.0)
        cell = Cell(10.0, 160, 1 << 20, 0, (formant_hz, *others), (60.0, *[2000.0] * 4), 2000.0)
        spectrum = np.abs(np.fft.rfft(render([cell], samples=4000, noise=noise), 16_000))
        assert abs(int(spectrum[:4000].argmax()) - formant_hz) < 0.03 * formant_hz


def test_render_against_a_plain_float_filter():
    """The same difference equations, section after section, in floats and one sample at a time."""
    cell = Cell(
        0.0,
        100,
        1 << 20,
        0,
        (700.0, 1200.0, 2500.0, 3500.0, 4500.0),
        (80.0, 90.0, 120.0, 200.0, 250.0),
        400.0,
    )
    signal = np.zeros(420)
    signal[0] = 1 << 20
    for hz, width in zip((0.0, *cell.formants_hz), (800.0, *cell.bandwidths_hz), strict=True):
        radius = np.exp(-np.pi * width / 16_000)
        one, two = 2 * radius * np.cos(2 * np.pi * hz / 16_000), -radius * radius
        out = np.zeros_like(signal)
        for n in range(len(out)):
            out[n] = (1 - one - two) * signal[n] + one * out[n - 1] * (n > 0) + two * out[n - 2] * (n > 1)
        signal = out
    expected = np.diff(signal, prepend=0.0)
    found = render([cell], samples=420, noise=np.zeros(420, dtype=np.int64))[4:]  # 5 late, 1 early: diff
    error = np.abs(found - expected[: len(found)] - (found - expected[: len(found)]).mean())
    assert error.max() < 0.02 * np.abs(expected).max()


def features(waveform: np.ndarray) -> np.ndarray:
    """Mean and deviation of the log spectrum in 24 bands, level taken out."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform / waveform.std(), 400)[::160]
    power = np.abs(np.fft.rfft(frames * np.hanning(400), 512)) ** 2
    edges = np.unique(np.geomspace(2, 257, 25).astype(int))
    bands = np.log(np.add.reduceat(power, edges[:-1], axis=1) + 1e-6)
    return np.concatenate([bands.mean(0), bands.std(0)])


def test_it_can_be_learnt_but_not_by_heart():
    """Linear regression onto the four classes, on voices held out: far above chance, far from all right."""
    rows = {part: synthetic_corpus(part) for part in ("train", "test")}
    x = {part: np.array([features(synthetic_waveform(c).astype(float)) for c in rows[part]]) for part in rows}
    y = {part: np.array([EMOTIONS.index(c.emotion) for c in rows[part]]) for part in rows}
    centre, scale = x["train"].mean(0), x["train"].std(0)
    design = {part: np.c_[(x[part] - centre) / scale, np.ones(len(x[part]))] for part in x}
    a = design["train"]
    weights = np.linalg.solve(a.T @ a + 20 * np.eye(a.shape[1]), a.T @ np.eye(4)[y["train"]])
    recall = np.mean((design["test"] @ weights).argmax(1) == y["test"])
    assert 0.5 < recall < 0.95
