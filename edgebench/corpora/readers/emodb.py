"""EmoDB (Burkhardt et al. 2005): ten German actors, seven emotions, 535 clips in one folder.

A name such as ``03a01Fa`` says speaker 03, text a01, emotion F, take a. The emotion's letter is the
first of the German word: Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral.

Release 2.0 (2024) adds 281 clips whose emotion fewer listeners recognised, and the signal of a laryngograph
beside every clip. As raw files it has the speech in ``audio``, the larynx signal in ``laryngo``, names that
may end in ``xx`` (``03a01Fbxx``), and ``listener_judgements.txt``: per clip how many percent of the listeners
recognised the emotion and found it natural. With that table, ``partition`` is "selected" for the clips that
the first release's rule takes (at least 80 % recognised, at least 60 % natural) and "ambiguous" for the
others. Layout of 2.0: the README and update script of github.com/audeering/emodb.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
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
    table_rows,
    unique,
)
from edgebench.corpora.readers.text import number
from edgebench.errors import CorpusError

_NAME: Final = re.compile(
    r"(?P<speaker>\d{2})(?P<text>[ab]\d{2})(?P<emotion>[WLEAFTN])(?P<take>[a-z])?(?P<added>xx)?"
)
_SPEECH: Final = ("wav", "audio")  # folders, the first that is there
_LARYNX: Final = ("laryngo", "wav_laryng")
_JUDGEMENTS: Final = "listener_judgements.txt"
_RECOGNISED_PERCENT: Final = 80.0
_NATURAL_PERCENT: Final = 60.0

_EMOTIONS: Final[dict[str, tuple[str, str | None]]] = {
    "W": ("anger", "anger"),
    "L": ("boredom", None),
    "E": ("disgust", None),
    "A": ("anxiety", None),
    "F": ("happiness", "happiness"),
    "T": ("sadness", "sadness"),
    "N": ("neutral", "neutral"),
}

# The release's own list of speakers (erklaerung.txt).
_SEX: Final = dict.fromkeys(("03", "10", "11", "12", "15"), "male") | dict.fromkeys(
    ("08", "09", "13", "14", "16"), "female"
)

_EXPECTED: Final = (
    "a folder 'wav' (or 'audio') of files named like 03a01Fa.wav (speaker, text, emotion letter, take)"
)


def read(path: Path) -> list[Clip]:
    """The clips of EmoDB under ``path`` (the unpacked archive, or its folder ``wav`` or ``audio``)."""
    require_folder(READER.name, path, expected=READER.layout)
    folder = _folder(path)
    if folder.name in _LARYNX or (folder == path and (path / _LARYNX[1]).is_dir()):
        raise CorpusError(
            f"corpus 'emodb' at {path}: found the recordings with the larynx signal ({', '.join(_LARYNX)}), "
            "which is no speech. Point at the folder of the speech alone; of a stereo file in wav_laryng "
            "that is the first channel: `sox wav_laryng/NAME.wav audio/NAME.wav remix 1`."
        )
    files = audio_files(folder)
    if not files:
        raise layout_error(READER.name, path, expected=READER.layout, found=contents(folder))
    require_names(READER, folder, files, lambda file: _NAME.fullmatch(file.stem))
    partitions = _partitions((path if folder != path else path.parent) / _JUDGEMENTS)
    return unique(_clip(file, partitions) for file in files)


def recognises(path: Path) -> bool:
    """Whether the folder, or the one of its speech, holds a file named by EmoDB's scheme."""
    if not path.is_dir():
        return False
    return any(_NAME.fullmatch(file.stem) for file in audio_files(_folder(path)))


def _folder(path: Path) -> Path:
    return next((path / name for name in _SPEECH if (path / name).is_dir()), path)


def _partitions(table: Path) -> dict[str, str]:
    """By clip, without the ``xx`` of its file's name: whether the first release's rule takes it."""
    if not table.is_file():
        return {}
    columns = ("sample", "recognized", "natural")
    expected = f"columns {', '.join(columns)}"
    rows = table_rows(table, corpus=READER.name, expected=expected, columns=columns, encoding="latin-1")
    parts = {}
    for line, row in rows:
        try:
            recognised, natural = number(row["recognized"]), number(row["natural"])
        except ValueError as error:
            raise CorpusError(
                f"corpus 'emodb': {table}, line {line}: recognized is {row['recognized']!r} and natural "
                f"{row['natural']!r}, expected percentages. Download the table again."
            ) from error
        taken = recognised >= _RECOGNISED_PERCENT and natural >= _NATURAL_PERCENT
        parts[_plain(Path(row["sample"]).stem)] = "selected" if taken else "ambiguous"
    return parts


def _plain(stem: str) -> str:
    return stem.removesuffix("xx")


def _clip(file: Path, partitions: Mapping[str, str]) -> Clip:
    match = _NAME.fullmatch(file.stem)
    assert match is not None
    label, emotion = _EMOTIONS[match["emotion"]]
    clip = categorical_clip(
        READER,
        file,
        speaker=match["speaker"],
        emotion=emotion,
        label=label,
        sex=_SEX.get(match["speaker"]),
        partition=partitions.get(_plain(file.stem)),
    )
    return replace(clip, release="2.0") if partitions or file.parent.name == "audio" else clip


READER: Final = Reader(
    name="emodb",
    title="Berlin Database of Emotional Speech (EmoDB)",
    language="de",
    licence="CC0-1.0",
    source="Burkhardt et al., A Database of German Emotional Speech, Interspeech 2005",
    layout=_EXPECTED,
    label_source="prototype",
    read=read,
    recognises=recognises,
)
