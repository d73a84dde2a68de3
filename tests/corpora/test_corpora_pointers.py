"""What a clone leaves whose large files were not fetched: audio, tables and headers alike, said once."""

from __future__ import annotations

import pytest
from official_layouts import (
    BUILD,
    build_audformat,
    build_emodb,
    build_iemocap,
    build_msp_podcast,
    build_nemo,
    build_table,
    build_thai_ser,
    path_of,
)

from edgebench.corpora import inspect_corpus, read_corpus, read_waveform
from edgebench.corpora.pointers import PointerError
from edgebench.corpora.reasons import grouped
from edgebench.errors import CorpusError
from edgebench.harness.events import Silent
from edgebench.harness.speech import warn_of

# The three lines of the git-lfs specification, version 1.
POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 51244\n"
)
ANNEX = "/annex/objects/SHA256E-s51244--4d7a214614ab2935.wav\n"


@pytest.mark.parametrize(("content", "told"), [(POINTER, "git lfs pull"), (ANNEX, "git annex get")])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_audio(tmp_path, content, told, suffix):
    (tmp_path / f"a{suffix}").write_text(content)
    with pytest.raises(PointerError, match=told):
        read_waveform(tmp_path / f"a{suffix}")


def test_a_link_into_an_annex_whose_content_is_not_there(tmp_path):
    link = tmp_path / "a.wav"
    link.symlink_to("../.git/annex/objects/Zx/9k/SHA256E-s5--4d7a.wav/SHA256E-s5--4d7a.wav")
    with pytest.raises(PointerError, match="git annex get"):
        read_waveform(link)
    other = tmp_path / "b.wav"
    other.symlink_to("nowhere.wav")
    with pytest.raises(CorpusError, match="cannot be opened"):
        read_waveform(other)


@pytest.mark.parametrize(
    ("name", "build", "file"),
    [
        ("table", build_table, "../mine.csv"),
        ("audformat", build_audformat, "db.yaml"),
        ("audformat", build_audformat, "db.emotion.csv"),
        ("nemo", build_nemo, "data.tsv"),
        ("msp_podcast", build_msp_podcast, "Labels/labels_consensus.csv"),
        ("thai_ser", build_thai_ser, "emotion_label.json"),
        ("iemocap", build_iemocap, "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"),
    ],
)
def test_every_file_of_words(tmp_path, write_wav, name, build, file):
    path = path_of(name, tmp_path)
    build(path, write_wav)
    (path / file if name != "table" else path).write_text(POINTER)
    with pytest.raises(PointerError, match="git lfs pull") as caught:
        read_corpus(name, path)
    assert "\n" not in str(caught.value)


def test_a_corpus_of_pointers_says_it_once(tmp_path, write_wav):
    build_emodb(tmp_path, write_wav)
    for file in (tmp_path / "wav").iterdir():
        file.write_text(POINTER)
    (tmp_path / "wav" / "03a01Wa.wav").write_bytes(b"")
    found = inspect_corpus(tmp_path)
    assert len(found.unreadable) == 7
    kinds = {count: reason for _, count, reason in found.unreadable_by_reason}
    assert "git lfs pull" in kinds[6]
    assert "is empty" in kinds[1]


def test_a_run_warns_once_a_kind_of_reason(tmp_path, write_wav):
    class Told(Silent):
        def __init__(self) -> None:
            self.warnings: list[str] = []

        def warn(self, text: str) -> None:
            self.warnings.append(text)

    BUILD["emodb"][0](tmp_path, write_wav)
    clips = read_corpus("emodb", tmp_path)
    reasons = [f"{clip.path}: has {n} channels, see {clip.path}" for n, clip in enumerate(clips)]
    told = Told()
    warn_of(list(zip(clips, reasons, strict=True)), "emodb", told)
    assert told.warnings == [f"corpus emodb: left out: {reasons[0]} (6 more clips for the same reason)"]


def test_reasons_of_another_kind_stay_apart():
    rows = [
        ("a", "/x/a.wav: is sampled at 8000 Hz; convert /x/a.wav to /x/a_16k.wav"),
        ("b", "/x/b.wav: the file is empty (0 bytes)."),
        ("c", "/x/c.wav: is sampled at 48000 Hz; convert /x/c.wav to /x/c_16k.wav"),
    ]
    assert grouped(rows) == [("a", 2, rows[0][1]), ("b", 1, rows[1][1])]
