"""SUBESCO (Sultana et al. 2021): twenty Bangla actors, ten sentences, seven emotions, 7000 clips.

A name such as ``F_02_MONIKA_S_1_NEUTRAL_5`` says sex, the speaker's number among that sex, the speaker's
name, sentence, emotion and take (the naming convention of the release's own description). The files lie in
one folder, or in one folder inside the archive's.
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

_EMOTIONS: Final[dict[str, str | None]] = {
    "ANGRY": "anger",
    "DISGUST": None,
    "FEAR": None,
    "HAPPY": "happiness",
    "NEUTRAL": "neutral",
    "SAD": "sadness",
    "SURPRISE": None,
}
_NAME: Final = re.compile(
    rf"(?P<speaker>(?P<sex>[FM])_\d{{2}})_[A-Za-z]+_S_\d{{1,2}}_(?P<emotion>{'|'.join(_EMOTIONS)})_\d"
)
_SEX: Final = {"F": "female", "M": "male"}

_EXPECTED: Final = "a folder of files named like F_02_MONIKA_S_1_NEUTRAL_5.wav"


def read(path: Path) -> list[Clip]:
    """The clips of SUBESCO under ``path``, the folder of the files or the one around it."""
    require_folder(READER.name, path, expected=READER.layout)
    files = audio_files(_folder(path))
    if not files:
        raise layout_error(READER.name, path, expected=READER.layout, found=contents(path))
    require_names(READER, _folder(path), files, lambda file: _NAME.fullmatch(file.stem))
    return unique(_clip(file) for file in files)


def recognises(path: Path) -> bool:
    """Whether the folder holds a file named by SUBESCO's scheme."""
    return path.is_dir() and any(_NAME.fullmatch(file.stem) for file in audio_files(_folder(path)))


def _folder(path: Path) -> Path:
    return path / "SUBESCO" if (path / "SUBESCO").is_dir() else path


def _clip(file: Path) -> Clip:
    match = _NAME.fullmatch(file.stem)
    assert match is not None
    return categorical_clip(
        READER,
        file,
        speaker=match["speaker"],  # the number alone names two people, a woman and a man
        emotion=_EMOTIONS[match["emotion"]],
        label=match["emotion"],
        sex=_SEX[match["sex"]],
    )


READER: Final = Reader(
    name="subesco",
    title="SUST Bangla emotional speech corpus (SUBESCO)",
    language="bn",
    licence="CC-BY-4.0",
    source="Sultana et al., PLoS ONE 16(4): e0250173, 2021",
    layout=_EXPECTED,
    label_source="prototype",
    read=read,
    recognises=recognises,
)
