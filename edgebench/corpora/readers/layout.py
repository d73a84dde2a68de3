"""What several readers need: finding audio files, refusing a wrong layout, making clips."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgebench.corpora.clip import Clip
from edgebench.corpora.prototypes import prototype
from edgebench.corpora.readers.text import number, read_table
from edgebench.errors import CorpusError

AUDIO_SUFFIXES: Final = (".wav", ".flac")
"""The releases are .wav; a lossless copy in FLAC keeps the name and changes the suffix."""


@dataclass(frozen=True)
class Reader:
    """A corpus that can be read: one row of the table of readers.

    ``layout`` completes the sentence "expected ..." in an error. ``language`` is a BCP 47 tag,
    ``und`` where the corpus itself says clip by clip. ``read`` takes the folder (or file) and
    returns its clips sorted by id; it opens no audio. ``recognises`` says from names alone whether a
    folder looks like this corpus, right or wrong inside.
    """

    name: str
    title: str
    language: str
    licence: str
    source: str
    layout: str
    label_source: str
    read: Callable[[Path], list[Clip]]
    recognises: Callable[[Path], bool]


def audio_files(folder: Path) -> list[Path]:
    """The .wav and .flac files directly in a folder, by name. Hidden files are left out: archives
    made on macOS leave ``._name.wav`` beside every clip."""
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in AUDIO_SUFFIXES and not entry.name.startswith(".") and entry.is_file()
    )


def first_names(names: Iterable[str], *, limit: int = 5) -> str:
    """The first few names of a listing, and how many more there are."""
    listed = sorted(names)
    if not listed:
        return "nothing"
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(repr(name) for name in listed[:limit]) + more


def contents(folder: Path) -> str:
    """The first names in a folder, folders with a slash, for an error message."""
    return first_names(f"{entry.name}/" if entry.is_dir() else entry.name for entry in folder.iterdir())


def layout_error(corpus: str, path: Path, *, expected: str, found: str) -> CorpusError:
    """The error of a folder that is not laid out as the corpus is released."""
    return CorpusError(
        f"corpus '{corpus}' at {path}: expected {expected}; found {found}. "
        "Point at the folder as the corpus' archive unpacks it, or describe your own files in a table "
        "(--corpus NAME=FILE.csv with columns file, speaker, emotion)."
    )


def require_folder(corpus: str, path: Path, *, expected: str) -> None:
    """Refuse a path that is not an existing folder."""
    if not path.exists():
        raise layout_error(corpus, path, expected=expected, found="no such folder")
    if not path.is_dir():
        raise layout_error(corpus, path, expected=expected, found="a file, not a folder")


def unique(clips: Iterable[Clip]) -> list[Clip]:
    """Clips sorted by id; an id that occurs twice is refused."""
    by_id: dict[str, Clip] = {}
    for clip in clips:
        other = by_id.setdefault(clip.id, clip)
        if other is not clip:
            raise CorpusError(
                f"corpus '{clip.corpus}': clip '{clip.id}' is there twice, as {other.path} and {clip.path}. "
                "Remove one of the two copies."
            )
    return [by_id[key] for key in sorted(by_id)]


def file_id(file: Path) -> str:
    """The id of a clip that a table names by its file: the path in the table, without its suffix.

    An id names the clip on every machine: of an absolute path only the name is that.
    """
    return file.stem if file.is_absolute() else file.with_suffix("").as_posix()


def require_names(
    reader: Reader, folder: Path, files: Iterable[Path], fits: Callable[[Path], object]
) -> None:
    """Refuse files whose names do not follow the corpus' scheme, naming the first of them."""
    strange = [file.relative_to(folder).as_posix() for file in files if not fits(file)]
    if strange:
        raise layout_error(reader.name, folder, expected=reader.layout, found=first_names(strange))


def categorical_clip(
    reader: Reader,
    path: Path,
    *,
    speaker: str,
    emotion: str | None,
    label: str,
    sex: str | None,
    language: str | None = None,
    session: str | None = None,
    votes: tuple[tuple[str, float], ...] | None = None,
    partition: str | None = None,
) -> Clip:
    """A clip of a corpus that labels categories: the file's stem names it, the prototype rates it."""
    arousal, dominance, valence = prototype(emotion)
    return Clip(
        path=path,
        id=path.stem,
        corpus=reader.name,
        speaker=speaker,
        session=session,
        language=language or reader.language,
        emotion=emotion,
        label=label,
        arousal=arousal,
        dominance=dominance,
        valence=valence,
        label_source="prototype",
        licence=reader.licence,
        sex=sex,
        votes=votes,
        partition=partition,
    )


def table_rows(
    path: Path, *, corpus: str, expected: str, columns: Iterable[str], encoding: str = "utf-8"
) -> list[tuple[int, dict[str, str]]]:
    """The rows of a corpus' own table with their line numbers, values stripped.

    Raises ``CorpusError`` where the file cannot be read, lacks one of ``columns``, or a row is longer or
    shorter than its heading.
    """
    columns = list(columns)
    table = read_table(path, columns, encoding=encoding)
    missing = [name for name in columns if name not in table.columns]
    if missing:
        found = f"columns {first_names(table.columns)}, without {first_names(missing)}"
        raise layout_error(corpus, path, expected=expected, found=found)
    for line, row in table.rows:
        if len(row) != len(table.columns):
            raise CorpusError(
                f"corpus '{corpus}': {path}, line {line}: {len(row)} values for {len(table.columns)} "
                "columns. Download the table again."
            )
    return [(line, dict(zip(table.columns, row, strict=True))) for line, row in table.rows]


def on_scale(text: str, *, low: float, high: float, what: str, where: str, slack: float = 0.0) -> float:
    """A rating on a scale of ``low`` to ``high``, mapped to [0, 1].

    A value outside by no more than ``slack`` counts as the end of the scale.
    Raises ``CorpusError`` naming ``where`` (file and row), ``what``, the value and the range.
    """
    try:
        value = number(text)
    except ValueError:
        value = math.nan
    if not low - slack <= value <= high + slack:
        raise CorpusError(
            f"{where}: {what} is {text!r}, expected a number from {low:g} to {high:g}. "
            "Download the labels again, or correct the row."
        )
    return min(max((value - low) / (high - low), 0.0), 1.0)


def shares(votes: Mapping[str, float]) -> tuple[tuple[str, float], ...] | None:
    """Votes as shares that sum to 1, sorted by word, without the words nobody chose; None without votes."""
    total = sum(votes.values())
    if total <= 0.0:
        return None
    return tuple((word, votes[word] / total) for word in sorted(votes) if votes[word] > 0.0)
