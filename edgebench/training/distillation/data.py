"""From buckets of sound to labelled batches: mix, distort, ask the teacher.

A batch is a pure function of (recipe, sounds, teacher, step), as in :mod:`.data`; human labels are
never read. Source: Kounadis-Bastian et al., "Wav2Small", Sec. II-B.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgebench.corpora import SAMPLE_RATE_HZ, Clip
from edgebench.errors import CorpusError
from edgebench.training.distillation import augment as sound
from edgebench.training.distillation.recipe import DistillationRecipe
from edgebench.training.distillation.sounds import SPEECH, Bucket, Buckets, SoundFolder, Speech
from edgebench.training.teachers.teacher import Teacher

_DRAW = 5  # stream of the seed; the loop has 3 and 4
FOLDERS = ("films", "other_sounds", "background")


class DistillationBatch(NamedTuple):
    """waveforms (batch, samples), and the teacher's answers: adv (batch, 3), logits (batch, 4) or None."""

    waveforms: NDArray[np.float32]
    adv: NDArray[np.float32]
    logits: NDArray[np.float32] | None


class DistillationData:
    """Batches by step number. ``augment_s`` and ``teacher_s`` add up what the two took, for benchmarks."""

    def __init__(self, clips: Sequence[Clip], recipe: DistillationRecipe, teacher: Teacher) -> None:
        if not clips:
            raise CorpusError(
                "the speech bucket is empty: no clip of a training speaker. Give corpora with --corpus "
                "NAME=PATH, or set data.synthetic=true."
            )
        self.recipe, self.teacher = recipe, teacher
        budget_bytes = recipe.data.cache_mb * 1_000_000
        buckets: dict[str, Bucket] = {SPEECH: Speech(clips, budget_bytes=budget_bytes)}
        for name in FOLDERS:
            folder = getattr(recipe.data, name)
            if folder:
                buckets[name] = SoundFolder(name, Path(folder), budget_bytes=budget_bytes)
        self.first = Buckets(buckets, {str(name): weight for name, weight in recipe.data.first.items()})
        self.second = Buckets(buckets, {str(name): weight for name, weight in recipe.data.second.items()})
        self.names = [name for bucket in buckets.values() for name in bucket.names]
        self.notes = _notes(recipe, buckets, self.first, self.second)
        self.augment_s = self.teacher_s = 0.0

    def batch(self, step: int) -> DistillationBatch:
        """The batch of a step (0, 1, ...): mixed, distorted, and labelled as it then sounds."""
        return self._labelled(lambda: self.waveforms(step))

    def rows(self, step: int, rows: range) -> DistillationBatch:
        """Some rows of a batch that several processes share: the same in whichever process.

        subtle: each row has draws of its own here, all but the length, so that no process has to make the
        rows of another. In :meth:`batch` one generator runs on from row to row.
        """
        seed = [self.recipe.seed, _DRAW, step]
        samples = sound.draw_length(self.recipe.data.length_s, np.random.default_rng(seed))
        return self._labelled(
            lambda: np.stack([self._mix(samples, np.random.default_rng([*seed, row + 1])) for row in rows])
        )

    def _labelled(self, make: Callable[[], NDArray[np.float32]]) -> DistillationBatch:
        began = time.perf_counter()
        waveforms = make()
        made = time.perf_counter()
        adv, logits = self.teacher(waveforms)
        self.augment_s += made - began
        self.teacher_s += time.perf_counter() - made
        return DistillationBatch(waveforms, adv, logits)

    def waveforms(self, step: int) -> NDArray[np.float32]:
        """The mixes of a step that teacher and student both receive, (batch, samples): one length for all."""
        rng = np.random.default_rng([self.recipe.seed, _DRAW, step])
        samples = sound.draw_length(self.recipe.data.length_s, rng)
        return np.stack([self._mix(samples, rng) for _ in range(self.recipe.optimiser.batch)])

    def _mix(self, samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
        options = self.recipe.distort
        mixed = sound.mix_always(
            self.first.excerpt(samples, rng),
            self.second.excerpt(samples, rng),
            first_gain=options.first_gain,
            second_gain=options.second_gain,
        )
        if rng.random() < options.rotate_probability:
            mixed = sound.rotate(mixed, rng)
        if rng.random() < options.drop_probability:
            width = max(1, round(options.drop_width_hz * samples / SAMPLE_RATE_HZ))  # a bin is rate / samples
            share = float(rng.uniform(*options.drop_share))
            dropped = sound.draw_dropped(samples // 2 + 1, width=width, share=share, rng=rng)
            mixed = sound.drop_frequencies(mixed, dropped)
        if rng.random() < options.shout_probability:
            mixed = sound.shout(
                mixed,
                pitch=float(rng.uniform(*options.shout_pitch)),
                tilt_db_per_octave=float(rng.uniform(*options.shout_tilt_db_per_octave)),
                level_db=float(rng.uniform(*options.shout_level_db)),
            )
        return mixed


def _notes(
    recipe: DistillationRecipe, buckets: Mapping[str, Bucket], first: Buckets, second: Buckets
) -> list[str]:
    """What was asked for and is not there, and what is used in its place; one sentence each."""
    notes = []
    for which, weights, chosen in (
        ("first", recipe.data.first, first.chosen),
        ("second", recipe.data.second, second.chosen),
    ):
        absent = [name for name, weight in weights.items() if weight > 0.0 and name not in buckets]
        if absent:
            missing = " and no ".join(name.replace("_", " ") for name in absent)
            keys = ", ".join(f"data.{name}" for name in absent)
            used = " and ".join(name.replace("_", " ") for name in chosen)
            notes.append(
                f"no {missing} given ({keys}): the {which} excerpt of each mix comes from {used} alone."
            )
    return notes
