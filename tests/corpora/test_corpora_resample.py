"""Converting clips: the sound stays what it was, it is done once, and everybody is told by what.

The yardsticks are a sine, whose samples at any rate are known, and scipy's polyphase filter, where installed.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
import soxr
from official_layouts import build_emodb, build_ravdess

from edgebench.corpora import Source, inspect_corpus, load_waveform, read_corpus, resample, write_pack
from edgebench.errors import CorpusError


def sine(rate_hz: int, frequency_hz: float = 440.0, seconds: float = 1.0, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * frequency_hz * np.arange(int(seconds * rate_hz)) / rate_hz)).astype(
        "f4"
    )


@pytest.fixture
def studio(tmp_path):
    """Two emotions of two actors, as studios record: 48 kHz, one clip stereo, one at 16 kHz already."""

    def write(path, **_):
        path.parent.mkdir(parents=True, exist_ok=True)
        emotion, actor = path.stem[6:8], int(path.stem[-2:])
        rate_hz = 16_000 if emotion == "08" else 48_000
        sound = sine(rate_hz, 200.0 + 20 * int(emotion) + actor)
        sound = np.stack([sound, 0 * sound], axis=1) if emotion == "01" else sound
        soundfile.write(path, sound, rate_hz, subtype="PCM_24")

    build_ravdess(tmp_path / "ravdess", write)
    return Source(tmp_path / "ravdess", resample_into=tmp_path / "cache")


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 24_000, 44_100, 48_000, 96_000])
def test_a_sine_stays_that_sine(rate_hz):
    # Its ends ring, as a filter must where a sound begins from nothing.
    found = resample.resample(sine(rate_hz), rate_hz)
    assert found.dtype == np.float32
    assert len(found) == 16_000
    assert np.abs(found - sine(16_000))[800:-800].max() < 1e-5


def test_what_16_khz_cannot_hold_is_gone():
    above = resample.resample(sine(48_000, 9_000.0), 48_000)
    assert np.abs(above[800:-800]).max() < 1e-5


def test_as_another_resampler_does_it():
    signal = pytest.importorskip("scipy.signal")
    noise = np.random.default_rng(1).normal(0, 0.1, 48_000).astype("f4")
    ours = resample.resample(noise, 48_000)
    theirs = signal.resample_poly(noise.astype("f8"), 1, 3, window=("kaiser", 14.0))
    spectrum_of_the_difference = np.abs(np.fft.rfft(ours - theirs))[:5_000]  # up to 5 kHz, below both edges
    assert spectrum_of_the_difference.max() < 1e-2 * np.abs(np.fft.rfft(theirs))[:5_000].max()


def test_channels_are_averaged():
    left, right = sine(16_000, 300.0), sine(16_000, 500.0)
    both = resample.resample(np.stack([left, right], axis=1), 16_000)
    assert np.allclose(both, (left + right) / 2, atol=1e-7)


def test_a_corpus_is_converted_once_and_says_by_what(studio, tmp_path):
    calls = []
    clips = read_corpus("ravdess", studio, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(n, 16) for n in range(1, 17)]
    by_emotion = {clip.label: clip for clip in clips if clip.speaker == "01"}
    stereo, mono, left_alone = (by_emotion[name] for name in ("neutral", "angry", "surprised"))
    assert (mono.conversion.sample_rate_hz, mono.conversion.channels) == (48_000, 1)
    assert (stereo.conversion.channels, mono.conversion.format) == (2, "WAV PCM_24")
    assert f"soxr {soxr.__version__} (libsoxr {soxr.__libsoxr_version__})" in mono.conversion.resampler
    assert left_alone.conversion is None
    assert left_alone.path.is_relative_to(studio.path)
    assert np.abs(load_waveform(mono) - sine(16_000, 301.0))[800:-800].max() < 1e-5
    # Left channel a sine, right channel silence: half of it.
    assert np.abs(load_waveform(stereo) - sine(16_000, 221.0) / 2)[800:-800].max() < 1e-5
    copies = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.*")}
    assert len(copies) == 14
    assert read_corpus("ravdess", studio) == clips
    assert {path: path.stat().st_mtime_ns for path in copies} == copies


def test_the_copy_is_of_the_content_not_of_the_name(studio, tmp_path):
    (clip,) = [clip for clip in read_corpus("ravdess", studio) if clip.id == "03-01-05-01-02-01-01"]
    original = studio.path / "Actor_01" / f"{clip.id}.wav"
    soundfile.write(original, sine(48_000, 700.0), 48_000, subtype="PCM_24")
    (again,) = [again for again in read_corpus("ravdess", studio) if again.id == clip.id]
    assert again.path != clip.path
    assert np.abs(load_waveform(again) - sine(16_000, 700.0))[800:-800].max() < 1e-5
    # A copy that a full disk cut is made again; equal sounds make equal bytes.
    whole = again.path.read_bytes()
    again.path.write_bytes(whole[:-1000])
    read_corpus("ravdess", studio)
    assert again.path.read_bytes() == whole


def test_another_version_of_the_resampler_makes_another_copy(studio, monkeypatch):
    first = read_corpus("ravdess", studio)
    monkeypatch.setattr(resample, "resampler", lambda: "soxr 99")
    second = read_corpus("ravdess", studio)
    pairs = [(a.path, b.path) for a, b in zip(first, second, strict=True) if a.conversion]
    assert all(a != b for a, b in pairs)
    assert {clip.conversion.resampler for clip in second if clip.conversion} == {"soxr 99"}


def test_without_the_option_nothing_is_converted(studio):
    clips = read_corpus("ravdess", studio.path)
    assert all(clip.conversion is None for clip in clips)
    with pytest.raises(CorpusError, match="--resample"):
        load_waveform(clips[0])


def test_a_check_tells_what_the_files_were_and_what_was_made_of_them(studio):
    refused = inspect_corpus(studio.path)
    assert (refused.to_convert, refused.converted) == (14, None)
    assert any("--resample" in warning and "ffmpeg" in warning for warning in refused.warnings)
    found = inspect_corpus(studio)
    assert (found.to_convert, found.usable) == (0, 8)
    assert found.sample_rates_hz == {"16000": 2, "48000": 14}
    assert (found.channels, found.formats) == ({"1": 14, "2": 2}, {"WAV PCM_24": 16})
    assert (found.converted.clips, found.converted.mixed_down) == (14, 2)
    assert found.converted.sample_rates_hz == {"48000": 14}
    assert soxr.__version__ in str(found.converted)
    assert json.loads(json.dumps(found.to_json()))["converted"]["resampler"] == resample.resampler()
    assert found.warnings == []


def test_a_telephone_is_told_to_stay_a_telephone(tmp_path, write_wav):
    build_emodb(tmp_path, lambda path, **_: write_wav(path, rate_hz=8_000))
    found = inspect_corpus(Source(tmp_path, resample_into=tmp_path / "cache"))
    assert any("7 clips were sampled below 16000 Hz" in warning for warning in found.warnings)


def test_the_pack_and_its_note_name_the_resampler(studio, tmp_path):
    clips = read_corpus("ravdess", studio)
    first = write_pack(clips, tmp_path / "r.pack")
    assert (first.converted.clips, first.converted.resampler) == (14, resample.resampler())
    note = json.loads((tmp_path / "r.pack.json").read_text())
    assert note["converted"] == first.converted.to_json()
    again = write_pack(clips, tmp_path / "r.pack")
    assert again.reused
    assert again.converted == first.converted


def test_an_overshoot_of_the_filter_is_scaled_and_counted(tmp_path, write_wav):
    """A square wave at full scale, as clipped speech is: band-limited, it overshoots by about 9 % (Gibbs)."""

    def square(path, **_):
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = float(ord(path.stem[-1]) + ord(path.stem[-2]) + int(path.stem[:2]))
        wave = np.sign(sine(48_000, 100.0 + seed, level=1.0)).astype("f4")
        soundfile.write(path, wave, 48_000, subtype="FLOAT")

    build_emodb(tmp_path, square)
    source = Source(tmp_path, resample_into=tmp_path / "cache")
    found = inspect_corpus(source)
    assert len(found.scaled) == 7
    assert any("divided by their peak" in warning for warning in found.warnings)
    clips = read_corpus("emodb", source)
    assert all(np.abs(load_waveform(clip)).max() == 1.0 for clip in clips)
    assert len(write_pack(clips, tmp_path / "e.pack").scaled) == 7


@pytest.mark.parametrize("spoil", ["cut", "nan", "empty"])
def test_a_clip_that_cannot_be_converted_is_told_by_its_own_reason(studio, spoil):
    path = studio.path / "Actor_01" / "03-01-05-01-02-01-01.wav"
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif spoil == "nan":
        soundfile.write(path, np.full(4800, np.nan), 48_000, subtype="FLOAT")
    else:
        path.write_bytes(b"")
    clip = next(clip for clip in read_corpus("ravdess", studio) if clip.id == path.stem)
    told = {"cut": "cut short", "nan": "NaN", "empty": "is empty"}[spoil]
    with pytest.raises(CorpusError, match=told) as caught:
        load_waveform(clip)
    assert str(path) in str(caught.value)


def test_a_cache_that_cannot_be_written(studio, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(CorpusError, match=r"cannot be written.*XDG_CACHE_HOME"):
        read_corpus("ravdess", studio)
