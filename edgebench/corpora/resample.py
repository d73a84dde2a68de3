"""Converting clips to mono at 16 kHz where the user asks for it: once, into a cache by content.

Channels are averaged, then soxr at its highest quality changes the rate. The copy is a float file, so that
nothing is rounded or clipped; its name holds the hash of the original's bytes and of the conversion, so an
original that changes, or another version of the resampler, makes a new copy. Every converted clip carries a
``Conversion``, which is what records and checks tell.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgebench import files
from edgebench.corpora.audio import SAMPLE_RATE_HZ, Waveform, audio_facts, read_sound
from edgebench.corpora.clip import Clip, Conversion
from edgebench.errors import CorpusError

_QUALITY: Final = "VHQ"
_MIX: Final = "mean of the channels"

Progress = Callable[[int, int], None]
"""Called as ``progress(clips_done, clips_total)``."""


@dataclass(frozen=True)
class Converted:
    """How the clips of a corpus were converted.

    ``clips``: how many. ``sample_rates_hz``: clips by the rate they had, as text. ``mixed_down``: clips that
    had several channels.
    """

    resampler: str
    clips: int
    sample_rates_hz: dict[str, int]
    mixed_down: int

    def to_json(self) -> dict[str, Any]:
        """The conversion as JSON values."""
        return {
            "resampler": self.resampler,
            "clips": self.clips,
            "sample_rates_hz": self.sample_rates_hz,
            "mixed_down": self.mixed_down,
        }

    def __str__(self) -> str:
        rates = ", ".join(f"{count} from {rate} Hz" for rate, count in self.sample_rates_hz.items())
        mixed = f"; of {self.mixed_down} the {_MIX}" if self.mixed_down else ""
        return f"{self.clips} clips ({rates}{mixed}) by {self.resampler}"


@functools.cache
def resampler() -> str:
    """Name, version and quality of what changes the rate."""
    import soxr  # noqa: PLC0415

    return f"soxr {soxr.__version__} (libsoxr {soxr.__libsoxr_version__}), quality {_QUALITY}"


def convert(clips: Sequence[Clip], cache: Path, *, progress: Progress | None = None) -> list[Clip]:
    """The clips, those that are not mono at 16 kHz replaced by their copies in ``cache``.

    A clip that cannot be read stays as it is: reading it fails with its own reason. Raises ``CorpusError``
    where the cache cannot be written.
    """
    converted = []
    for done, clip in enumerate(clips, start=1):
        converted.append(_converted(clip, cache))
        if progress is not None:
            progress(done, len(clips))
    return converted


def conversions(clips: Iterable[Clip]) -> Converted | None:
    """What was converted among the clips, None where nothing was."""
    found = [clip.conversion for clip in clips if clip.conversion is not None]
    if not found:
        return None
    rates = Counter(conversion.sample_rate_hz for conversion in found)
    return Converted(
        resampler=" + ".join(sorted({conversion.resampler for conversion in found})),
        clips=len(found),
        sample_rates_hz={str(rate): count for rate, count in sorted(rates.items())},
        mixed_down=sum(conversion.channels > 1 for conversion in found),
    )


def resample(samples: Waveform, rate_hz: int, *, to_hz: int = SAMPLE_RATE_HZ) -> Waveform:
    """``samples (samples,)`` or ``(samples, channels)`` at another rate, as mono ``(samples,)`` float32."""
    import soxr  # noqa: PLC0415

    mono = samples.mean(axis=1, dtype=np.float32) if samples.ndim == 2 else samples
    if rate_hz == to_hz:
        return np.ascontiguousarray(mono, dtype=np.float32)
    return np.asarray(soxr.resample(mono, rate_hz, to_hz, quality=_QUALITY), dtype=np.float32)


def _converted(clip: Clip, cache: Path) -> Clip:
    if clip.path is None:
        return clip
    try:
        facts = audio_facts(clip.path)
        if facts.sample_rate_hz == SAMPLE_RATE_HZ and facts.channels == 1:
            return clip
        copy = _copy_of(clip.path, cache)
        if not _is_whole(copy):
            sound = read_sound(clip.path)
            _write(copy, resample(sound.samples, facts.sample_rate_hz), clip.path)
    except _CacheError as error:
        raise CorpusError(str(error)) from error
    except (CorpusError, OSError):
        return clip
    conversion = Conversion(
        facts.sample_rate_hz, facts.channels, facts.format, facts.length_known, resampler()
    )
    return replace(clip, path=copy, conversion=conversion)


class _CacheError(Exception):
    """The cache cannot be written."""


def _copy_of(path: Path, cache: Path) -> Path:
    sha256 = files.sha256_of(path)
    conversion = hashlib.sha256(f"{_MIX}/{resampler()}/{SAMPLE_RATE_HZ}".encode()).hexdigest()
    return cache / sha256[:2] / f"{sha256}-{conversion[:8]}.w64"


def _is_whole(copy: Path) -> bool:
    """Whether a copy is there. It was written whole or not at all; a disk may still have cut it."""
    try:
        facts = audio_facts(copy)
    except CorpusError:
        return False
    return facts.sample_rate_hz == SAMPLE_RATE_HZ and facts.channels == 1


def _write(copy: Path, waveform: Waveform, original: Path) -> None:
    import soundfile  # noqa: PLC0415

    if not len(waveform):
        raise CorpusError(f"{original}: is too short to be resampled.")
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(copy) as part:
            # W64, since libsndfile writes the time of day into a WAV of floats: equal clips, equal bytes.
            soundfile.write(str(part), waveform, SAMPLE_RATE_HZ, format="W64", subtype="FLOAT")
    except (OSError, RuntimeError) as error:
        raise _CacheError(
            f"{copy}: the converted copy of {original} cannot be written: {error}. Free some space, or set "
            "XDG_CACHE_HOME to another folder."
        ) from error
