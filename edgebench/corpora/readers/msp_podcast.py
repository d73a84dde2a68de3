"""MSP-Podcast (Lotfian & Busso 2019): turns of podcasts, rated by several listeners each.

``Labels/labels_consensus.csv`` has one row a turn: FileName, EmoClass (a letter), EmoAct, EmoVal and
EmoDom (means on 1 to 7), SpkrID, Gender, Split_Set (Train, Development or Validation, Test1, Test2, Test3);
the audio lies in ``Audios``. Releases 1.6 to 1.8 call the table ``labels_concensus.csv``. The release is
told by the folder's name (``MSP-PODCAST-Publish-1.8``), else by which of the two tables is there.
``#partition=Test1`` after the path takes one part.

A turn of an unknown speaker has SpkrID ``Unknown``: it may be of any speaker, so no split by speaker takes
it. EmoClass ``X`` is a turn without agreement, ``O`` another emotion. A row without ratings
(Test3's are withheld) has none.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from edgebench.corpora.clip import UNKNOWN_SPEAKER, Clip
from edgebench.corpora.readers.layout import (
    Reader,
    contents,
    layout_error,
    on_scale,
    require_folder,
    table_rows,
    unique,
)
from edgebench.errors import CorpusError

_COLUMNS: Final = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")
_CLASSES: Final[dict[str, tuple[str, str | None]]] = {
    "A": ("anger", "anger"),
    "S": ("sadness", "sadness"),
    "H": ("happiness", "happiness"),
    "U": ("surprise", None),
    "F": ("fear", None),
    "D": ("disgust", None),
    "C": ("contempt", None),
    "N": ("neutral", "neutral"),
    "O": ("other", None),
    "X": ("no agreement", None),
    "": ("withheld", None),
}
_RATINGS: Final = {"arousal": "EmoAct", "dominance": "EmoDom", "valence": "EmoVal"}
_LOWEST: Final = 1.0
_HIGHEST: Final = 7.0

# The table's name, and the releases that have it.
_TABLES: Final = {"labels_consensus.csv": "1.9 or later", "labels_concensus.csv": "1.6 to 1.8"}
_RELEASE: Final = re.compile(r"msp[-_ ]?podcast\D*(\d+\.\d+)", re.IGNORECASE)

_EXPECTED: Final = (
    f"Labels/labels_consensus.csv (or labels_concensus.csv, as releases 1.6 to 1.8 call it) with columns "
    f"{', '.join(_COLUMNS)}, and a folder 'Audios'"
)


def read(path: Path) -> list[Clip]:
    """The turns of the table of labels under ``path``, the folder of a release.

    A row whose file is not there stays in the list: reading it fails by name.
    """
    require_folder(READER.name, path, expected=READER.layout)
    table, audio = _table(path), _inside(path, "Audios", "Audio")
    if table is None or audio is None:
        raise layout_error(READER.name, path, expected=READER.layout, found=contents(path))
    rows = table_rows(table, corpus=READER.name, expected=READER.layout, columns=_COLUMNS)
    release = _release(path, table)
    clips = unique(_clip(row, line, table, audio, release) for line, row in rows)
    if not any(clip.path is not None and clip.path.is_file() for clip in clips):
        found = f"{len(clips)} rows, and in {audio.name}: {contents(audio)}"
        raise layout_error(READER.name, path, expected=READER.layout, found=found)
    return clips


def recognises(path: Path) -> bool:
    """Whether the table of labels is there, under either name."""
    return path.is_dir() and _table(path) is not None


def _inside(path: Path, *names: str) -> Path | None:
    """The first folder of these names, whatever their case."""
    wanted = [name.lower() for name in names]
    found = [entry for entry in path.iterdir() if entry.name.lower() in wanted and entry.is_dir()]
    return min(found, default=None)


def _table(path: Path) -> Path | None:
    folder = _inside(path, "Labels")
    tables = [folder / name for name in _TABLES] if folder is not None else []
    return next((table for table in tables if table.is_file()), None)


def _release(path: Path, table: Path) -> str:
    """The number in the folder's name or in that of the one around it, else what the table's name says."""
    folder = path.resolve()
    match = _RELEASE.search(folder.name) or _RELEASE.search(folder.parent.name)
    return match[1] if match is not None else _TABLES[table.name]


def _clip(row: dict[str, str], line: int, table: Path, audio: Path, release: str) -> Clip:
    where = f"corpus 'msp_podcast': {table}, line {line}, {row['FileName']}"
    if row["EmoClass"] not in _CLASSES:
        raise CorpusError(
            f"{where}: EmoClass is {row['EmoClass']!r}, expected one of {', '.join(filter(None, _CLASSES))}. "
            "Download the labels again."
        )
    if not row["FileName"] or not row["SpkrID"]:
        raise CorpusError(f"{where}: FileName and SpkrID must not be empty. Download the labels again.")
    label, emotion = _CLASSES[row["EmoClass"]]
    rated = any(row[column] for column in _RATINGS.values())
    adv = [
        on_scale(row[column], low=_LOWEST, high=_HIGHEST, what=f"{column} ({name})", where=where)
        if rated
        else None
        for name, column in _RATINGS.items()
    ]
    known = row["SpkrID"].lower() != UNKNOWN_SPEAKER.lower()
    sex = row["Gender"].lower()
    return Clip(
        path=audio / row["FileName"],
        id=Path(row["FileName"]).stem,
        corpus=READER.name,
        speaker=row["SpkrID"] if known else UNKNOWN_SPEAKER,
        session=None,
        language=READER.language,
        emotion=emotion,
        label=label,
        arousal=adv[0],
        dominance=adv[1],
        valence=adv[2],
        label_source="human",
        licence=READER.licence,
        sex=sex if sex in ("female", "male") else None,
        partition=row["Split_Set"] or None,
        release=release,
    )


READER: Final = Reader(
    name="msp_podcast",
    title="MSP-Podcast",
    language="en",
    licence="MSP-Podcast licence, research use only",
    source="Lotfian & Busso, IEEE Transactions on Affective Computing 10(4): 471-483, 2019",
    layout=_EXPECTED,
    label_source="human",
    read=read,
    recognises=recognises,
)
