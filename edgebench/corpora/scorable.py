"""Refusing clips that cannot be scored before anything is sent to a board."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.corpora.clip import EMOTIONS, Clip
from edgebench.errors import CorpusError


def speakers(clips: Sequence[Clip]) -> list[str]:
    """The speakers of the clips, sorted, each as ``corpus/speaker``."""
    return sorted({f"{clip.corpus}/{clip.speaker}" for clip in clips})


def require_scorable(clips: Sequence[Clip]) -> None:
    """Refuse clips from which no accuracy with an interval can be computed.

    Raises ``CorpusError`` where there is no clip, none has one of the four emotions, arousal, dominance or
    valence, or where all labelled clips are of one speaker: intervals are computed over speakers.
    """
    corpora = ", ".join(sorted({f"'{clip.corpus}'" for clip in clips})) or "none"
    if not clips:
        raise CorpusError(
            "there is no clip to score. Check the corpus folder, and which speakers are left out."
        )
    labelled = [clip for clip in clips if clip.labelled]
    if not labelled:
        words = ", ".join(sorted({repr(clip.label) for clip in clips}))
        raise CorpusError(
            f"corpus {corpora}: none of {len(clips)} clips has a label that can be scored; found {words}, "
            f"expected {', '.join(EMOTIONS)}, or ratings of arousal, dominance or valence in [0, 1]. "
            "Add such clips, or run without this corpus."
        )
    names = speakers(labelled)
    if len(names) < 2:
        raise CorpusError(
            f"corpus {corpora}: all {len(labelled)} labelled clips are of one speaker ({names[0]}); "
            "intervals are computed over speakers and need two or more. Add clips of other speakers, or, "
            "where speakers were left out because the model was trained on them, pass --include-seen."
        )
