"""Any corpus described by a table: columns file, speaker, emotion [, arousal, dominance, valence,
language, session, sex, licence, split].

The table is a corpus under whatever name it is given: ``--corpus NAME=FILE.csv``.

Values are separated by commas, semicolons or tabs (see ``text``). ``file`` is relative to the table's
folder, or absolute. ``emotion`` may be empty. Arousal, dominance and valence are numbers in [0, 1]; a table
with one, two or three of these columns holds what people rated, and an empty value is not known. Without
any of them, each emotion stands at its prototype. A table with ratings may leave the column emotion out.
Further columns are ignored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgebench.corpora.clip import ADV, Clip
from edgebench.corpora.prototypes import prototype
from edgebench.corpora.readers.layout import Reader, file_id, first_names, layout_error, unique
from edgebench.corpora.readers.text import listed_file, number, read_table
from edgebench.errors import CorpusError

_EXPECTED: Final = (
    "a .csv or .tsv file with columns file, speaker, emotion [, arousal, dominance, valence, language]"
)
_COLUMNS: Final = ("file", "speaker")

# Forms of the same four words, nothing that needs a judgement: "excited" or "calm" stay unmapped.
WORDS: Final = {
    "anger": "anger",
    "angry": "anger",
    "happiness": "happiness",
    "happy": "happiness",
    "neutral": "neutral",
    "sadness": "sadness",
    "sad": "sadness",
}

Row = dict[str, str]


def read(path: Path, *, name: str = "table") -> list[Clip]:
    """The clips that a table lists, as a corpus called ``name``.

    A row whose file is missing stays in: reading it fails by name.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise layout_error(name, path, expected=READER.layout, found=found)
    rows, columns = _rows(path)
    rated = any(dimension in columns for dimension in ADV)
    if any(column not in columns for column in _COLUMNS) or not (rated or "emotion" in columns):
        raise layout_error(name, path, expected=READER.layout, found=f"columns {first_names(columns)}")
    if not rows:
        raise layout_error(name, path, expected=READER.layout, found="a table with no rows")
    clips = unique(_clip(row, line, path, name, rated=rated) for line, row in rows)
    if not any(clip.path is not None and clip.path.is_file() for clip in clips):
        missing = first_names(str(clip.path) for clip in clips)
        raise layout_error(name, path, expected="the files that the table names", found=f"none of {missing}")
    return clips


def recognises(path: Path) -> bool:
    """Whether the path is a .csv or .tsv file."""
    return path.is_file() and path.suffix.lower() in (".csv", ".tsv")


def _rows(path: Path) -> tuple[list[tuple[int, Row]], list[str]]:
    """The rows with their line numbers, values stripped, and the column names in lower case."""
    table = read_table(path, _COLUMNS)
    columns = [column.lower() for column in table.columns]
    rows = []
    for line, values in table.rows:
        if len(values) > len(columns):
            raise _row_error(path, line, f"{len(values)} values for {len(columns)} columns")
        padded = values + [""] * (len(columns) - len(values))
        rows.append((line, dict(zip(columns, padded, strict=True))))
    return rows, columns


def _clip(row: Row, line: int, table: Path, corpus: str, *, rated: bool) -> Clip:
    if not row["file"] or not row["speaker"]:
        raise _row_error(table, line, "file and speaker must not be empty")
    label = row.get("emotion", "")
    emotion = WORDS.get(label.lower())
    arousal, dominance, valence = _ratings(row, line, table) if rated else prototype(emotion)
    sex = row.get("sex", "").lower()
    file = listed_file(row["file"], table.parent, where=f"{table}, line {line}")
    return Clip(
        path=table.parent / file,
        id=file_id(file),
        corpus=corpus,
        speaker=row["speaker"],
        session=row.get("session") or None,
        language=row.get("language") or READER.language,
        emotion=emotion,
        label=label,
        arousal=arousal,
        dominance=dominance,
        valence=valence,
        label_source="human" if rated else "prototype",
        licence=row.get("licence") or READER.licence,
        sex=sex if sex in ("female", "male") else None,
        partition=row.get("split") or None,
    )


def _ratings(row: Row, line: int, table: Path) -> tuple[float | None, float | None, float | None]:
    arousal, dominance, valence = (_rating(name, row.get(name, ""), line, table) for name in ADV)
    return (arousal, dominance, valence)


def _rating(dimension: str, text: str, line: int, table: Path) -> float | None:
    if not text:
        return None
    try:
        value = number(text)
    except ValueError as error:
        raise _row_error(table, line, f"{dimension} is {text!r}") from error
    if not 0.0 <= value <= 1.0:
        raise _row_error(table, line, f"{dimension} is {text!r}, outside [0, 1]")
    return value


def _row_error(table: Path, line: int, found: str) -> CorpusError:
    return CorpusError(
        f"{table}, line {line}: {found}. Each row needs file and speaker; arousal, dominance and valence are "
        "numbers from 0 to 1, or empty where they are not known (map a scale of 1 to 5 by (x - 1) / 4, one "
        "of -1 to 1 by (x + 1) / 2)."
    )


READER: Final = Reader(
    name="table",
    title="a table of your own clips",
    language="und",
    licence="unstated",
    source="the table's author",
    layout=_EXPECTED,
    label_source="human or prototype, by the table's columns",
    read=read,
    recognises=recognises,
)
