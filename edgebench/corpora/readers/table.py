"""Any corpus described by a table: columns file, speaker, emotion [, arousal, dominance, valence,
language, session, sex, licence, split].

The table is a corpus under whatever name it is given: ``--corpus NAME=FILE.csv``.

Comma-separated, or tab-separated where the file ends in .tsv. ``file`` is relative to the table's
folder, or absolute. ``emotion`` may be empty. Arousal, dominance and valence are numbers in [0, 1];
where the table has the three columns they are what people rated, and a row that leaves them empty
has none; where it has not, each emotion stands at its prototype. Further columns are ignored.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

from edgebench.corpora.clip import ADV, Clip
from edgebench.corpora.prototypes import prototype
from edgebench.corpora.readers.layout import Reader, file_id, first_names, layout_error, unique
from edgebench.errors import CorpusError

_EXPECTED: Final = (
    "a .csv or .tsv file with columns file, speaker, emotion [, arousal, dominance, valence, language]"
)
_COLUMNS: Final = ("file", "speaker", "emotion")

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


def read(path: Path) -> list[Clip]:
    """The clips that a table lists. A row whose file is missing stays in: reading it fails by name."""
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise layout_error(READER.name, path, expected=READER.layout, found=found)
    rows, columns = _rows(path)
    if any(column not in columns for column in _COLUMNS):
        raise layout_error(READER.name, path, expected=READER.layout, found=f"columns {first_names(columns)}")
    if not rows:
        raise layout_error(READER.name, path, expected=READER.layout, found="a table with no rows")
    rated = [name for name in ADV if name in columns]
    if rated and len(rated) < len(ADV):
        raise layout_error(
            READER.name,
            path,
            expected="arousal, dominance and valence, all three or none",
            found=f"only {rated}",
        )
    clips = unique(_clip(row, number, path, rated=bool(rated)) for number, row in rows)
    if not any(clip.path is not None and clip.path.is_file() for clip in clips):
        missing = first_names(str(clip.path) for clip in clips)
        raise layout_error(
            READER.name, path, expected="the files that the table names", found=f"none of {missing}"
        )
    return clips


def recognises(path: Path) -> bool:
    """Whether the path is a .csv or .tsv file."""
    return path.is_file() and path.suffix.lower() in (".csv", ".tsv")


def _rows(path: Path) -> tuple[list[tuple[int, Row]], list[str]]:
    """The rows with their line numbers, values stripped, and the column names in lower case."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
            columns = [column.strip().lower() for column in next(reader, [])]
            rows = []
            for values in reader:
                if any(value.strip() for value in values):
                    if len(values) > len(columns):
                        raise _row_error(
                            path, reader.line_num, f"{len(values)} values for {len(columns)} columns"
                        )
                    padded = [value.strip() for value in values] + [""] * (len(columns) - len(values))
                    rows.append((reader.line_num, dict(zip(columns, padded, strict=True))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(
            f"{path}: cannot be read as a table ({error}); expected {_EXPECTED}. Save it as CSV in UTF-8."
        ) from error
    return rows, columns


def _clip(row: Row, number: int, table: Path, *, rated: bool) -> Clip:
    if not row["file"] or not row["speaker"]:
        raise _row_error(table, number, "file and speaker must not be empty")
    label = row["emotion"]
    emotion = WORDS.get(label.lower())
    arousal, dominance, valence = _rating(row, number, table) if rated else prototype(emotion)
    sex = row.get("sex", "").lower()
    file = Path(row["file"])
    return Clip(
        path=table.parent / file,
        id=file_id(file),
        corpus=READER.name,
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


def _rating(row: Row, number: int, table: Path) -> tuple[float, float, float] | tuple[None, None, None]:
    texts = [row[name] for name in ADV]
    if not any(texts):
        return (None, None, None)
    try:
        arousal, dominance, valence = (float(text) for text in texts)
    except ValueError as error:
        raise _row_error(table, number, f"arousal, dominance, valence are {texts}") from error
    if not all(0.0 <= value <= 1.0 for value in (arousal, dominance, valence)):
        raise _row_error(table, number, f"arousal, dominance, valence are {texts}, outside [0, 1]")
    return (arousal, dominance, valence)


def _row_error(table: Path, number: int, found: str) -> CorpusError:
    return CorpusError(
        f"{table}, line {number}: {found}. Each row needs file and speaker, and where it has arousal, "
        "dominance and valence, three numbers from 0 to 1 (map a scale of 1 to 5 by (x - 1) / 4)."
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
