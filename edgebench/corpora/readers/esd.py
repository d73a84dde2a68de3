"""ESD (Zhou et al. 2021): ten Mandarin and ten English speakers, five emotions, 350 sentences each.

A folder a speaker (0001 to 0010 Mandarin, 0011 to 0020 English), in it a folder an emotion, in that the
files, named ``0001_000351.wav``: speaker and running number. The first release sorts the files of an
emotion into ``train``, ``evaluation`` and ``test``; the later one leaves them together. Both are read.
Its parts hold other sentences of the same speakers, so they are no speaker-independent split.
Layout: the release's README and its archive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edgebench.corpora.clip import Clip
from edgebench.corpora.readers.layout import (
    Reader,
    audio_files,
    categorical_clip,
    contents,
    first_names,
    layout_error,
    require_folder,
    unique,
)

_SPEAKER: Final = re.compile(r"00(0[1-9]|1\d|20)")
_NAME: Final = re.compile(r"(?P<speaker>\d{4})_\d{6}")
_LAST_MANDARIN: Final = 10
_EMOTIONS: Final[dict[str, str | None]] = {
    "Angry": "anger",
    "Happy": "happiness",
    "Neutral": "neutral",
    "Sad": "sadness",
    "Surprise": None,
}
_PARTITIONS: Final = ("train", "evaluation", "test")

_EXPECTED: Final = (
    "folders 0001 to 0020, in each Angry, Happy, Neutral, Sad and Surprise with files named like "
    "0001_000351.wav, together or in train, evaluation and test"
)


def read(path: Path) -> list[Clip]:
    """The clips of ESD under ``path``, the folder of the speakers' folders."""
    require_folder(READER.name, path, expected=READER.layout)
    speakers = _speakers(path)
    files = [found for speaker in speakers for found in _files(speaker)]
    if not files:
        found = contents(speakers[0] if speakers else path)
        raise layout_error(READER.name, path, expected=READER.layout, found=found)
    strange = [
        f"{speaker}/{label}/{file.name}"
        for speaker, label, _, file in files
        if (match := _NAME.fullmatch(file.stem)) is None or match["speaker"] != speaker
    ]
    if strange:
        raise layout_error(READER.name, path, expected=READER.layout, found=first_names(strange))
    return unique(_clip(*row) for row in files)


def recognises(path: Path) -> bool:
    """Whether a speaker's folder holds an emotion's."""
    return path.is_dir() and any((speaker / "Angry").is_dir() for speaker in _speakers(path))


def _speakers(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if _SPEAKER.fullmatch(entry.name) and entry.is_dir())


def _files(speaker: Path) -> Iterator[tuple[str, str, str | None, Path]]:
    """Speaker, emotion's folder, part and file of each clip of a speaker."""
    for label in _EMOTIONS:
        folder = speaker / label
        if folder.is_dir():
            yield from ((speaker.name, label, None, file) for file in audio_files(folder))
            for part in _PARTITIONS:
                if (folder / part).is_dir():
                    yield from ((speaker.name, label, part, file) for file in audio_files(folder / part))


def _clip(speaker: str, label: str, partition: str | None, file: Path) -> Clip:
    return categorical_clip(
        READER,
        file,
        speaker=speaker,
        language="zh" if int(speaker) <= _LAST_MANDARIN else "en",
        emotion=_EMOTIONS[label],
        label=label,
        sex=None,
        partition=partition,
    )


READER: Final = Reader(
    name="esd",
    title="ESD, emotional speech dataset in Mandarin and English",
    language="und",
    licence="research use only",
    source="Zhou et al., Seen and Unseen Emotional Style Transfer for Voice Conversion, ICASSP 2021",
    layout=_EXPECTED,
    label_source="prototype",
    read=read,
    recognises=recognises,
)
