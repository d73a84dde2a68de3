"""Tables as spreadsheets and shells of many countries and systems save them: the same clips, or why not."""

from __future__ import annotations

import pytest

from edgebench.corpora import read_corpus
from edgebench.corpora.readers.text import number
from edgebench.errors import CorpusError

ROWS = (
    ("file", "speaker", "emotion", "arousal", "valence", "note"),
    ("wav/Jürgen_1.wav", "Jürgen", "sad", "0.25", "1", 'says "so, what"'),
    ("wav/b.wav", "bob", "", "", "0.5", ""),
)


def text_of(separator: str, *, decimal: str = ".", backslash: bool = False, end: str = "\n") -> str:
    lines = []
    for row in ROWS:
        values = [value.replace(".", decimal) if value[:2] in ("0.", "1") else value for value in row]
        values = [value.replace("/", "\\") if backslash else value for value in values]
        quoted = ['"' + value.replace('"', '""') + '"' if '"' in value else value for value in values]
        lines.append(separator.join(quoted))
    return end.join(lines) + end


@pytest.mark.parametrize(
    "content",
    [
        text_of(",").encode(),
        text_of(";", decimal=",").encode(),
        text_of(";", decimal=",", end="\r\n").encode("utf-8-sig"),  # Excel: CSV UTF-8, German
        text_of("\t", decimal=",", end="\r\n").encode("utf-16"),  # Excel: Unicode text
        b"\xfe\xff" + text_of("\t").encode("utf-16-be"),
        ("sep=;\r\n" + text_of(";", decimal=",", end="\r\n")).encode(),
        text_of("|").encode(),
        text_of(";", backslash=True).encode(),
        text_of(",", backslash=True, end="\r").encode(),
    ],
    ids=["comma", "semicolon", "bom", "utf-16", "utf-16 be", "sep=", "bar", "backslash", "old mac"],
)
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_the_same_clips(tmp_path, write_wav, content, suffix):
    write_wav(tmp_path / "wav" / "Jürgen_1.wav")
    (tmp_path / f"mine{suffix}").write_bytes(content)
    first, second = read_corpus("mine", tmp_path / f"mine{suffix}")
    assert (first.id, first.speaker, first.emotion) == ("wav/Jürgen_1", "Jürgen", "sadness")
    assert (first.arousal, first.valence, first.path) == (0.25, 1.0, tmp_path / "wav" / "Jürgen_1.wav")
    assert (second.id, second.arousal, second.valence) == ("wav/b", None, 0.5)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (text_of(";").encode("cp1252"), r"line 2: the byte 0xfc is no UTF-8.*Windows-1252.*'CSV UTF-8'"),
        (b"PK\x03\x04" + bytes(100), "an Excel workbook"),
        (text_of(",").encode("utf-16-le"), "zero bytes"),
        (b"file;speaker;emotion\nC:\\data\\a.wav;ann;sad\n", r"line 2: the file is 'C:.*Windows machine"),
        (b"file;speaker;emotion\nD:/data/a.wav;ann;sad\n", r"line 2: the file is 'D:/data/a.wav'"),
        (b"file;speaker;emotion\n\\\\server\\share\\a.wav;ann;sad\n", "a path of a Windows machine"),
        (b"file;speaker;emotion;arousal\na.wav;ann;sad;1.234,5\n", "arousal is '1.234,5'"),
        (b"file,speaker,emotion,arousal\na.wav,ann,sad,0,5\n", "5 values for 4 columns"),
        (b"sep=;\nfile;speaker;emotion\na.wav;;sad\n", "line 3: file and speaker must not be empty"),
    ],
)
def test_the_true_reason(tmp_path, write_wav, content, told):
    write_wav(tmp_path / "a.wav")
    (tmp_path / "mine.csv").write_bytes(content)
    with pytest.raises(CorpusError, match=told):
        read_corpus("mine", tmp_path / "mine.csv")


def test_a_backslash_may_be_part_of_a_name(tmp_path, write_wav):
    write_wav(tmp_path / "odd\\name.wav")
    (tmp_path / "mine.csv").write_text("file,speaker,emotion\nodd\\name.wav,ann,sad\n")
    (clip,) = read_corpus("mine", tmp_path / "mine.csv")
    assert clip.path == tmp_path / "odd\\name.wav"


def test_an_error_names_the_corpus_as_it_was_named(tmp_path):
    (tmp_path / "recola.csv").write_text("file,emotion\na.wav,sad\n")
    with pytest.raises(CorpusError, match="corpus 'recola' at") as caught:
        read_corpus("recola", tmp_path / "recola.csv")
    assert "'table'" not in str(caught.value)
    (tmp_path / "db.yaml").write_text("name: x\n")
    with pytest.raises(CorpusError, match="corpus 'ours' at"):
        read_corpus("ours", tmp_path)


@pytest.mark.parametrize(
    ("text", "value"), [("0,5", 0.5), ("0.5", 0.5), ("-1", -1.0), ("1e-3", 1e-3), ("5,", 5.0)]
)
def test_numbers(text, value):
    assert number(text) == value


@pytest.mark.parametrize("text", ["", "1,2,3", "1.234,5", "high"])
def test_what_is_no_number(text):
    with pytest.raises(ValueError, match="float"):
        number(text)
