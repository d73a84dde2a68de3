"""RAVDESS speech (Livingstone & Russo 2018): 24 actors, eight emotions, 1440 clips.

A name such as ``03-01-05-02-01-02-12`` says modality (03 audio only), vocal channel (01 speech,
02 song), emotion, intensity, statement, repetition, actor; odd actors are men, even ones women.
Song is left out: its emotions are sung on given melodies.
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

_NAME: Final = re.compile(
    r"(?P<modality>0[1-3])-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])"
    r"-(?P<statement>0[12])-(?P<repetition>0[12])-(?P<actor>\d{2})"
)
_SPEECH: Final = "01"

_EMOTIONS: Final[dict[str, tuple[str, str | None]]] = {
    "01": ("neutral", "neutral"),
    "02": ("calm", None),
    "03": ("happy", "happiness"),
    "04": ("sad", "sadness"),
    "05": ("angry", "anger"),
    "06": ("fearful", None),
    "07": ("disgust", None),
    "08": ("surprised", None),
}

_EXPECTED: Final = "folders Actor_01 to Actor_24 of files named like 03-01-05-02-01-02-12.wav"


def read(path: Path) -> list[Clip]:
    """The speech clips of RAVDESS under ``path``: the folder that holds ``Actor_NN``, or the one
    that holds ``Audio_Speech_Actors_01-24``."""
    require_folder(READER.name, path, expected=READER.layout)
    actors = _actor_folders(path)
    if not actors:
        for inner in sorted(path.iterdir()):
            if inner.is_dir() and inner.name.lower().startswith("audio_speech_actors"):
                actors = _actor_folders(inner)
    files = [file for actor in actors for file in audio_files(actor)]
    if not files:
        raise layout_error(READER.name, path, expected=READER.layout, found=contents(path))
    require_names(READER, path, files, _fits)
    clips = unique(clip for file in files if (clip := _clip(file)) is not None)
    if not clips:
        found = "song only (vocal channel 02)"
        raise layout_error(READER.name, path, expected=f"{READER.layout} (channel 01, speech)", found=found)
    return clips


def recognises(path: Path) -> bool:
    """Whether the folder holds ``Actor_NN``, itself or inside ``Audio_Speech_Actors_01-24``."""
    if not path.is_dir():
        return False
    inner = [entry for entry in path.iterdir() if entry.name.lower().startswith("audio_speech_actors")]
    return any(_actor_folders(folder) for folder in [path, *inner] if folder.is_dir())


def _actor_folders(path: Path) -> list[Path]:
    return sorted(
        entry for entry in path.iterdir() if re.fullmatch(r"Actor_\d{2}", entry.name) and entry.is_dir()
    )


def _fits(file: Path) -> bool:
    """Whether the name follows the scheme and its actor is the folder's."""
    match = _NAME.fullmatch(file.stem)
    return match is not None and file.parent.name == f"Actor_{match['actor']}"


def _clip(file: Path) -> Clip | None:
    match = _NAME.fullmatch(file.stem)
    assert match is not None
    if match["channel"] != _SPEECH:
        return None
    label, emotion = _EMOTIONS[match["emotion"]]
    return categorical_clip(
        READER,
        file,
        speaker=match["actor"],
        emotion=emotion,
        label=label,
        sex="male" if int(match["actor"]) % 2 else "female",
    )


READER: Final = Reader(
    name="ravdess",
    title="Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS), speech",
    language="en",
    licence="CC-BY-NC-SA-4.0",
    source="Livingstone & Russo, PLoS ONE 13(5): e0196391, 2018",
    layout=_EXPECTED,
    label_source="prototype",
    read=read,
    recognises=recognises,
)
