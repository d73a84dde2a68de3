"""The synthetic corpus: speech-like clips that need no download, for checking the pipeline.

29 voices speak 12 clips each, three for each emotion. A clip's arousal, dominance and valence are
its emotion's prototype moved at random, and they are its label (``label_source = synthetic``): they set
pitch, rate, level, spectrum and breath (see ``syllables``), the voice sets the rest. A high accuracy here
shows that a model reads the prosody of this generator; it says nothing about emotion in real speech.

The samples are the same on every machine, bit for bit (see ``vocal_tract``): randomness comes from
``random.Random.random`` and PCG64's raw stream, which their authors promise to keep.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from random import Random
from typing import Final

import numpy as np
import numpy.typing as npt

from edgebench.corpora.clip import EMOTIONS, Clip
from edgebench.corpora.prototypes import PROTOTYPES
from edgebench.corpora.splits.split import PARTS, packaged_split, split_clips
from edgebench.corpora.synthetic.syllables import Voice, cells_of, manner_of, spread_of
from edgebench.corpora.synthetic.vocal_tract import SAMPLE_RATE_HZ, render
from edgebench.errors import UsageError, nearest

CORPUS: Final = "synthetic"
VOICES: Final = 29
TAKES: Final = 3  # clips of one voice and emotion

_LABEL_SPREAD: Final = 0.14


def synthetic_corpus(split: str = "test") -> list[Clip]:
    """The clips of one part of the packaged split, sorted by id; their ``path`` is None and
    ``load_waveform`` generates them. Raises ``UsageError`` for a part that does not exist."""
    if split not in PARTS:
        raise UsageError(f"the synthetic corpus has no part '{split}': {nearest(split, PARTS)}.")
    return split_clips(synthetic_clips(), packaged_split(), split)


@cache
def _clips() -> tuple[Clip, ...]:
    return tuple(
        _clip(number, emotion, take)
        for number in range(1, VOICES + 1)
        for emotion in EMOTIONS
        for take in range(1, TAKES + 1)
    )


def synthetic_clips() -> list[Clip]:
    """Every clip of the synthetic corpus, sorted by id."""
    return list(_clips())


def _clip(number: int, emotion: str, take: int) -> Clip:
    speaker = f"v{number:02d}"
    name = f"{speaker}_{emotion}_{take}"
    rng = _random(f"label/{name}")
    arousal, dominance, valence = (
        round(min(max(centre + _LABEL_SPREAD * spread_of(rng), 0.0), 1.0), 4)
        for centre in PROTOTYPES[emotion]
    )
    return Clip(
        path=None,
        id=name,
        corpus=CORPUS,
        speaker=speaker,
        session=None,
        language="zxx",  # BCP 47: no linguistic content
        emotion=emotion,
        label=emotion,
        arousal=arousal,
        dominance=dominance,
        valence=valence,
        label_source="synthetic",
        licence="CC0-1.0",
        sex="male" if number % 2 else "female",
    )


def _random(key: str) -> Random:
    # A text seeds by its SHA-512, and random() draws from the Mersenne Twister: both are promised.
    return Random(key)  # noqa: S311


def voice_of(clip: Clip) -> Voice:
    """The voice that speaks a clip: the same for every clip of its speaker."""
    rng = _random(f"voice/{clip.speaker}")
    female = clip.sex == "female"
    return Voice(
        f0_hz=(165.0 + 70.0 * rng.random()) if female else (88.0 + 55.0 * rng.random()),
        tract=(1.08 + 0.12 * rng.random()) if female else (0.94 + 0.12 * rng.random()),
        glottis_hz=320.0 + 160.0 * rng.random(),
        breath=0.6 + 0.9 * rng.random(),
        jitter=0.006 + 0.012 * rng.random(),
        tempo=0.88 + 0.24 * rng.random(),
    )


def synthetic_waveform(clip: Clip) -> npt.NDArray[np.int16]:
    """The samples of a synthetic clip, (samples,) int16 at 16 kHz, 1.5 to 4 s.

    A function of the clip's id, speaker, sex, arousal, dominance and valence alone, the same on
    every machine.
    """
    assert clip.adv is not None
    rng = _random(f"speech/{clip.id}")
    manner = manner_of(*clip.adv, rng)
    lead_s = 0.06 + 0.12 * rng.random()
    speech_s = 1.5 + 1.9 * rng.random()
    level = (0.30 + 0.22 * clip.adv[0] + 0.10 * clip.adv[1]) * (0.55 + 0.9 * rng.random())
    floor = 2.0 + 10.0 * rng.random()
    cells = cells_of(voice_of(clip), manner, duration_s=speech_s, rng=rng)
    cells = [replace(cell, start=cell.start + lead_s * SAMPLE_RATE_HZ) for cell in cells]
    samples = int(cells[-1].start) + cells[-1].period + int((0.08 + 0.12 * rng.random()) * SAMPLE_RATE_HZ)

    noise = _white(f"breath/{clip.id}", samples)
    pressure = render(cells, samples=samples, noise=noise)
    peak = int(np.abs(pressure).max())
    target = int(32767.0 * min(level, 0.9))
    room = _white(f"room/{clip.id}", samples) * int(floor) >> 15
    return (pressure * target // peak + room).astype(np.int16)


def _white(key: str, samples: int) -> npt.NDArray[np.int64]:
    """White noise within +-2**15, from the raw words of PCG64: four 16-bit values a word."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:16], "big")
    words = np.random.PCG64(seed).random_raw(-(-samples // 4))
    quarters = [(words >> np.uint64(shift)) & np.uint64(0xFFFF) for shift in (0, 16, 32, 48)]
    values = np.stack(quarters, axis=1).reshape(-1)[:samples].astype(np.int64)
    return values - 32768
