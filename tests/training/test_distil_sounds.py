"""Buckets: what an excerpt may come from, how often, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgebench.corpora import load_waveform, synthetic_corpus
from edgebench.errors import CorpusError
from edgebench.training.distillation import sounds
from edgebench.training.distillation.sounds import Buckets, SoundFolder, Speech


def write(
    path: Path, *, samples: int = 1600, rate_hz: int = 16_000, channels: int = 1, seed: int = 0
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).uniform(-0.5, 0.5, (samples, channels))
    soundfile.write(path, values, rate_hz, subtype="PCM_16")


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path):
    for number, name in enumerate(["b.flac", "a/z.WAV", "a/c.wav"]):
        write(tmp_path / name, samples=1000 + number, seed=number)
    (tmp_path / "readme.txt").write_text("no sound")
    bucket = SoundFolder("background", tmp_path, budget_bytes=1_000_000)
    assert bucket.names == ["background:a/c.wav:1002", "background:a/z.WAV:1001", "background:b.flac:1000"]


def test_an_excerpt_is_a_stretch_of_one_of_the_files(tmp_path):
    for number in range(3):
        write(tmp_path / f"{number}.wav", seed=number)
    bucket, rng, seen = (
        SoundFolder("films", tmp_path, budget_bytes=1_000_000),
        np.random.default_rng(0),
        set(),
    )
    whole = [soundfile.read(path, dtype="float32")[0] for path in bucket.paths]
    for _ in range(40):
        piece = bucket.excerpt(400, rng)
        places = [
            (number, start)
            for number, waveform in enumerate(whole)
            for start in np.flatnonzero(waveform == piece[0])
            if np.array_equal(waveform[start : start + 400], piece)
        ]
        assert len(places) == 1
        seen.add(places[0][0])
    assert seen == {0, 1, 2}


def test_a_long_file_is_read_in_place_and_never_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(sounds, "LONG_S", 0.05)
    write(tmp_path / "film.flac", samples=20_000)
    bucket, rng = SoundFolder("films", tmp_path, budget_bytes=1_000_000), np.random.default_rng(0)
    whole, _ = soundfile.read(tmp_path / "film.flac", dtype="float32")
    starts = []
    for _ in range(20):
        piece = bucket.excerpt(400, rng)
        found = [s for s in np.flatnonzero(whole == piece[0]) if np.array_equal(whole[s : s + 400], piece)]
        assert len(found) == 1
        starts.append(int(found[0]))
    assert bucket._short.kept_bytes == 0
    assert min(starts) < 8_000 and max(starts) > 12_000


def refuses(told: str, folder: Path) -> None:
    with pytest.raises(CorpusError) as caught:
        SoundFolder("background", folder, budget_bytes=1)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_an_empty_bucket(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing to hear")
    refuses("the background bucket", tmp_path)
    refuses("is empty: no .wav and no .flac", tmp_path)


def test_a_bucket_that_is_no_folder(tmp_path):
    refuses("is not a folder", tmp_path / "nowhere")


@pytest.mark.parametrize(("rate_hz", "channels"), [(44_100, 1), (16_000, 2)])
def test_nothing_is_converted_in_silence(tmp_path, rate_hz, channels):
    write(tmp_path / "a.wav", rate_hz=rate_hz, channels=channels)
    refuses(f"is sampled at {rate_hz} Hz with {channels} channels, expected 16000 Hz mono", tmp_path)


def test_a_file_cut_short(tmp_path):
    write(tmp_path / "a.wav")
    data = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(data[:-500])
    refuses("cut short", tmp_path)


def test_speech_is_cut_from_the_clips():
    clips = synthetic_corpus(split="train")[:2]
    bucket, rng = Speech(clips, budget_bytes=10_000_000), np.random.default_rng(3)
    piece = bucket.excerpt(800, rng)
    whole = [load_waveform(clip) for clip in clips]
    assert any(
        np.array_equal(waveform[start : start + 800], piece)
        for waveform in whole
        for start in np.flatnonzero(waveform == piece[0])
    )
    assert bucket.names == [clip.name for clip in clips]


class Constant:
    """A bucket that answers one number, to be counted."""

    def __init__(self, value: float) -> None:
        self.value, self.names = value, [str(value)]

    def excerpt(self, samples, rng):
        return np.full(samples, self.value, np.float32)


def test_buckets_are_drawn_by_their_weights_among_those_given():
    buckets = {"speech": Constant(1.0), "background": Constant(2.0)}
    chosen = Buckets(buckets, {"speech": 1.0, "background": 3.0, "other_sounds": 5.0})
    assert chosen.chosen == ["background", "speech"]
    rng = np.random.default_rng(0)
    drawn = [float(chosen.excerpt(2, rng)[0]) for _ in range(2000)]
    assert np.mean(np.array(drawn) == 2.0) == pytest.approx(0.75, abs=0.03)


def test_speech_stands_in_where_no_bucket_asked_for_is_given():
    chosen = Buckets(
        {"speech": Constant(1.0), "background": Constant(2.0)}, {"films": 1.0, "background": 0.0}
    )
    assert chosen.chosen == ["speech"]
