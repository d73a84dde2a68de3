"""EmoDB (Burkhardt et al. 2005): ten German actors, seven emotions, 535 clips in one folder.

A name such as ``03a01Fa`` says speaker 03, text a01, emotion F, take a. The emotion's letter is the
first of the German word: Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral.
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

_NAME: Final = re.compile(r"(?P<speaker>\d{2})(?P<text>[ab]\d{2})(?P<emotion>[WLEAFTN])(?P<take>[a-z])")

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

_EXPECTED: Final = "a folder 'wav' of files named like 03a01Fa.wav (speaker, text, emotion letter, take)"


def read(path: Path) -> list[Clip]:
    """The clips of EmoDB under ``path`` (the unpacked archive, or its ``wav`` folder)."""
    require_folder(READER.name, path, expected=READER.layout)
    folder = path / "wav" if (path / "wav").is_dir() else path
    files = audio_files(folder)
    if not files:
        raise layout_error(READER.name, path, expected=READER.layout, found=contents(folder))
    require_names(READER, folder, files, lambda file: _NAME.fullmatch(file.stem))
    return unique(_clip(file) for file in files)


def recognises(path: Path) -> bool:
    """Whether the folder, or its ``wav``, holds a file named by EmoDB's scheme."""
    folder = path / "wav" if (path / "wav").is_dir() else path
    return folder.is_dir() and any(_NAME.fullmatch(file.stem) for file in audio_files(folder))


def _clip(file: Path) -> Clip:
    match = _NAME.fullmatch(file.stem)
    assert match is not None
    label, emotion = _EMOTIONS[match["emotion"]]
    return categorical_clip(
        READER,
        file,
        speaker=match["speaker"],
        emotion=emotion,
        label=label,
        sex=_SEX.get(match["speaker"]),
    )


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
