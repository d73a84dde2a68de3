"""Headers of writers that did not know the length, and files that are cut short, in every container.

The files are built by hand from the specifications (RIFF, EBU Tech 3306 for RF64, Sony's W64, AIFF), with the
placeholders that programs leave: sox 0x7FFFF000 and 0x7FFFF024, ffmpeg 0xFFFFFFFF, others 0.
"""

from __future__ import annotations

import struct

import numpy as np
import pytest
from official_layouts import build_emodb

from edgebench.corpora import Source, inspect_corpus, read_waveform
from edgebench.corpora.audio import audio_facts
from edgebench.errors import CorpusError

VALUES = np.arange(-500, 500, dtype="<i2")
ALL_ONES = 2**64 - 1


def fmt(*, bits: int = 16, channels: int = 1, code: int = 1) -> bytes:
    frame = bits // 8 * channels
    return struct.pack("<4sIHHIIHH", b"fmt ", 16, code, channels, 16_000, 16_000 * frame, frame, bits)


def wav(data: bytes, *, length: int | None = None, riff: int | None = None, head: bytes = fmt()) -> bytes:
    body = b"WAVE" + head + struct.pack("<4sI", b"data", len(data) if length is None else length) + data
    return struct.pack("<4sI", b"RIFF", len(body) if riff is None else riff) + body


def rf64(data: bytes, *, length: int, riff: int) -> bytes:
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, riff, length, 0, 0)
    body = b"WAVE" + sizes + fmt() + struct.pack("<4sI", b"data", 0xFFFFFFFF) + data
    return struct.pack("<4sI", b"RF64", 0xFFFFFFFF) + body


def w64(data: bytes, *, length: int) -> bytes:
    tail = bytes.fromhex("f3acd3118cd100c04f8edb8a")
    chunks = b"wave" + tail + b"fmt " + tail + struct.pack("<Q", 24 + 16) + fmt()[8:]
    chunks += b"data" + tail + struct.pack("<Q", length) + data
    riff = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
    return riff + struct.pack("<Q", 24 + len(chunks)) + chunks


def aiff(data: bytes, *, length: int, frames: int) -> bytes:
    rate = struct.pack(">HQ", 16383 + 13, 16_000 << (63 - 13))  # 80-bit extended: 16000 = 1.95 * 2**13
    comm = struct.pack(">4sIhIh", b"COMM", 18, 1, frames, 16) + rate
    body = b"AIFF" + comm + struct.pack(">4sIII", b"SSND", length, 0, 0) + data
    return struct.pack(">4sI", b"FORM", len(body)) + body


@pytest.mark.parametrize(
    ("length", "riff"),
    [
        (0x7FFFF000, 0x7FFFF024),  # sox into a pipe
        (0xFFFFFFFF, 0xFFFFFFFF),  # ffmpeg into a pipe
        (0x7FFFFFFF, 0x7FFFFFFF),
        (0x80000000, 0x80000024),  # arecord, stopped
        (0x7F000000, 0xFFFFFFFF),
        (0, 0),  # never gone back to
        (0, 36),
        (0, 0xFFFFFFFF),
    ],
)
def test_a_wav_that_does_not_know_its_length_is_read_to_the_end(tmp_path, length, riff):
    path = tmp_path / "piped.wav"
    path.write_bytes(wav(VALUES.tobytes(), length=length, riff=riff))
    assert np.array_equal(read_waveform(path) * 32768, VALUES)
    facts = audio_facts(path)
    assert (facts.samples, facts.length_known) == (1000, False)


@pytest.mark.parametrize(
    "content",
    [
        rf64(VALUES.tobytes(), length=0, riff=0),
        rf64(VALUES.tobytes(), length=ALL_ONES, riff=ALL_ONES),
        w64(VALUES.tobytes(), length=0),
        w64(VALUES.tobytes(), length=24),
        w64(VALUES.tobytes(), length=2**63 - 1),
        aiff(VALUES.astype(">i2").tobytes(), length=0x7F000008, frames=0x7F000000 // 2),
        aiff(VALUES.astype(">i2").tobytes(), length=0, frames=0),
    ],
    ids=["rf64 of 0", "rf64 of ones", "w64 of 0", "w64 empty", "w64 of ones", "aiff of sox", "aiff of 0"],
)
def test_so_are_its_siblings(tmp_path, content):
    path = tmp_path / "piped.wav"
    path.write_bytes(content)
    assert np.array_equal(read_waveform(path) * 32768, VALUES)
    assert not audio_facts(path).length_known


@pytest.mark.parametrize(
    "content",
    [
        wav(VALUES.tobytes()),
        rf64(VALUES.tobytes(), length=2000, riff=2072),
        w64(VALUES.tobytes(), length=2024),
        aiff(VALUES.astype(">i2").tobytes(), length=2008, frames=1000),
    ],
    ids=["wav", "rf64", "w64", "aiff"],
)
def test_a_true_length_is_believed_and_a_cut_file_is_cut_in_every_container(tmp_path, content):
    path = tmp_path / "whole.wav"
    path.write_bytes(content)
    assert np.array_equal(read_waveform(path) * 32768, VALUES)
    assert audio_facts(path).length_known
    path.write_bytes(content[:-100])
    with pytest.raises(
        CorpusError, match="cut short: its header promises 2000 bytes of samples, there are 1900"
    ):
        read_waveform(path)


def test_trailing_chunks_are_no_samples(tmp_path):
    listed = struct.pack("<4sI", b"LIST", 4) + b"INFO"
    path = tmp_path / "tagged.wav"
    path.write_bytes(wav(VALUES.tobytes()) + listed)
    assert len(read_waveform(path)) == 1000
    path.write_bytes(wav(b"") + listed)  # no samples, and a comment behind them
    with pytest.raises(CorpusError, match="a header and no samples"):
        read_waveform(path)


@pytest.mark.parametrize(("bits", "channels", "cut"), [(16, 1, 1), (24, 1, 2), (32, 1, 3), (16, 2, 2)])
def test_a_piped_file_that_ends_within_a_sample_is_cut(tmp_path, bits, channels, cut):
    data = bytes(range(1, 241))
    path = tmp_path / "piped.wav"
    path.write_bytes(wav(data[:-cut], length=0x7FFFF000, head=fmt(bits=bits, channels=channels)))
    with pytest.raises(CorpusError, match="end within a sample of"):
        read_waveform(path)


def test_the_pad_byte_of_an_odd_chunk_is_no_sample(tmp_path):
    """17 samples of 24 bits are 51 bytes, which RIFF pads to 52."""
    path = tmp_path / "piped.wav"
    path.write_bytes(wav(bytes(51) + b"\0", length=0xFFFFFFFF, head=fmt(bits=24)))
    assert len(read_waveform(path)) == 17


def test_a_check_counts_them(tmp_path, write_wav):
    build_emodb(tmp_path, write_wav)
    for seed, name in enumerate(("03a01Wa", "03a01Fa")):
        sound = np.random.default_rng(seed).integers(-9000, 9000, 1600).astype("<i2")
        (tmp_path / "wav" / f"{name}.wav").write_bytes(wav(sound.tobytes(), length=0x7FFFF000))
    found = inspect_corpus(tmp_path)
    assert (found.unreadable, found.no_length) == ((), ("03a01Fa", "03a01Wa"))
    (told,) = [warning for warning in found.warnings if "know their length" in warning]
    assert told.startswith("2 clips")


def test_a_converted_clip_is_still_counted(tmp_path, write_wav):
    build_emodb(tmp_path, write_wav)
    fast = fmt().replace(struct.pack("<II", 16_000, 32_000), struct.pack("<II", 48_000, 96_000))
    path = tmp_path / "wav" / "03a01Wa.wav"
    path.write_bytes(wav(VALUES.tobytes(), length=0xFFFFFFFF, head=fast))
    found = inspect_corpus(Source(tmp_path, resample_into=tmp_path / "cache"))
    assert (found.no_length, found.sample_rates_hz) == (("03a01Wa",), {"16000": 6, "48000": 1})
