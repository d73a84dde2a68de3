"""THAI-SER (Wongpithayadisai et al. 2025): 200 Thai actors in 80 studio and 20 video-call recordings.

The release is ``emotion_label.json``, ``actor_demography.json`` and archives ``studio1-10`` to
``studio71-80``, ``zoom1-10``, ``zoom11-20`` that unpack to ``studio001/<microphone>/`` and so on. A name
such as ``s001_con_actor001_impro1_1.flac`` says recording, microphone, actor, turn. The labels hold, by
file name, a list of one object: ``assigned_emo`` (what was to be acted), ``majority_emo`` (what most
listeners heard, ``None`` on a tie), ``agreement`` (their share) and ``annotated`` (each listener's words).
They name one microphone a turn (``con`` in the studios, ``mic`` in the calls); files they do not name are
the same turns through other microphones, and are left out.

``emotion`` is the majority where at least ``AGREEMENT`` of the listeners share it, and None below: the
release's authors train and test at .71. ``label`` and ``votes`` are there either way; a listener's several
words share his one vote. Layout: the release page, and the authors' and SEACrowd's loaders.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from edgebench.corpora.clip import Clip
from edgebench.corpora.readers.layout import (
    Reader,
    audio_files,
    categorical_clip,
    contents,
    layout_error,
    on_scale,
    require_folder,
    shares,
    unique,
)
from edgebench.corpora.readers.text import read_text
from edgebench.errors import CorpusError
from edgebench.text import read_json

AGREEMENT: Final = 0.71
"""The least share of listeners that makes their majority a label."""

_NAME: Final = re.compile(r"(?P<session>[sz]\d{3})_[a-z]+_actor(?P<actor>\d{3})_(?:impro|script)\w*")
_EMOTIONS: Final = {"angry": "anger", "happy": "happiness", "neutral": "neutral", "sad": "sadness"}
_LABELS: Final = "emotion_label.json"
_ACTORS: Final = "actor_demography.json"
_KEYS: Final = ("majority_emo", "agreement", "annotated")

_EXPECTED: Final = (
    f"{_LABELS}, {_ACTORS} and folders studio1-10 to zoom11-20 of files named like "
    "s001_con_actor001_impro1_1.flac"
)


def read(path: Path, *, agreement: float = AGREEMENT) -> list[Clip]:
    """The turns that ``emotion_label.json`` under ``path`` labels, an emotion where listeners agree.

    A turn whose file is not there stays in the list: reading it fails by name.
    """
    require_folder(READER.name, path, expected=READER.layout)
    if not (path / _LABELS).is_file() or not (path / _ACTORS).is_file():
        raise layout_error(READER.name, path, expected=READER.layout, found=contents(path))
    labels, sexes = _document(path / _LABELS), _sexes(path / _ACTORS)
    files = _files(path)
    clips = unique(
        _clip(name, row, path, files, sexes, agreement=agreement) for name, row in sorted(labels.items())
    )
    if not any(clip.id in files for clip in clips):
        found = f"{len(clips)} labels and none of their files; in the folder: {contents(path)}"
        raise layout_error(READER.name, path, expected=READER.layout, found=found)
    return clips


def recognises(path: Path) -> bool:
    """Whether both of the release's tables are there."""
    return (path / _LABELS).is_file() and (path / _ACTORS).is_file()


def _files(path: Path) -> dict[str, Path]:
    """Every audio file in the recordings' folders by its stem, which names recording and microphone."""
    tops = [top for top in path.iterdir() if re.match(r"(studio|zoom)\d", top.name) and top.is_dir()]
    folders = [folder for top in tops for folder in [top, *top.rglob("*")] if folder.is_dir()]
    return {file.stem: file for folder in folders for file in audio_files(folder)}


def _document(file: Path) -> dict[str, Any]:
    try:
        document = read_json(read_text(file))
    except ValueError as error:
        raise CorpusError(f"corpus 'thai_ser': {file} cannot be read: {error}. Download it again.") from error
    if not isinstance(document, dict):
        found = f"a {type(document).__name__}"
        raise layout_error(READER.name, file, expected="an object by file name", found=found)
    return document


def _sexes(file: Path) -> dict[str, str]:
    rows = _document(file).get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "Actor's ID" in row for row in rows):
        expected = "an object with 'data', a list of objects with \"Actor's ID\" and 'Sex'"
        raise layout_error(READER.name, file, expected=expected, found="another structure")
    return {str(row["Actor's ID"]).zfill(3): str(row.get("Sex", "")).lower() for row in rows}


def _clip(
    name: str, row: object, path: Path, files: dict[str, Path], sexes: dict[str, str], *, agreement: float
) -> Clip:
    where = f"corpus 'thai_ser': {path / _LABELS}, entry {name!r}"
    match = _NAME.fullmatch(Path(name).stem)
    entry = row[0] if isinstance(row, list) and row else row
    if match is None or not isinstance(entry, dict) or any(key not in entry for key in _KEYS):
        raise CorpusError(
            f"{where}: expected a name like s001_con_actor001_impro1_1.flac with {', '.join(_KEYS)}; "
            f"found {json.dumps(row)[:120]}. Download the labels again."
        )
    share = on_scale(str(entry["agreement"]), low=0.0, high=1.0, what="agreement", where=where)
    label = str(entry["majority_emo"])
    sex = sexes.get(match["actor"])
    session = match["session"]
    stem = Path(name).stem
    return categorical_clip(
        READER,
        files.get(stem, path / name),
        speaker=match["actor"],
        emotion=_EMOTIONS.get(label.lower()) if share >= agreement else None,
        label=label,
        sex=sex if sex in ("female", "male") else None,
        session=session,
        votes=_votes(entry["annotated"], where),
    )


def _votes(annotated: object, where: str) -> tuple[tuple[str, float], ...] | None:
    if not isinstance(annotated, list) or not all(isinstance(words, list) for words in annotated):
        raise CorpusError(f"{where}: 'annotated' must be a list of each listener's list of words.")
    votes: dict[str, float] = defaultdict(float)
    for words in annotated:
        for word in words:
            heard = str(word).strip().lower()
            votes[_EMOTIONS.get(heard, heard)] += 1.0 / len(words)
    return shares(votes)


READER: Final = Reader(
    name="thai_ser",
    title="THAI-SER, Thai speech emotion recognition corpus",
    language="th",
    licence="CC-BY-SA-4.0",
    source="Wongpithayadisai et al., arXiv:2507.09618, 2025",
    layout=_EXPECTED,
    label_source="prototype",
    read=read,
    recognises=recognises,
)
