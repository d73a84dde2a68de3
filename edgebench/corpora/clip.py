"""A clip of a corpus: its file, its speaker, and what is known about its emotion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

EMOTIONS: Final = ("anger", "happiness", "neutral", "sadness")
"""The four classes, in the order of every model's ``emotion_logits``."""

ADV: Final = ("arousal", "dominance", "valence")
"""The three dimensions, in the order of every model's ``arousal_dominance_valence``."""

LABEL_SOURCES: Final = ("prototype", "human", "synthetic")
"""Where arousal, dominance and valence come from: the published coordinates of an emotion word,
people who rated this very clip, or the settings the clip was generated with."""

UNKNOWN_SPEAKER: Final = "Unknown"
"""The speaker of a clip whose corpus does not know who speaks. It may be any speaker, so no split by speaker
takes the clip."""


@dataclass(frozen=True)
class Conversion:
    """What a clip's file was before it was converted, and by what.

    ``format``: container and sample type, such as ``WAV PCM_16``. ``length_known``: whether its header knew
    the length. ``resampler`` names program, version and quality; where only channels were mixed down, it did
    nothing.
    """

    sample_rate_hz: int
    channels: int
    format: str
    length_known: bool
    resampler: str


@dataclass(frozen=True)
class Clip:
    """One clip. Two clips with equal fields are equal.

    ``id`` is unique within ``corpus`` and the same on every machine: it never holds a folder of
    this one. ``path`` is None for a clip that is generated rather than read. ``label`` is the
    corpus' own word; ``emotion`` is one of ``EMOTIONS``, or None where the word is none of the four
    (nothing is merged: calm is not neutral, fear is not anger). Arousal, dominance and valence are
    in [0, 1], each None where the corpus does not rate it. ``language`` is a BCP 47 tag. ``votes`` are the
    shares of raters for each emotion they named, summing to 1, sorted by word; words are ``EMOTIONS``' where
    they are one of the four. ``partition`` is the part that the corpus itself puts the clip in, in its own
    word; ``release`` is the corpus' version where its files say. ``conversion`` is there where ``path`` is
    a converted copy.
    """

    path: Path | None
    id: str
    corpus: str
    speaker: str
    session: str | None
    language: str
    emotion: str | None
    label: str
    arousal: float | None
    dominance: float | None
    valence: float | None
    label_source: str
    licence: str
    sex: str | None = None  # "female", "male", or None where the corpus does not say
    votes: tuple[tuple[str, float], ...] | None = None
    partition: str | None = None
    release: str | None = None
    conversion: Conversion | None = None

    @property
    def name(self) -> str:
        """``corpus/id``: unique across corpora, for messages."""
        return f"{self.corpus}/{self.id}"

    @property
    def adv(self) -> tuple[float, float, float] | None:
        """Arousal, dominance and valence in that order, or None where one of them is not known."""
        if self.arousal is None or self.dominance is None or self.valence is None:
            return None
        return (self.arousal, self.dominance, self.valence)

    @property
    def emotion_votes(self) -> tuple[float, float, float, float] | None:
        """The votes among ``EMOTIONS``, in that order, scaled to sum to 1: a soft target for four classes.

        None where the clip has no votes, or none for any of the four.
        """
        shares = dict(self.votes or ())
        total = sum(shares.get(emotion, 0.0) for emotion in EMOTIONS)
        if total <= 0.0:
            return None
        anger, happiness, neutral, sadness = (shares.get(emotion, 0.0) / total for emotion in EMOTIONS)
        return (anger, happiness, neutral, sadness)

    @property
    def rated(self) -> tuple[str, ...]:
        """Those of ``ADV`` that are known of this clip."""
        return tuple(name for name in ADV if getattr(self, name) is not None)

    @property
    def labelled(self) -> bool:
        """Whether anything can be scored on this clip."""
        return self.emotion is not None or bool(self.rated)
