"""Clips that no interval could stand on are refused before anything is sent."""

from __future__ import annotations

import pytest

from edgebench.corpora import require_scorable
from edgebench.errors import CorpusError


def test_two_speakers_can_be_scored(clip_of):
    require_scorable([clip_of(id="a"), clip_of(id="b", speaker="s2")])


def test_dimensions_alone_can_be_scored(clip_of):
    require_scorable([clip_of(id="a", emotion=None), clip_of(id="b", speaker="s2", emotion=None)])


def test_no_clip():
    with pytest.raises(CorpusError, match="no clip to score"):
        require_scorable([])


def test_no_label(clip_of):
    bare = {"emotion": None, "arousal": None, "dominance": None, "valence": None, "label": "calm"}
    with pytest.raises(CorpusError, match=r"none of 2 clips has a label.*'calm'"):
        require_scorable([clip_of(id="a", **bare), clip_of(id="b", speaker="s2", **bare)])


def test_one_speaker(clip_of):
    with pytest.raises(CorpusError, match=r"all 2 labelled clips are of one speaker \(mine/s1\)"):
        require_scorable([clip_of(id="a"), clip_of(id="b")])


def test_a_second_speaker_without_labels_does_not_count(clip_of):
    bare = {"emotion": None, "arousal": None, "dominance": None, "valence": None}
    with pytest.raises(CorpusError, match="one speaker"):
        require_scorable([clip_of(id="a"), clip_of(id="b", speaker="s2", **bare)])
