"""Decoded waveforms, kept in memory within a budget."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebench.corpora import SAMPLE_RATE_HZ, Clip, load_waveform


@dataclass
class Waveforms:
    """Decoded waveforms by index, kept in memory up to a budget; the rest is decoded on every use."""

    clips: Sequence[Clip]
    budget_bytes: int

    def __post_init__(self) -> None:
        self._kept: dict[int, NDArray[np.float32]] = {}
        self.kept_bytes = 0
        self._lock = threading.Lock()

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        kept = self._kept.get(index)
        if kept is not None:
            return kept
        waveform = load_waveform(self.clips[index], sample_rate_hz=SAMPLE_RATE_HZ)
        with self._lock:
            if index not in self._kept and self.kept_bytes + waveform.nbytes <= self.budget_bytes:
                self._kept[index] = waveform
                self.kept_bytes += waveform.nbytes
        return waveform
