"""CREMA-D (Cao et al. 2014): 91 actors, twelve sentences, six emotions, 7442 clips, rated by a crowd.

A name such as ``1001_DFA_ANG_XX`` in ``AudioWAV`` says actor, sentence, the emotion that was acted, and
level (LO, MD, HI, XX unspecified). ``emotion`` is the acted one: the counts that papers give (1271 each,
1087 neutral) are of these names. What listeners heard is in ``votes``.

``processedResults/tabulatedVotes.csv`` counts votes by clip, three rows each: those numbered 1xxxxx heard
the voice alone, 2xxxxx saw the face alone, 3xxxxx both. Only the first is about sound and is used; its
majority is ``VoiceVote`` of ``summaryTable.csv`` for all 7442 clips, which tells the numbering.
``VideoDemographics.csv`` gives the actors' sex. Either table may be missing; the audio may not.

Known blemish of the release: 1076_MTI_SAD_XX holds no sound.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from edgebench.corpora.clip import Clip
from edgebench.corpora.readers.layout import (
    Reader,
    audio_files,
    categorical_clip,
    contents,
    layout_error,
    require_folder,
    require_names,
    shares,
    table_rows,
    unique,
)
from edgebench.errors import CorpusError

_NAME: Final = re.compile(
    r"(?P<actor>1\d{3})_[A-Z]{3}_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_(?:LO|MD|HI|XX|X)"
)
_EMOTIONS: Final = {"ANG": "anger", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness"}
_LABELS: Final = {**_EMOTIONS, "DIS": "disgust", "FEA": "fear"}
_VOTED: Final = {
    "A": "anger",
    "D": "disgust",
    "F": "fear",
    "H": "happiness",
    "N": "neutral",
    "S": "sadness",
}
_VOICE_ONLY: Final = re.compile(r"1\d{5}")  # row numbers of the votes on the voice alone

_VOTES: Final = Path("processedResults", "tabulatedVotes.csv")
_DEMOGRAPHICS: Final = Path("VideoDemographics.csv")

_EXPECTED: Final = "a folder 'AudioWAV' of files named like 1001_DFA_ANG_XX.wav"


def read(path: Path) -> list[Clip]:
    """The clips of CREMA-D under ``path``, the folder that holds ``AudioWAV``."""
    require_folder(READER.name, path, expected=READER.layout)
    folder = path / "AudioWAV"
    files = audio_files(folder) if folder.is_dir() else []
    if not files:
        found = contents(folder if folder.is_dir() else path)
        raise layout_error(READER.name, path, expected=READER.layout, found=found)
    require_names(READER, folder, files, lambda file: _NAME.fullmatch(file.stem))
    sexes, votes = _sexes(path / _DEMOGRAPHICS), _votes(path / _VOTES)
    return unique(_clip(file, sexes, votes) for file in files)


def recognises(path: Path) -> bool:
    """Whether ``AudioWAV`` holds a file named by CREMA-D's scheme."""
    folder = path / "AudioWAV"
    return folder.is_dir() and any(_NAME.fullmatch(file.stem) for file in audio_files(folder))


def _sexes(table: Path) -> dict[str, str]:
    if not table.is_file():
        return {}
    rows = table_rows(
        table, corpus=READER.name, expected="columns ActorID and Sex", columns=("ActorID", "Sex")
    )
    return {row["ActorID"]: row["Sex"].lower() for _, row in rows}


def _votes(table: Path) -> dict[str, tuple[tuple[str, float], ...] | None]:
    """Shares of the listeners' votes by clip. The first column, the row's number, has no name."""
    if not table.is_file():
        return {}
    expected = "columns '', A, D, F, H, N, S, fileName and numResponses"
    columns = ("", *_VOTED, "fileName", "numResponses")
    rows = table_rows(table, corpus=READER.name, expected=expected, columns=columns)
    votes: dict[str, tuple[tuple[str, float], ...] | None] = {}
    for number, row in rows:
        if not _VOICE_ONLY.fullmatch(row[""]):
            continue
        where = f"corpus 'crema_d': {table}, line {number}, {row['fileName']}"
        counts = {word: _count(row[letter], letter, where) for letter, word in _VOTED.items()}
        responses = _count(row["numResponses"], "numResponses", where)
        if sum(counts.values()) != responses:
            raise CorpusError(
                f"{where}: the six emotions have {sum(counts.values())} votes, numResponses says {responses}."
                " Download the table again."
            )
        if row["fileName"] in votes:
            raise CorpusError(f"{where}: a second row of votes on this clip's voice. Remove one of the two.")
        votes[row["fileName"]] = shares(counts)
    return votes


def _count(text: str, column: str, where: str) -> int:
    if not text.isdecimal():
        raise CorpusError(
            f"{where}: {column} is {text!r}, expected a number of votes from 0 up. Download the table again."
        )
    return int(text)


def _clip(file: Path, sexes: dict[str, str], votes: dict[str, tuple[tuple[str, float], ...] | None]) -> Clip:
    match = _NAME.fullmatch(file.stem)
    assert match is not None
    sex = sexes.get(match["actor"])
    return categorical_clip(
        READER,
        file,
        speaker=match["actor"],
        emotion=_EMOTIONS.get(match["emotion"]),
        label=_LABELS[match["emotion"]],
        sex=sex if sex in ("female", "male") else None,
        votes=votes.get(file.stem),
    )


READER: Final = Reader(
    name="crema_d",
    title="CREMA-D, crowd-sourced emotional multimodal actors dataset",
    language="en",
    licence="ODbL-1.0",
    source="Cao et al., IEEE Transactions on Affective Computing 5(4): 377-390, 2014",
    layout=_EXPECTED,
    label_source="prototype",
    read=read,
    recognises=recognises,
)
