"""``edgebench train``: from a recipe and corpora to artifacts, cards and curves. The file to read first."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebench.corpora import Clip, Split, packaged_split, read_corpus, split_clips, synthetic_corpus
from edgebench.errors import CorpusError, UsageError
from edgebench.training.data import TrainingData
from edgebench.training.evaluate import Validator
from edgebench.training.recipe import Recipe, load_recipe
from edgebench.training.trainer import Progress, Trainer

Notify = Callable[[Progress], None]


@dataclass(frozen=True)
class Corpora:
    """The clips of a run by part, and the split that divided them. ``test`` is for the last look only."""

    split: Split
    train: list[Clip]
    validation: list[Clip]
    test: list[Clip]


def gather(recipe: Recipe, corpora: Mapping[str, Path]) -> Corpora:
    """Read the corpora and divide their four-class clips by the split's speakers.

    Raises :class:`UsageError` where the split does not name a corpus, :class:`CorpusError` where a
    part that is needed is empty.
    """
    split = packaged_split(recipe.data.split)
    parts: dict[str, list[Clip]] = {"train": [], "validation": [], "test": []}
    for name, path in corpora.items():
        if name not in split.corpora:
            raise UsageError(
                f"corpus {name!r} has no speakers in split {split.name!r}, which divides "
                f"{', '.join(sorted(split.corpora))}. Leave it out, or name another split with --set data.split=..."
            )
        clips = [clip for clip in read_corpus(name, path) if clip.emotion is not None]
        for part, chosen in parts.items():
            chosen.extend(split_clips(clips, split, part))
    if recipe.data.synthetic:
        for part, chosen in parts.items():
            chosen.extend(synthetic_corpus(split=part))
    for part in ("train", "validation"):
        if not parts[part]:
            raise CorpusError(
                f"no clip of the {part} speakers of split {split.name!r} was found in "
                f"{', '.join(f'{n}={p}' for n, p in corpora.items()) or 'no corpus'}. Check the --corpus paths."
            )
    return Corpora(split, **parts)


def train(
    recipe_name: str,
    *,
    corpora: Mapping[str, Path],
    output: Path,
    overrides: Sequence[str] = (),
    resume: bool = False,
    progress: Notify | None = None,
) -> Path:
    """Train a recipe and leave artifacts, manifests, card and curves in ``output``; returns that folder.

    ``corpora`` maps reader names to folders. With ``resume`` an interrupted run in ``output`` goes on
    where its last checkpoint stands, as if it had never stopped. Errors are those of
    :mod:`edgebench.errors`: a bad recipe, corpora that cannot be read, a folder that holds another run.
    """
    recipe = load_recipe(recipe_name, overrides=overrides)
    gathered = gather(recipe, corpora)
    trainer = Trainer(recipe, TrainingData(gathered.train, recipe), Validator(gathered.validation), output)
    if resume:
        trainer.resume()
    elif trainer.checkpoint.exists():
        raise UsageError(
            f"{output} already holds a run ({trainer.checkpoint.name}). Add --resume to continue it, "
            "or give another --output."
        )
    trainer.run(progress=progress)
    from edgebench.training.produce import produce  # noqa: PLC0415  (not needed until the net is trained)

    produce(trainer.best_model(), recipe, gathered, output, command=command_line(recipe_name, corpora, overrides))
    return output


def command_line(recipe_name: str, corpora: Mapping[str, Path], overrides: Sequence[str]) -> str:
    """The command that makes this run again, with the corpora by name alone: paths differ by machine."""
    words = ["edgebench", "train", recipe_name]
    for name in corpora:
        words += ["--corpus", f"{name}={name.upper()}_FOLDER"]
    for override in overrides:
        words += ["--set", override]
    return shlex.join([*words, "--output", "OUTPUT"])
