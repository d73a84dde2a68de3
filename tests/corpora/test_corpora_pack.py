"""Packs: what the board reads back is what the host loads, made once, the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import os

import numpy as np
import pytest
import soundfile

from edgebench.agent.pack import Pack
from edgebench.corpora import load_waveform, read_corpus, synthetic_corpus, write_pack
from edgebench.errors import CorpusError


@pytest.fixture
def clips(tmp_path, write_wav, clip_of):
    """Three readable clips of 16 bits, of different lengths."""
    return [
        clip_of(write_wav(tmp_path / "in" / f"{name}.wav", samples=samples), speaker=name)
        for name, samples in (("b", 1600), ("a", 3201), ("c", 801))
    ]


def test_the_board_reads_what_the_host_loads(clips, tmp_path):
    info = write_pack(clips, tmp_path / "out" / "mine.pack")
    pack = Pack(info.path)
    assert tuple(pack.ids) == info.clip_ids == ("b", "a", "c")
    for index, clip in enumerate(clips):
        assert np.array_equal(pack.read(index), load_waveform(clip))
    content = info.path.read_bytes()
    assert (info.sha256, info.bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert info.audio_s == pytest.approx(5602 / 16_000)
    assert (info.dtype, info.left_out, info.reused) == ("int16", (), False)


def test_no_label_travels(clips, tmp_path):
    content = write_pack(clips, tmp_path / "mine.pack").path.read_bytes()
    header = json.loads(content[16 : 16 + int.from_bytes(content[8:16], "little")])
    assert set(header) == {"sample_rate_hz", "dtype", "clips"}
    assert all(set(row) == {"id", "offset", "samples"} for row in header["clips"])


def test_the_same_clips_give_the_same_bytes_in_another_place(clips, tmp_path):
    first = write_pack(clips, tmp_path / "x" / "1.pack")
    second = write_pack(clips, tmp_path / "y" / "2.pack")
    assert first.sha256 == second.sha256
    assert not second.reused


def test_one_deep_clip_makes_the_pack_float_and_exact(clips, tmp_path, write_wav, clip_of):
    deep = clip_of(write_wav(tmp_path / "in" / "d.wav", subtype="PCM_24"))
    info = write_pack([*clips, deep], tmp_path / "mine.pack")
    assert info.dtype == "float32"
    pack = Pack(info.path)
    assert all(np.array_equal(pack.read(n), load_waveform(clip)) for n, clip in enumerate([*clips, deep]))


def test_a_pack_is_not_made_twice(clips, tmp_path, monkeypatch):
    path = tmp_path / "mine.pack"
    first = write_pack(clips, path)
    monkeypatch.setattr("edgebench.corpora.pack.load_scaled", None)  # nothing may be decoded
    calls: list[tuple[int, int]] = []
    again = write_pack(clips, path, progress=lambda done, total: calls.append((done, total)))
    assert again.reused
    assert (again.sha256, again.clip_ids, again.audio_s) == (first.sha256, first.clip_ids, first.audio_s)
    assert calls == [(3, 3)]


@pytest.mark.parametrize("change", ["source", "order", "damage", "cut", "note"])
def test_a_pack_is_made_again_when_anything_changed(clips, tmp_path, change):
    path = tmp_path / "mine.pack"
    before = write_pack(clips, path)
    if change == "source":
        soundfile.write(clips[1].path, np.zeros(3201, dtype=np.int16), 16_000, subtype="PCM_16")
    elif change == "order":
        clips = clips[::-1]
    elif change == "damage":
        content = bytearray(path.read_bytes())
        content[-3] ^= 1
        path.write_bytes(content)
    elif change == "cut":
        os.truncate(path, before.bytes - 2)
    else:
        path.with_name("mine.pack.json").write_text('{"note_version": 1, "sou')
    after = write_pack(clips, path)
    assert not after.reused
    assert (after.sha256 == before.sha256) == (change in ("damage", "cut", "note"))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == after.sha256


def test_progress_counts_every_clip(clips, tmp_path):
    calls: list[tuple[int, int]] = []
    write_pack(clips, tmp_path / "mine.pack", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_an_unreadable_clip_stops_a_strict_pack_and_leaves_nothing(clips, tmp_path):
    os.truncate(clips[1].path, 500)
    with pytest.raises(CorpusError, match=r"a.wav.*cut short"):
        write_pack(clips, tmp_path / "out" / "mine.pack")
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_unreadable_clips_are_left_out_and_counted(clips, tmp_path, clip_of):
    os.truncate(clips[1].path, 500)
    gone = clip_of(tmp_path / "gone.wav")
    info = write_pack([*clips, gone], tmp_path / "mine.pack", strict=False)
    assert info.clip_ids == ("b", "c")
    assert [(clip, reason.split(": ")[1]) for clip, reason in info.left_out] == [
        (clips[1], "the file is cut short"),
        (gone, "cannot be opened"),
    ]
    again = write_pack([*clips, gone], tmp_path / "mine.pack", strict=False)
    assert again.reused
    assert again.left_out == info.left_out
    with pytest.raises(CorpusError, match="cut short"):
        write_pack([*clips, gone], tmp_path / "mine.pack", strict=True)


def test_nothing_readable_is_an_error(clips, tmp_path):
    for clip in clips:
        clip.path.write_bytes(b"")
    with pytest.raises(CorpusError, match=r"none of the 3 clips.*0 bytes"):
        write_pack(clips, tmp_path / "out" / "mine.pack", strict=False)
    assert list((tmp_path / "out").iterdir()) == []


def test_no_clip_two_corpora_or_one_id_twice(clips, tmp_path, clip_of):
    for wrong in ([], [clips[0], clips[0]], [clips[0], clip_of(clips[1].path, corpus="other")]):
        with pytest.raises(CorpusError, match=r"no clip|one corpus"):
            write_pack(wrong, tmp_path / "mine.pack")


def test_a_place_that_cannot_be_written(clips, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match="cannot be written"):
        write_pack(clips, tmp_path / "file" / "mine.pack")


def test_a_full_disk_is_one_paragraph(clips):
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("no /dev/full here")
    with pytest.raises(CorpusError, match="cannot be written"):
        write_pack(clips, "/dev/full/mine.pack")


def test_the_synthetic_corpus_packs_as_it_is_generated(tmp_path):
    chosen = synthetic_corpus("test")[:5]
    info = write_pack(chosen, tmp_path / "synthetic.pack")
    pack = Pack(info.path)
    assert all(np.array_equal(pack.read(n), load_waveform(clip)) for n, clip in enumerate(chosen))
    assert write_pack(chosen, tmp_path / "synthetic.pack").reused


@pytest.mark.corpora
def test_real_speech_survives_packing(corpora_root, tmp_path):
    chosen = read_corpus("emodb", corpora_root / "emodb")
    info = write_pack(chosen, tmp_path / "emodb.pack")
    assert (len(info.clip_ids), info.left_out, info.dtype) == (339, (), "int16")
    pack = Pack(info.path)
    for index in range(0, 339, 30):
        values, _ = soundfile.read(chosen[index].path, dtype="int16")
        assert np.array_equal(pack.read(index), values / np.float32(32768))
