"""Tables under any name and audformat databases: what they hold, and what is refused how."""

from __future__ import annotations

import pytest
from official_layouts import (
    AUDFORMAT_HEADER,
    build_audformat,
    build_table,
)

from edgebench.corpora import PROTOTYPES, read_corpus
from edgebench.errors import CorpusError, UsageError

# A database made with audformat 1.4.3 and saved with storage_format="csv": its header and tables as written.
WRITTEN_BY_AUDFORMAT = """\
name: mine
description: 'A long description: with a colon, ''quotes'' and "double" ones, that
  runs on and on over the width of a line, so that the writer has to break it somewhere,
  # and a hash.'
source: 'https://x.org: a'
usage: research
languages: [eng]
license: CC0-1.0
license_url: https://creativecommons.org/publicdomain/zero/1.0/
media:
  mic: {type: audio, format: wav, channels: 1, sampling_rate: 16000}
raters:
  gold: {type: human}
schemes:
  arousal: {dtype: float, minimum: 1, maximum: 7}
  dominance: {dtype: float, minimum: -1.0, maximum: 1.0}
  emotion:
    dtype: str
    labels: [anger, happiness, neutral, sadness, 'fear: of dogs']
  gender:
    dtype: str
    labels: [female, male]
  speaker: {dtype: str, labels: speaker}
  valence: {dtype: float, minimum: 1, maximum: 7}
splits:
  test: {type: test}
  train: {type: train}
tables:
  adv:
    type: segmented
    columns:
      arousal: {scheme_id: arousal, rater_id: gold}
      valence: {scheme_id: valence, rater_id: gold}
      dominance: {scheme_id: dominance, rater_id: gold}
  emotion.test:
    type: filewise
    split_id: test
    columns:
      emotion: {scheme_id: emotion, rater_id: gold}
  emotion.train:
    type: filewise
    split_id: train
    columns:
      emotion: {scheme_id: emotion, rater_id: gold}
  files:
    type: filewise
    columns:
      speaker: {scheme_id: speaker}
misc_tables:
  speaker:
    levels: {speaker: str}
    columns:
      gender: {scheme_id: gender}
"""
TABLES_OF_AUDFORMAT = {
    "adv": (
        "file,start,end,arousal,valence,dominance\n"
        "a/0.wav,0 days,,1.0,1.0,-1.0\n"
        "a/1.wav,0 days,,7.0,1.0,0.5\n"
    ),
    "emotion.test": "file,emotion\na/1.wav,\n",
    "emotion.train": "file,emotion\na/0.wav,anger\n",
    "files": "file,speaker\na/0.wav,s1\na/1.wav,s2\n",
    "speaker": "speaker,gender\ns1,female\ns2,male\n",
}


def by_id(name, path):
    return {clip.id: clip for clip in read_corpus(name, path)}


def test_a_table_is_the_corpus_it_is_called(tmp_path, write_wav):
    build_table(tmp_path / "mine.csv", write_wav)
    assert {clip.corpus for clip in read_corpus("our-calls", tmp_path / "mine.csv")} == {"our-calls"}
    assert {clip.corpus for clip in read_corpus("table", tmp_path / "mine.csv")} == {"table"}


def test_a_table_does_not_borrow_a_name(tmp_path, write_wav):
    build_table(tmp_path / "mine.csv", write_wav)
    with pytest.raises(CorpusError, match="a file, not a folder"):
        read_corpus("emodb", tmp_path / "mine.csv")
    for name in ("synthetic", "../up", "a b", ""):
        with pytest.raises(UsageError, match="cannot be named"):
            read_corpus(name, tmp_path / "mine.csv")
    with pytest.raises(CorpusError, match="no such file"):
        read_corpus("ours", tmp_path / "absent.csv")


def test_a_table_may_say_its_own_split(tmp_path, write_wav):
    write_wav(tmp_path / "a.wav")
    (tmp_path / "t.csv").write_text("file,speaker,emotion,split\na.wav,ann,sad,dev\n")
    assert read_corpus("ours", tmp_path / "t.csv")[0].partition == "dev"


def test_audformat_puts_its_tables_together(tmp_path, write_wav):
    build_audformat(tmp_path, write_wav)
    angry, bored = read_corpus("ours", tmp_path)
    assert (angry.id, angry.corpus, angry.speaker, angry.sex) == ("wav/03_angry", "ours", "3", "male")
    assert (angry.emotion, angry.language, angry.licence) == ("anger", "de", "CC0-1.0")
    # act 5, val 1, dom 3 of 1 to 5.
    assert (angry.adv, angry.label_source, angry.partition) == ((1.0, 0.5, 0.0), "human", "train")
    assert (bored.emotion, bored.label, bored.sex, bored.adv) == (
        None,
        "boredom",
        "female",
        (0.0, 0.75, 0.25),
    )
    assert read_corpus("ours", tmp_path / "db.yaml") == [angry, bored]


def test_a_database_that_audformat_itself_wrote(tmp_path, write_wav):
    (tmp_path / "db.yaml").write_text(WRITTEN_BY_AUDFORMAT)
    for name, text in TABLES_OF_AUDFORMAT.items():
        (tmp_path / f"db.{name}.csv").write_text(text)
    for number in range(2):
        write_wav(tmp_path / "a" / f"{number}.wav")
    first, second = read_corpus("ours", tmp_path)
    assert (first.speaker, first.sex, first.emotion, first.partition) == ("s1", "female", "anger", "train")
    assert (second.speaker, second.sex, second.emotion, second.partition) == ("s2", "male", None, "test")
    assert (first.adv, second.adv) == ((0.0, 0.0, 0.0), (1.0, 0.75, 0.0))
    assert (first.language, first.licence) == ("en", "CC0-1.0")


def test_audformat_files_without_ratings_among_rated_ones_have_none(tmp_path, write_wav):
    build_audformat(tmp_path, write_wav)
    (tmp_path / "db.ratings.csv").write_text("file,start,end,act,val,dom\nwav/08_bored.wav,0,,1,2,4\n")
    angry, bored = read_corpus("ours", tmp_path)
    assert (angry.adv, angry.label_source, angry.emotion) == (None, "human", "anger")
    assert bored.adv is not None


def test_audformat_with_two_of_the_dimensions_knows_nothing_of_the_third(tmp_path, write_wav):
    build_audformat(tmp_path, write_wav)
    header = AUDFORMAT_HEADER.replace("      dom: {scheme_id: dominance}\n", "")
    (tmp_path / "db.yaml").write_text(header)
    angry, _ = read_corpus("ours", tmp_path)
    assert (angry.arousal, angry.dominance, angry.valence) == (1.0, None, 0.0)
    assert (angry.adv, angry.label_source, angry.labelled) == (None, "human", True)


def test_audformat_without_ratings_stands_at_the_prototypes(tmp_path, write_wav):
    build_audformat(tmp_path, write_wav)
    (tmp_path / "db.yaml").write_text(AUDFORMAT_HEADER[: AUDFORMAT_HEADER.index("  ratings:")])
    angry, _ = read_corpus("ours", tmp_path)
    assert (angry.adv, angry.label_source) == (PROTOTYPES["anger"], "prototype")


def audformat_with(tmp_path, write_wav, name, text):
    build_audformat(tmp_path, write_wav)
    (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "db.ratings.csv",
            "file,start,end,act,val,dom\nwav/03_angry.wav,0 days,,6,1,3\n",
            r"db.ratings.csv, line 2: arousal is '6'.*from 1 to 5",
        ),
        (
            "db.ratings.csv",
            "file,start,end,act,val,dom\nwav/03_angry.wav,0 days 00:00:01,0 days 00:00:02,3,1,3\n",
            "about a segment",
        ),
        (
            "db.files.csv",
            "file,speaker\nwav/03_angry.wav,3\n",
            "no table says who speaks in 'wav/08_bored.wav'",
        ),
        (
            "db.files.csv",
            "file,speaker\nwav/03_angry.wav,3\nwav/03_angry.wav,8\nwav/08_bored.wav,8\n",
            "speaker of wav/03_angry.wav is '8'; .* says '3'",
        ),
        ("db.files.csv", "file,name\nwav/03_angry.wav,3\n", "without 'speaker'"),
        ("db.yaml", "name: x\ntables: [a\n", "cannot be read as an audformat header"),
        ("db.yaml", "name: x\n", "no table of files"),
        ("db.yaml", AUDFORMAT_HEADER.replace("maximum: 5", "maximum: 1"), "minimum 1 and maximum 1"),
        ("db.yaml", AUDFORMAT_HEADER.replace("  files:", "  absent:"), "expected db.absent.csv"),
        (
            "db.yaml",
            AUDFORMAT_HEADER.replace("scheme_id: valence", "scheme_id: arousal"),
            "columns act, val all hold arousal",
        ),
    ],
)
def test_audformat_databases_that_cannot_be_used(tmp_path, write_wav, name, text, told):
    with pytest.raises(CorpusError, match=told):
        read_corpus("ours", audformat_with(tmp_path, write_wav, name, text))
