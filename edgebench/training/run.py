"""``edgebench train``: from a recipe and corpora to artifacts, card and curves. The file to read first."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgebench.errors import UsageError
from edgebench.models import packaged_artifacts
from edgebench.training.artifacts.produce import produce
from edgebench.training.artifacts.score import Validator
from edgebench.training.clips.gather import gather, training_facts
from edgebench.training.distillation.recipe import DistilRecipe
from edgebench.training.fine_tuning.recipe import CategoricalRecipe
from edgebench.training.lineage import leave_out_heard, taught_origin, tell
from edgebench.training.loop.checkpoint import CHECKPOINT
from edgebench.training.loop.loop import Progress, Trainer
from edgebench.training.loop.processes import Processes
from edgebench.training.recipes.sections import load_recipe
from edgebench.training.supervised.data import TrainingData
from edgebench.training.supervised.soft_labels import SoftLabels, load_teachers

# Recipe values that name a file or folder of this machine.
PATHS = ("model.weights", "teacher", "teacher.paths", "data.films", "data.other_sounds", "data.background")

Notify = Callable[[Progress], None]


def train(
    recipe_name: str,
    *,
    corpora: Mapping[str, Path],
    output: Path,
    overrides: Sequence[str] = (),
    resume: bool = False,
    notify: Notify | None = None,
    train_only: Mapping[str, Path] | None = None,
) -> Path:
    """Train a recipe and leave artifacts, manifests, card and curves in ``output``; returns that folder.

    ``corpora`` maps reader names to folders; their order is part of the run, as it orders the clips.
    ``train_only`` corpora join the train part of every fold of a recipe that leaves a folder a fold.
    With ``resume`` an interrupted run in ``output`` goes on where its last checkpoint stands, as if it
    had never stopped. ``notify`` is called after every step. Errors are those of
    :mod:`edgebench.errors`: a bad recipe, corpora that cannot be read, a folder that holds another run.
    """
    recipe = load_recipe(recipe_name, overrides=overrides)
    refuse_another_run(output, resume=resume)
    command = command_line(recipe_name, corpora, overrides, train_only=train_only or {})
    if isinstance(recipe, CategoricalRecipe):
        from edgebench.training.fine_tuning.run import fine_tune  # noqa: PLC0415

        return fine_tune(
            recipe,
            corpora=corpora,
            train_only=train_only or {},
            output=output,
            command=command,
            resume=resume,
            notify=notify,
        )
    if train_only:
        raise UsageError(
            f"recipe {recipe_name!r} divides its corpora by one split file, which says who trains. Give "
            "--train-only to a recipe of folds, such as distilhubert_loso, or the corpus with --corpus."
        )
    if isinstance(recipe, DistilRecipe):
        from edgebench.training.distillation.run import distil  # noqa: PLC0415

        return distil(recipe, corpora=corpora, output=output, command=command, notify=notify)
    teachers = load_teachers(recipe)
    options = recipe.teacher
    everything = gather(recipe, corpora, unlabelled=options.unlabelled, withheld=options.unlabelled_corpora)
    gathered, notes = leave_out_heard(everything, teachers)
    main = Processes().is_main  # of many processes, the one that speaks and writes
    if main:
        tell(notes)
    data = TrainingData(gathered.train, recipe)
    source = SoftLabels(data, teachers, recipe.teacher) if teachers else data
    trainer = Trainer(recipe, source, Validator(gathered.validation), output)
    trainer.resume()
    trainer.run(notify=notify)
    if not main:
        return output
    origin = None
    if teachers:
        human = min(recipe.teacher.emotion_share, recipe.teacher.adv_share) < 1.0
        facts = training_facts(recipe, gathered)
        origin = taught_origin(facts, teachers, emotions=True, human_labels=human)
    produce(trainer.best_model(), recipe, gathered, output, command=command, origin=origin)
    return output


def refuse_another_run(output: Path, *, resume: bool) -> None:
    """Raise :class:`UsageError` where ``output`` holds a run that was not asked to go on."""
    if (output / CHECKPOINT).exists() and not resume:
        raise UsageError(
            f"{output} already holds a run ({CHECKPOINT}). Add --resume to continue it, "
            "or give another --output."
        )


def command_line(
    recipe_name: str,
    corpora: Mapping[str, Path],
    overrides: Sequence[str],
    *,
    train_only: Mapping[str, Path] | None = None,
) -> str:
    """The command that makes this run again; folders differ by machine and are left as PATH."""
    words = ["edgebench", "train", recipe_name]
    for name in corpora:
        words += ["--corpus", f"{name}=PATH"]
    for name in train_only or {}:
        words += ["--train-only", f"{name}=PATH"]
    for override in overrides:
        key, _, value = override.partition("=")
        here = key.strip() in PATHS and value.strip() not in ("", "''", '""', *packaged_artifacts())
        words += ["--set", f"{key.strip()}=PATH" if here else override]
    return shlex.join([*words, "--output", "DIR"])
