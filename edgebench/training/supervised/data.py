"""From clips to batches: which clips, in which order, with which augmentations.

A batch is a pure function of (recipe, clips, step): its generator is seeded by the seed and the step. So a
resumed run draws what an uninterrupted one would have drawn, and no state of a loader is stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgebench.corpora import ADV, EMOTIONS, SAMPLE_RATE_HZ, Clip
from edgebench.errors import CorpusError
from edgebench.training.clips.waveforms import Waveforms
from edgebench.training.supervised import augment
from edgebench.training.supervised.recipe import AugmentSection, SupervisedRecipe

# Streams of the seed: the order of an epoch, the draws of a step, those of a clip. 3 and 4 are the loop's.
_ORDER, _DRAW, _CLIP = 1, 2, 5


class Batch(NamedTuple):
    """waveforms (batch, samples), emotions (batch, 4) distributions, adv (batch, 3), weights (batch,)."""

    waveforms: NDArray[np.float32]
    emotions: NDArray[np.float32]
    adv: NDArray[np.float32]
    weights: NDArray[np.float32]


def emotion_targets(clips: Sequence[Clip]) -> NDArray[np.float32]:
    """One-hot (clips, 4) in the order of ``EMOTIONS``, NaN where a clip has no label."""
    targets = np.zeros((len(clips), len(EMOTIONS)), dtype=np.float32)
    for row, clip in enumerate(clips):
        if clip.emotion is None:
            targets[row] = np.nan
        else:
            targets[row, EMOTIONS.index(clip.emotion)] = 1.0
    return targets


def adv_targets(clips: Sequence[Clip]) -> NDArray[np.float32]:
    """(clips, 3) in [0, 1], NaN where a clip has no label."""
    rows = [(clip.arousal, clip.dominance, clip.valence) for clip in clips]
    return np.array([[np.nan if v is None else v for v in row] for row in rows], dtype=np.float32)


def balance_weights(
    clips: Sequence[Clip], *, power: float, corpus_weights: dict[str, float]
) -> NDArray[np.float32]:
    """``corpus_weight * n(corpus, emotion) ** -power`` a clip, scaled to a mean of 1."""
    count = Counter((clip.corpus, clip.emotion) for clip in clips)
    weights = np.array(
        [corpus_weights.get(c.corpus, 1.0) * count[c.corpus, c.emotion] ** -power for c in clips],
        dtype=np.float64,
    )
    scaled: NDArray[np.float32] = (weights / weights.mean()).astype(np.float32)
    return scaled


class TrainingData:
    """Batches by step number from the clips of the training speakers."""

    def __init__(self, clips: Sequence[Clip], recipe: SupervisedRecipe) -> None:
        if len(clips) < recipe.optimiser.batch:
            raise CorpusError(
                f"{len(clips)} clips to train on are fewer than one batch of {recipe.optimiser.batch}. "
                "Give more corpora with --corpus, or set optimiser.batch."
            )
        unlabelled = next((clip.id for clip in clips if clip.emotion is None), None)
        if unlabelled is not None and not recipe.teacher.paths:
            raise CorpusError(
                f"clip {unlabelled!r} has no emotion label and cannot be trained on. "
                "Give a teacher to label it with teacher.paths, or leave it out."
            )
        unrated = next((clip for clip in clips if clip.adv is None), None)
        if unrated is not None and not recipe.teacher.paths:
            missing = [name for name in ADV if name not in unrated.rated]
            raise CorpusError(
                f"clip {unrated.name!r} has no {' or '.join(missing)} and cannot be trained on: the net "
                "learns all three dimensions. Give a teacher to label it with teacher.paths, or leave its "
                "corpus out."
            )
        self.clips, self.recipe = list(clips), recipe
        self.names = [clip.name for clip in self.clips]
        self.waveforms = Waveforms(self.clips, recipe.data.cache_mb * 1_000_000)
        self.emotions, self.adv = emotion_targets(self.clips), adv_targets(self.clips)
        self.weights = balance_weights(
            self.clips, power=recipe.data.balance_power, corpus_weights=recipe.data.corpus_weights
        )
        names = [clip.emotion for clip in self.clips]
        self._same_class = {name: np.flatnonzero([n == name for n in names]) for name in set(names)}
        self._order = lru_cache(maxsize=2)(self._permutation)

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self.recipe.seed, _ORDER, epoch]).permutation(len(self.clips))

    def indices(self, step: int) -> list[int]:
        """Clips of a step: every clip once an epoch, epochs running on across batches."""
        size = self.recipe.optimiser.batch
        places = range(step * size, (step + 1) * size)
        return [int(self._order(p // len(self.clips))[p % len(self.clips)]) for p in places]

    def batch(self, step: int) -> Batch:
        """The batch of a step (0, 1, ...), augmented."""
        rng = np.random.default_rng([self.recipe.seed, _DRAW, step])
        return _stack([self._item(index, rng) for index in self.indices(step)])

    def rows(self, step: int, rows: range) -> Batch:
        """Some rows of a batch that several processes share, augmented: the same in whichever process.

        subtle: each row has draws of its own here, so that no process has to make the rows of another. In
        :meth:`batch` one generator runs on from row to row.
        """
        indices, seed = self.indices(step), self.recipe.seed
        return _stack(
            [self._item(indices[r], np.random.default_rng([seed, _DRAW, step, r + 1])) for r in rows]
        )

    def once(self, indices: Sequence[int]) -> Batch:
        """An augmented excerpt of each of these clips, drawn for the clip and not for a step."""
        draws = [np.random.default_rng([self.recipe.seed, _CLIP, index]) for index in indices]
        return _stack([self._item(index, rng) for index, rng in zip(indices, draws, strict=True)])

    def _item(self, index: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], ...]:
        options = self.recipe.augment
        waveform = self._excerpt(index, rng)
        emotion, adv = self.emotions[index], self.adv[index]
        draw = rng.random()
        if draw < options.same_class_probability + options.any_class_probability:
            same = draw < options.same_class_probability
            pool = self._same_class[self.clips[index].emotion] if same else np.arange(len(self.clips))
            other, weight = int(rng.choice(pool)), float(rng.uniform(*options.mix_weight))
            waveform = augment.mix(waveform, self._excerpt(other, rng), weight=weight)
            emotion = (1.0 - weight) * emotion + weight * self.emotions[other]
            adv = (1.0 - weight) * adv + weight * self.adv[other]
        if rng.random() < options.noise_probability:
            noise = augment.coloured_noise(len(waveform), slope=rng.uniform(*options.noise_slope), rng=rng)
            waveform = augment.add_at_snr(waveform, noise, snr_db=rng.uniform(*options.noise_snr_db))
        if options.gain_db > 0.0:  # drawn last and only where asked for: other recipes draw as before
            waveform = augment.gain(waveform, rng.uniform(-options.gain_db, options.gain_db))
        return waveform, emotion, adv, self.weights[index]

    def _excerpt(self, index: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """An excerpt of exactly ``crop_s``, at a random speed and through a random response."""
        options, samples = self.recipe.augment, round(self.recipe.data.crop_s * SAMPLE_RATE_HZ)
        speed, gains_db = _draw_response(options, rng)
        if speed == 1.0 and gains_db is None:
            return augment.excerpt(self.waveforms[index], samples, rng)
        # The nearest multiple of 400 samples: lengths of small factors transform several times faster.
        longer = augment.excerpt(self.waveforms[index], 400 * max(1, round(samples * speed / 400)), rng)
        return augment.change_speed_and_colour(longer, samples=samples, gains_db=gains_db)


def _stack(rows: Sequence[tuple[NDArray[np.float32], ...]]) -> Batch:
    return Batch(*(np.stack(column).astype(np.float32) for column in zip(*rows, strict=True)))


def _draw_response(
    options: AugmentSection, rng: np.random.Generator
) -> tuple[float, NDArray[np.float64] | None]:
    speed = float(rng.uniform(*options.speed_range)) if rng.random() < options.speed_probability else 1.0
    if rng.random() < options.equalise_probability:
        return speed, rng.uniform(-options.equalise_db, options.equalise_db, size=6)
    return speed, None
