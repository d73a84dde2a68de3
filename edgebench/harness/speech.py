"""The speech a run is scored on: which clips, which are left out and why, packed for the board.

All artifacts of a run are scored on the same clips, or their differences would not be paired. So
a speaker is left out as soon as one artifact has seen it in training or validation, unless the
user asks for such clips, in which case the metrics computed from them say so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.corpora import (
    UNKNOWN_SPEAKER,
    Where,
    as_source,
    grouped,
    read_corpus,
    require_scorable,
    synthetic_corpus,
    write_pack,
)
from edgebench.errors import CorpusError
from edgebench.harness.events import Events
from edgebench.harness.plan import PackedCorpus
from edgebench.results.records.record import ConvertedFacts, CorpusFacts, joined

if TYPE_CHECKING:
    from edgebench.corpora import Clip
    from edgebench.models import Artifact

SYNTHETIC = "synthetic"

_NAMED = 3


@dataclass(frozen=True)
class HeldOut:
    """A corpus ready for a run: its clips packed, and what the record says of them."""

    packed: PackedCorpus
    facts: CorpusFacts


def prepare_corpus(
    name: str,
    where: Where | None,
    artifacts: Sequence[Artifact],
    *,
    include_seen: bool,
    cache: Path,
    events: Events,
) -> HeldOut:
    """Read a corpus, leave out what must not be scored, and pack the rest.

    ``where`` is None for the synthetic corpus, which is generated. Raises CorpusError when
    nothing is left to score, saying what was left out.
    """

    def advance(done: int, total: int) -> None:
        events.advance(done, total, "clips")

    converting = where is not None and as_source(where).resample_into is not None
    events.stage(f"{'converting' if converting else 'packing'} corpus {name}")
    clips = synthetic_corpus(split="test") if where is None else read_corpus(name, where, progress=advance)
    seen = seen_speakers(artifacts, name)
    labelled = [clip for clip in clips if clip.labelled]
    kept = labelled if include_seen else [clip for clip in labelled if clip.speaker not in seen]
    if labelled and not kept:
        raise CorpusError(
            f"corpus {name}: all {len(labelled)} labelled clips are of the speakers that "
            "the artifacts were trained on, so nothing is left to score. Take clips of other speakers, "
            "or pass --include-seen to score them as seen in training."
        )
    require_scorable(kept)
    if converting:
        events.stage(f"packing corpus {name}")
    pack = write_pack(kept, pack_path(cache, name, kept), strict=False, progress=advance)
    warn_of(pack.left_out, name, events)
    unreadable = {clip.id for clip, _ in pack.left_out}
    kept = [clip for clip in kept if clip.id not in unreadable]
    require_scorable(kept)
    facts = CorpusFacts.of(
        name,
        kept,
        sha256=pack.sha256,
        split_sha256=split_of(artifacts, name),
        audio_s=pack.audio_s,
        left_out={
            "seen_speaker": 0 if include_seen else sum(clip.speaker in seen for clip in labelled),
            "no_label": len(clips) - len(labelled),
            "unreadable": len(unreadable),
        },
        unreadable=tuple({"id": clip.id, "reason": reason} for clip, reason in pack.left_out),
        include_seen=include_seen,
        seen=seen,
        release=joined(clip.release for clip in kept if clip.release is not None) or None,
        selection=(as_source(where).selection or None) if where is not None else None,
        converted=ConvertedFacts(**pack.converted.to_json()) if pack.converted is not None else None,
        scaled=len(pack.scaled),
    )
    return HeldOut(PackedCorpus(name, pack.path, pack.sha256, pack.audio_s), facts)


def seen_speakers(artifacts: Iterable[Artifact], corpus: str) -> set[str]:
    """Speakers of a corpus that at least one artifact saw in training or validation.

    A speaker whom the corpus does not know may be one of them.
    """
    manifests = [artifact.manifest for artifact in artifacts if artifact.manifest]
    seen = {speaker for manifest in manifests for speaker in manifest.seen_speakers(corpus)}
    return {*seen, UNKNOWN_SPEAKER} if seen else seen


def split_of(artifacts: Iterable[Artifact], name: str) -> str | None:
    """Hash of the split file by which the artifacts' speakers of a corpus were held out."""
    hashes = {
        artifact.manifest.training.split_sha256
        for artifact in artifacts
        if artifact.manifest and artifact.manifest.training and name in artifact.manifest.training.corpora
    }
    return joined(hashes) if hashes else None


def warn_of(left_out: Sequence[tuple[Clip, str]], name: str, events: Events) -> None:
    """Name the clips that cannot be read, once a kind of reason: the record lists them all."""
    kinds = grouped((clip.id, reason) for clip, reason in left_out)
    for _, count, reason in kinds[:_NAMED]:
        more = f" ({count - 1} more clips for the same reason)" if count > 1 else ""
        events.warn(f"corpus {name}: left out: {reason}{more}")
    if len(kinds) > _NAMED:
        rest = sum(count for _, count, _ in kinds[_NAMED:])
        events.warn(f"corpus {name}: {rest} more clips are left out; the record names them")


def pack_path(cache: Path, name: str, clips: Sequence[Clip]) -> Path:
    """One file a selection of clips, so that two runs at once never pack into the same one."""
    ids = hashlib.sha256("\n".join(clip.id for clip in clips).encode()).hexdigest()
    return cache / f"{name}-{ids[:16]}.pack"
