"""``edgebench train``: from a recipe and corpora to artifacts, card and curves. The file to read first."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgebench.corpora import Where, as_source
from edgebench.errors import UsageError
from edgebench.models import packaged_artifacts
from edgebench.training.artifacts.produce import produce
from edgebench.training.loop.checkpoint import CHECKPOINT
from edgebench.training.loop.loop import Progress
from edgebench.training.method import Job
from edgebench.training.methods import load_recipe, method_named, method_of

SPLIT_KEY = "data.split"

Notify = Callable[[Progress], None]


def train(
    recipe_name: str,
    *,
    corpora: Mapping[str, Where],
    output: Path,
    overrides: Sequence[str] = (),
    resume: bool = False,
    notify: Notify | None = None,
    train_only: Mapping[str, Where] | None = None,
) -> Path:
    """Train a recipe and leave artifacts, manifests, card and curves in ``output``; returns that folder.

    ``corpora`` maps reader names to where they lie; their order is part of the run, as it orders the clips.
    ``train_only`` corpora join the train part of every fold of a recipe that leaves a folder a fold.
    With ``resume`` an interrupted run in ``output`` goes on where its last checkpoint stands, as if it
    had never stopped. ``notify`` is called after every step. Errors are those of
    :mod:`edgebench.errors`: a bad recipe, corpora that cannot be read, a folder that holds another run.
    """
    recipe = load_recipe(recipe_name, overrides=overrides)
    method = method_named(recipe.method)
    refuse_another_run(output, resume=resume)
    if train_only and not method.takes_train_only:
        raise UsageError(
            f"recipe {recipe_name!r} divides its corpora by one split file, which says who trains. Give "
            "--train-only to a recipe of folds, such as distilhubert_loso, or the corpus with --corpus."
        )
    command = command_line(recipe_name, corpora, overrides, train_only=train_only or {})
    job = Job(corpora, output, command, train_only=train_only or {}, resume=resume, notify=notify)
    trained = method.train(recipe, job)
    if trained is not None:
        lineage = method.lineage(recipe, trained.gathered, trained.teachers)
        produce(trained.model, recipe, trained.gathered, output, command=command, lineage=lineage)
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
    corpora: Mapping[str, Where],
    overrides: Sequence[str],
    *,
    train_only: Mapping[str, Where] | None = None,
) -> str:
    """The command that makes this run again; folders differ by machine and are left as PATH."""
    words, path_keys = ["edgebench", "train", recipe_name], method_of(recipe_name).path_keys
    sources = {
        option: {name: as_source(where) for name, where in given.items()}
        for option, given in (("--corpus", corpora), ("--train-only", train_only or {}))
    }
    for option, given in sources.items():
        for name, source in given.items():
            words += [option, f"{name}=PATH{source.selection}"]
    if any(source.resample_into for given in sources.values() for source in given.values()):
        words.append("--resample")
    packaged = ("", *packaged_artifacts())
    for override in overrides:
        key, _, value = override.partition("=")
        if key.strip() == SPLIT_KEY and not value.strip("'\" ").endswith(".json"):
            here = False  # the name of a packaged split
        else:
            here = key.strip() in path_keys and value.strip("'\" ") not in packaged
        words += ["--set", f"{key.strip()}=PATH" if here else override]
    return shlex.join([*words, "--output", "DIR"])
