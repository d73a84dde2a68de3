"""Clips of a folder of audio files, of which nothing is known but their sound.

They calibrate a model whose speakers nobody names. Files of equal content are one clip.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebench.corpora import UNKNOWN_SPEAKER, Clip, load_waveform
from edgebench.corpora.resample import convert
from edgebench.errors import CorpusError, UsageError
from edgebench.files import sha256_of
from edgebench.models.quantization.scheme import is_silent

# What people keep sound in. The reader says itself which of these it does not take, and why.
_SUFFIXES = {
    *(".aif", ".aiff", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".rf64", ".w64", ".wav", ".wave"),
}
_NAME = "folder"
_HELD_BACK = 4  # one clip in so many sets no range, and judges the file that the others made
_MOST = 160  # clips that are read; more change no range that matters


@dataclass(frozen=True)
class FolderClips:
    """Clips that set ranges, clips that are held back, and the hash that pins the first.

    ``sha256`` is the hash of the content hashes of ``calibration``, one a line, in their order.
    """

    calibration: list[Clip]
    held_back: list[Clip]
    sha256: str


def folder_clips(folder: Path, *, sample_rate_hz: int, resample_into: Path | None = None) -> FolderClips:
    """Every audio file under ``folder``, at any depth, divided by the hash of its content.

    The order is that of the hashes, so that it is the same on every machine and has nothing to do with
    names. Up to 160 clips are taken, and every fourth is held back. With ``resample_into`` those at another
    rate are converted into that cache. Raises UsageError for a path that is no folder, and CorpusError for
    fewer than three clips, a silent one, and one that cannot be read or has another rate.
    """
    if not folder.is_dir():
        raise UsageError(f"--calibration {folder}: there is no such folder. Give a folder of audio files.")
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not paths:
        raise CorpusError(
            f"--calibration {folder}: no audio file is in it (looked for {', '.join(sorted(_SUFFIXES))}, in "
            "its folders too). Give a folder of WAV or FLAC files, mono, "
            f"{sample_rate_hz} Hz, or NAME=PATH of a corpus."
        )
    by_content = {sha256_of(path): path for path in reversed(paths)}
    hashes = sorted(by_content)[:_MOST]
    clips = [_clip(by_content[sha256], folder) for sha256 in hashes]
    if resample_into is not None:
        clips = convert(clips, resample_into)
    _refuse_silence(clips, sample_rate_hz)
    if len(clips) < 3:
        raise CorpusError(
            f"--calibration {folder}: {len(paths)} audio file{'s' * (len(paths) > 1)}, {len(clips)} of "
            "different content. Ranges of one clip are those of one voice, and one clip is held back to "
            "judge the file: give at least three; a hundred of several speakers are usual."
        )
    held_back = clips[_HELD_BACK - 1 :: _HELD_BACK] or clips[-1:]
    names = {clip.id for clip in held_back}
    used = [(sha256, clip) for sha256, clip in zip(hashes, clips, strict=True) if clip.id not in names]
    listed = "\n".join(sha256 for sha256, _ in used)
    return FolderClips([clip for _, clip in used], held_back, hashlib.sha256(listed.encode()).hexdigest())


def _clip(path: Path, folder: Path) -> Clip:
    return Clip(
        path=path,
        id=path.relative_to(folder).as_posix(),
        corpus=_NAME,
        speaker=UNKNOWN_SPEAKER,
        session=None,
        language="und",
        emotion=None,
        label="",
        arousal=None,
        dominance=None,
        valence=None,
        label_source="human",
        licence="unknown",
    )


def _refuse_silence(clips: Sequence[Clip], sample_rate_hz: int) -> None:
    silent = [clip.id for clip in clips if is_silent(load_waveform(clip, sample_rate_hz))]
    if silent:
        shown = ", ".join(silent[:3]) + (f" and {len(silent) - 3} more" if len(silent) > 3 else "")
        raise CorpusError(
            f"--calibration: {len(silent)} of {len(clips)} clips are silent (no sample beyond -80 dB of full "
            f"scale): {shown}. Silence sets no range; take them out of the folder."
        )
