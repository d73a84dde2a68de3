"""Buckets of sound to cut excerpts from: the clips of speakers, and folders of anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgebench.corpora import SAMPLE_RATE_HZ, Clip
from edgebench.corpora.audio import audio_facts
from edgebench.errors import CorpusError
from edgebench.training.clips.waveforms import Waveforms
from edgebench.training.distillation.augment import Waveform, cut

SUFFIXES = frozenset({".wav", ".flac"})
SPEECH = "speech"
# A film is not held in memory, nor decoded whole for some seconds of it.
LONG_S = 120.0


class Bucket(Protocol):
    """Sounds of one kind. ``names`` identify them, in order; a checkpoint resumes with the same alone."""

    names: list[str]

    def excerpt(self, samples: int, rng: np.random.Generator) -> Waveform:
        """``samples`` from a random place of a random sound, every sound equally likely."""


class Speech:
    """The clips of the training speakers."""

    def __init__(self, clips: Sequence[Clip], *, budget_bytes: int) -> None:
        self.names = [clip.name for clip in clips]
        self.waveforms = Waveforms(clips, budget_bytes)

    def excerpt(self, samples: int, rng: np.random.Generator) -> Waveform:
        return cut(self.waveforms[int(rng.integers(len(self.names)))], samples, rng)


class SoundFolder:
    """Every WAV and FLAC below a folder, in the order of their paths; 16 kHz, mono.

    Raises :class:`CorpusError` for a folder that is missing or holds none, and for the first file that
    is cut short, of another rate or not mono: nothing is resampled in silence.
    """

    def __init__(self, bucket: str, folder: Path, *, budget_bytes: int) -> None:
        self.bucket = bucket
        asked = f"the {bucket} bucket (data.{bucket}={folder})"
        if not folder.is_dir():
            raise CorpusError(f"{asked} is not a folder. Give one of WAV or FLAC files, or leave it out.")
        found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        self.paths = sorted(found, key=lambda path: path.relative_to(folder).as_posix())
        if not self.paths:
            raise CorpusError(
                f"{asked} is empty: no .wav and no .flac in it or below. Put 16 kHz mono files there, "
                f"or leave the bucket out with --set data.{bucket}=''."
            )
        self._lengths = [_length(path) for path in self.paths]
        self.names = [
            f"{bucket}:{path.relative_to(folder).as_posix()}:{length}"
            for path, length in zip(self.paths, self._lengths, strict=True)
        ]
        clips = [_as_clip(bucket, path) for path in self.paths]
        self._short = Waveforms(clips, budget_bytes)

    def excerpt(self, samples: int, rng: np.random.Generator) -> Waveform:
        index = int(rng.integers(len(self.paths)))
        length = self._lengths[index]
        if length <= max(samples, LONG_S * SAMPLE_RATE_HZ):
            return cut(self._short[index], samples, rng)
        return _read(self.paths[index], int(rng.integers(length - samples + 1)), samples)


class Buckets:
    """Buckets by name, and with which weight an excerpt is drawn from each of them."""

    def __init__(self, buckets: Mapping[str, Bucket], weights: Mapping[str, float]) -> None:
        given = {name: weight for name, weight in weights.items() if name in buckets and weight > 0.0}
        if not given:
            given = {SPEECH: 1.0}  # what there always is
        self.chosen = sorted(given)
        self._buckets = [buckets[name] for name in self.chosen]
        self.shares: NDArray[np.float64] = np.array([given[name] for name in self.chosen], dtype=np.float64)
        self.shares /= self.shares.sum()

    def excerpt(self, samples: int, rng: np.random.Generator) -> Waveform:
        """An excerpt of a bucket drawn by its share."""
        return self._buckets[int(rng.choice(len(self._buckets), p=self.shares))].excerpt(samples, rng)


def _length(path: Path) -> int:
    facts = audio_facts(path)
    if facts.sample_rate_hz != SAMPLE_RATE_HZ or facts.channels != 1:
        raise CorpusError(
            f"{path}: is sampled at {facts.sample_rate_hz} Hz with {facts.channels} channels, expected "
            f"{SAMPLE_RATE_HZ} Hz mono; nothing is resampled or mixed down in silence. Convert it with "
            f"`ffmpeg -i IN -ar {SAMPLE_RATE_HZ} -ac 1 OUT`."
        )
    return facts.samples


def _read(path: Path, start: int, samples: int) -> Waveform:
    import soundfile  # noqa: PLC0415

    try:
        waveform, _ = soundfile.read(str(path), frames=samples, start=start, dtype="float32")
    except (RuntimeError, OSError) as error:
        raise CorpusError(f"{path}: cannot be read at sample {start} ({error}). Copy it again.") from None
    found: Waveform = np.asarray(waveform, dtype=np.float32)
    if len(found) < samples or not np.isfinite(found).all():
        raise CorpusError(f"{path}: is cut short or holds NaN after sample {start}. Copy or make it again.")
    return found


def _as_clip(bucket: str, path: Path) -> Clip:
    """A sound as a clip of nobody, so that it is read and kept as speech is."""
    return Clip(
        path=path,
        id=path.name,
        corpus=bucket,
        speaker="",
        session=None,
        language="und",
        emotion=None,
        label="",
        arousal=None,
        dominance=None,
        valence=None,
        label_source="prototype",
        licence="",
    )
