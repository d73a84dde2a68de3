"""Choosing tables and parts of a corpus, and being asked to where nothing says which is the speech."""

from __future__ import annotations

from pathlib import Path

import pytest
from official_layouts import MSP_HEAD, MSP_ROWS, build_audformat, build_msp_podcast

from edgebench.corpora import Source, inspect_corpus, parse_source, read_corpus
from edgebench.errors import CorpusError, UsageError

# The tables of EmoDB 2.0 as its update script makes them (github.com/audeering/emodb, 2.0.0/update.py): the
# speech in wav/, the laryngograms in laryngo/, the same columns in both, splits named for the speech alone.
HEADER = """\
name: emodb
languages: [deu]
license: CC0-1.0
schemes:
  emotion: {dtype: str, labels: [anger, boredom, happiness, neutral, sadness]}
  confidence: {dtype: float, minimum: 0, maximum: 1}
  speaker: {dtype: int}
tables:
"""
LABELS = "{emotion: {scheme_id: emotion}, emotion.confidence: {scheme_id: confidence}}"
CLIPS = {"03a01Wa": "anger", "03a02Fa": "happiness", "08a01Na": "neutral", "08a02Ta": "sadness"}
HELD_OUT = ("08a01Na", "08a02Ta")


def emodb_2(root, write_wav, *, larynx_splits: bool = False):
    """Twelve tables of four utterances, each recorded by a microphone and by a laryngograph."""
    header = HEADER
    tables = {}
    for prefix, folder in (("", "wav"), ("laryngo.", "laryngo")):
        rows = {clip: f"{folder}/{clip}.wav,{emotion},0.9\n" for clip, emotion in CLIPS.items()}
        tables[f"{prefix}files"] = "file,speaker\n" + "".join(
            f"{folder}/{clip}.wav,{int(clip[:2])}\n" for clip in CLIPS
        )
        head = "file,emotion,emotion.confidence\n"
        tables[f"{prefix}emotion"] = head + "".join(rows.values())
        train = head + "".join(row for clip, row in rows.items() if clip not in HELD_OUT)
        test = head + "".join(rows[clip] for clip in HELD_OUT)
        tables[f"{prefix}emotion.categories.train.gold_standard"] = train
        tables[f"{prefix}emotion.categories.test.gold_standard"] = test
        for clip in CLIPS:
            write_wav(root / folder / f"{clip}.wav")
    for name, content in tables.items():
        (root / f"db.{name}.csv").write_text(content)
        split = name.split(".")[-2] if name.endswith("gold_standard") else ""
        named = split and (larynx_splits or not name.startswith("laryngo"))
        header += f"  {name}:\n    type: filewise\n"
        header += f"    split_id: {split}\n" if named else ""
        header += f"    columns: {LABELS if 'emotion' in name else '{speaker: {scheme_id: speaker}}'}\n"
    (root / "db.yaml").write_text(header)
    return root


@pytest.mark.parametrize("larynx_splits", [False, True])
def test_two_signals_of_the_same_utterances_are_asked_about(tmp_path, write_wav, larynx_splits):
    root = emodb_2(tmp_path, write_wav, larynx_splits=larynx_splits)
    with pytest.raises(CorpusError, match="2 sets of files") as caught:
        read_corpus("berlin", root)
    told = str(caught.value)
    assert "corpus 'berlin'" in told
    assert "'emotion'" in told and "'laryngo.emotion'" in told
    assert "4 files, such as wav/" in told and "4 files, such as laryngo/" in told
    assert f"{root}#table=emotion" in told


def test_a_chosen_table_says_which_files_there_are(tmp_path, write_wav):
    root = emodb_2(tmp_path, write_wav)
    clips = read_corpus("berlin", Source(root, tables=("emotion",)))
    assert {clip.id: clip.emotion for clip in clips} == {
        f"wav/{clip}": emotion for clip, emotion in CLIPS.items()
    }
    # Who speaks stands in a table without labels, which is read for these files alone.
    assert [clip.speaker for clip in clips] == ["3", "3", "8", "8"]
    larynx = read_corpus("berlin", Source(root, tables=("laryngo.emotion",)))
    assert {clip.path.parent.name for clip in larynx} == {"laryngo"}


def test_patterns_and_parts(tmp_path, write_wav):
    root = emodb_2(tmp_path, write_wav)
    chosen = read_corpus("berlin", Source(root, tables=("emotion*",)))
    assert [clip.partition for clip in chosen] == ["train", "train", "test", "test"]
    source = parse_source(f"{root}#table=emotion*#partition=test")
    assert [clip.id for clip in read_corpus("berlin", source)] == [f"wav/{clip}" for clip in HELD_OUT]
    assert source.selection == "#table=emotion*#partition=test"
    assert inspect_corpus(source, name="berlin").clips == 2


def test_a_table_that_is_not_chosen_need_not_be_readable(tmp_path, write_wav):
    root = emodb_2(tmp_path, write_wav)
    (root / "db.laryngo.emotion.csv").unlink()  # saved as .parquet, say
    assert len(read_corpus("berlin", Source(root, tables=("emotion",)))) == 4


@pytest.mark.parametrize("medium", [False, True])
def test_splits_are_parts_of_one_whole_unless_their_media_differ(tmp_path, write_wav, medium):
    """Train and test tables share no file and belong together; a table of another medium does not."""
    header, media = HEADER, {"train": "microphone", "test": "electroglottograph"}
    for split, clip in (("train", "a"), ("test", "b")):
        header += f"  emotion.{split}:\n    split_id: {split}\n    columns: {LABELS}\n"
        header += f"    media_id: {media[split]}\n" if medium else ""
        (tmp_path / f"db.emotion.{split}.csv").write_text(
            f"file,emotion,emotion.confidence\n{clip}.wav,anger,1\n"
        )
        write_wav(tmp_path / f"{clip}.wav")
    (tmp_path / "db.yaml").write_text(f"{header}  files:\n    columns: {{speaker: {{scheme_id: speaker}}}}\n")
    (tmp_path / "db.files.csv").write_text("file,speaker\na.wav,1\nb.wav,2\n")
    if medium:
        with pytest.raises(CorpusError, match="2 sets of files"):
            read_corpus("ours", tmp_path)
    else:
        assert [clip.partition for clip in read_corpus("ours", tmp_path)] == ["train", "test"]


def test_a_table_of_other_files_without_labels_is_asked_about_too(tmp_path, write_wav):
    build_audformat(tmp_path, write_wav)
    header = (tmp_path / "db.yaml").read_text()
    (tmp_path / "db.yaml").write_text(f"{header}  egg:\n    columns: {{speaker: {{scheme_id: speaker}}}}\n")
    (tmp_path / "db.egg.csv").write_text("file,speaker\negg/03_angry.wav,3\n")
    with pytest.raises(CorpusError, match="'egg' with 1 files"):
        read_corpus("ours", tmp_path)
    source = Source(tmp_path, tables=("emotion", "ratings"))
    assert [clip.id for clip in read_corpus("ours", source)] == ["wav/03_angry", "wav/08_bored"]


def test_what_cannot_be_chosen(tmp_path, write_wav):
    root = emodb_2(tmp_path, write_wav)
    with pytest.raises(CorpusError, match=r"no table 'emotoin': did you mean 'emotion'"):
        read_corpus("berlin", Source(root, tables=("emotoin",)))
    with pytest.raises(CorpusError, match=r"no partition 'dev'.*Known: test, train"):
        read_corpus("berlin", Source(root, tables=("emotion*",), partitions=("dev",)))
    with pytest.raises(CorpusError, match="no parts of its own"):
        read_corpus("berlin", Source(root, tables=("emotion",), partitions=("test",)))
    with pytest.raises(UsageError, match="no tables to choose from"):
        read_corpus("emodb", Source(root, tables=("emotion",)))


@pytest.mark.parametrize("spelling", ["labels_consensus.csv", "labels_concensus.csv"])
def test_parts_of_msp_podcast(tmp_path, write_wav, spelling):
    root = tmp_path / "podcast"
    build_msp_podcast(root, write_wav)
    (root / "Labels" / "labels_consensus.csv").rename(root / "Labels" / spelling)
    clips = read_corpus("msp_podcast", root)
    assert len(clips) == len(MSP_ROWS.splitlines())
    assert {clip.release for clip in clips} == {
        "1.6 to 1.8" if spelling == "labels_concensus.csv" else "1.9 or later"
    }
    test1 = read_corpus("msp_podcast", parse_source(f"{root}#partition=Test1"))
    assert [clip.id for clip in test1] == ["MSP-PODCAST_0001_0008"]
    assert len(read_corpus("msp_podcast", parse_source(f"{root}#partition=Test1,Test3"))) == 2
    assert len(read_corpus("msp_podcast", parse_source(f"{root}#partition=Test?"))) == 2


def test_the_folder_names_the_release_of_msp_podcast(tmp_path, write_wav):
    root = tmp_path / "MSP-PODCAST-Publish-1.8"
    build_msp_podcast(root, write_wav)
    (root / "Labels" / "labels_consensus.csv").unlink()
    rows = MSP_ROWS.replace("Development", "Validation")
    (root / "Labels" / "labels_concensus.csv").write_text(MSP_HEAD + rows)
    found = inspect_corpus(root)
    assert (found.name, found.releases) == ("msp_podcast", ("1.8",))
    assert found.partitions == {"Test1": 1, "Test3": 1, "Train": 2, "Validation": 1}


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("/data/db", Source(Path("/data/db"))),
        ("/data/db#table=a,b", Source(Path("/data/db"), tables=("a", "b"))),
        ("/data/db#partition=Test1", Source(Path("/data/db"), partitions=("Test1",))),
        ("x.csv#partition=a#table=b*", Source(Path("x.csv"), tables=("b*",), partitions=("a",))),
    ],
)
def test_what_stands_behind_a_path(text, source):
    found = parse_source(text)
    assert found == source
    assert parse_source(str(found)) == found


@pytest.mark.parametrize(
    "text", ["/data#tabel=a", "/data#table", "/data#table=", "/data#", "/data#table=a#table=b"]
)
def test_a_choice_that_is_none(text):
    with pytest.raises(UsageError):
        parse_source(text)


def test_a_folder_may_have_a_hash_in_its_name(tmp_path, write_wav):
    folder = tmp_path / "take#table=2"
    build_audformat(folder, write_wav)
    assert parse_source(str(folder)) == Source(folder)
