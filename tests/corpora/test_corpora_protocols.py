"""Protocols: disjoint, complete, drawn by a rule; and what leaks speakers says so."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

import pytest
from official_layouts import build_iemocap

from edgebench.corpora import (
    PARTS,
    UNKNOWN_SPEAKER,
    Split,
    k_folds,
    leaking_speakers,
    leave_one_session_out,
    random_folds,
    ratio_split,
    read_corpus,
    read_split,
    split_clips,
    write_split,
)
from edgebench.errors import ConfigError, CorpusError, UsageError

EMOTIONS = ("anger", "happiness", "neutral", "sadness")


@pytest.fixture
def corpus(clip_of):
    """Clips of ``speakers`` speakers, half of them women, ``each`` clips of each emotion."""

    def make(speakers=10, each=2, name="c"):
        return [
            clip_of(
                id=f"{speaker:02d}{emotion}{n}",
                corpus=name,
                speaker=f"{speaker:02d}",
                sex="male" if speaker % 2 else "female",
                emotion=emotion,
            )
            for speaker in range(speakers)
            for emotion in EMOTIONS
            for n in range(each)
        ]

    return make


@pytest.fixture
def sessions(clip_of):
    """Five sessions of two speakers, as IEMOCAP."""
    return [
        clip_of(id=f"s{n}{sex}{turn}", corpus="iemocap", speaker=f"Ses0{n}{sex}", session=f"Session{n}")
        for n in range(1, 6)
        for sex in "FM"
        for turn in range(2)
    ]


def members(split, corpus):
    return [member for part in PARTS for member in split.corpora[corpus][part]]


def whole(clips, split):
    """The clips of the three parts put together, after asking for each."""
    return sorted(clip.id for part in PARTS for clip in split_clips(clips, split, part))


@pytest.mark.parametrize(("speakers", "k"), [(10, 5), (24, 5), (9, 3), (7, 7)])
def test_k_folds_test_each_speaker_once_and_never_one_they_learn(corpus, speakers, k):
    clips = corpus(speakers)
    folds = k_folds("mine", clips, k=k)
    assert len({fold.sha256 for fold in folds}) == len(folds) == k
    tested = [speaker for fold in folds for speaker in fold.corpora["c"]["test"]]
    assert sorted(tested) == sorted({clip.speaker for clip in clips})
    for fold in folds:
        assert sorted(members(fold, "c")) == sorted({clip.speaker for clip in clips})
        assert whole(clips, fold) == sorted(clip.id for clip in clips)
        assert leaking_speakers(clips, fold) == {}
        assert (fold.unit, fold.leaks_speakers) == ("speaker", False)
        assert abs(len(fold.corpora["c"]["test"]) - speakers / k) < 1
    after = [folds[(n + 1) % k].corpora["c"]["test"] for n in range(k)]
    assert [fold.corpora["c"]["validation"] for fold in folds] == after


def test_k_folds_hold_the_sexes_in_proportion(corpus):
    for fold in k_folds("mine", corpus(20), k=5):
        assert Counter(int(speaker) % 2 for speaker in fold.corpora["c"]["test"]) == {0: 2, 1: 2}


def test_k_folds_are_of_the_rule_and_the_seed_not_of_the_order(corpus):
    clips = corpus()
    hashes = [fold.sha256 for fold in k_folds("mine", clips)]
    assert hashes == [fold.sha256 for fold in k_folds("mine", clips[::-1])]
    assert hashes != [fold.sha256 for fold in k_folds("mine", clips, seed=1)]
    # Fold 1 of one sex is tested on the speakers with the smallest SHA-256 of "0/c/NN": the rule by hand.
    women = [clip for clip in clips if clip.sex == "female"]
    ranked = sorted(
        {clip.speaker for clip in women}, key=lambda s: hashlib.sha256(f"0/c/{s}".encode()).hexdigest()
    )
    assert [fold.corpora["c"]["test"] for fold in k_folds("mine", women)] == [(s,) for s in ranked]


def test_k_folds_are_the_same_in_every_version(corpus):
    """A split is quoted by its hash: a change of the rule is a change of every figure made with it."""
    folds = k_folds("mine", corpus(24), k=5)
    assert [len(fold.corpora["c"]["test"]) for fold in folds] == [5, 5, 5, 5, 4]
    assert folds[0].sha256 == "1745beff0fdf14cdb47030e9cc5dcb037c21cfdccb005683be4fe1ed05d341df"
    assert (
        random_folds("mine", corpus(24), k=5)[0].sha256
        == "c2c937d644a9910d5e0b0d8c6654d78133ff2e9b5a96d018c8716c4b8431c083"
    )


def test_k_folds_without_validation(corpus):
    folds = k_folds("mine", corpus(), k=2, validation=False)
    assert [len(fold.corpora["c"]["validation"]) for fold in folds] == [0, 0]
    assert folds[0].corpora["c"]["train"] == folds[1].corpora["c"]["test"]


def test_folds_that_leave_nobody_to_train_are_refused(corpus):
    with pytest.raises(UsageError, match="2 folds leave nothing to train; expected 3"):
        k_folds("mine", corpus(), k=2)
    with pytest.raises(UsageError, match="1 folds"):
        random_folds("mine", corpus(), k=1, validation=False)
    with pytest.raises(CorpusError, match="'c' has 4 known speakers, the split needs 5"):
        k_folds("mine", corpus(4), k=5)
    with pytest.raises(CorpusError, match="no clip of a known speaker"):
        k_folds("mine", [])


def test_each_corpus_is_divided_on_its_own(corpus):
    clips = corpus(10) + corpus(6, name="d")
    for fold in k_folds("mine", clips):
        assert len(members(fold, "c")) == 10
        assert len(members(fold, "d")) == 6
        assert leaking_speakers(clips, fold) == {}


@pytest.mark.parametrize(("speakers", "train", "test"), [(10, 6, 4), (24, 14, 10), (5, 3, 2), (2, 1, 1)])
def test_60_to_40_by_speaker(corpus, speakers, train, test):
    clips = corpus(speakers)
    parts = ratio_split("mine", clips).corpora["c"]
    assert (len(parts["train"]), len(parts["validation"]), len(parts["test"])) == (train, 0, test)
    assert not set(parts["train"]) & set(parts["test"])
    assert whole(clips, ratio_split("mine", clips)) == sorted(clip.id for clip in clips)


def test_shares_with_validation_and_shares_that_cannot_be(corpus):
    parts = ratio_split("mine", corpus(), test_share=0.2, validation_share=0.04).corpora["c"]
    assert (len(parts["train"]), len(parts["validation"]), len(parts["test"])) == (7, 1, 2)
    for test, validation in ((0.0, 0.1), (1.0, 0.0), (0.6, 0.4), (0.4, -0.1)):
        with pytest.raises(UsageError, match="less than 1 together"):
            ratio_split("mine", corpus(), test_share=test, validation_share=validation)
    with pytest.raises(CorpusError, match="1 known speakers"):
        ratio_split("mine", corpus(1))


def test_leave_one_session_out_is_three_one_one(sessions):
    folds = leave_one_session_out("loso", sessions)
    assert [fold.name for fold in folds] == [f"loso.Session{n}" for n in range(1, 6)]
    second, last = folds[1].corpora["iemocap"], folds[4].corpora["iemocap"]
    assert second == {
        "train": ("Ses01F", "Ses01M", "Ses04F", "Ses04M", "Ses05F", "Ses05M"),
        "validation": ("Ses03F", "Ses03M"),
        "test": ("Ses02F", "Ses02M"),
    }
    assert last["validation"] == ("Ses01F", "Ses01M")
    for fold in folds:
        assert whole(sessions, fold) == sorted(clip.id for clip in sessions)
        assert leaking_speakers(sessions, fold) == {}


def test_a_second_corpus_trains_only(sessions, corpus, clip_of):
    second = [*corpus(4, name="crema_d"), clip_of(id="x", corpus="crema_d", speaker=UNKNOWN_SPEAKER)]
    for fold in leave_one_session_out("loso", sessions, train_only=second):
        assert fold.corpora["crema_d"]["train"] == ("00", "01", "02", "03", UNKNOWN_SPEAKER)
        assert fold.corpora["crema_d"]["validation"] == fold.corpora["crema_d"]["test"] == ()
        both = sessions + second
        assert {clip.corpus for clip in split_clips(both, fold, "test")} == {"iemocap"}
        assert {clip.corpus for clip in split_clips(both, fold, "validation")} == {"iemocap"}
        assert len(split_clips(both, fold, "train")) == 12 + len(second)
    with pytest.raises(CorpusError, match="'iemocap' is to be divided and to train only"):
        leave_one_session_out("loso", sessions, train_only=sessions[:1])


def test_sessions_that_cannot_be_left_out(sessions, clip_of, tmp_path, write_wav):
    build_iemocap(tmp_path, write_wav)
    with pytest.raises(CorpusError, match="'iemocap' has 2 sessions, and 0 clips without one"):
        leave_one_session_out("loso", read_corpus("iemocap", tmp_path))
    with pytest.raises(CorpusError, match="1 clips without one"):
        leave_one_session_out("loso", [*sessions, clip_of(id="x", corpus="iemocap", speaker="z")])
    guest = clip_of(id="x", corpus="iemocap", speaker="Ses01F", session="Session2")
    with pytest.raises(CorpusError, match="Ses01F of 'iemocap' stand in two sessions"):
        leave_one_session_out("loso", [*sessions, guest])
    with pytest.raises(CorpusError, match="of one corpus; found iemocap, mine"):
        leave_one_session_out("loso", [*sessions, clip_of(id="x")])


def test_random_folds_leak_speakers_and_say_so(corpus, tmp_path):
    clips = corpus()
    folds = random_folds("mine", clips, k=5)
    tested = [member for fold in folds for member in fold.corpora["c"]["test"]]
    assert sorted(tested) == sorted(clip.id for clip in clips)
    for fold in folds:
        assert (fold.unit, fold.leaks_speakers) == ("clip", True)
        assert sorted(members(fold, "c")) == sorted(clip.id for clip in clips)
        assert whole(clips, fold) == sorted(clip.id for clip in clips)
        assert len(leaking_speakers(clips, fold)) > 0
        emotions = Counter(clip.emotion for clip in split_clips(clips, fold, "test"))
        assert set(emotions.values()) == {4}  # 20 of each, five folds
        write_split(fold, tmp_path / "fold.json")
        document = json.loads((tmp_path / "fold.json").read_text())
        assert (document["split_version"], document["leaks_speakers"], document["unit"]) == (2, True, "clip")
        assert read_split(tmp_path / "fold.json") == fold
        assert read_split(tmp_path / "fold.json").sha256 == fold.sha256
    assert [f.sha256 for f in folds] == [f.sha256 for f in random_folds("mine", clips[::-1], k=5)]
    assert folds[0].sha256 != random_folds("mine", clips, k=5, seed=1)[0].sha256


def test_random_folds_of_speakers_with_one_clip_leak_nothing(clip_of):
    clips = [clip_of(id=str(n), corpus="c", speaker=str(n)) for n in range(6)]
    assert {fold.leaks_speakers for fold in random_folds("mine", clips, k=3)} == {False}
    nobody = [clip_of(id=str(n), corpus="c", speaker=UNKNOWN_SPEAKER) for n in range(6)]
    assert {fold.leaks_speakers for fold in random_folds("mine", nobody, k=3)} == {True}


def test_random_folds_with_a_corpus_that_trains_only(corpus):
    second = corpus(2, name="d")
    fold = random_folds("mine", corpus(), k=5, train_only=second)[0]
    assert fold.corpora["d"]["train"] == tuple(sorted(clip.id for clip in second))


def test_the_hash_of_a_split_of_clips_worked_by_hand():
    parts = {"train": ("b", "a"), "validation": (), "test": ("x",)}
    split = Split("mine", {"c": parts}, unit="clip", leaks_speakers=True)
    text = (
        '{"corpora":{"c":{"test":["x"],"train":["a","b"],"validation":[]}},"leaks_speakers":true,'
        '"name":"mine","split_version":2,"unit":"clip"}'
    )
    assert split.sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_a_leak_that_a_split_does_not_admit_is_refused(clip_of):
    clips = [clip_of(id=name, corpus="c", speaker="ann") for name in "ab"]
    parts = {"train": ("a",), "validation": (), "test": ("b",)}
    with pytest.raises(ConfigError, match=r"found 1 in two parts: c/ann in train and test"):
        split_clips(clips, Split("mine", {"c": parts}, unit="clip"), "test")
    admitted = Split("mine", {"c": parts}, unit="clip", leaks_speakers=True)
    assert [clip.id for clip in split_clips(clips, admitted, "test")] == ["b"]
    assert leaking_speakers(clips, admitted) == {"c/ann": ("train", "test")}


def test_clips_of_unknown_speakers_stand_in_no_part(corpus, clip_of):
    clips = [*corpus(), clip_of(id="who", corpus="c", speaker=UNKNOWN_SPEAKER)]
    for fold in k_folds("mine", clips):
        assert UNKNOWN_SPEAKER not in members(fold, "c")
        assert "who" not in whole(clips, fold)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"split_version": 3, "name": "x", "corpora": {}}', "version 3"),
        ('{"split_version": 2, "name": "x", "corpora": {}}', "expected an object with the keys .*unit"),
        (
            '{"split_version": 2, "name": "x", "unit": "speaker", "leaks_speakers": true, "corpora": {}}',
            "found unit 'speaker'",
        ),
        (
            '{"split_version": 2, "name": "x", "unit": "clip", "leaks_speakers": "no", "corpora": {}}',
            "leaks_speakers 'no'",
        ),
        (
            '{"split_version": 2, "name": "x", "unit": "clip", "leaks_speakers": true,'
            ' "corpora": {"c": {"train": ["a"], "validation": ["a"], "test": []}}}',
            "clips must stand in one part",
        ),
    ],
)
def test_split_files_of_clips_that_do_not_say_what_they_must(tmp_path, text, told):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(ConfigError, match=told):
        read_split(tmp_path / "s.json")


def test_a_split_by_speaker_cannot_claim_to_leak():
    with pytest.raises(ConfigError, match="cannot leak speakers"):
        Split("mine", {}, leaks_speakers=True)


@pytest.mark.corpora
def test_folds_of_the_real_corpora(corpora_root):
    for name in ("emodb", "ravdess", "nemo", "urdu"):
        clips = read_corpus(name, corpora_root / name)
        folds = k_folds(name, clips, k=5)
        tested = [speaker for fold in folds for speaker in fold.corpora[name]["test"]]
        assert sorted(tested) == sorted({clip.speaker for clip in clips})
        assert all(leaking_speakers(clips, fold) == {} for fold in folds)
        assert all(fold.leaks_speakers for fold in random_folds(name, clips, k=5))
