"""Where the four emotions lie on arousal, dominance and valence.

Russell, J. A. & Mehrabian, A. (1977): Evidence for a three-factor theory of emotions. Journal of
Research in Personality 11(3), 273-294, DOI 10.1016/0092-6566(77)90037-X. Its table of 151 terms
gives the mean rating of each on pleasure, arousal and dominance, each from -1 to +1:

=======  ========  =======  =========
term     pleasure  arousal  dominance
=======  ========  =======  =========
angry        -.51      .59        .25
happy         .81      .51        .46
sad          -.63     -.27       -.33
=======  ========  =======  =========

Neutral is the origin of the three scales by construction (0, 0, 0). Here x becomes (x + 1) / 2.

They say where the word lies, not how a clip sounds. A concordance against them carries
``label_source = prototype``; a value of 1 would mean that a model names the four categories perfectly, not
that it tells how aroused a speaker is.
"""

from __future__ import annotations

from typing import Final

from edgebench.corpora.clip import EMOTIONS

PLEASURE_AROUSAL_DOMINANCE: Final[dict[str, tuple[float, float, float]]] = {
    "anger": (-0.51, 0.59, 0.25),
    "happiness": (0.81, 0.51, 0.46),
    "neutral": (0.0, 0.0, 0.0),
    "sadness": (-0.63, -0.27, -0.33),
}
"""The published means, in the paper's order and on its scale of -1 to +1."""


def _unit(value: float) -> float:
    # Rounded because the source has two decimals: .795, not .7949999999999999.
    return round((value + 1.0) / 2.0, 6)


PROTOTYPES: Final[dict[str, tuple[float, float, float]]] = {
    emotion: (_unit(arousal), _unit(dominance), _unit(pleasure))
    for emotion, (pleasure, arousal, dominance) in PLEASURE_AROUSAL_DOMINANCE.items()
}
"""Arousal, dominance and valence in [0, 1] for each of ``EMOTIONS``."""

assert tuple(PROTOTYPES) == EMOTIONS


def prototype(emotion: str | None) -> tuple[float, float, float] | tuple[None, None, None]:
    """Arousal, dominance and valence of one of the four emotions; three Nones for None."""
    return (None, None, None) if emotion is None else PROTOTYPES[emotion]
