"""Every file that would be scored as something it is not, made for real and refused."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgebench.corpora import dtype_of, load_waveform, read_waveform
from edgebench.corpora.audio import LOUDEST, load_scaled
from edgebench.errors import CorpusError


def refused(path: Path) -> str:
    """The message that reading the file ends with; it names the file and is one paragraph."""
    with pytest.raises(CorpusError) as caught:
        read_waveform(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def wav_bytes(data: bytes, *, data_bytes: int | None = None, rate_hz: int = 16_000) -> bytes:
    """A mono PCM_16 WAV built by hand from the RIFF specification, with any length in its header."""
    length = len(data) if data_bytes is None else data_bytes
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, rate_hz * 2, 2, 16)
    riff = b"WAVE" + fmt + struct.pack("<4sI", b"data", length) + data
    return struct.pack("<4sI", b"RIFF", min(len(riff), 0xFFFFFFFF)) + riff


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_16_bit_samples_are_their_value_over_32768(tmp_path, suffix):
    values = np.array([-32768, -1, 0, 1, 2, 12345, 32767], dtype=np.int16)
    path = tmp_path / f"exact{suffix}"
    soundfile.write(path, values, 16_000, subtype="PCM_16")
    waveform = read_waveform(path)
    assert waveform.dtype == np.float32
    assert waveform.shape == (7,)
    assert [float(x) for x in waveform] == [int(v) / 32768 for v in values]


def test_24_bit_samples_are_accepted_without_loss(tmp_path, clip_of):
    values = np.array([-(2**23), -1, 1, 2**23 - 1, 5_592_405], dtype=np.int32)
    path = tmp_path / "deep.wav"
    soundfile.write(path, values << 8, 16_000, subtype="PCM_24")
    assert [float(x) * 2**23 for x in read_waveform(path)] == [float(v) for v in values]
    assert dtype_of(clip_of(path)) == "float32"


@pytest.mark.parametrize(
    ("subtype", "dtype"),
    [("PCM_U8", "int16"), ("PCM_16", "int16"), ("PCM_24", "float32"), ("FLOAT", "float32")],
)
def test_a_pack_type_holds_the_source_exactly(tmp_path, write_wav, clip_of, subtype, dtype):
    clip = clip_of(write_wav(tmp_path / "a.wav", subtype=subtype))
    assert dtype_of(clip) == dtype
    waveform = load_waveform(clip)
    if dtype == "int16":
        assert np.array_equal(waveform * 32768, np.round(waveform * 32768))


def test_a_missing_file(tmp_path):
    assert "No such file" in refused(tmp_path / "gone.wav")


def test_an_empty_file(tmp_path):
    path = tmp_path / "empty.wav"
    path.touch()
    assert "empty (0 bytes)" in refused(path)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_header_without_samples(tmp_path, suffix):
    path = tmp_path / f"none{suffix}"
    soundfile.write(path, np.zeros(0, dtype=np.int16), 16_000, subtype="PCM_16")
    assert "sample" in refused(path)


def test_8_khz_is_refused_with_the_command_that_converts(tmp_path, write_wav):
    path = write_wav(tmp_path / "phone call.wav", rate_hz=8000)
    message = refused(path)
    assert "8000 Hz" in message
    assert f"ffmpeg -i '{path}' -ar 16000 -ac 1" in message
    assert f"sox '{path}' -r 16000 -c 1" in message
    assert "--resample" in message


def test_stereo(tmp_path, write_wav):
    message = refused(write_wav(tmp_path / "wide.wav", channels=2))
    assert "2 channels" in message
    assert "Hz, expected" not in message


def test_48_khz_stereo_says_both(tmp_path, write_wav):
    message = refused(write_wav(tmp_path / "studio.wav", channels=2, rate_hz=48_000))
    assert "48000 Hz" in message
    assert "2 channels" in message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers(tmp_path, value):
    samples = np.zeros(100, dtype=np.float32)
    samples[[42, 57]] = value
    path = tmp_path / "nan.wav"
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    message = refused(path)
    assert "2 of 100 samples" in message
    assert "first at 42" in message


def test_samples_beyond_full_scale(tmp_path):
    path = tmp_path / "loud.wav"
    soundfile.write(path, np.array([0.0, 3.5, -1.0], dtype=np.float32), 16_000, subtype="FLOAT")
    assert "3.5" in refused(path)


def test_an_overshoot_is_divided_by_its_peak(tmp_path, clip_of):
    path = tmp_path / "over.wav"
    stored = np.array([0.5, -1.25, 1.0], dtype=np.float32)
    soundfile.write(path, stored, 16_000, subtype="FLOAT")
    waveform, scaled = load_scaled(clip_of(path))
    assert scaled
    assert np.array_equal(waveform, np.array([0.4, -1.0, 0.8], dtype=np.float32))
    soundfile.write(path, stored / 1.25, 16_000, subtype="FLOAT")  # exactly full scale
    waveform, scaled = load_scaled(clip_of(path))
    assert not scaled
    assert np.array_equal(waveform, np.array([0.4, -1.0, 0.8], dtype=np.float32))


@pytest.mark.parametrize("peak", [2.0, 2.1, 32768.0])
def test_more_than_an_overshoot_is_another_scale(tmp_path, peak):
    path = tmp_path / "loud.wav"
    soundfile.write(path, np.array([0.0, peak], dtype=np.float32), 16_000, subtype="FLOAT")
    if peak > LOUDEST:
        assert f"samples reach {peak:.4g}" in refused(path)
    else:
        assert np.array_equal(read_waveform(path), [0.0, 1.0])


def mpeg_frames(count: int = 20) -> bytes:
    """MPEG-1 layer III frames, 128 kbit/s at 44.1 kHz: header FF FB 90 00, 417 bytes each."""
    return (b"\xff\xfb\x90\x00" + bytes(413)) * count


@pytest.mark.parametrize(
    "content", [mpeg_frames(), b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10) + mpeg_frames()]
)
def test_an_mp3_named_wav(tmp_path, content):
    path = tmp_path / "song.wav"
    path.write_bytes(content)
    assert "holds MP3" in refused(path)


@pytest.mark.skipif("MP3" not in soundfile.available_formats(), reason="this libsndfile writes no MP3")
def test_a_real_mp3_that_the_decoder_would_have_taken(tmp_path):
    path = tmp_path / "real.wav"
    soundfile.write(str(path), np.random.default_rng(1).uniform(-0.5, 0.5, 32_000), 16_000, format="MP3")
    assert len(soundfile.read(path)[0]) > 0
    assert "holds MP3" in refused(path)


def test_a_lossy_wav(tmp_path, write_wav):
    assert "ULAW" in refused(write_wav(tmp_path / "tele.wav", subtype="ULAW"))


def test_ogg_is_not_lossless(tmp_path, write_wav):
    path = tmp_path / "a.wav"
    noise = np.random.default_rng(3).uniform(-0.5, 0.5, 16_000)
    soundfile.write(str(path), noise, 16_000, format="OGG", subtype="VORBIS")
    assert "VORBIS" in refused(path)


def test_a_wav_cut_in_its_samples(tmp_path, write_wav):
    path = write_wav(tmp_path / "cut.wav", samples=1600)
    os.truncate(path, 2000)
    assert soundfile.info(path).frames < 1600  # libsndfile itself reads the rest and says nothing
    assert "cut short: its header promises 3200 bytes" in refused(path)


def test_a_wav_cut_in_its_header(tmp_path, write_wav):
    path = write_wav(tmp_path / "cut.wav")
    os.truncate(path, 30)
    assert "cut short" in refused(path)


def test_a_flac_cut_anywhere(tmp_path, write_wav):
    whole = write_wav(tmp_path / "whole.flac", samples=16_000).read_bytes()
    for share in (0.02, 0.3, 0.7, 0.99):
        path = tmp_path / "cut.flac"
        path.write_bytes(whole[: int(len(whole) * share)])
        refused(path)


@pytest.mark.parametrize(
    "content", [b"hello, this is text", bytes(4000), b"RIFF\x00\x00\x00\x00WAVE", b"fLaC"]
)
def test_what_is_not_audio(tmp_path, content):
    path = tmp_path / "text.wav"
    path.write_bytes(content)
    refused(path)


def test_a_wav_with_further_chunks_around_its_samples(tmp_path):
    plain = wav_bytes(np.arange(100, dtype="<i2").tobytes())
    extra = struct.pack("<4sI", b"LIST", 7) + b"comment" + b"\x00"  # odd length: padded to even
    body = plain[8:36] + extra + plain[36:] + extra
    path = tmp_path / "tagged.wav"
    path.write_bytes(struct.pack("<4sI", b"RIFF", len(body)) + body)
    assert len(read_waveform(path)) == 100


def test_a_folder_is_not_a_clip(tmp_path):
    assert "cannot be opened" in refused(tmp_path)
