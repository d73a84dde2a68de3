"""The clips of a run: read from the corpora and divided by the split's speakers."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgebench.corpora import (
    EMOTIONS,
    PARTS,
    Clip,
    Split,
    Where,
    packaged_split,
    read_corpus,
    read_split,
    split_clips,
    synthetic_clips,
)
from edgebench.errors import CorpusError, UsageError
from edgebench.training.recipes.sections import SplitRecipe

SYNTHETIC = "synthetic"
SPLIT = "split.json"  # in the folder of a run: who trained, who validated, who was tested


@dataclass(frozen=True)
class Gathered:
    """The clips of a run by part, and the split that divided them. ``test`` is for final figures alone."""

    split: Split
    train: list[Clip]
    validation: list[Clip]
    test: list[Clip]

    def part(self, name: str) -> list[Clip]:
        """The clips of ``train``, ``validation`` or ``test``."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    @property
    def corpora(self) -> list[str]:
        """Names of the corpora that weights, or the choice of weights, depend on."""
        return sorted({clip.corpus for clip in [*self.train, *self.validation]})


def gather(
    recipe: SplitRecipe,
    corpora: Mapping[str, Where],
    *,
    unlabelled: bool = False,
    withheld: Collection[str] = (),
) -> Gathered:
    """Read the corpora and divide their four-class clips by the split's speakers.

    With ``unlabelled``, ``train`` holds the training speakers' clips of other emotions, or of none, too.
    Corpora of ``withheld`` are in ``train`` with every clip of a training speaker and no label. They are not
    in ``validation``, which would use their labels. One that the split does not name is in ``train`` whole:
    none of its speakers is tested.
    Raises :class:`UsageError` where the split does not name another corpus or a withheld one is not given,
    :class:`CorpusError` where a part that is needed is empty or a withheld corpus has no clip of a training
    speaker.
    """
    absent = sorted(set(withheld) - set(corpora))
    if absent:
        raise UsageError(
            f"teacher.unlabelled_corpora names {', '.join(absent)}, which no --corpus gives. Given: "
            f"{', '.join(sorted(corpora)) or 'none'}."
        )
    named = recipe.data.split
    split = read_split(named) if named.endswith(".json") else packaged_split(named)
    parts: dict[str, list[Clip]] = {part: [] for part in PARTS}
    for name, path in corpora.items():
        divided = name in split.corpora
        if not divided and name not in withheld:
            raise UsageError(
                f"corpus {name!r} has no speakers in split {split.name!r}, which divides "
                f"{', '.join(sorted(split.corpora))}. Leave it out, or give a split file that divides it: "
                "--set data.split=PATH.json."
            )
        clips = read_corpus(name, path)
        if not divided:
            parts["train"].extend(map(_without_label, clips))
            continue
        labelled = [clip for clip in clips if clip.emotion is not None]
        everything = [_without_label(clip) for clip in clips] if name in withheld else clips
        for part, chosen in parts.items():
            if part == "validation" and name in withheld:
                continue
            whole = part == "train" and (unlabelled or name in withheld)
            found = split_clips(everything if whole else labelled, split, part)
            if part == "train" and name in withheld and not found:
                raise CorpusError(
                    f"{name}={path} has no clip of a training speaker of split {split.name!r}, so that "
                    "nothing of it can be trained on. Check the path, or take the corpus out of "
                    "teacher.unlabelled_corpora."
                )
            chosen.extend(found)
    if recipe.data.synthetic:
        if SYNTHETIC not in split.corpora:
            raise UsageError(
                f"the recipe asks for synthetic speech, and split {split.name!r} names no synthetic voices. "
                "Add them to the split file, or leave synthetic speech out with --set data.synthetic=false."
            )
        # Voices that the split does not name are left out.
        named_voices = [c for c in synthetic_clips() if split.part_of(SYNTHETIC, c.speaker)]
        for part, chosen in parts.items():
            chosen.extend(split_clips(named_voices, split, part))
    for part, chosen in parts.items():
        if not chosen:
            raise CorpusError(
                f"no clip of the {part} speakers of split {split.name!r} was found in "
                f"{', '.join(f'{name}={path}' for name, path in corpora.items()) or 'no corpus'}. "
                "Check the --corpus paths."
            )
    return Gathered(split, **parts)


def _without_label(clip: Clip) -> Clip:
    return replace(clip, emotion=None, label="", arousal=None, dominance=None, valence=None, votes=None)


def calibration_clips(clips: Sequence[Clip], *, per_class: int, seed: int) -> list[Clip]:
    """Up to ``per_class`` clips of each corpus and emotion, drawn by the seed, in a fixed order."""
    rng = np.random.default_rng(seed)
    chosen: list[Clip] = []
    for corpus in sorted({clip.corpus for clip in clips}):
        for emotion in EMOTIONS:
            pool = sorted(
                (clip for clip in clips if clip.corpus == corpus and clip.emotion == emotion),
                key=lambda c: c.id,
            )
            picked = rng.permutation(len(pool))[:per_class]
            chosen.extend(pool[index] for index in sorted(picked))
    return chosen


def ids_sha256(clips: Sequence[Clip]) -> str:
    """Hash of the clips' names in order: how a manifest identifies a set of clips."""
    return hashlib.sha256("\n".join(clip.name for clip in clips).encode()).hexdigest()


def by_corpus(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    """Clips by corpus, corpora sorted, clips in their order."""
    chosen: dict[str, list[Clip]] = {}
    for clip in clips:
        chosen.setdefault(clip.corpus, []).append(clip)
    return dict(sorted(chosen.items()))
