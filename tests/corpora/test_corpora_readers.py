"""Readers against the real folders where they are, and against small trees in the official layouts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from official_layouts import BUILD, NEMO_HEAD, build_emodb, build_nemo, build_ravdess, path_of

from edgebench.corpora import ADV, EMOTIONS, PROTOTYPES, READERS, corpus_names, load_waveform, read_corpus
from edgebench.errors import CorpusError, UsageError


@pytest.fixture(params=sorted(READERS))
def small(request, tmp_path, write_wav):
    """Each corpus of the table of readers, made in its layout: its name and its path."""
    path = path_of(request.param, tmp_path)
    BUILD[request.param][0](path, write_wav)
    return request.param, path


def test_every_reader_reads_its_layout(small):
    name, path = small
    clips = read_corpus(name, path)
    reader = READERS[name]
    assert reader.name == name
    assert len(clips) == BUILD[name][1]
    assert len({clip.speaker for clip in clips}) >= BUILD[name][2]
    assert [clip.id for clip in clips] == sorted({clip.id for clip in clips})
    for clip in clips:
        assert clip.corpus == name
        assert clip.licence == reader.licence or name == "audformat"  # its header says
        assert clip.language == reader.language or reader.language == "und"
        assert clip.label_source in reader.label_source
        assert str(path.parent) not in clip.id
        assert clip.emotion in (*EMOTIONS, None)
        if clip.label_source == "prototype":
            assert clip.adv == (None if clip.emotion is None else PROTOTYPES[clip.emotion])
        else:
            assert clip.adv is None or all(0.0 <= value <= 1.0 for value in clip.adv)
        if clip.votes is not None:
            assert sum(share for _, share in clip.votes) == pytest.approx(1.0)
        hash(clip)
        assert len(load_waveform(clip)) == 1600


def test_every_reader_refuses_a_folder_that_is_not_there(small, tmp_path):
    name, _ = small
    with pytest.raises(CorpusError, match="no such f"):
        read_corpus(name, tmp_path / "absent")


def test_every_reader_refuses_an_empty_folder_and_says_what_it_expected(small, tmp_path):
    name, _ = small
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError) as caught:
        read_corpus(name, tmp_path / "empty")
    assert READERS[name].layout in str(caught.value)


def test_every_reader_refuses_another_layout_and_names_what_it_found(small, tmp_path, write_wav):
    name, _ = small
    write_wav(tmp_path / "other" / "holiday.wav")
    path = tmp_path / "other" / ("holiday.wav" if name == "table" else "")
    with pytest.raises(CorpusError, match=r"column|utf-8|UTF-8" if name == "table" else "holiday.wav"):
        read_corpus(name, path)


def test_flac_and_capital_suffixes_are_read_hidden_files_are_not(tmp_path, write_wav):
    write_wav(tmp_path / "03a01Fa.flac")
    write_wav(tmp_path / "03a01Wa.wav").rename(tmp_path / "03a01Wa.WAV")
    (tmp_path / "._03a01Fa.wav").write_bytes(b"Mac OS X")
    assert [clip.id for clip in read_corpus("emodb", tmp_path)] == ["03a01Fa", "03a01Wa"]


def test_a_clip_in_two_formats_is_refused(tmp_path, write_wav):
    write_wav(tmp_path / "wav" / "03a01Fa.flac")
    write_wav(tmp_path / "wav" / "03a01Fa.wav")
    with pytest.raises(CorpusError, match="there twice"):
        read_corpus("emodb", tmp_path)


def test_an_unknown_corpus_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'ravdess'") as caught:
        read_corpus("ravdes", "anywhere")
    assert all(name in str(caught.value) for name in corpus_names())


def test_emodb_letters(tmp_path, write_wav):
    build_emodb(tmp_path, write_wav)
    rows = {
        clip.id: (clip.speaker, clip.emotion, clip.label, clip.sex) for clip in read_corpus("emodb", tmp_path)
    }
    assert rows == {
        "03a01Wa": ("03", "anger", "anger", "male"),
        "03a01Fa": ("03", "happiness", "happiness", "male"),
        "08b02Tc": ("08", "sadness", "sadness", "female"),
        "08a05Lb": ("08", None, "boredom", "female"),
        "16a07Ea": ("16", None, "disgust", "female"),
        "16b10Ad": ("16", None, "anxiety", "female"),
        "09a02Nb": ("09", "neutral", "neutral", "female"),
    }


def test_ravdess_calm_is_not_neutral(tmp_path, write_wav):
    build_ravdess(tmp_path, write_wav)
    clips = [clip for clip in read_corpus("ravdess", tmp_path) if clip.speaker == "02"]
    assert [(clip.label, clip.emotion) for clip in clips] == [
        ("neutral", "neutral"),
        ("calm", None),
        ("happy", "happiness"),
        ("sad", "sadness"),
        ("angry", "anger"),
        ("fearful", None),
        ("disgust", None),
        ("surprised", None),
    ]
    assert {clip.sex for clip in clips} == {"female"}


def test_ravdess_inside_its_archive_folder_and_without_its_songs(tmp_path, write_wav):
    build_ravdess(tmp_path / "Audio_Speech_Actors_01-24", write_wav)
    write_wav(tmp_path / "Audio_Speech_Actors_01-24" / "Actor_01" / "03-02-03-01-01-01-01.wav")
    assert len(read_corpus("ravdess", tmp_path)) == 16


def test_ravdess_clip_in_another_actors_folder(tmp_path, write_wav):
    build_ravdess(tmp_path, write_wav)
    write_wav(tmp_path / "Actor_01" / "03-01-01-01-01-01-07.wav")
    with pytest.raises(CorpusError, match=r"Actor_01/03-01-01-01-01-01-07.wav"):
        read_corpus("ravdess", tmp_path)


def test_nemo_keeps_rows_whose_file_is_missing_and_reading_them_names_it(tmp_path, write_wav):
    build_nemo(tmp_path, write_wav)
    (tmp_path / "samples" / "EB0_anger_1.wav").unlink()
    clips = {clip.id: clip for clip in read_corpus("nemo", tmp_path)}
    assert len(clips) == 6
    with pytest.raises(CorpusError, match=r"EB0_anger_1.wav"):
        load_waveform(clips["EB0_anger_1"])


def test_nemo_without_its_columns(tmp_path, write_wav):
    build_nemo(tmp_path, write_wav)
    (tmp_path / "data.tsv").write_text("file\tlabel\nx\ty\n")
    with pytest.raises(CorpusError, match="found columns file, label"):
        read_corpus("nemo", tmp_path)


def test_nemo_table_in_another_encoding(tmp_path, write_wav):
    build_nemo(tmp_path, write_wav)
    (tmp_path / "data.tsv").write_bytes(
        (NEMO_HEAD + "a.wav\tanger\tChcę\tx\tEB0\tfemale\t1\n").encode("cp1250")
    )
    with pytest.raises(CorpusError, match=r"line 2: the byte 0xea is no UTF-8.*saved in another encoding"):
        read_corpus("nemo", tmp_path)


def write_table(tmp_path: Path, write_wav, text: str, name: str = "mine.csv") -> Path:
    write_wav(tmp_path / "a.wav")
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


def test_a_table_with_ratings(tmp_path, write_wav):
    text = (
        "file,speaker,emotion,arousal,dominance,valence,language,session,note\n"
        "a.wav,ann,sad,0.25,0.5,1,fr,2,x\n"
        "b.wav,bob,,,,,,,\n"
    )
    first, second = read_corpus("table", write_table(tmp_path, write_wav, text))
    assert (first.adv, first.emotion, first.label, first.language) == (
        (0.25, 0.5, 1.0),
        "sadness",
        "sad",
        "fr",
    )
    assert (first.session, first.label_source, first.path) == ("2", "human", tmp_path / "a.wav")
    assert (second.adv, second.emotion, second.language, second.labelled) == (None, None, "und", False)


def test_a_table_with_two_dimensions_knows_nothing_of_the_third(tmp_path, write_wav):
    """As corpora of valence and arousal alone are labelled, with or without emotions beside them."""
    text = "file,speaker,valence,arousal\na.wav,ann,0.25,0.5\nb.wav,bob,,1\n"
    first, second = read_corpus("calls", write_table(tmp_path, write_wav, text))
    assert (first.arousal, first.dominance, first.valence) == (0.5, None, 0.25)
    assert (first.rated, first.adv, first.labelled) == (("arousal", "valence"), None, True)
    assert (second.rated, second.labelled, second.label_source) == (("arousal",), True, "human")
    text = "file,speaker,emotion,arousal\na.wav,ann,anger,0.5\n"
    (clip,) = read_corpus("calls", write_table(tmp_path, write_wav, text))
    # The prototype of anger would be a dominance that nobody rated.
    assert (clip.emotion, clip.arousal, clip.dominance, clip.valence) == ("anger", 0.5, None, None)


def test_a_table_of_tabs(tmp_path, write_wav):
    path = write_table(tmp_path, write_wav, "file\tspeaker\temotion\na.wav\tann\tneutral\n", "mine.tsv")
    assert [clip.emotion for clip in read_corpus("table", path)] == ["neutral"]


def test_a_table_with_absolute_paths_keeps_them_out_of_the_ids(tmp_path, write_wav):
    path = write_table(tmp_path, write_wav, f"file,speaker,emotion\n{tmp_path / 'a.wav'},ann,neutral\n")
    clip = read_corpus("table", path)[0]
    assert (clip.id, clip.path) == ("a", tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "found columns nothing"),
        ("file,speaker,emotion\n", "no rows"),
        ("file,emotion\na.wav,anger\n", "found columns 'emotion', 'file'"),
        ("file,speaker\na.wav,ann\n", "found columns 'file', 'speaker'"),
        ("file,speaker,arousal\na.wav,ann,1.5\n", "line 2: arousal is '1.5', outside"),
        ("file,speaker,emotion,arousal,dominance,valence\na.wav,ann,anger,3,4,5\n", "line 2: .*outside"),
        (
            "file,speaker,emotion,arousal,dominance,valence\na.wav,ann,anger,0.5,nan,0.5\n",
            "line 2: .*outside",
        ),
        ("file,speaker,emotion,arousal,dominance,valence\na.wav,ann,anger,high,0,0\n", "line 2: .*high"),
        ("file,speaker,emotion\na.wav,,anger\n", "line 2: file and speaker must not be empty"),
        ("file,speaker,emotion\na.wav,ann,anger,more\n", "4 values for 3 columns"),
        ("file,speaker,emotion\na.wav,ann,anger\na.wav,bob,anger\n", "there twice"),
        ("file,speaker,emotion\nx.wav,ann,anger\n", "none of .*x.wav"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path, write_wav, text, told):
    with pytest.raises(CorpusError, match=told):
        read_corpus("table", write_table(tmp_path, write_wav, text))


def test_prototypes_are_the_published_means_on_a_scale_of_0_to_1():
    # Russell & Mehrabian 1977, pleasure, arousal, dominance: angry -.51 .59 .25, happy .81 .51 .46,
    # sad -.63 -.27 -.33; worked by hand.
    assert ADV == ("arousal", "dominance", "valence")
    assert EMOTIONS == ("anger", "happiness", "neutral", "sadness")
    assert PROTOTYPES == {
        "anger": (0.795, 0.625, 0.245),
        "happiness": (0.755, 0.73, 0.905),
        "neutral": (0.5, 0.5, 0.5),
        "sadness": (0.365, 0.335, 0.185),
    }


REAL = {
    "emodb": ({"anger": 127, "happiness": 71, "neutral": 79, "sadness": 62}, 10),
    "ravdess": (
        {"neutral": 96}
        | dict.fromkeys(("calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"), 192),
        24,
    ),
    "nemo": (dict.fromkeys(EMOTIONS, 180), 9),
    "urdu": (dict.fromkeys(("Angry", "Happy", "Neutral", "Sad"), 100), 29),
}


@pytest.mark.corpora
@pytest.mark.parametrize("name", sorted(REAL))
def test_real_corpora_hold_what_their_readme_counts(corpora_root, name):
    labels, speakers = REAL[name]
    clips = read_corpus(name, corpora_root / name)
    assert Counter(clip.label for clip in clips) == labels
    assert len({clip.speaker for clip in clips}) == speakers
    assert all(clip.sex in ("female", "male") for clip in clips)
    for clip in clips[:: len(clips) // 20]:
        assert 0.3 < len(load_waveform(clip)) / 16_000 < 30


@pytest.mark.corpora
def test_nemo_has_20_clips_of_each_speaker_and_emotion(corpora_root):
    clips = read_corpus("nemo", corpora_root / "nemo")
    assert set(Counter((clip.speaker, clip.emotion) for clip in clips).values()) == {20}
    sexes = Counter(sex for _, sex in {(clip.speaker, clip.sex) for clip in clips})
    assert sexes == {"male": 5, "female": 4}
