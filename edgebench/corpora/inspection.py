"""What a corpus holds and what is wrong with it, to be known before hours of work depend on it.

Every clip is opened and decoded. A clip at another rate or with two channels is counted, and the option and
the command that convert are named; a clip that cannot be read is listed with its reason; what is mended in
reading (see ``audio``) is counted; the same sound under two names is found by the hash of its samples,
whatever the file's format.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgebench.corpora.audio import SAMPLE_RATE_HZ, AudioFacts, read_sound
from edgebench.corpora.clip import ADV, EMOTIONS, UNKNOWN_SPEAKER, Clip
from edgebench.corpora.readers import READERS, read_corpus, recognise_corpus
from edgebench.corpora.reasons import grouped
from edgebench.corpora.resample import Converted, conversions
from edgebench.corpora.source import Where, as_source
from edgebench.errors import CorpusError

_SILENT: Final = 1e-4  # of full scale: below what a microphone's own noise gives
_NAMED: Final = 5

Progress = Callable[[int, int], None]
"""Called as ``progress(clips_done, clips_total)``."""


@dataclass
class Speaker:
    """What a speaker has in the corpus. ``duration_s`` is of the clips that can be read."""

    sex: str | None
    clips: int = 0
    duration_s: float = 0.0
    emotions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(EMOTIONS, 0))


@dataclass(frozen=True)
class Inspection:
    """What a corpus holds. Counts are of clips; ``emotions`` counts ``EMOTIONS`` and "none of the four".

    ``usable`` clips can be read at 16 kHz and have a label; ``rated`` ones have human ratings, and
    ``rated_dimensions`` counts them by dimension; ``to_convert`` can be read at another rate or number of
    channels. ``sample_rates_hz`` and ``channels`` are those of the corpus' own files; ``converted`` says what
    was made of them, None where nothing was. ``no_length``: clips whose header does not know its length,
    read to the end of the file. ``scaled``: clips beyond full scale, divided by their peak.
    """

    name: str
    title: str
    path: str
    releases: tuple[str, ...]
    licences: tuple[str, ...]
    languages: tuple[str, ...]
    clips: int
    usable: int
    duration_s: float
    speakers: dict[str, Speaker]
    emotions: dict[str, int]
    labels: dict[str, int]
    sessions: dict[str, int]
    partitions: dict[str, int]
    rated: int
    rated_dimensions: dict[str, int]
    with_votes: int
    sample_rates_hz: dict[str, int]
    channels: dict[str, int]
    formats: dict[str, int]
    to_convert: int
    convert_command: str | None
    converted: Converted | None
    no_length: tuple[str, ...]
    scaled: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]
    silent: tuple[str, ...]
    duplicates: tuple[tuple[str, ...], ...]
    speakers_in_two_partitions: dict[str, tuple[str, ...]]

    @property
    def warnings(self) -> list[str]:
        """What to know before training or scoring on this corpus, each a sentence or two."""
        told = []
        if self.to_convert:
            told.append(
                f"{self.to_convert} of {self.clips} clips are not mono at {SAMPLE_RATE_HZ} Hz and are "
                "refused when loaded. Pass --resample to convert them once into a cache, or convert a copy "
                f"of the folder with: {self.convert_command}"
            )
        low = {rate: n for rate, n in self.sample_rates_hz.items() if int(rate) < SAMPLE_RATE_HZ}
        if self.converted is not None and low:
            told.append(
                f"{sum(low.values())} clips were sampled below {SAMPLE_RATE_HZ} Hz ({', '.join(low)} Hz): "
                "resampling adds nothing above half their rate."
            )
        if self.unreadable:
            told.append(f"{len(self.unreadable)} clips cannot be read; the first: {self.unreadable[0][1]}")
        if self.no_length:
            told.append(
                f"{len(self.no_length)} clips have a header that does not know their length, as a program "
                "leaves that wrote into a pipe; they are read to the end of the file: "
                f"{_first(self.no_length)}"
            )
        if self.scaled:
            told.append(
                f"{len(self.scaled)} clips reach beyond full scale (1.0) and are divided by their peak: "
                f"{_first(self.scaled)}"
            )
        if self.silent:
            told.append(f"{len(self.silent)} clips are silent: {_first(self.silent)}")
        if self.duplicates:
            groups = "; ".join(" = ".join(group) for group in self.duplicates[:_NAMED])
            told.append(
                f"{_number(len(self.duplicates), 'sound')} under several names: {groups}. "
                "Metrics count them twice; a random split may train on one and test on the other."
            )
        if self.speakers_in_two_partitions:
            told.append(
                f"{len(self.speakers_in_two_partitions)} speakers stand in two of the corpus' own parts "
                f"({', '.join(self.partitions)}): {_first(self.speakers_in_two_partitions)}. Those parts are "
                "no speaker-independent split: divide by speaker."
            )
        unknown = self.speakers.get(UNKNOWN_SPEAKER)
        if unknown is not None:
            told.append(f"{unknown.clips} clips have an unknown speaker; no split by speaker takes them.")
        known = len(self.speakers) - (unknown is not None)
        if known == 1:
            told.append("there is one known speaker: no interval can be drawn, nothing divided by speaker.")
        missing = [emotion for emotion in EMOTIONS if not self.emotions[emotion]]
        if missing and not self.rated:
            told.append(f"no clip has the emotion {' or '.join(missing)}.")
        unrated = [name for name in ADV if not self.rated_dimensions[name]]
        if self.rated and unrated:
            told.append(f"no clip has a rating of {' or '.join(unrated)}: its CCC cannot be computed.")
        return told

    @property
    def unreadable_by_reason(self) -> list[tuple[str, int, str]]:
        """The clips that cannot be read, once a reason: the first clip, how many there are, its reason."""
        return grouped(self.unreadable)

    def to_json(self) -> dict[str, Any]:
        """The inspection as JSON values, with its warnings."""
        document = asdict(self)
        document["converted"] = self.converted.to_json() if self.converted is not None else None
        document["unreadable"] = [{"id": clip, "reason": reason} for clip, reason in self.unreadable]
        return {**document, "warnings": self.warnings}


def inspect_corpus(where: Where, *, name: str | None = None, progress: Progress | None = None) -> Inspection:
    """Read a corpus' labels and every clip of it, and count what is found.

    ``name`` is a reader's, or any for a table; without it the layout is recognised. ``progress`` counts the
    clips that are looked at, and before that those that the source asks to convert. Raises ``CorpusError``
    (or ``UsageError`` for an unknown name) as ``recognise_corpus`` and ``read_corpus`` do.
    """
    source = as_source(where)
    path = source.path
    name = name or recognise_corpus(path).name
    clips = read_corpus(name, source, progress=progress)
    own = "table" if path.is_file() and path.name != "db.yaml" else "audformat"
    title = READERS[name if name in READERS else own].title
    return inspect_clips(clips, path=path, name=name, title=title, progress=progress)


def inspect_clips(
    clips: Sequence[Clip], *, path: Path, name: str, title: str, progress: Progress | None = None
) -> Inspection:
    """The inspection of clips that were read from ``path``."""
    sounds: dict[str, list[str]] = defaultdict(list)
    facts: dict[str, AudioFacts] = {}
    unreadable, silent, scaled = [], [], []
    for done, clip in enumerate(clips, start=1):
        try:
            fact, digest, peak = _listen(clip)
        except CorpusError as error:
            unreadable.append((clip.id, str(error)))
        else:
            facts[clip.id] = fact
            if peak > 1.0:
                scaled.append(clip.id)
            if peak < _SILENT:
                silent.append(clip.id)
            else:
                sounds[digest].append(clip.id)
        if progress is not None:
            progress(done, len(clips))
    refused = [clip for clip in clips if clip.id in facts and not _fits(facts[clip.id])]
    usable = [clip for clip in clips if clip.id in facts and clip.labelled and _fits(facts[clip.id])]
    own = {clip.id: clip.conversion or facts[clip.id] for clip in clips if clip.id in facts}
    emotions = Counter(clip.emotion or "none of the four" for clip in clips)
    return Inspection(
        name=name,
        title=title,
        path=str(path),
        releases=tuple(sorted({clip.release for clip in clips if clip.release is not None})),
        licences=tuple(sorted({clip.licence for clip in clips})),
        languages=tuple(sorted({clip.language for clip in clips})),
        clips=len(clips),
        usable=len(usable),
        duration_s=sum(fact.duration_s for fact in facts.values()),
        speakers=_speakers(clips, facts),
        emotions={word: emotions[word] for word in (*EMOTIONS, "none of the four")},
        labels=_counted(clip.label for clip in clips),
        sessions=_counted(clip.session for clip in clips),
        partitions=_counted(clip.partition for clip in clips),
        rated=sum(clip.label_source == "human" and bool(clip.rated) for clip in clips),
        rated_dimensions={
            name: sum(clip.label_source == "human" and name in clip.rated for clip in clips) for name in ADV
        },
        with_votes=sum(clip.votes is not None for clip in clips),
        sample_rates_hz=_counted(str(file.sample_rate_hz) for file in own.values()),
        channels=_counted(str(file.channels) for file in own.values()),
        formats=_counted(file.format for file in own.values()),
        to_convert=len(refused),
        convert_command=_command(path, refused) if refused else None,
        converted=conversions(clips),
        no_length=tuple(name for name, file in own.items() if not file.length_known),
        scaled=tuple(scaled),
        unreadable=tuple(unreadable),
        silent=tuple(silent),
        duplicates=tuple(sorted(tuple(ids) for ids in sounds.values() if len(ids) > 1)),
        speakers_in_two_partitions=_in_two(clips),
    )


def _listen(clip: Clip) -> tuple[AudioFacts, str, float]:
    """A clip's header, the hash of its samples, and its peak. Raises ``CorpusError``."""
    if clip.path is None:
        raise CorpusError(f"{clip.name}: is generated, there is no file to look at.")
    sound = read_sound(clip.path)
    facts = sound.facts
    digest = hashlib.sha256(f"{facts.sample_rate_hz}/{facts.channels}/".encode())
    digest.update(np.ascontiguousarray(sound.samples).tobytes())
    return facts, digest.hexdigest(), sound.peak


def _fits(facts: AudioFacts) -> bool:
    return facts.sample_rate_hz == SAMPLE_RATE_HZ and facts.channels == 1


def _speakers(clips: Iterable[Clip], facts: dict[str, AudioFacts]) -> dict[str, Speaker]:
    speakers: dict[str, Speaker] = {}
    for clip in sorted(clips, key=lambda clip: clip.speaker):
        row = speakers.setdefault(clip.speaker, Speaker(sex=clip.sex))
        row.clips += 1
        row.duration_s += facts[clip.id].duration_s if clip.id in facts else 0.0
        if clip.emotion is not None:
            row.emotions[clip.emotion] += 1
    return speakers


def _in_two(clips: Iterable[Clip]) -> dict[str, tuple[str, ...]]:
    parts: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        if clip.partition is not None and clip.speaker != UNKNOWN_SPEAKER:
            parts[clip.speaker].add(clip.partition)
    return {speaker: tuple(sorted(found)) for speaker, found in sorted(parts.items()) if len(found) > 1}


def _counted(values: Iterable[str | None]) -> dict[str, int]:
    counts = Counter(value for value in values if value is not None)
    # Numbers by size, words by letter.
    return dict(sorted(counts.items(), key=lambda item: (len(item[0]) if item[0].isdigit() else 0, item[0])))


def _number(count: int, noun: str) -> str:
    return f"there is 1 {noun}" if count == 1 else f"there are {count} {noun}s"


def _first(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:_NAMED]) + (f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else "")


def _command(path: Path, refused: Sequence[Clip]) -> str:
    """The command that converts a copy of the corpus' folder, names and layout kept."""
    folders = [clip.path.parent for clip in refused if clip.path is not None]
    root = path if path.is_dir() else path.parent
    if not all(folder.is_relative_to(root) for folder in folders):
        root = Path(os.path.commonpath(folders))
    # Without a trailing slash, and never '.': "._16k" would be a hidden folder.
    source = root.resolve()
    target = shlex.quote(f"{source}_16k")
    convert = (
        'for f; do t="${f%.*}.part.${f##*.}"; '
        f'ffmpeg -nostdin -loglevel error -y -i "$f" -ar {SAMPLE_RATE_HZ} -ac 1 "$t" && mv "$t" "$f"; done'
    )
    return (
        f"cp -r {shlex.quote(str(source))} {target} && find {target} -type f "
        f"\\( -iname '*.wav' -o -iname '*.flac' \\) ! -name '.*' -exec sh -c {shlex.quote(convert)} sh {{}} +"
    )
