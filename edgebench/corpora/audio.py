"""Reading a clip's samples, and refusing every file that would be scored as something it is not.

Accepted: mono, 16 kHz, WAV (also RF64 and W64), AIFF or FLAC, integers of 8, 16, 24 or 32 bits and
floats. Up to 24 bits a float32 holds every value exactly; 32-bit integers and doubles lose what
lies below 2**-24 of full scale, some 144 dB down, which no microphone reaches.

A file at another rate or with several channels is refused: a model's accuracy would depend on a conversion
that no report mentions. ``resample`` converts such clips where the user asks for it.

Two things are mended, and counted where a corpus is checked or packed:

* A WAV whose header does not know its length is read to the end of the file (see ``headers``).
* Floats beyond full scale, as a resampler leaves them at loud places, are divided by their peak, so that
  the clip ends at 1.0 and keeps its shape. Beyond ``LOUDEST`` they are refused.
"""

from __future__ import annotations

import contextlib
import io
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from edgebench.corpora.clip import Clip
from edgebench.corpora.headers import extent_of, with_true_length
from edgebench.corpora.pointers import HEAD_BYTES, refuse_annex_link, refuse_pointer
from edgebench.corpora.synthetic.corpus import synthetic_waveform
from edgebench.errors import CorpusError

if TYPE_CHECKING:
    import soundfile

SAMPLE_RATE_HZ: Final = 16_000

LOUDEST: Final = 2.0
"""The highest peak of a float file, in full scales, that is scaled down. A filter's overshoot stays below;
integers stored as floats, which mean another scale, lie far above."""

_FORMATS: Final = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "FLAC"})
_INT16: Final = frozenset({"PCM_S8", "PCM_U8", "PCM_16"})  # what an int16 holds exactly
_SUBTYPES: Final = _INT16 | {"PCM_24", "PCM_32", "FLOAT", "DOUBLE"}
_LONGEST_S: Final = 24 * 3600  # a header that promises more does not know its length

Waveform = npt.NDArray[np.float32]


@dataclass(frozen=True)
class AudioFacts:
    """What a file's header says. ``length_known``: False where it gives a placeholder for the length, so
    that ``samples`` were counted to the end of the file."""

    container: str
    subtype: str
    sample_rate_hz: int
    channels: int
    samples: int  # of each channel
    length_known: bool = True

    @property
    def format(self) -> str:
        """Container and sample type, such as ``WAV PCM_16``."""
        return f"{self.container} {self.subtype}"

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples / self.sample_rate_hz


@dataclass(frozen=True)
class Sound:
    """A file's samples as they are stored, ``(samples, channels)`` float32, with its header."""

    samples: Waveform
    facts: AudioFacts

    @property
    def peak(self) -> float:
        """The largest magnitude, in full scales."""
        return float(np.abs(self.samples).max(initial=0.0))


def load_waveform(clip: Clip, sample_rate_hz: int = SAMPLE_RATE_HZ) -> Waveform:
    """The samples of a clip: ``(samples,)`` float32 in [-1, 1], never NaN; a clip without a file is
    generated.

    16-bit samples come as their value over 32768, so that an int16 pack and this agree exactly.
    Raises ``CorpusError`` naming the file, what was found and what to do.
    """
    return load_scaled(clip, sample_rate_hz=sample_rate_hz)[0]


def load_scaled(clip: Clip, *, sample_rate_hz: int = SAMPLE_RATE_HZ) -> tuple[Waveform, bool]:
    """What ``load_waveform`` gives, and whether it had to be scaled down to full scale."""
    if clip.path is None:
        return synthetic_waveform(clip).astype(np.float32) / np.float32(32768), False
    return _read_scaled(clip.path, sample_rate_hz=sample_rate_hz)


def read_waveform(path: Path, *, sample_rate_hz: int = SAMPLE_RATE_HZ) -> Waveform:
    """The samples of an audio file, as ``load_waveform`` gives them."""
    return _read_scaled(path, sample_rate_hz=sample_rate_hz)[0]


def _read_scaled(path: Path, *, sample_rate_hz: int) -> tuple[Waveform, bool]:
    sound = read_sound(path)
    # After the samples were looked at: a broken file at another rate is told to be broken.
    _refuse_by_rate(path, sound.facts, sample_rate_hz=sample_rate_hz)
    waveform: Waveform = sound.samples[:, 0]
    return (waveform / np.float32(sound.peak), True) if sound.peak > 1.0 else (waveform, False)


def read_sound(path: Path) -> Sound:
    """The samples of an audio file of any rate and number of channels, not scaled.

    Raises ``CorpusError`` for what ``read_waveform`` would refuse at any rate.
    """
    with _opened(path) as (file, facts):
        sound = _read(path, file, facts)
    if sound.peak > LOUDEST:
        raise CorpusError(
            f"{path}: samples reach {sound.peak:.4g}, beyond full scale (1.0) by more than an overshoot "
            f"({LOUDEST:g}). Scale it with `sox --norm {shlex.quote(str(path))} {_target(path)}`."
        )
    return sound


def audio_facts(path: Path) -> AudioFacts:
    """The header of an audio file, of any rate and number of channels.

    Raises ``CorpusError`` for a file that is missing, empty, cut short, a pointer, MP3, or of another
    container.
    """
    with _opened(path) as (_, facts):
        return facts


def dtype_of(clip: Clip) -> str:
    """``int16`` where that holds the clip exactly, else ``float32``. Reads the header only."""
    if clip.path is None or audio_facts(clip.path).subtype in _INT16:
        return "int16"
    return "float32"


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[soundfile.SoundFile, AudioFacts]]:
    """The file open for reading, once nothing in its first bytes and its header speaks against it."""
    import soundfile  # noqa: PLC0415

    source, length_known = _source(path)
    try:
        file = soundfile.SoundFile(source)
    except (RuntimeError, OSError) as error:  # soundfile's own errors are RuntimeErrors
        raise _unreadable(path, error) from error
    with file:
        facts = AudioFacts(
            str(file.format),
            str(file.subtype),
            int(file.samplerate),
            int(file.channels),
            int(file.frames),
            length_known,
        )
        _refuse_by_format(path, facts)
        _refuse_by_length(path, facts)
        yield file, facts


def _read(path: Path, file: soundfile.SoundFile, facts: AudioFacts) -> Sound:
    try:
        samples = np.asarray(file.read(dtype="float32", always_2d=True), dtype=np.float32)
    except (RuntimeError, OSError) as error:
        raise _unreadable(path, error) from error
    if len(samples) < facts.samples:
        raise _truncated(path, promised=f"{facts.samples} samples", found=f"{len(samples)}")
    finite = np.isfinite(samples).all(axis=1)
    if not finite.all():
        bad = int(len(samples) - finite.sum())
        raise CorpusError(
            f"{path}: {bad} of {len(samples)} samples are NaN or infinite, the first at "
            f"{int(np.argmin(finite))}. Make the file again from its source."
        )
    return Sound(samples, facts)


def _source(path: Path) -> tuple[str | io.BytesIO, bool]:
    """What to give to the decoder, and whether the header knows the file's length.

    Refuses what can be seen before a decoder is asked, some of which it would pass over in silence.
    """
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
        if size_bytes == 0:
            raise CorpusError(f"{path}: the file is empty (0 bytes). Copy or download it again.")
        refuse_pointer(path, head)
        if _is_mp3(head):
            raise CorpusError(
                f"{path}: the file holds MP3, whatever its name says. MP3 changes the sound that is to be "
                f"scored: use the corpus' original, or convert knowingly with `{_ffmpeg(path)}`."
            )
        extent = extent_of(path)
        if extent is None:
            return str(path), True
        if extent.promised is not None:
            if extent.promised > extent.there:
                raise _truncated(
                    path, promised=f"{extent.promised} bytes of samples", found=f"{extent.there}"
                )
            return str(path), True
        if extent.whole_bytes is None:
            raise CorpusError(
                f"{path}: the header does not say how long the file is, and its {extent.there} bytes of "
                f"samples end within a sample of {extent.frame} bytes: it is cut short. "
                "Copy or download it again."
            )
        # The decoder reads the others to the end by itself.
        return (with_true_length(path, extent) if head[:4] in (b"RIFF", b"RF64") else str(path)), False
    except OSError as error:
        refuse_annex_link(path)
        raise CorpusError(
            f"{path}: cannot be opened: {error.strerror}. Check the path and its permissions."
        ) from error


def _is_mp3(head: bytes) -> bool:
    """An ID3 tag, or an MPEG audio frame: 11 sync bits, a layer, a bit rate and a sample rate."""
    if head[:3] == b"ID3":
        return True
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    return version != 1 and layer != 0 and head[2] >> 4 != 15 and head[2] >> 2 & 3 != 3


def _refuse_by_rate(path: Path, facts: AudioFacts, *, sample_rate_hz: int) -> None:
    faults = []
    if facts.sample_rate_hz != sample_rate_hz:
        faults.append(f"is sampled at {facts.sample_rate_hz} Hz, expected {sample_rate_hz} Hz")
    if facts.channels != 1:
        faults.append(f"has {facts.channels} channels, expected one")
    if faults:
        raise CorpusError(
            f"{path}: {' and '.join(faults)}; nothing is resampled or mixed down unasked. Pass --resample to "
            f"convert such clips once into a cache, or convert it with "
            f"`{_ffmpeg(path, sample_rate_hz=sample_rate_hz)}` or "
            f"`sox {shlex.quote(str(path))} -r {sample_rate_hz} -c 1 {_target(path)}`."
        )


def _refuse_by_format(path: Path, facts: AudioFacts) -> None:
    if facts.container not in _FORMATS or facts.subtype not in _SUBTYPES:
        raise CorpusError(
            f"{path}: holds {facts.container} with {facts.subtype} samples; expected WAV or FLAC with "
            "uncompressed or losslessly compressed samples. Use the corpus' original, or "
            f"convert knowingly with `{_ffmpeg(path)}`."
        )


def _refuse_by_length(path: Path, facts: AudioFacts) -> None:
    if facts.samples == 0:
        raise CorpusError(f"{path}: the file has a header and no samples. Copy or download it again.")
    if facts.samples > _LONGEST_S * facts.sample_rate_hz:
        raise CorpusError(
            f"{path}: the header does not say how long it is. Write it anew with `{_ffmpeg(path)}`."
        )


def _unreadable(path: Path, error: Exception) -> CorpusError:
    return CorpusError(
        f"{path}: cannot be read as audio ({error}); expected WAV or FLAC, mono, 16 kHz. "
        "Copy or download it again."
    )


def _truncated(path: Path, *, promised: str, found: str) -> CorpusError:
    return CorpusError(
        f"{path}: the file is cut short: its header promises {promised}, there are {found}. "
        "Copy or download it again."
    )


def _target(path: Path) -> str:
    return shlex.quote(str(path.with_name(f"{path.stem}_16k.wav")))


def _ffmpeg(path: Path, *, sample_rate_hz: int = SAMPLE_RATE_HZ) -> str:
    return f"ffmpeg -i {shlex.quote(str(path))} -ar {sample_rate_hz} -ac 1 {_target(path)}"
