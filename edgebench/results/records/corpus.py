"""The corpora of a run, as its header holds them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Protocol

from edgebench.results.records.model import RecordModel


class ClipTruth(RecordModel):
    """Truth of one packed clip. Arousal, dominance, valence in [0, 1]."""

    id: str
    speaker: str
    emotion: str | None
    arousal: float | None
    dominance: float | None
    valence: float | None
    seen: bool = False


class ConvertedFacts(RecordModel):
    """How clips were converted to mono at 16 kHz before they were packed.

    ``resampler``: program, version, quality. ``sample_rates_hz``: clips by the rate they had.
    ``mixed_down``: clips that had several channels, which were averaged.
    """

    resampler: str
    clips: int
    sample_rates_hz: dict[str, int]
    mixed_down: int


class LabelledClip(Protocol):
    """A clip as corpora read it: what the record takes from it."""

    @property
    def id(self) -> str: ...
    @property
    def speaker(self) -> str: ...
    @property
    def emotion(self) -> str | None: ...
    @property
    def arousal(self) -> float | None: ...
    @property
    def dominance(self) -> float | None: ...
    @property
    def valence(self) -> float | None: ...
    @property
    def language(self) -> str: ...
    @property
    def label_source(self) -> str: ...
    @property
    def licence(self) -> str: ...


def joined(values: Iterable[str]) -> str:
    """The one value, or all of them joined where they differ."""
    return " + ".join(sorted(set(values)))


class CorpusFacts(RecordModel):
    """One packed corpus; ``sha256`` is the pack's. ``left_out``: reason -> number of clips.

    ``release``: the corpus' version where its files say. ``selection``: the tables or parts that were chosen,
    as after the path of ``--corpus``. ``scaled``: clips beyond full scale, divided by their peak.
    """

    name: str
    sha256: str
    split_sha256: str | None
    label_source: str
    languages: tuple[str, ...]
    n_speakers: int
    licence: str
    audio_s: float
    left_out: dict[str, int] = {}
    unreadable: tuple[dict[str, str], ...] = ()
    include_seen: bool = False
    release: str | None = None
    selection: str | None = None
    converted: ConvertedFacts | None = None
    scaled: int = 0
    clips: tuple[ClipTruth, ...]

    @classmethod
    def of(
        cls, name: str, clips: Sequence[LabelledClip], *, seen: Collection[str] = (), **facts: Any
    ) -> CorpusFacts:
        """The facts of these clips. ``seen``: speakers used in training; ``facts``: the other fields."""
        return cls(
            name=name,
            label_source=joined(clip.label_source for clip in clips),
            languages=tuple(sorted({clip.language for clip in clips})),
            n_speakers=len({clip.speaker for clip in clips}),
            licence=joined(clip.licence for clip in clips),
            clips=tuple(
                ClipTruth(
                    id=clip.id,
                    speaker=clip.speaker,
                    emotion=clip.emotion,
                    arousal=clip.arousal,
                    dominance=clip.dominance,
                    valence=clip.valence,
                    seen=clip.speaker in seen,
                )
                for clip in clips
            ),
            **facts,
        )
