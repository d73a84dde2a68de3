"""nEMO (Christop 2024): nine Polish actors, six emotions, 4481 clips.

``data.tsv`` has one row a clip (file_id, emotion, raw_text, normalized_text, speaker_id, gender,
age); the audio lies in ``samples/``. A row whose file is not there stays in the list: reading that
clip fails by name, and it is counted where unreadable clips are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgebench.corpora.clip import EMOTIONS, Clip
from edgebench.corpora.readers.layout import (
    Reader,
    audio_files,
    categorical_clip,
    contents,
    layout_error,
    require_folder,
    unique,
)
from edgebench.corpora.readers.text import read_table

_EXPECTED: Final = (
    "a table 'data.tsv' with columns file_id, emotion, speaker_id, gender, and a folder 'samples'"
)
_COLUMNS: Final = ("file_id", "emotion", "speaker_id", "gender")


def read(path: Path) -> list[Clip]:
    """The clips that ``data.tsv`` under ``path`` lists."""
    require_folder(READER.name, path, expected=READER.layout)
    table, samples = path / "data.tsv", path / "samples"
    if not table.is_file() or not samples.is_dir():
        raise layout_error(READER.name, path, expected=READER.layout, found=contents(path))
    present = {file.stem: file for file in audio_files(samples)}
    rows = _rows(table)
    clips = unique(_clip(row, present, samples) for row in rows)
    if not any(clip.id in present for clip in clips):
        found = f"{len(rows)} rows, and in samples: {contents(samples)}"
        raise layout_error(READER.name, path, expected=READER.layout, found=found)
    return clips


def recognises(path: Path) -> bool:
    """Whether the folder holds ``data.tsv`` and ``samples``."""
    return (path / "data.tsv").is_file() and (path / "samples").is_dir()


def _rows(file: Path) -> list[dict[str, str]]:
    # Quotation marks are part of the Polish texts, not of the table.
    table = read_table(file, _COLUMNS, quotes=False)
    if any(column not in table.columns for column in _COLUMNS):
        found = f"columns {', '.join(table.columns)}"
        raise layout_error(READER.name, file, expected=READER.layout, found=found)
    width = len(table.columns)
    return [dict(zip(table.columns, [*row, *[""] * width][:width], strict=True)) for _, row in table.rows]


def _clip(row: dict[str, str], present: dict[str, Path], samples: Path) -> Clip:
    stem = Path(row["file_id"]).stem
    return categorical_clip(
        READER,
        present.get(stem, samples / row["file_id"]),
        speaker=row["speaker_id"],
        emotion=row["emotion"] if row["emotion"] in EMOTIONS else None,
        label=row["emotion"],
        sex=row["gender"] if row["gender"] in ("female", "male") else None,
    )


READER: Final = Reader(
    name="nemo",
    title="nEMO, Polish emotional speech",
    language="pl",
    licence="CC-BY-NC-SA-4.0",
    source="Christop, nEMO: Dataset of Emotional Speech in Polish, LREC-COLING 2024",
    layout=_EXPECTED,
    label_source="prototype",
    read=read,
    recognises=recognises,
)
