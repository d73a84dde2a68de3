"""URDU (Latif et al. 2018): talk-show speech, four emotions, 100 clips each, a folder an emotion.

A name such as ``SM1_F10_A010`` says speaker M1 (M a man, F a woman), clip F10, emotion and number.
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
    unique,
)

_NAME: Final = re.compile(r"(?P<speaker>S(?P<sex>[MF])\d+)_F\d+_(?P<emotion>[AHNS])\d+")

_FOLDERS: Final = {"Angry": "anger", "Happy": "happiness", "Neutral": "neutral", "Sad": "sadness"}
_SEX: Final = {"F": "female", "M": "male"}

_EXPECTED: Final = "folders Angry, Happy, Neutral and Sad of files named like SM1_F10_A010.wav"


def read(path: Path) -> list[Clip]:
    """The clips of URDU under ``path``, the folder that holds the four emotions' folders."""
    require_folder(READER.name, path, expected=READER.layout)
    files = [file for name in _FOLDERS if (path / name).is_dir() for file in audio_files(path / name)]
    if not files:
        raise layout_error(READER.name, path, expected=READER.layout, found=contents(path))
    require_names(READER, path, files, _fits)
    return unique(_clip(file) for file in files)


def recognises(path: Path) -> bool:
    """Whether an emotion's folder holds a file named by URDU's scheme."""
    folders = [path / name for name in _FOLDERS if (path / name).is_dir()]
    return any(_NAME.fullmatch(file.stem) for folder in folders for file in audio_files(folder))


def _fits(file: Path) -> bool:
    """Whether the name follows the scheme and its emotion is the folder's."""
    match = _NAME.fullmatch(file.stem)
    return match is not None and file.parent.name[0] == match["emotion"]


def _clip(file: Path) -> Clip:
    match = _NAME.fullmatch(file.stem)
    assert match is not None
    label = file.parent.name
    return categorical_clip(
        READER,
        file,
        speaker=match["speaker"],
        emotion=_FOLDERS[label],
        label=label,
        sex=_SEX[match["sex"]],
    )


READER: Final = Reader(
    name="urdu",
    title="URDU, emotional speech from Urdu talk shows",
    language="ur",
    licence="research use only",
    source="Latif et al., Cross Lingual Speech Emotion Recognition: Urdu vs. Western Languages, FIT 2018",
    layout=_EXPECTED,
    label_source="prototype",
    read=read,
    recognises=recognises,
)
