"""What the corpora tests share: clips in files, and corpora small enough to make on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgebench.corpora import Clip

WriteWav = Callable[..., Path]


@pytest.fixture
def write_wav() -> WriteWav:
    """Write noise as an audio file, making its folders; keywords go to ``soundfile.write``."""

    def write(
        path: Path, *, samples: int = 1600, rate_hz: int = 16_000, channels: int = 1, **options: str
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (samples,) if channels == 1 else (samples, channels)
        noise = np.random.default_rng(samples).uniform(-0.5, 0.5, shape)
        soundfile.write(path, noise, rate_hz, **{"subtype": "PCM_16", **options})
        return path

    return write


@pytest.fixture
def clip_of() -> Callable[..., Clip]:
    """A clip with every field that a test does not care about filled in."""

    def make(path: Path | None = None, **fields: object) -> Clip:
        row: dict[str, object] = {
            "path": path,
            "id": path.stem if path else "clip",
            "corpus": "mine",
            "speaker": "s1",
            "session": None,
            "language": "de",
            "emotion": "anger",
            "label": "anger",
            "arousal": 0.8,
            "dominance": 0.6,
            "valence": 0.2,
            "label_source": "human",
            "licence": "CC0-1.0",
        }
        return Clip(**{**row, **fields})  # type: ignore[arg-type]

    return make
