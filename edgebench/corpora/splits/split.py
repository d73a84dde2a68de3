"""Which speakers a model may learn from and which it is tested on: a file that is named by its hash.

::

    {"split_version": 1, "name": "wav2small",
     "corpora": {"emodb": {"train": ["03", ...], "validation": ["08"], "test": ["09", ...]}}}

A split of single clips names their ids instead, and says whether a speaker is in two of its parts::

    {"split_version": 2, "name": "emodb.random1of5", "unit": "clip", "leaks_speakers": true,
     "corpora": {"emodb": {"train": ["03a01Fa", ...], "validation": [...], "test": [...]}}}
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from edgebench.corpora.clip import UNKNOWN_SPEAKER, Clip
from edgebench.corpora.pointers import refuse_pointer
from edgebench.errors import ConfigError, CorpusError, UsageError, nearest
from edgebench.files import write_text
from edgebench.text import read_json

# 1: speakers by corpus and part. 2: clips by corpus and part, with unit and leaks_speakers. A split by
# speaker is still written as version 1, so that its hash stays what it was.
SPLIT_VERSION: Final = 2

UNITS: Final = ("speaker", "clip")
_KEYS: Final = {
    1: ("split_version", "name", "corpora"),
    2: ("split_version", "name", "unit", "leaks_speakers", "corpora"),
}

PARTS: Final = ("train", "validation", "test")

WAV2SMALL_COUNTS: Final = {
    "emodb": (6, 1, 3),
    "ravdess": (15, 3, 6),
    "nemo": (5, 1, 3),
    "synthetic": (20, 4, 5),
}
"""Speakers in train, validation and test of the split that the shipped models were made with."""

Parts = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Split:
    """Speakers, or with ``unit`` "clip" the ids of clips, by corpus in train, validation and test.

    ``leaks_speakers``: a speaker is in train and in test. An accuracy from such a split is no estimate for a
    new speaker. Raises ``ConfigError`` where a speaker (or clip) stands in two parts of a
    corpus or twice in one, where a part is missing or has another name, or where a split by speaker claims
    to leak. A part may be empty.
    """

    name: str
    corpora: Mapping[str, Parts]
    unit: str = "speaker"
    leaks_speakers: bool = False

    def __post_init__(self) -> None:
        if self.unit not in UNITS or (self.leaks_speakers and self.unit == "speaker"):
            raise ConfigError(
                f"split '{self.name}': found unit '{self.unit}' with leaks_speakers {self.leaks_speakers}; "
                "expected unit 'speaker', which cannot leak speakers, or unit 'clip', which may."
            )
        for corpus, parts in self.corpora.items():
            if sorted(parts) != sorted(PARTS):
                raise ConfigError(
                    f"split '{self.name}', corpus '{corpus}': found parts "
                    f"{', '.join(sorted(parts)) or 'none'}; expected "
                    f"{', '.join(PARTS)}. Write each of the three, [] where it is empty."
                )
            counted = Counter(speaker for part in PARTS for speaker in parts[part])
            twice = sorted(speaker for speaker, count in counted.items() if count > 1)
            if twice:
                where = {s: [part for part in PARTS if s in parts[part]] for s in twice}
                told = "; ".join(f"'{s}' in {' and '.join(parts)}" for s, parts in where.items())
                raise ConfigError(
                    f"split '{self.name}', corpus '{corpus}': {self.unit}s must stand in one part, once; "
                    f"found {told}. A model would be tested on what it has learnt: leave each {self.unit} in "
                    "one part."
                )

    @property
    def canonical(self) -> str:
        """The split as JSON that is the same for the same split: sorted, no spaces."""
        return json.dumps(_as_json(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    @property
    def sha256(self) -> str:
        """The hash of ``canonical``: what a manifest and a record name the split by."""
        return hashlib.sha256(self.canonical.encode("ascii")).hexdigest()

    def part_of_clip(self, clip: Clip) -> str | None:
        """The part that a clip stands in, None where the split names neither it nor its speaker."""
        return self.part_of(clip.corpus, clip.speaker if self.unit == "speaker" else clip.id)

    def part_of(self, corpus: str, member: str) -> str | None:
        """The part of a speaker (with ``unit`` "clip": of a clip's id), None where it is not named."""
        return self._homes.get((corpus, member))

    @cached_property
    def _homes(self) -> dict[tuple[str, str], str]:
        return {
            (corpus, member): part
            for corpus, parts in self.corpora.items()
            for part in PARTS
            for member in parts[part]
        }


def _as_json(split: Split) -> dict[str, Any]:
    corpora = {
        corpus: {part: sorted(parts[part]) for part in PARTS}
        for corpus, parts in sorted(split.corpora.items())
    }
    if split.unit == "speaker":
        return {"split_version": 1, "name": split.name, "corpora": corpora}
    about = {"unit": split.unit, "leaks_speakers": split.leaks_speakers}
    return {"split_version": 2, "name": split.name, **about, "corpora": corpora}


def read_split(path: Path | str) -> Split:
    """Read a split file. Raises ``ConfigError`` naming what is wrong and where, ``PointerError`` where
    git-lfs has not fetched it."""
    path = Path(path)
    try:
        content = path.read_bytes()
        refuse_pointer(path, content)
        document = read_json(content.decode())
    except OSError as error:
        raise ConfigError(f"split {path}: cannot be opened: {error.strerror}. Check the path.") from error
    except ValueError as error:
        raise ConfigError(f"split {path}: is not JSON: {error}.") from error
    return _parse(document, source=str(path))


def packaged_split(name: str = "wav2small") -> Split:
    """A split that ships with the package. Raises ``UsageError`` for an unknown name."""
    folder = importlib.resources.files("edgebench.corpora") / "splits"
    known = {
        entry.name.removesuffix(".json"): entry for entry in folder.iterdir() if entry.name.endswith(".json")
    }
    if name not in known:
        raise UsageError(f"there is no packaged split named '{name}': {nearest(name, known)}.")
    return _parse(json.loads(known[name].read_text(encoding="utf-8")), source=f"packaged split '{name}'")


def _parse(document: object, *, source: str) -> Split:
    if not isinstance(document, dict):
        raise ConfigError(f"{source}: expected an object; found {type(document).__name__}.")
    version = document.get("split_version", SPLIT_VERSION)
    if not isinstance(version, int) or version not in _KEYS:
        raise ConfigError(
            f"{source}: is of version {version!r}, this edgebench reads up to {SPLIT_VERSION}. "
            "Update edgebench, or write the split again."
        )
    if sorted(document) != sorted(_KEYS[version]):
        raise ConfigError(
            f"{source}: expected an object with the keys {', '.join(_KEYS[version])}; found "
            f"{', '.join(sorted(map(str, document)))}."
        )
    unit, leaks = document.get("unit", "speaker"), document.get("leaks_speakers", False)
    if not isinstance(leaks, bool) or (version == SPLIT_VERSION and unit != "clip"):
        raise ConfigError(
            f"{source}: found unit {unit!r} and leaks_speakers {leaks!r}; a split of version 2 has unit "
            '"clip" and leaks_speakers true or false. A split by speaker is of version 1, without the two.'
        )
    name, corpora = document["name"], document["corpora"]
    if not isinstance(name, str) or not isinstance(corpora, dict):
        raise ConfigError(f"{source}: 'name' must be text and 'corpora' an object of corpora.")
    for corpus, parts in corpora.items():
        lists = parts.values() if isinstance(parts, dict) else [None]
        if not all(isinstance(v, list) and all(isinstance(s, str) for s in v) for v in lists):
            raise ConfigError(
                f"{source}, corpora.{corpus}: expected {', '.join(PARTS)}, each a list of {unit}s as text "
                f'(["03", "08"]); found {parts!r}.'
            )
    found = {c: {part: tuple(v) for part, v in parts.items()} for c, parts in corpora.items()}
    return Split(name, found, unit=unit, leaks_speakers=leaks)


def write_split(split: Split, path: Path | str) -> None:
    """Write a split file, one list of names a line, so that two files can be compared line by line."""
    path = Path(path)
    document = _as_json(split)
    blocks = [
        f"  {json.dumps(corpus)}: {{\n"
        + ",\n".join(f"   {json.dumps(part)}: {json.dumps(names)}" for part, names in parts.items())
        + "\n  }"
        for corpus, parts in document.pop("corpora").items()
    ]
    head = "".join(f" {json.dumps(key)}: {json.dumps(value)},\n" for key, value in document.items())
    text = "{\n" + head + ' "corpora": {\n' + ",\n".join(blocks) + "\n }\n}"
    write_text(path, text + "\n")


def split_clips(clips: Iterable[Clip], split: Split, part: str) -> list[Clip]:
    """The clips of one part, in their order.

    A clip of an unknown speaker is in no part of a split by speaker, unless the split names that speaker: it
    may be of anybody. Raises ``UsageError`` for another part's name, ``CorpusError`` where the
    split does not name a clip's corpus or speaker (a speaker in no part could be one that the model has
    learnt), ``ConfigError`` where a split that says it leaks no speakers does.
    """
    if part not in PARTS:
        raise UsageError(f"a split has no part '{part}': {nearest(part, PARTS)}.")
    clips = list(clips)
    chosen, unknown = [], set()
    for clip in clips:
        home = split.part_of_clip(clip)
        if home == part:
            chosen.append(clip)
        elif home is None and (split.unit == "clip" or clip.speaker != UNKNOWN_SPEAKER):
            unknown.add(f"{clip.corpus}/{clip.speaker if split.unit == 'speaker' else clip.id}")
    if unknown:
        shown = ", ".join(sorted(unknown)[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        raise CorpusError(
            f"split '{split.name}' does not say where these {split.unit}s belong: {shown}. "
            "Add them to the split file, or leave their corpus out."
        )
    _refuse_hidden_leak(clips, split)
    return chosen


def leaking_speakers(clips: Iterable[Clip], split: Split) -> dict[str, tuple[str, ...]]:
    """The speakers, as ``corpus/speaker``, whose clips stand in more than one part, with the parts.

    Clips of unknown speakers count as clips of one speaker, since they may be.
    """
    parts: dict[str, set[str]] = {}
    for clip in clips:
        home = split.part_of_clip(clip)
        if home is not None:
            parts.setdefault(f"{clip.corpus}/{clip.speaker}", set()).add(home)
    return {
        speaker: tuple(part for part in PARTS if part in homes)
        for speaker, homes in sorted(parts.items())
        if len(homes) > 1
    }


def _refuse_hidden_leak(clips: Iterable[Clip], split: Split) -> None:
    if split.unit == "speaker" or split.leaks_speakers:
        return
    leaking = leaking_speakers(clips, split)
    if leaking:
        told = "; ".join(
            f"{speaker} in {' and '.join(homes)}" for speaker, homes in list(leaking.items())[:3]
        )
        raise ConfigError(
            f"split '{split.name}' says that it leaks no speakers; found {len(leaking)} in two parts: {told}."
            ' Write "leaks_speakers": true, or divide by speaker.'
        )
