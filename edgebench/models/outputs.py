"""Names of what a net answers, in the dictionary of its ``forward`` and in files made of it."""

from __future__ import annotations

from typing import Final

DIMENSIONS: Final = "arousal_dominance_valence"  # (batch, 3), 0 to 1
EMOTION_LOGITS: Final = "emotion_logits"  # (batch, 4), in the order of corpora.EMOTIONS
EMBEDDING: Final = "embedding"  # (batch, width): what both heads read
HIDDEN_STATES: Final = "hidden_states"  # (batch, layers + 1, frames, width)

HEADS: Final = (DIMENSIONS, EMOTION_LOGITS)  # what is answered unless something else is asked for
