"""Splits: disjoint, hashed, drawn by a rule; and the one that ships."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files

import pytest

from edgebench.corpora import (
    PARTS,
    Split,
    make_split,
    packaged_split,
    read_corpus,
    read_split,
    split_clips,
    synthetic_clips,
    write_split,
)
from edgebench.corpora.splits.split import WAV2SMALL_COUNTS
from edgebench.errors import ConfigError, CorpusError, UsageError

PINNED = "a9c88b71ed0c3a4f13784a3ed9d8d98f184667c8ea9682bbeaaf0a4ffc878f88"

EMODB_MEN = {"03", "10", "11", "12", "15"}


def small() -> Split:
    return Split("mine", {"c": {"train": ("2", "1"), "validation": (), "test": ("3",)}})


def test_the_hash_is_of_the_canonical_json_worked_by_hand():
    text = (
        '{"corpora":{"c":{"test":["3"],"train":["1","2"],"validation":[]}},"name":"mine","split_version":1}'
    )
    assert small().sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_a_split_survives_its_file(tmp_path):
    write_split(small(), tmp_path / "s.json")
    assert read_split(tmp_path / "s.json").sha256 == small().sha256
    assert json.loads((tmp_path / "s.json").read_text())["corpora"]["c"]["train"] == ["1", "2"]
    assert [path.name for path in tmp_path.iterdir()] == ["s.json"]


def test_a_speaker_in_two_parts_is_refused():
    with pytest.raises(ConfigError, match="'1' in train and test"):
        Split("mine", {"c": {"train": ("1", "2"), "validation": (), "test": ("1",)}})


def test_the_same_number_in_two_corpora_is_two_speakers():
    parts = {"train": ("1",), "validation": (), "test": ("2",)}
    swapped = {"train": ("2",), "validation": (), "test": ("1",)}
    assert Split("mine", {"a": parts, "b": swapped}).part_of("b", "1") == "test"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not JSON"),
        ("[]", "found list"),
        ('{"name": "x"}', "found name"),
        ('{"split_version": [1], "name": "x", "corpora": {}}', "version \\[1\\]"),
        ('{"split_version": 1, "name": "x", "corpora": {"c": {"train": ["1"]}}}', "found parts train"),
        (
            '{"split_version": 1, "name": "x",'
            ' "corpora": {"c": {"train": [1], "validation": [], "test": []}}}',
            "text",
        ),
        (
            '{"split_version": 1, "name": "x", "corpora": {"c": {"dev": [], "validation": [], "test": []}}}',
            "dev",
        ),
        ('{"split_version": 1, "name": "x", "corpora": {"c": []}}', "corpora.c"),
        (
            '{"split_version": 1, "name": "x",'
            ' "corpora": {"c": {"train": ["1"], "validation": ["1"], "test": []}}}',
            "'1' in train and validation",
        ),
    ],
)
def test_a_split_file_that_does_not_say_what_it_must(tmp_path, text, told):
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told):
        read_split(path)


def test_a_missing_split_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be opened"):
        read_split(tmp_path / "none.json")


def test_split_clips_keeps_a_parts_speakers_and_no_other(clip_of):
    clips = [clip_of(id=f"{speaker}{n}", corpus="c", speaker=speaker) for n in range(2) for speaker in "123"]
    assert [clip.id for clip in split_clips(clips, small(), "train")] == ["10", "20", "11", "21"]
    assert split_clips(clips, small(), "validation") == []
    assert [clip.id for clip in split_clips(clips, small(), "test")] == ["30", "31"]


def test_a_speaker_that_the_split_does_not_name_is_refused(clip_of):
    with pytest.raises(CorpusError, match="c/9"):
        split_clips([clip_of(corpus="c", speaker="9")], small(), "test")
    with pytest.raises(CorpusError, match="other/1"):
        split_clips([clip_of(corpus="other", speaker="1")], small(), "test")


def test_an_unknown_part_or_packaged_split_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'validation'"):
        split_clips([], small(), "validate")
    with pytest.raises(UsageError, match="did you mean 'wav2small'"):
        packaged_split("wav2smal")


def test_the_rule_spreads_the_sexes_and_ignores_the_order_of_the_clips(clip_of):
    clips = [clip_of(corpus="c", speaker=f"{n:02d}", sex="male" if n % 2 else "female") for n in range(1, 25)]
    split = make_split("mine", clips, {"c": (15, 3, 6)})
    assert split.sha256 == make_split("mine", clips[::-1], {"c": (15, 3, 6)}).sha256
    assert split.sha256 != make_split("mine", clips, {"c": (15, 3, 6)}, seed=1).sha256
    men = {part: sum(int(s) % 2 for s in split.corpora["c"][part]) for part in PARTS}
    assert men["test"] == 3
    assert men["validation"] in (1, 2)
    assert men["train"] in (7, 8)


def test_the_rule_refuses_a_corpus_of_another_size(clip_of):
    clips = [clip_of(corpus="c", speaker=str(n)) for n in range(4)]
    with pytest.raises(CorpusError, match="has 4 speakers"):
        make_split("mine", clips, {"c": (3, 1, 1)})


def test_the_shipped_split_is_pinned_and_its_file_is_in_canonical_form(tmp_path):
    split = packaged_split("wav2small")
    assert split.sha256 == PINNED
    write_split(split, tmp_path / "again.json")
    shipped = files("edgebench.corpora").joinpath("splits", "wav2small.json").read_text()
    assert (tmp_path / "again.json").read_text() == shipped


def test_the_shipped_split_is_speaker_independent_and_of_the_agreed_sizes():
    split = packaged_split()
    assert set(split.corpora) == set(WAV2SMALL_COUNTS) == {"emodb", "ravdess", "nemo", "synthetic"}
    for corpus, parts in split.corpora.items():
        assert tuple(len(parts[part]) for part in PARTS) == WAV2SMALL_COUNTS[corpus]
        assert len({s for part in PARTS for s in parts[part]}) == sum(WAV2SMALL_COUNTS[corpus])
    assert sum(int(s) % 2 for s in split.corpora["ravdess"]["test"]) == 3
    assert len(EMODB_MEN & set(split.corpora["emodb"]["test"])) == 1
    assert len(EMODB_MEN & set(split.corpora["emodb"]["train"])) == 3


@pytest.mark.corpora
def test_the_shipped_split_is_what_the_rule_draws_from_the_real_corpora(corpora_root):
    clips = [clip for name in ("emodb", "ravdess", "nemo") for clip in read_corpus(name, corpora_root / name)]
    drawn = make_split("wav2small", clips + synthetic_clips(), WAV2SMALL_COUNTS)
    assert drawn.sha256 == PINNED
    for part, counts in {
        "train": (230, 900, 400),
        "validation": (22, 180, 80),
        "test": (87, 360, 240),
    }.items():
        chosen = split_clips(clips, drawn, part)
        found = tuple(sum(clip.corpus == name for clip in chosen) for name in ("emodb", "ravdess", "nemo"))
        assert found == counts
