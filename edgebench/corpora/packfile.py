"""Writing the pack, the one file in which a board finds a corpus (its layout: ``edgebench.agent.pack``)."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from edgebench.agent.pack import DTYPES, MAGIC, PackError, aligned
from edgebench.files import replacing


def write(
    path: Path, clips: Iterable[tuple[str, Any]], *, sample_rate_hz: int = 16000, dtype: str = "int16"
) -> None:
    """Write a pack from (id, waveform) pairs; a waveform is (samples,), float in [-1, 1] or int16.

    Clips are taken one at a time, so the corpus never sits in memory. Floats become int16 by
    rounding ``x * 32768`` and clipping; NaN raises PackError, as does an id that appears twice.
    The same clips give the same bytes. The file appears whole or not at all.
    """
    entries: list[dict[str, Any]] = []
    with tempfile.TemporaryFile(dir=path.parent) as raw, replacing(path) as part:
        offset = 0
        seen: set[str] = set()
        for clip_id, given in clips:
            if clip_id in seen:
                raise PackError(f"clip {clip_id!r}: its id appears twice")
            seen.add(clip_id)
            samples = _samples(clip_id, given, dtype)
            raw.write(samples.tobytes())
            entries.append({"id": clip_id, "offset": offset, "samples": len(samples)})
            offset += len(samples)
        header = {"sample_rate_hz": sample_rate_hz, "clips": entries, "dtype": dtype}
        text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
        raw.seek(0)
        with part.open("wb") as file:
            file.write(MAGIC + len(text).to_bytes(8, "little") + text)
            file.write(bytes(aligned(16 + len(text)) - 16 - len(text)))
            shutil.copyfileobj(raw, file, 1 << 20)


def _samples(clip_id: str, given: Any, dtype: str) -> np.ndarray[Any, Any]:
    """The samples of one clip as the pack holds them. Raises PackError for what is no clip."""
    waveform = np.asarray(given)
    if waveform.ndim != 1:
        raise PackError(f"clip {clip_id!r} has the shape {waveform.shape}; a clip is (samples,)")
    if dtype == "int16" and waveform.dtype != np.int16:
        waveform = np.clip(np.round(waveform.astype(np.float64) * 32768), -32768, 32767)
    elif dtype == "float32" and waveform.dtype == np.int16:
        waveform = waveform / 32768
    if not np.isfinite(waveform).all():
        raise PackError(f"clip {clip_id!r} holds NaN or infinity")
    return waveform.astype(DTYPES[dtype])
