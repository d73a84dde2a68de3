"""Which speakers a model may learn from, and which it is tested on: a file, hashed, never a default.

::

    {"split_version": 1, "name": "wav2small",
     "corpora": {"emodb": {"train": ["03", ...], "validation": ["08"], "test": ["09", ...]}}}
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edgebench.corpora.clip import Clip
from edgebench.errors import ConfigError, CorpusError, UsageError, nearest

SPLIT_VERSION: Final = 1  # 1: speakers by corpus and part

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
    """Speakers by corpus in train, validation and test.

    Raises ``ConfigError`` where a speaker stands in two parts of a corpus or twice in one, or where
    a part is missing or has another name. A part may be empty.
    """

    name: str
    corpora: Mapping[str, Parts]

    def __post_init__(self) -> None:
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
                    f"split '{self.name}', corpus '{corpus}': speakers must stand in one part, once; "
                    f"found {told}. A model would be tested on a voice it has learnt: leave each speaker in "
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

    def part_of(self, corpus: str, speaker: str) -> str | None:
        """The part that a speaker stands in, None where the split does not name the speaker."""
        parts = self.corpora.get(corpus, {})
        return next((part for part in PARTS if speaker in parts.get(part, ())), None)


def _as_json(split: Split) -> dict[str, Any]:
    corpora = {
        corpus: {part: sorted(parts[part]) for part in PARTS}
        for corpus, parts in sorted(split.corpora.items())
    }
    return {"split_version": SPLIT_VERSION, "name": split.name, "corpora": corpora}


def read_split(path: Path | str) -> Split:
    """Read a split file. Raises ``ConfigError`` naming what is wrong and where."""
    path = Path(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
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
    keys = ("split_version", "name", "corpora")
    if not isinstance(document, dict) or sorted(document) != sorted(keys):
        found = (
            ", ".join(sorted(map(str, document))) if isinstance(document, dict) else type(document).__name__
        )
        raise ConfigError(f"{source}: expected an object with the keys {', '.join(keys)}; found {found}.")
    if document["split_version"] != SPLIT_VERSION:
        raise ConfigError(
            f"{source}: is of version {document['split_version']!r}, this edgebench reads {SPLIT_VERSION}. "
            "Update edgebench, or write the split again."
        )
    name, corpora = document["name"], document["corpora"]
    if not isinstance(name, str) or not isinstance(corpora, dict):
        raise ConfigError(f"{source}: 'name' must be text and 'corpora' an object of corpora.")
    for corpus, parts in corpora.items():
        lists = parts.values() if isinstance(parts, dict) else [None]
        if not all(isinstance(v, list) and all(isinstance(s, str) for s in v) for v in lists):
            raise ConfigError(
                f"{source}, corpora.{corpus}: expected {', '.join(PARTS)}, each a list of speakers as text "
                f'(["03", "08"]); found {parts!r}.'
            )
    return Split(name, {c: {part: tuple(v) for part, v in parts.items()} for c, parts in corpora.items()})


def write_split(split: Split, path: Path | str) -> None:
    """Write a split file: one speaker list a line, to be read and compared by people."""
    path = Path(path)
    blocks = [
        f"  {json.dumps(corpus)}: {{\n"
        + ",\n".join(f"   {json.dumps(part)}: {json.dumps(names)}" for part, names in parts.items())
        + "\n  }"
        for corpus, parts in _as_json(split)["corpora"].items()
    ]
    head = f'{{\n "split_version": {SPLIT_VERSION},\n "name": {json.dumps(split.name)},\n "corpora": {{\n'
    text = head + ",\n".join(blocks) + "\n }\n}"
    partial = path.with_name(path.name + ".part")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)


def split_clips(clips: Iterable[Clip], split: Split, part: str) -> list[Clip]:
    """The clips of one part, in their order.

    Raises ``UsageError`` for another part's name, ``CorpusError`` where the split does not name a
    clip's corpus or speaker: a speaker in no part could be one that the model has learnt.
    """
    if part not in PARTS:
        raise UsageError(f"a split has no part '{part}': {nearest(part, PARTS)}.")
    chosen, unknown = [], set()
    for clip in clips:
        home = split.part_of(clip.corpus, clip.speaker)
        if home is None:
            unknown.add(f"{clip.corpus}/{clip.speaker}")
        elif home == part:
            chosen.append(clip)
    if unknown:
        shown = ", ".join(sorted(unknown)[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        raise CorpusError(
            f"split '{split.name}' does not say where these speakers belong: {shown}. "
            "Add them to the split file, or leave their corpus out."
        )
    return chosen


def make_split(
    name: str, clips: Iterable[Clip], counts: Mapping[str, tuple[int, int, int]], *, seed: int = 0
) -> Split:
    """Draw speakers for train, validation and test by a rule that sees no result.

    Within a corpus, the speakers of each sex are ordered by the SHA-256 of
    ``"{seed}/{corpus}/{speaker}"``; the orders are then merged so that every stretch holds the
    sexes in the corpus' own proportion (the sex furthest behind its share is next, ties by name).
    The first are tested on, the next validate, the rest train.
    """
    sexes: dict[str, dict[str, str]] = {corpus: {} for corpus in counts}
    for clip in clips:
        if clip.corpus in sexes:
            sexes[clip.corpus][clip.speaker] = clip.sex or "unknown"
    corpora: dict[str, Parts] = {}
    for corpus, (train, validation, test) in counts.items():
        order = _merged(corpus, sexes[corpus], seed=seed)
        if len(order) != train + validation + test:
            raise CorpusError(
                f"split '{name}': corpus '{corpus}' has {len(order)} speakers, the split asks for "
                f"{train} + {validation} + {test}. Use the whole corpus, or other counts."
            )
        corpora[corpus] = {
            "train": tuple(sorted(order[test + validation :])),
            "validation": tuple(sorted(order[test : test + validation])),
            "test": tuple(sorted(order[:test])),
        }
    return Split(name, corpora)


def _merged(corpus: str, sex_of: Mapping[str, str], *, seed: int) -> Sequence[str]:
    def rank(speaker: str) -> str:
        return hashlib.sha256(f"{seed}/{corpus}/{speaker}".encode()).hexdigest()

    waiting = {
        sex: sorted((s for s in sex_of if sex_of[s] == sex), key=rank) for sex in sorted(set(sex_of.values()))
    }
    size = {sex: len(names) for sex, names in waiting.items()}
    order: list[str] = []
    while len(order) < len(sex_of):
        # Integers throughout: how far each sex is behind its share, times the number of speakers.
        behind = {s: size[s] * (len(order) + 1) - (size[s] - len(waiting[s])) * len(sex_of) for s in waiting}
        sex = max((s for s in waiting if waiting[s]), key=lambda s: (behind[s], [-ord(c) for c in s]))
        order.append(waiting[sex].pop(0))
    return order
