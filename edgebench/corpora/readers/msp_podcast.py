"""MSP-Podcast (Lotfian & Busso 2019): turns of podcasts, rated by several listeners each.

``Labels/labels_consensus.csv`` has one row a turn: FileName, EmoClass (a letter), EmoAct, EmoVal and
EmoDom (means on 1 to 7), SpkrID, Gender, Split_Set (Train, Development, Test1, Test2, Test3); the audio
lies in ``Audios``. Columns as in releases 1.8 to 2.0.

A turn whose speaker nobody identified has SpkrID ``Unknown``: it may be anybody's, so no split by speaker
takes it. EmoClass ``X`` is a turn without agreement, ``O`` another emotion. A row without ratings
(Test3's are withheld) has none.
"""

from __future__ import annotations

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

_EXPECTED: Final = f"Labels/labels_consensus.csv with columns {', '.join(_COLUMNS)}, and a folder 'Audios'"


def read(path: Path) -> list[Clip]:
    """The turns of ``labels_consensus.csv`` under ``path``, the folder of a release.

    A row whose file is not there stays in the list: reading it fails by name.
    """
    require_folder(READER.name, path, expected=READER.layout)
    table, audio = _table(path), _inside(path, "Audios", "Audio")
    if table is None or audio is None:
        raise layout_error(READER.name, path, expected=READER.layout, found=contents(path))
    rows = table_rows(table, corpus=READER.name, expected=READER.layout, columns=_COLUMNS)
    clips = unique(_clip(row, number, table, audio) for number, row in rows)
    if not any(clip.path is not None and clip.path.is_file() for clip in clips):
        found = f"{len(clips)} rows, and in {audio.name}: {contents(audio)}"
        raise layout_error(READER.name, path, expected=READER.layout, found=found)
    return clips


def recognises(path: Path) -> bool:
    """Whether ``labels_consensus.csv`` is there."""
    return path.is_dir() and _table(path) is not None


def _inside(path: Path, *names: str) -> Path | None:
    """The first folder of these names, whatever their case."""
    wanted = [name.lower() for name in names]
    found = [entry for entry in path.iterdir() if entry.name.lower() in wanted and entry.is_dir()]
    return min(found, default=None)


def _table(path: Path) -> Path | None:
    folder = _inside(path, "Labels")
    table = folder / "labels_consensus.csv" if folder is not None else None
    return table if table is not None and table.is_file() else None


def _clip(row: dict[str, str], number: int, table: Path, audio: Path) -> Clip:
    where = f"corpus 'msp_podcast': {table}, line {number}, {row['FileName']}"
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
