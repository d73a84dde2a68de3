"""Official layouts in detail: who speaks, what was rated on which scale, and what is refused how."""

from __future__ import annotations

import csv
import json
from collections import Counter

import pytest
from official_layouts import (
    BUILD,
    CREMA_VOTES,
    CREMA_VOTES_HEAD,
    IEMOCAP_HEAD,
    MSP_HEAD,
    build_crema_d,
    build_esd,
    build_iemocap,
    build_msp_podcast,
    build_subesco,
    build_thai_ser,
    path_of,
)

from edgebench.corpora import READERS, UNKNOWN_SPEAKER, read_corpus, recognise_corpus
from edgebench.corpora.readers import thai_ser
from edgebench.errors import CorpusError


def by_id(name, path):
    return {clip.id: clip for clip in read_corpus(name, path)}


@pytest.mark.parametrize("name", sorted(READERS))
def test_every_layout_is_recognised_and_as_no_other(name, tmp_path, write_wav):
    path = path_of(name, tmp_path)
    BUILD[name][0](path, write_wav)
    assert recognise_corpus(path).name == name
    assert [other for other, reader in READERS.items() if reader.recognises(path)] == [name]


def test_what_no_layout_fits_is_refused_with_what_was_found(tmp_path):
    (tmp_path / "holidays").mkdir()
    with pytest.raises(CorpusError, match=r"no known layout fits; found 'holidays/'.*iemocap"):
        recognise_corpus(tmp_path)
    with pytest.raises(CorpusError, match="no such file or folder"):
        recognise_corpus(tmp_path / "absent")


def test_two_layouts_in_one_folder_ask_for_a_name(tmp_path, write_wav):
    build_crema_d(tmp_path, write_wav)
    build_esd(tmp_path, write_wav)
    with pytest.raises(CorpusError, match="looks like crema_d, esd at once"):
        recognise_corpus(tmp_path)


# IEMOCAP


def test_iemocap_turns(tmp_path, write_wav):
    build_iemocap(tmp_path, write_wav)
    clips = by_id("iemocap", tmp_path)
    rows = {
        turn: (clip.speaker, clip.session, clip.sex, clip.emotion, clip.label) for turn, clip in clips.items()
    }
    assert rows == {
        "Ses01F_impro01_F000": ("Ses01F", "Session1", "female", "neutral", "neu"),
        "Ses01F_impro01_M000": ("Ses01M", "Session1", "male", None, "xxx"),
        "Ses05M_script01_1b_F003": ("Ses05F", "Session5", "female", "happiness", "exc"),
        "Ses05M_script01_1b_M004": ("Ses05M", "Session5", "male", None, "fru"),
    }


def test_iemocap_ratings_are_released_as_valence_activation_dominance(tmp_path, write_wav):
    build_iemocap(tmp_path, write_wav)
    clips = by_id("iemocap", tmp_path)
    # [1.0, 5.0, 2.0]: valence 1 of 1..5, activation 5, dominance 2; by hand (x - 1) / 4.
    loud = clips["Ses01F_impro01_M000"]
    assert (loud.valence, loud.arousal, loud.dominance) == (0.0, 1.0, 0.25)
    assert loud.adv == (1.0, 0.25, 0.0)
    assert {clip.label_source for clip in clips.values()} == {"human"}


def test_iemocap_votes_are_the_raters_each_one_vote(tmp_path, write_wav):
    build_iemocap(tmp_path, write_wav)
    clip = by_id("iemocap", tmp_path)["Ses01F_impro01_F000"]
    # E2 neutral, E3 excited (happiness) and surprise in halves; the actor's own anger does not count.
    assert clip.votes == (("happiness", 0.25), ("neutral", 0.5), ("surprise", 0.25))
    assert clip.emotion_votes == pytest.approx((0.0, 1 / 3, 2 / 3, 0.0))


def test_iemocap_inside_its_archive_folder(tmp_path, write_wav):
    build_iemocap(tmp_path / "IEMOCAP_full_release", write_wav)
    assert len(read_corpus("iemocap", tmp_path)) == 4


def iemocap_line(tmp_path, write_wav, line):
    build_iemocap(tmp_path, write_wav)
    labels = tmp_path / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    labels.write_text(IEMOCAP_HEAD + line + "\n")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "[0.1 - 0.2]\tSes01F_impro01_F000\tneu\t[2.5, 5.7, 2.5]",
            r"Ses01F_impro01.txt, line 3, turn Ses01F_impro01_F000: arousal is '5.7'.*from 1 to 5",
        ),
        ("[0.1 - 0.2]\tSes01F_impro01_F000\tneu\t[0.2, 3, 2.5]", "valence is '0.2'"),
        ("[0.1 - 0.2]\tSes01F_impro01_F000\tneu\t[2, 3, nan]", "dominance is 'nan'"),
        ("[0.1 - 0.2]\tSes01F_impro01_F000\tneu", r"line 3: expected .*\[valence, activation, dominance\]"),
        ("[0.1 - 0.2]\tSes02F_impro01_F000\tneu\t[2, 3, 2]", "of a turn of Session1"),
        ("[0.1 - 0.2]\tholiday\tneu\t[2, 3, 2]", "line 3: expected"),
    ],
)
def test_iemocap_lines_that_do_not_fit(tmp_path, write_wav, line, told):
    with pytest.raises(CorpusError, match=told):
        read_corpus("iemocap", iemocap_line(tmp_path, write_wav, line))


def test_iemocap_half_a_step_outside_is_the_end_of_the_scale(tmp_path, write_wav):
    path = iemocap_line(tmp_path, write_wav, "[0.1 - 0.2]\tSes01F_impro01_F000\thap\t[5.5, 5, 0.5]")
    assert by_id("iemocap", path)["Ses01F_impro01_F000"].adv == (1.0, 0.0, 1.0)


def test_iemocap_labels_without_sound(tmp_path, write_wav):
    build_iemocap(tmp_path, write_wav)
    for file in tmp_path.rglob("*.wav"):
        file.unlink()
    with pytest.raises(CorpusError, match=r"4 turns and none of their files"):
        read_corpus("iemocap", tmp_path)


# MSP-Podcast


def test_msp_podcast_rows(tmp_path, write_wav):
    build_msp_podcast(tmp_path, write_wav)
    clips = by_id("msp_podcast", tmp_path)
    neutral, angry, contempt, happy, withheld = (clips[name] for name in sorted(clips))
    # 2.2 of 1..7 is 1.2 / 6; the columns stand as act, val, dom.
    assert neutral.adv == pytest.approx((1.2 / 6, 1.6 / 6, 0.5))
    assert angry.adv == (1.0, 0.5, 0.0)
    assert (angry.emotion, contempt.emotion, contempt.label) == ("anger", None, "contempt")
    assert (happy.speaker, happy.sex) == (UNKNOWN_SPEAKER, None)
    assert (withheld.adv, withheld.emotion, withheld.labelled) == (None, None, False)
    assert [clip.partition for clip in (neutral, angry, contempt)] == ["Test1", "Train", "Development"]
    assert {clip.label_source for clip in clips.values()} == {"human"}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("a.wav,N,7.2,4,4,30,Male,Train", r"line 2, a.wav: EmoAct \(arousal\) is '7.2'.*from 1 to 7"),
        ("a.wav,N,2,0,4,30,Male,Train", r"EmoVal \(valence\) is '0'"),
        ("a.wav,N,2,2,,30,Male,Train", r"EmoDom \(dominance\) is ''"),
        ("a.wav,Q,2,2,2,30,Male,Train", "EmoClass is 'Q', expected one of A, S, H"),
        ("a.wav,N,2,2,2,,Male,Train", "SpkrID must not be empty"),
        ("a.wav,N,2,2,2,30,Male", "7 values for 8 columns"),
        ("b.wav,N,2,2,2,30,Male,Train", "1 rows, and in Audios"),
    ],
)
def test_msp_podcast_rows_that_do_not_fit(tmp_path, write_wav, row, told):
    write_wav(tmp_path / "Audios" / "a.wav")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "labels_consensus.csv").write_text(MSP_HEAD + row + "\n")
    with pytest.raises(CorpusError, match=told):
        read_corpus("msp_podcast", tmp_path)


def test_msp_podcast_without_its_columns(tmp_path, write_wav):
    build_msp_podcast(tmp_path, write_wav)
    (tmp_path / "Labels" / "labels_consensus.csv").write_text("FileName,EmoClass\na.wav,N\n")
    with pytest.raises(CorpusError, match="found columns 'EmoClass', 'FileName', without 'EmoAct'"):
        read_corpus("msp_podcast", tmp_path)


# CREMA-D


def test_crema_d_names_say_the_acted_emotion_and_the_table_what_the_voice_conveyed(tmp_path, write_wav):
    build_crema_d(tmp_path, write_wav)
    clips = by_id("crema_d", tmp_path)
    angry, sad = clips["1001_DFA_ANG_XX"], clips["1002_IEO_SAD_LO"]
    assert (angry.emotion, angry.speaker, angry.sex) == ("anger", "1001", "male")
    assert angry.votes == (("anger", 0.6), ("disgust", 0.1), ("neutral", 0.3))
    assert angry.emotion_votes == pytest.approx((6 / 9, 0.0, 3 / 9, 0.0))
    assert (sad.emotion, sad.sex) == ("sadness", "female")
    assert sad.emotion_votes == (0.0, 0.0, 0.8, 0.2)
    assert clips["1002_ITH_DIS_XX"].emotion_votes is None  # nobody heard one of the four
    assert clips["1002_WSI_NEU_XX"].votes is None


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ('"100001",6,1,0,0,3,0,"1001_DFA_ANG_XX",11,0.6,"A"', "have 10 votes, numResponses says 11"),
        ('"100001",-6,1,0,0,3,0,"1001_DFA_ANG_XX",10,0.6,"A"', "line 2, 1001_DFA_ANG_XX: A is '-6'"),
        (CREMA_VOTES.splitlines()[0] + "\n" + CREMA_VOTES.splitlines()[0], "line 3.*a second row of votes"),
    ],
)
def test_crema_d_votes_that_do_not_fit(tmp_path, write_wav, row, told):
    build_crema_d(tmp_path, write_wav)
    (tmp_path / "processedResults" / "tabulatedVotes.csv").write_text(CREMA_VOTES_HEAD + row + "\n")
    with pytest.raises(CorpusError, match=told):
        read_corpus("crema_d", tmp_path)


def test_crema_d_without_its_tables(tmp_path, write_wav):
    build_crema_d(tmp_path, write_wav)
    (tmp_path / "processedResults" / "tabulatedVotes.csv").unlink()
    (tmp_path / "VideoDemographics.csv").unlink()
    assert {(clip.votes, clip.sex) for clip in read_corpus("crema_d", tmp_path)} == {(None, None)}


@pytest.mark.corpora
def test_crema_d_real_tables(corpora_root, tmp_path):
    """The official tables over a tree of empty files with the official names: readers open no audio."""
    tables = corpora_root / "crema_d_metadata"
    if not tables.is_dir():
        pytest.skip("EDGEBENCH_CORPORA holds no crema_d_metadata")
    (tmp_path / "AudioWAV").mkdir()
    for name in ("VideoDemographics.csv", "processedResults"):
        (tmp_path / name).symlink_to(tables / name)
    with (tables / "SentenceFilenames.csv").open(newline="") as stream:
        names = [row["Filename"] for row in csv.DictReader(stream)]
    for name in names:
        (tmp_path / "AudioWAV" / f"{name}.wav").touch()
    clips = by_id("crema_d", tmp_path)
    # The counts of the DistilHuBERT paper's Table I, and of the release's README.
    counted = Counter(clip.emotion for clip in clips.values() if clip.emotion)
    assert counted == {"anger": 1271, "happiness": 1271, "neutral": 1087, "sadness": 1271}
    assert len(clips) == 7442
    assert Counter({clip.speaker: clip.sex for clip in clips.values()}.values()) == {
        "male": 48,
        "female": 43,
    }
    # The other official table is the oracle: its majority of the votes on the voice, ties with a colon.
    letters = {"anger": "A", "disgust": "D", "fear": "F", "happiness": "H", "neutral": "N", "sadness": "S"}
    with (tables / "processedResults" / "summaryTable.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            votes = dict(clips[row["FileName"]].votes)
            assert sum(votes.values()) == pytest.approx(1.0)
            most = {letters[word] for word, share in votes.items() if share == max(votes.values())}
            assert most == set(row["VoiceVote"].split(":"))


# ESD, SUBESCO, THAI-SER


def test_esd_languages_and_parts(tmp_path, write_wav):
    build_esd(tmp_path, write_wav)
    clips = read_corpus("esd", tmp_path)
    assert Counter((clip.speaker, clip.language, clip.partition) for clip in clips) == {
        ("0001", "zh", "train"): 5,
        ("0001", "zh", "test"): 5,
        ("0011", "en", None): 5,
    }
    assert {clip.label: clip.emotion for clip in clips} == {
        "Angry": "anger",
        "Happy": "happiness",
        "Neutral": "neutral",
        "Sad": "sadness",
        "Surprise": None,
    }


def test_esd_a_file_in_another_speakers_folder(tmp_path, write_wav):
    build_esd(tmp_path, write_wav)
    write_wav(tmp_path / "0001" / "Angry" / "0002_000351.wav")
    with pytest.raises(CorpusError, match=r"found '0001/Angry/0002_000351\.wav'"):
        read_corpus("esd", tmp_path)


def test_subesco_numbers_count_women_and_men_apart(tmp_path, write_wav):
    build_subesco(tmp_path / "SUBESCO", write_wav)
    clips = read_corpus("subesco", tmp_path)
    assert {(clip.speaker, clip.sex) for clip in clips} == {
        ("F_01", "female"),
        ("F_02", "female"),
        ("M_01", "male"),
    }
    assert {clip.label: clip.emotion for clip in clips}["SURPRISE"] is None
    write_wav(tmp_path / "SUBESCO" / "F_01_OISHI_S_10_BORED_1.wav")
    with pytest.raises(CorpusError, match="BORED"):
        read_corpus("subesco", tmp_path)


def test_thai_ser_labels_where_listeners_agree(tmp_path, write_wav):
    build_thai_ser(tmp_path, write_wav)
    clips = by_id("thai_ser", tmp_path)
    rows = {clip.speaker: (clip.emotion, clip.label, clip.session, clip.sex) for clip in clips.values()}
    assert rows == {
        "001": ("anger", "Angry", "s001", "female"),
        "002": (None, "Angry", "s001", "male"),
        "199": (None, "Frustrated", "z011", "female"),
        "200": (None, "None", "z011", "male"),
    }
    # Four listeners: angry, angry and sad in halves, sad, other.
    doubtful = clips["s001_con_actor002_script1_1_2a"]
    assert doubtful.votes == (("anger", 0.375), ("other", 0.25), ("sadness", 0.375))
    assert doubtful.emotion_votes == (0.5, 0.0, 0.0, 0.5)
    lenient = {clip.speaker: clip.emotion for clip in thai_ser.read(tmp_path, agreement=0.5)}
    assert lenient["002"] == "anger"


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"majority_emo": "Sad", "agreement": 1.2, "annotated": []}, "agreement is '1.2'.*from 0 to 1"),
        ({"majority_emo": "Sad", "agreement": 1}, "with majority_emo, agreement, annotated"),
        ({"majority_emo": "Sad", "agreement": 1, "annotated": ["Sad"]}, "each listener's list"),
    ],
)
def test_thai_ser_entries_that_do_not_fit(tmp_path, write_wav, entry, told):
    build_thai_ser(tmp_path, write_wav)
    name = "s001_con_actor001_impro1_1.flac"
    (tmp_path / "emotion_label.json").write_text(json.dumps({name: [entry]}))
    with pytest.raises(CorpusError, match=told):
        read_corpus("thai_ser", tmp_path)
