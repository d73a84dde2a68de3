"""From clips to batches of one length for categorical fine-tuning: prepare, augment, pad.

A batch is a pure function of (recipe, clips, step), and each of its rows of (recipe, clips, step, row), so
that a resumed run, or another number of processes, trains on the same. Source: the DistilHuBERT paper,
Sec. III-B.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgebench.agent.waveform import prepare
from edgebench.corpora import SAMPLE_RATE_HZ, Clip
from edgebench.errors import CorpusError
from edgebench.training.clips.waveforms import Waveforms
from edgebench.training.fine_tuning.augment import augment
from edgebench.training.fine_tuning.focal import balanced_weights, emotion_numbers
from edgebench.training.fine_tuning.recipe import SHORTEST_S, FoldRecipe

_ORDER, _DRAW = 1, 2  # streams of the seed; the loop has 3 and 4


class FineTuningBatch(NamedTuple):
    """waveforms (batch, samples), zeros after each end; lengths (batch,) in samples; emotions (batch,)."""

    waveforms: NDArray[np.float32]
    lengths: NDArray[np.int64]
    emotions: NDArray[np.int64]


class FineTuningData:
    """Batches by step number from the clips of one fold's train part. ``weights``: a class, (4,)."""

    def __init__(self, clips: Sequence[Clip], recipe: FoldRecipe) -> None:
        if not clips:
            raise CorpusError("there is no clip of the four emotions to train on. Check the --corpus paths.")
        self.recipe = recipe
        self.names = [clip.name for clip in clips]
        self.waveforms = Waveforms(clips, recipe.data.cache_mb * 1_000_000)
        self.emotions = emotion_numbers(clips)
        balanced = balanced_weights(clips)
        self.weights = balanced if recipe.loss.balanced else np.ones_like(balanced)
        self.samples = round(recipe.prepare.length_s * SAMPLE_RATE_HZ)
        self._steps = recipe.prepare.sound_steps()
        self._shortest = round(SHORTEST_S * SAMPLE_RATE_HZ)
        self._order = lru_cache(maxsize=2)(self._permutation)

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self.recipe.seed, _ORDER, epoch]).permutation(len(self.names))

    def indices(self, step: int) -> list[int]:
        """Clips of a step: every clip once an epoch, epochs running on across batches."""
        size, count = self.recipe.optimiser.batch, len(self.names)
        return [int(self._order(at // count)[at % count]) for at in range(step * size, (step + 1) * size)]

    def batch(self, step: int) -> FineTuningBatch:
        """The batch of a step (0, 1, ...), augmented."""
        return self.rows(step, range(self.recipe.optimiser.batch))

    def rows(self, step: int, rows: range) -> FineTuningBatch:
        """Some rows of that batch: the same in whichever process."""
        indices = self.indices(step)
        waveforms = np.zeros((len(rows), self.samples), dtype=np.float32)
        lengths = np.zeros(len(rows), dtype=np.int64)
        for at, row in enumerate(rows):
            rng = np.random.default_rng([self.recipe.seed, _DRAW, step, row])
            prepared = prepare(self.waveforms[indices[row]], self._steps, SAMPLE_RATE_HZ)
            augmented = augment(prepared, self.recipe.augment, rng)
            waveforms[at, : len(augmented)] = augmented
            lengths[at] = max(len(augmented), self._shortest)
        return FineTuningBatch(waveforms, lengths, self.emotions[[indices[row] for row in rows]])
