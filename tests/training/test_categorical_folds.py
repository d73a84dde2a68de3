"""Who trains, who validates, who is tested: by protocol, and against corpora given under another name."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import soundfile
from support.fold_corpora import write_crema_d, write_iemocap, write_ravdess

from edgebench.corpora import PARTS, read_corpus
from edgebench.errors import CorpusError, UsageError
from edgebench.training.fine_tuning.folds import (
    cross_corpus_clips,
    folds_of,
    production_fold,
    read_parts,
    without_sounds,
)
from edgebench.training.methods import load_recipe


@pytest.fixture(scope="module")
def iemocap(tmp_path_factory):
    return write_iemocap(tmp_path_factory.mktemp("iemocap"))


@pytest.fixture(scope="module")
def crema_d(tmp_path_factory):
    return write_crema_d(tmp_path_factory.mktemp("crema"))


def recipe(*overrides: str):
    return load_recipe("distilhubert_loso", overrides=overrides)


def speakers(clips) -> set[tuple[str, str]]:
    return {(clip.corpus, clip.speaker) for clip in clips}


def test_each_session_is_tested_once_the_next_validates_and_crema_d_only_trains(iemocap, crema_d):
    clips, extra, notes = read_parts({"iemocap": iemocap}, {"crema_d": crema_d})
    assert (len(clips), len(extra), notes) == (40, 8, [])
    folds = folds_of(recipe(), clips, extra)
    assert [fold.split.name for fold in folds] == [f"iemocap.Session{n}" for n in range(1, 6)]
    for number, fold in enumerate(folds):
        assert {clip.session for clip in fold.test} == {f"Session{number + 1}"}
        assert {clip.session for clip in fold.validation} == {f"Session{(number + 1) % 5 + 1}"}
        assert {clip.corpus for clip in [*fold.validation, *fold.test]} == {"iemocap"}
        assert len([clip for clip in fold.train if clip.corpus == "crema_d"]) == 8
        assert [len(fold.part(part)) for part in PARTS] == [32, 8, 8]
        parts = [speakers(fold.part(part)) for part in PARTS]
        assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    tested = [clip.id for fold in folds for clip in fold.test]
    assert sorted(tested) == sorted(clip.id for clip in clips)


@pytest.mark.parametrize(
    ("protocol", "folds", "tested", "leaks"),
    [("k_folds", 5, 40, False), ("ratio_split", 1, 16, False), ("random_folds", 5, 40, True)],
)
def test_other_protocols(iemocap, crema_d, protocol, folds, tested, leaks):
    clips, extra, _ = read_parts({"iemocap": iemocap}, {"crema_d": crema_d})
    found = folds_of(recipe(f"protocol={protocol}"), clips, extra)
    assert len(found) == folds
    assert sum(len(fold.test) for fold in found) == tested
    for fold in found:
        assert fold.split.leaks_speakers is leaks
        assert bool(speakers(fold.train) & speakers(fold.test)) is leaks
        assert {clip.corpus for clip in fold.test} == {"iemocap"}
        ids = [clip.name for part in PARTS for clip in fold.part(part)]
        assert len(ids) == len(set(ids))


def test_production_holds_clips_out_and_says_that_voices_leak(iemocap, crema_d):
    clips, extra, _ = read_parts({"iemocap": iemocap}, {"crema_d": crema_d})
    fold = production_fold(recipe("production.holdout_share=0.2"), clips, extra)
    assert [len(fold.part(part)) for part in PARTS] == [40, 4, 4]
    assert fold.split.leaks_speakers
    assert {clip.corpus for clip in [*fold.validation, *fold.test]} == {"iemocap"}
    assert len(production_fold(recipe(), clips, extra).train) == 40 - 2 + 8  # 5 %: a clip each


def test_the_same_corpus_cannot_be_tested_and_learnt(iemocap):
    with pytest.raises(UsageError, match="'iemocap' is given with --corpus and with --train-only"):
        read_parts({"iemocap": iemocap}, {"iemocap": iemocap})


def test_no_corpus_to_divide(crema_d):
    with pytest.raises(UsageError, match=r"and none is given.*--corpus iemocap=PATH"):
        read_parts({}, {"crema_d": crema_d})


def test_a_missing_iemocap_says_what_was_expected(tmp_path):
    with pytest.raises(CorpusError, match=r"expected folders Session1 to Session5.*found no such"):
        read_parts({"iemocap": tmp_path / "nothing"}, {})


def test_a_rating_out_of_range_is_named(tmp_path):
    root = write_iemocap(tmp_path, ratings="[2.5000, 7.0000, 3.5000]")
    with pytest.raises(CorpusError, match=r"turn Ses01F_impro01_F000: arousal is '7.0000', expected"):
        read_parts({"iemocap": root}, {})


def table_of(folder, sounds, *, kept: int, suffix: str = ".wav"):
    """A table of a user's own that holds sounds of a corpus under other names, and ``kept`` new ones."""
    rows = ["file,speaker,emotion"]
    for number, path in enumerate(sounds):
        samples, rate = soundfile.read(path, dtype="int16")
        soundfile.write(folder / f"s{number}{suffix}", samples, rate, subtype="PCM_16")
        rows.append(f"s{number}{suffix},nobody{number},anger")
    for number in range(kept):
        noise = np.random.default_rng(number).uniform(-0.3, 0.3, 8000)
        soundfile.write(folder / f"new{number}.wav", noise, 16_000)
        rows.append(f"new{number}.wav,other,sadness")
    (folder / "mine.csv").write_text("\n".join(rows) + "\n")
    return folder / "mine.csv"


def test_copies_of_tested_clips_are_left_out_by_their_sound(tmp_path, iemocap):
    sounds = sorted((iemocap / "Session2").rglob("*.wav"))[:3]
    mine = table_of(tmp_path, sounds, kept=2, suffix=".flac")
    _, extra, notes = read_parts({"iemocap": iemocap}, {"mine": mine})
    assert [clip.id for clip in extra] == ["new0", "new1"]
    assert len(notes) == 1
    assert "of train-only corpus 'mine' 3 clips are left out: the same sound is there" in notes[0]
    assert f"s0 is iemocap/{sounds[0].stem}" in notes[0]


def test_a_train_only_corpus_of_nothing_but_copies_is_refused(tmp_path, iemocap):
    mine = table_of(tmp_path, sorted((iemocap / "Session1").rglob("*.wav"))[:2], kept=0)
    with pytest.raises(CorpusError, match=r"'mine' at .* has no clip left .* 2 clips are left out: the same"):
        read_parts({"iemocap": iemocap}, {"mine": mine})


def test_an_unreadable_clip_that_only_trains_is_left_out_with_a_note(tmp_path, iemocap, crema_d):
    copy = shutil.copytree(crema_d, tmp_path / "crema")
    (copy / "AudioWAV" / "1001_DFA_ANG_XX.wav").write_bytes(b"")
    _, extra, notes = read_parts({"iemocap": iemocap}, {"crema_d": copy})
    assert len(extra) == 7
    assert "of train-only corpus 'crema_d' 1 clip is left out: not readable" in notes[0]
    assert "1001_DFA_ANG_XX" in notes[0]


def test_clips_of_unknown_speakers_are_left_out_of_what_is_divided(tmp_path, iemocap):
    mine = table_of(tmp_path, [], kept=2)
    mine.write_text(mine.read_text().replace(",other,", ",Unknown,"))
    clips, _, notes = read_parts({"iemocap": iemocap, "mine": mine}, {})
    assert {clip.corpus for clip in clips} == {"iemocap"}
    assert "of unknown speakers 2 clips are left out: new0, new1." in notes


def test_two_corpora_cannot_be_left_out_by_session(tmp_path, iemocap):
    clips, _, _ = read_parts({"iemocap": iemocap, "mine": table_of(tmp_path, [], kept=2)}, {})
    with pytest.raises(CorpusError, match="takes the clips of one corpus; found iemocap, mine"):
        folds_of(recipe(), clips, [])


def test_the_last_corpus_counts_calm_as_neutral_as_the_paper_must(tmp_path):
    root = write_ravdess(tmp_path)
    clips = cross_corpus_clips(recipe(), root)
    assert sorted(clip.label for clip in clips if clip.emotion == "neutral") == ["calm"] * 2 + ["neutral"] * 2
    assert {clip.emotion for clip in clips} == {"anger", "happiness", "neutral", "sadness"}
    assert len(clips) == 10
    assert len(cross_corpus_clips(recipe("cross_corpus.as_neutral=[]"), root)) == 8


def test_the_papers_ravdess_figures_agree_only_with_calm_as_neutral():
    """RAVDESS speech: 192 clips an emotion, but 96 neutral ones. Happiness' recall follows from the UA."""
    recalls = {"anger": 0.99, "neutral": 0.55, "sadness": 0.27}
    recalls["happiness"] = 4 * 0.4557 - sum(recalls.values())

    def accuracy(neutral: int) -> float:
        clips = {"anger": 192, "happiness": 192, "sadness": 192, "neutral": neutral}
        return sum(recalls[emotion] * count for emotion, count in clips.items()) / sum(clips.values())

    assert accuracy(96 + 192) == pytest.approx(0.4664, abs=0.003)
    assert accuracy(96) < 0.445


def test_without_sounds_keeps_the_order(iemocap):
    clips = read_corpus("iemocap", iemocap)
    kept, notes = without_sounds(clips, clips[:2], role="corpus")
    assert kept == clips[2:]
    assert "of corpus 'iemocap' 2 clips are left out" in notes[0]
