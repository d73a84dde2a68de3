"""IEMOCAP (Busso et al. 2008): ten actors in five sessions of two, scripted and improvised dialogues.

The release holds ``SessionN/dialog/EmoEvaluation/<dialogue>.txt`` and
``SessionN/sentences/wav/<dialogue>/<turn>.wav``. A turn has one line of the first, separated by tabs::

    [6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]

that is begin and end in seconds, turn, majority category, and the mean ratings in the order that each
file's first line gives: valence, activation, dominance, from 1 to 5. Below it stand the raters one by one
(``C-E2:	Neutral;	()``); those lines are the votes here, the actors' own ratings (``C-F1``,
``C-M1``) left out, and a rater's several words share his one vote.

Excitement counts as happiness, as everybody who reports four classes on this corpus does (the DistilHuBERT
paper among them); ``label`` keeps the release's own word. ``xxx`` is a turn without majority: no emotion,
ratings all the same. The instrument has five steps; means half a step outside are reported of the
release, and count as the end of the scale. Anything further is refused. The letter after the dialogue's
name says who speaks; the one before it only says who wore the markers. Layout: the release's own README
and the header line of its files.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Final

from edgebench.corpora.clip import Clip
from edgebench.corpora.readers.layout import (
    Reader,
    contents,
    layout_error,
    on_scale,
    require_folder,
    shares,
    unique,
)
from edgebench.corpora.readers.text import read_text
from edgebench.errors import CorpusError

_LINE: Final = re.compile(
    r"\[(?P<begin>[\d.]+) - (?P<end>[\d.]+)\]\s+(?P<turn>\S+)\s+(?P<label>[a-z]{3})\s+"
    r"\[(?P<valence>[^,\]]+),\s*(?P<arousal>[^,\]]+),\s*(?P<dominance>[^,\]]+)\]"
)
_TURN: Final = re.compile(
    r"(?P<dialogue>Ses0(?P<session>[1-5])[FM]_(?:impro|script)\w+)_(?P<sex>[FM])[\dX]\w*"
)
_VOTE: Final = re.compile(r"C-E\d+:\s*(?P<words>[^()]*);")

_EMOTIONS: Final = {
    "ang": "anger",
    "hap": "happiness",
    "exc": "happiness",
    "neu": "neutral",
    "sad": "sadness",
}
_VOTED: Final = {"excited": "happiness", "neutral state": "neutral"}
_SEX: Final = {"F": "female", "M": "male"}
_LOWEST: Final = 1.0
_HIGHEST: Final = 5.0

_EXPECTED: Final = (
    "folders Session1 to Session5, each with dialog/EmoEvaluation/*.txt and "
    "sentences/wav/<dialogue>/<turn>.wav"
)


def read(path: Path) -> list[Clip]:
    """The turns that ``EmoEvaluation`` lists under ``path``: the folder of the sessions, or the one that
    holds ``IEMOCAP_full_release``.

    A turn whose file is not there stays in the list: reading it fails by name.
    """
    require_folder(READER.name, path, expected=READER.layout)
    sessions = _sessions(path)
    files = [file for session in sessions for file in _evaluations(session)]
    if not files:
        found = contents(sessions[0] if sessions else path)
        raise layout_error(READER.name, path, expected=READER.layout, found=found)
    clips = unique(clip for file in files for clip in _turns(file))
    if not any(clip.path is not None and clip.path.is_file() for clip in clips):
        found = f"{len(clips)} turns and none of their files, such as {clips[0].path if clips else 'none'}"
        raise layout_error(READER.name, path, expected=READER.layout, found=found)
    return clips


def recognises(path: Path) -> bool:
    """Whether a session's ``dialog/EmoEvaluation`` is there."""
    return path.is_dir() and any(_evaluations(session) for session in _sessions(path))


def _sessions(path: Path) -> list[Path]:
    for folder in (path, path / "IEMOCAP_full_release"):
        found = sorted(entry for entry in folder.glob("Session[1-5]") if entry.is_dir())
        if found:
            return found
    return []


def _evaluations(session: Path) -> list[Path]:
    # The folders inside (Attribute, Categorical, Self-evaluation) hold the single raters' files.
    folder = session / "dialog" / "EmoEvaluation"
    return sorted(file for file in folder.glob("*.txt") if not file.name.startswith("."))


def _turns(file: Path) -> list[Clip]:
    # Latin 1 takes every byte: the lines that are read here are ASCII, the actors' remarks are not always.
    lines = read_text(file, encoding="latin-1").splitlines()
    votes: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    rows: list[tuple[int, re.Match[str], re.Match[str]]] = []
    for number, line in enumerate(lines, start=1):
        if line.startswith("["):
            row, turn = _LINE.match(line), None
            if row is not None:
                turn = _TURN.fullmatch(row["turn"])
            if row is None or turn is None or f"Session{turn['session']}" != file.parents[2].name:
                raise CorpusError(
                    f"corpus 'iemocap': {file}, line {number}: expected '[begin - end] turn category "
                    f"[valence, activation, dominance]' of a turn of {file.parents[2].name}; "
                    f"found {line.strip()!r}. Download the labels again."
                )
            rows.append((number, row, turn))
        elif rows and (vote := _VOTE.match(line)):
            words = {word.strip().lower() for word in vote["words"].split(";") if word.strip()}
            for word in words:
                votes[rows[-1][1]["turn"]][_VOTED.get(word, word)] += 1.0 / len(words)
    return [_clip(file, number, row, turn, votes[row["turn"]]) for number, row, turn in rows]


def _clip(file: Path, number: int, row: re.Match[str], turn: re.Match[str], votes: dict[str, float]) -> Clip:
    def rating(name: str) -> float:
        where = f"corpus 'iemocap': {file}, line {number}, turn {row['turn']}"
        return on_scale(row[name].strip(), low=_LOWEST, high=_HIGHEST, what=name, where=where, slack=0.5)

    session = file.parents[2]
    return Clip(
        path=session / "sentences" / "wav" / turn["dialogue"] / f"{row['turn']}.wav",
        id=row["turn"],
        corpus=READER.name,
        speaker=f"Ses0{turn['session']}{turn['sex']}",
        session=f"Session{turn['session']}",
        language=READER.language,
        emotion=_EMOTIONS.get(row["label"]),
        label=row["label"],
        arousal=rating("arousal"),
        dominance=rating("dominance"),
        valence=rating("valence"),
        label_source="human",
        licence=READER.licence,
        sex=_SEX[turn["sex"]],
        votes=shares(votes),
    )


READER: Final = Reader(
    name="iemocap",
    title="IEMOCAP, interactive emotional dyadic motion capture database",
    language="en",
    licence="IEMOCAP release agreement, research use only",
    source="Busso et al., Language Resources and Evaluation 42(4): 335-359, 2008",
    layout=_EXPECTED,
    label_source="human",
    read=read,
    recognises=recognises,
)
