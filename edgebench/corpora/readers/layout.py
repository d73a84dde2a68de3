"""What every reader needs: finding audio files, refusing a wrong layout, making rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgebench.corpora.clip import Clip
from edgebench.corpora.prototypes import prototype
from edgebench.errors import CorpusError

AUDIO_SUFFIXES: Final = (".wav", ".flac")
"""The releases are .wav; a lossless copy in FLAC keeps the name and changes the suffix."""


@dataclass(frozen=True)
class Reader:
    """A corpus that can be read: one row of the table of readers.

    ``layout`` completes the sentence "expected ..." in an error. ``language`` is a BCP 47 tag,
    ``und`` where the corpus itself says clip by clip. ``read`` takes the folder (or file) and
    returns its clips sorted by id; it opens no audio.
    """

    name: str
    title: str
    language: str
    licence: str
    source: str
    layout: str
    label_source: str
    read: Callable[[Path], list[Clip]]


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
        "(--corpus table=FILE.csv with columns file, speaker, emotion)."
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


def categorical_clip(
    *,
    path: Path,
    id: str,
    corpus: str,
    speaker: str,
    language: str,
    emotion: str | None,
    label: str,
    licence: str,
    sex: str | None,
    session: str | None = None,
) -> Clip:
    """A clip of a corpus that labels categories: its dimensions are the prototype's."""
    arousal, dominance, valence = prototype(emotion)
    return Clip(
        path=path,
        id=id,
        corpus=corpus,
        speaker=speaker,
        session=session,
        language=language,
        emotion=emotion,
        label=label,
        arousal=arousal,
        dominance=dominance,
        valence=valence,
        label_source="prototype",
        licence=licence,
        sex=sex,
    )
