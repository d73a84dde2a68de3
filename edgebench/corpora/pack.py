"""Packing the clips of a corpus into one file for a board, unless that file is there already.

The format is the agent's (``edgebench.agent.pack``). A pack holds samples and ids. Labels
stay on the host, which does the scoring.

Beside ``corpus.pack`` lies ``corpus.pack.json``: the hash of what went in (ids and the bytes of the
source files) and what came out, the clips that were left out, scaled or converted among it. Where both
hashes still agree, nothing is decoded again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edgebench.corpora.audio import SAMPLE_RATE_HZ, Waveform, dtype_of, load_scaled
from edgebench.corpora.clip import Clip
from edgebench.corpora.packfile import write as write_clips
from edgebench.corpora.resample import Converted, conversions
from edgebench.corpora.synthetic import corpus as synthetic
from edgebench.corpora.synthetic import syllables, vocal_tract
from edgebench.errors import CorpusError
from edgebench.files import sha256_of, write_text

# 1: source, sha256, dtype, samples, left_out. 2: scaled, converted.
_NOTE_VERSION: Final = 2

Progress = Callable[[int, int], None]
"""Called as ``progress(clips_done, clips_total)``."""


@dataclass(frozen=True)
class PackInfo:
    """A pack as written.

    ``left_out``: each clip that could not be read, and why. ``scaled``: the clips that were divided by their
    peak, beyond full scale. ``converted``: how clips of another rate were converted, None where none was.
    """

    path: Path
    sha256: str
    bytes: int
    clip_ids: tuple[str, ...]
    audio_s: float
    dtype: str
    left_out: tuple[tuple[Clip, str], ...] = ()
    scaled: tuple[str, ...] = ()
    converted: Converted | None = None
    reused: bool = False


def write_pack(
    clips: Sequence[Clip], path: Path | str, *, strict: bool = True, progress: Progress | None = None
) -> PackInfo:
    """Write clips of one corpus to ``path``, in their order; the same clips give the same bytes.

    Samples are int16 where that holds every clip exactly, else float32. A clip that cannot be read
    raises its ``CorpusError``; with ``strict=False`` it goes into ``left_out`` and the others are
    packed. Raises ``CorpusError`` where no clip is left, ids collide or the file cannot be written.
    The file appears whole or not at all.
    """
    path = Path(path)
    _refuse_collisions(clips)
    source = _source_sha256(clips)
    known = _reuse(clips, path, source)
    if known is not None and not (strict and known.left_out):
        if progress is not None:
            progress(len(clips), len(clips))
        return known

    left_out: dict[str, str] = {}
    lengths: dict[str, int] = {}
    scaled: list[str] = []
    dtype = _common_dtype(clips, strict=strict)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        waveforms = _waveforms(clips, lengths, left_out, scaled, strict=strict, progress=progress)
        write_clips(path, waveforms, sample_rate_hz=SAMPLE_RATE_HZ, dtype=dtype)
        converted = conversions(clip for clip in clips if clip.id in lengths)
        note = {
            "note_version": _NOTE_VERSION,
            "source": source,
            "sha256": sha256_of(path),
            "dtype": dtype,
            "samples": lengths,
            "left_out": left_out,
            "scaled": scaled,
            "converted": converted.to_json() if converted is not None else None,
        }
        write_text(_note_path(path), json.dumps(note, indent=1))
    except OSError as error:
        raise CorpusError(
            f"pack {path}: cannot be written: {error.strerror or error}. "
            "Free some space, or choose another folder."
        ) from error
    return _info(clips, path, note, reused=False)


def _refuse_collisions(clips: Sequence[Clip]) -> None:
    ids = [clip.id for clip in clips]
    corpora = sorted({clip.corpus for clip in clips})
    if not clips:
        raise CorpusError(
            "there is no clip to pack. Check the corpus folder, and which speakers are left out."
        )
    if len(corpora) > 1 or len(set(ids)) < len(ids):
        raise CorpusError(
            f"a pack holds one corpus, each clip once; found {len(ids)} clips with {len(set(ids))} ids of "
            f"{', '.join(corpora)}. Pack each corpus on its own."
        )


def _common_dtype(clips: Sequence[Clip], *, strict: bool) -> str:
    for clip in clips:
        try:
            if dtype_of(clip) != "int16":
                return "float32"
        except CorpusError:
            if strict:
                raise
    return "int16"


def _waveforms(
    clips: Sequence[Clip],
    lengths: dict[str, int],
    left_out: dict[str, str],
    scaled: list[str],
    *,
    strict: bool,
    progress: Progress | None,
) -> Iterator[tuple[str, Waveform]]:
    """Each readable clip's id and samples; fills ``lengths``, ``left_out`` and ``scaled``."""
    for done, clip in enumerate(clips, start=1):
        try:
            waveform, was_scaled = load_scaled(clip)
        except CorpusError as error:
            if strict:
                raise
            left_out[clip.id] = str(error)
        else:
            lengths[clip.id] = len(waveform)
            if was_scaled:
                scaled.append(clip.id)
            yield clip.id, waveform
        if progress is not None:
            progress(done, len(clips))
    if not lengths:
        raise CorpusError(
            f"none of the {len(clips)} clips of corpus '{clips[0].corpus}' could be read. The first says: "
            f"{next(iter(left_out.values()))}"
        )


def _info(clips: Sequence[Clip], path: Path, note: dict[str, Any], *, reused: bool) -> PackInfo:
    by_id = {clip.id: clip for clip in clips}
    return PackInfo(
        path=path,
        sha256=note["sha256"],
        bytes=path.stat().st_size,
        clip_ids=tuple(note["samples"]),
        audio_s=sum(note["samples"].values()) / SAMPLE_RATE_HZ,
        dtype=note["dtype"],
        left_out=tuple((by_id[name], reason) for name, reason in note["left_out"].items()),
        scaled=tuple(note["scaled"]),
        converted=conversions(by_id[name] for name in note["samples"]),
        reused=reused,
    )


def _reuse(clips: Sequence[Clip], path: Path, source: str) -> PackInfo | None:
    """The pack at ``path`` where it was made of the same clips and is still whole."""
    try:
        note = json.loads(_note_path(path).read_text(encoding="utf-8"))
        fresh = note["note_version"] == _NOTE_VERSION and note["source"] == source
        if fresh and note["sha256"] == sha256_of(path):
            return _info(clips, path, note, reused=True)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # missing, cut or of another version: it is a cache, and is written anew
    return None


def _source_sha256(clips: Sequence[Clip]) -> str:
    """The hash of all that decides a pack's bytes: order, ids, source files, generator."""
    total = hashlib.sha256()
    generator = _generator_sha256() if any(clip.path is None for clip in clips) else ""
    for clip in clips:
        if clip.path is None:
            content = f"{generator}/{clip.speaker}/{clip.sex}/{clip.adv}"
        else:
            try:
                content = sha256_of(clip.path)
            except OSError as error:
                content = f"unreadable: {error.errno}"
        total.update(json.dumps([clip.corpus, clip.id, content]).encode())
    return total.hexdigest()


def _generator_sha256() -> str:
    sources = (Path(str(module.__file__)) for module in (synthetic, syllables, vocal_tract))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def _note_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")
