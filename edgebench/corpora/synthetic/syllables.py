"""The utterances of the synthetic corpus: a voice, a manner of speaking, and syllables made of both.

Arousal, dominance and valence set the manner.

The directions follow what is known of vocal expression (Scherer, K. R. (2003): Vocal communication
of emotion, Speech Communication 40, 227-256; Banse & Scherer 1996): arousal raises pitch, its range,
rate, level and the high end of the spectrum; dominance lowers pitch and breath and lets phrases
fall; valence widens the contour, shortens the vocal tract (a smile) and smooths the voice. The sizes
are ours, chosen so that neighbouring manners overlap.

Only + - * / of Python floats are used: IEEE 754 fixes their results to the bit on every machine, those of
powers and logarithms it does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from edgebench.corpora.synthetic.vocal_tract import SAMPLE_RATE_HZ, Cell

# Peterson, G. E. & Barney, H. L. (1952), JASA 24(2), 175-184: F1 to F3 of ten American English
# vowels, mean of 33 men. F4 and F5 are those of a neutral tube.
VOWELS_HZ: Final = (
    (270.0, 2290.0, 3010.0),
    (390.0, 1990.0, 2550.0),
    (530.0, 1840.0, 2480.0),
    (660.0, 1720.0, 2410.0),
    (730.0, 1090.0, 2440.0),
    (570.0, 840.0, 2410.0),
    (440.0, 1020.0, 2240.0),
    (300.0, 870.0, 2240.0),
    (640.0, 1190.0, 2390.0),
    (490.0, 1350.0, 1690.0),
)
_UPPER_HZ: Final = (3500.0, 4500.0)
_BANDWIDTHS_HZ: Final = (80.0, 100.0, 140.0, 200.0, 260.0)
_HISS_HZ: Final = ((600.0, 2300.0, 3200.0, 4400.0, 5400.0), (700.0, 1700.0, 4200.0, 5000.0, 6000.0))
_HISS_WIDTHS_HZ: Final = (600.0, 700.0, 700.0, 800.0, 900.0)

_VOICED: Final = 1 << 20
_HISS_PERIOD: Final = 80  # samples, 5 ms


@dataclass(frozen=True)
class Voice:
    """A speaker: pitch, vocal tract, source, tempo."""

    f0_hz: float
    tract: float  # formants relative to a man's of average size
    glottis_hz: float
    breath: float  # noise relative to the pulse
    jitter: float  # relative deviation of a period
    tempo: float


@dataclass(frozen=True)
class Manner:
    """How a voice speaks one clip. Factors are relative to the voice at rest."""

    f0: float
    f0_range: float
    fall: float  # relative change of pitch from the first syllable to the last
    rate_hz: float  # syllables a second
    glottis: float
    breath: float
    jitter: float
    tract: float
    attack_s: float
    emphasis: float  # how much louder a stressed syllable is
    pause: float  # chance of a pause between two syllables


def manner_of(arousal: float, dominance: float, valence: float, rng: Random) -> Manner:
    """The manner of a point in [0, 1]**3. ``rng`` moves each setting a little, as people differ."""
    a, d, v = (2.0 * x - 1.0 for x in (arousal, dominance, valence))

    def about(value: float, spread: float) -> float:
        return value * (1.0 + spread * spread_of(rng))

    return Manner(
        f0=about(1.0 + 0.32 * a - 0.08 * d + 0.05 * v, 0.07),
        f0_range=about(max(0.04, 0.17 * (1.0 + 0.8 * a + 0.55 * v)), 0.25),
        fall=-0.14 - 0.10 * d + 0.10 * v + 0.08 * spread_of(rng),
        rate_hz=about(4.3 * (1.0 + 0.28 * a + 0.06 * v), 0.10),
        glottis=about(max(0.5, 1.0 + 0.8 * a + 0.35 * d - 0.25 * v), 0.12),
        breath=about(max(0.15, 1.0 - 0.6 * a - 0.5 * d), 0.25),
        jitter=about(max(0.3, 1.0 + 0.5 * a - 0.7 * v), 0.25),
        tract=about(1.0 + 0.07 * v - 0.02 * d, 0.01),
        attack_s=about(0.035 * (1.0 - 0.4 * a - 0.3 * d), 0.2),
        emphasis=max(0.1, 0.5 + 0.4 * a + 0.3 * d + 0.15 * spread_of(rng)),
        pause=max(0.02, 0.12 - 0.14 * a),
    )


def spread_of(rng: Random) -> float:
    """A bell-shaped value within +-1, the mean of three uniform ones: a normal one would need a logarithm."""
    return (rng.random() + rng.random() + rng.random()) / 1.5 - 1.0


def cells_of(voice: Voice, manner: Manner, *, duration_s: float, rng: Random) -> list[Cell]:
    """An utterance of about ``duration_s`` as cells, in the order of their starts."""
    cells: list[Cell] = []
    position_s, end_s = 0.0, duration_s
    vowel = VOWELS_HZ[0]
    while position_s < end_s - 0.12:
        if cells and rng.random() < manner.pause:
            position_s += 0.08 + 0.16 * rng.random()
        stressed = rng.random() < 0.4
        hissed, length_s = _consonant(voice, manner, position_s, rng)
        cells.extend(hissed)
        position_s += length_s
        before, vowel = vowel, VOWELS_HZ[int(rng.random() * len(VOWELS_HZ))]
        span_s = (0.72 + 0.3 * rng.random() + (0.2 if stressed else 0.0)) / (manner.rate_hz * voice.tempo)
        span_s = max(0.06, span_s - length_s)
        cells.extend(
            _vowel(
                voice,
                manner,
                (before, vowel),
                start_s=position_s,
                span_s=span_s,
                progress=position_s / end_s,
                stress=1.0 if stressed else 0.0,
                rng=rng,
            )
        )
        position_s += span_s
    return cells


def _consonant(voice: Voice, manner: Manner, start_s: float, rng: Random) -> tuple[list[Cell], float]:
    """None, a hiss, or a closure with a burst: its cells, and how long it takes in seconds."""
    kind = rng.random()
    if kind < 0.35:
        return [], 0.0
    place = _HISS_HZ[int(rng.random() * len(_HISS_HZ))]
    formants = tuple(hz * min(voice.tract * manner.tract, 1.15) for hz in place)
    strength = 0.7 + 0.6 * rng.random()
    closure_s, count = (0.0, 8 + int(8.0 * rng.random())) if kind < 0.7 else (0.045, 3)
    level = int(0.008 * _VOICED * manner.glottis * strength * (1.0 if kind < 0.7 else 1.8))
    first = (start_s + closure_s) * SAMPLE_RATE_HZ
    cells = [
        Cell(first + n * _HISS_PERIOD, _HISS_PERIOD, 0, level, formants, _HISS_WIDTHS_HZ, voice.glottis_hz)
        for n in range(count)
    ]
    return cells, closure_s + count * _HISS_PERIOD / SAMPLE_RATE_HZ


def _vowel(
    voice: Voice,
    manner: Manner,
    vowels: tuple[tuple[float, ...], tuple[float, ...]],
    *,
    start_s: float,
    span_s: float,
    progress: float,
    stress: float,
    rng: Random,
) -> Iterator[Cell]:
    """The pitch periods of a vowel, whose formants move there from those of the vowel before."""
    scale = voice.tract * manner.tract
    rise = (0.5 + stress) * (0.6 + 0.8 * rng.random())
    loud = (1.0 + manner.emphasis * stress) * (1.0 - 0.3 * progress)
    at_s = 0.0
    while at_s < span_s:
        u = at_s / span_s
        bump = 4.0 * u * (1.0 - u) * rise - 0.4
        f0_hz = voice.f0_hz * manner.f0 * (1.0 + manner.fall * (progress - 0.3) + manner.f0_range * bump)
        wobble = 1.0 + voice.jitter * manner.jitter * spread_of(rng)
        period_s = wobble / min(max(f0_hz, 70.0), 480.0)
        swell = min(1.0, (at_s + 0.003) / manner.attack_s, (span_s - at_s) / 0.05)
        level = loud * swell * (0.95 + 0.1 * rng.random())
        reached = min(1.0, u / 0.4)
        lower = tuple(b + (t - b) * reached for b, t in zip(*vowels, strict=True))
        noise = 0.002 * voice.breath * manner.breath * level
        yield Cell(
            start=(start_s + at_s) * SAMPLE_RATE_HZ,
            period=int(period_s * SAMPLE_RATE_HZ) + 1,
            voice=int(_VOICED * level),
            noise=int(_VOICED * noise),
            formants_hz=tuple(hz * scale for hz in (*lower, *_UPPER_HZ)),
            bandwidths_hz=_BANDWIDTHS_HZ,
            glottis_hz=voice.glottis_hz * manner.glottis,
        )
        at_s += period_s
