"""Reading a clip's samples, and refusing every file that would be scored as something it is not.

Nothing is repaired here. A file at another rate is not resampled, a stereo one not mixed down: a
model's accuracy would then depend on a conversion that no report mentions. The error gives the
command that converts instead.

Accepted: mono, 16 kHz, WAV (also RF64 and W64), AIFF or FLAC, integers of 8, 16 or 24 bits and
floats. Up to 24 bits a float32 holds every value exactly; 32-bit integers and doubles lose what
lies below 2**-24 of full scale, some 144 dB down, which no microphone reaches.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from edgebench.corpora.clip import Clip
from edgebench.corpora.synthetic.corpus import synthetic_waveform
from edgebench.errors import CorpusError

SAMPLE_RATE_HZ: Final = 16_000

_FORMATS: Final = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "FLAC"})
_INT16: Final = frozenset({"PCM_S8", "PCM_U8", "PCM_16"})  # what an int16 holds exactly
_SUBTYPES: Final = _INT16 | {"PCM_24", "PCM_32", "FLOAT", "DOUBLE"}
_LONGEST_S: Final = 24 * 3600  # a header that promises more does not know its length

Waveform = npt.NDArray[np.float32]


def load_waveform(clip: Clip, sample_rate_hz: int = SAMPLE_RATE_HZ) -> Waveform:
    """The samples of a clip: ``(samples,)`` float32 in [-1, 1], never NaN; a clip without a file is
    generated.

    16-bit samples come as their value over 32768, so that an int16 pack and this agree exactly.
    Raises ``CorpusError`` naming the file, what was found and what to do.
    """
    if clip.path is None:
        return synthetic_waveform(clip).astype(np.float32) / np.float32(32768)
    return read_waveform(clip.path, sample_rate_hz=sample_rate_hz)


def dtype_of(clip: Clip) -> str:
    """``int16`` where that holds the clip exactly, else ``float32``. Reads the header only."""
    if clip.path is None:
        return "int16"
    import soundfile  # noqa: PLC0415

    _refuse_by_bytes(clip.path)
    try:
        subtype = soundfile.info(str(clip.path)).subtype
    except (RuntimeError, OSError) as error:
        raise _unreadable(clip.path, error) from error
    return "int16" if subtype in _INT16 else "float32"


@dataclass(frozen=True)
class AudioFacts:
    """What a file's header says."""

    container: str
    subtype: str
    sample_rate_hz: int
    channels: int
    samples: int  # of each channel

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples / self.sample_rate_hz


def audio_facts(path: Path) -> AudioFacts:
    """The header of an audio file, of any rate and number of channels.

    Raises ``CorpusError`` for what ``read_waveform`` would refuse at any rate: a file that is missing,
    empty, cut short, MP3, or of another container.
    """
    import soundfile  # noqa: PLC0415

    _refuse_by_bytes(path)
    try:
        with soundfile.SoundFile(str(path)) as file:
            facts = AudioFacts(
                str(file.format),
                str(file.subtype),
                int(file.samplerate),
                int(file.channels),
                int(file.frames),
            )
    except (RuntimeError, OSError) as error:
        raise _unreadable(path, error) from error
    _refuse_by_format(path, container=facts.container, subtype=facts.subtype)
    _refuse_by_length(path, frames=facts.samples, rate_hz=facts.sample_rate_hz)
    return facts


def read_channels(path: Path) -> npt.NDArray[np.float32]:
    """All channels of a file as they are, ``(samples, channels)``: to compare files, not to score them."""
    import soundfile  # noqa: PLC0415

    try:
        samples, _ = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (RuntimeError, OSError) as error:
        raise _unreadable(path, error) from error
    return np.asarray(samples, dtype=np.float32)


def read_waveform(path: Path, *, sample_rate_hz: int = SAMPLE_RATE_HZ) -> Waveform:
    """The samples of an audio file, as ``load_waveform`` gives them."""
    import soundfile  # noqa: PLC0415

    _refuse_by_bytes(path)
    try:
        with soundfile.SoundFile(str(path)) as file:
            _refuse_by_header(path, file, sample_rate_hz=sample_rate_hz)
            promised = int(file.frames)
            waveform: Waveform = file.read(dtype="float32")
    except CorpusError:
        raise
    except (RuntimeError, OSError) as error:  # soundfile's own errors are RuntimeErrors
        raise _unreadable(path, error) from error
    if len(waveform) < promised:
        raise _truncated(path, promised=f"{promised} samples", found=f"{len(waveform)}")
    return _refuse_by_samples(path, waveform)


def _refuse_by_bytes(path: Path) -> None:
    """What can be seen before a decoder is asked, some of which it would pass over in silence."""
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(12)
    except OSError as error:
        raise CorpusError(
            f"{path}: cannot be opened: {error.strerror}. Check the path and its permissions."
        ) from error
    if size_bytes == 0:
        raise CorpusError(f"{path}: the file is empty (0 bytes). Copy or download it again.")
    if _is_mp3(head):
        raise CorpusError(
            f"{path}: the file holds MP3, whatever its name says. MP3 changes the sound that is to be "
            f"scored: use the corpus' original, or convert knowingly with `{_ffmpeg(path)}`."
        )
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        _refuse_cut_wav(path, size_bytes)


def _is_mp3(head: bytes) -> bool:
    """An ID3 tag, or an MPEG audio frame: 11 sync bits, a layer, a bit rate and a sample rate."""
    if head[:3] == b"ID3":
        return True
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    return version != 1 and layer != 0 and head[2] >> 4 != 15 and head[2] >> 2 & 3 != 3


def _refuse_cut_wav(path: Path, size_bytes: int) -> None:
    """A WAV says how long its samples are. libsndfile reads what is there and says nothing."""
    with path.open("rb") as stream:
        position = 12
        while position + 8 <= size_bytes:
            stream.seek(position)
            chunk = stream.read(8)
            length = int.from_bytes(chunk[4:], "little")
            there = size_bytes - position - 8
            if chunk[:4] == b"data":
                # All ones is what a writer leaves that could not go back and fill the length in.
                if length > there and length != 0xFFFFFFFF:
                    raise _truncated(path, promised=f"{length} bytes of samples", found=f"{there}")
                return
            position += 8 + length + length % 2
    raise _truncated(path, promised="a data chunk", found="none")


def _refuse_by_header(path: Path, file: object, *, sample_rate_hz: int) -> None:
    container, subtype = str(getattr(file, "format", "")), str(getattr(file, "subtype", ""))
    rate_hz, channels = int(getattr(file, "samplerate", 0)), int(getattr(file, "channels", 0))
    frames = int(getattr(file, "frames", 0))
    _refuse_by_format(path, container=container, subtype=subtype)
    faults = []
    if rate_hz != sample_rate_hz:
        faults.append(f"is sampled at {rate_hz} Hz, expected {sample_rate_hz} Hz")
    if channels != 1:
        faults.append(f"has {channels} channels, expected one")
    if faults:
        raise CorpusError(
            f"{path}: {' and '.join(faults)}; nothing is resampled or mixed down in silence. Convert it with "
            f"`{_ffmpeg(path, sample_rate_hz=sample_rate_hz)}`, or with "
            f"`sox {shlex.quote(str(path))} -r {sample_rate_hz} -c 1 {_target(path)}`."
        )
    _refuse_by_length(path, frames=frames, rate_hz=rate_hz)


def _refuse_by_format(path: Path, *, container: str, subtype: str) -> None:
    if container not in _FORMATS or subtype not in _SUBTYPES:
        raise CorpusError(
            f"{path}: holds {container} with {subtype} samples; expected WAV or FLAC with uncompressed or "
            "losslessly compressed samples. Use the corpus' original, or "
            f"convert knowingly with `{_ffmpeg(path)}`."
        )


def _refuse_by_length(path: Path, *, frames: int, rate_hz: int) -> None:
    if frames == 0:
        raise CorpusError(f"{path}: the file has a header and no samples. Copy or download it again.")
    if frames > _LONGEST_S * rate_hz:
        raise CorpusError(
            f"{path}: the header does not say how long it is. Write it anew with `{_ffmpeg(path)}`."
        )


def _refuse_by_samples(path: Path, waveform: Waveform) -> Waveform:
    finite = np.isfinite(waveform)
    if not finite.all():
        bad = int(len(waveform) - finite.sum())
        first = int(np.argmin(finite))
        raise CorpusError(
            f"{path}: {bad} of {len(waveform)} samples are NaN or infinite, the first at {first}. "
            "Make the file again from its source."
        )
    peak = float(np.abs(waveform).max())
    if peak > 1.0:
        raise CorpusError(
            f"{path}: samples reach {peak:.4g}, beyond full scale (1.0). Scale it with "
            f"`sox --norm {shlex.quote(str(path))} {_target(path)}`."
        )
    return waveform


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
