"""``edgebench train`` on a recipe of fine-tuning: every fold of its protocol, one folder each.

::

    DIR/run.json                      recipe, command, folds with their splits' hashes, figures
    DIR/<split>/split.json            who trains, who validates, who is tested
    DIR/<split>/checkpoint.pt, curves.jsonl
    DIR/<split>/predictions.json      the best epoch's logits of the test clips
    DIR/<split>/fold.json             written last: the fold is finished, and is not run again
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgebench.corpora import PARTS, write_split
from edgebench.errors import ConfigError, StoreError, UsageError
from edgebench.training.clips.gather import SPLIT, Gathered, ids_sha256
from edgebench.training.fine_tuning.data import FineTuningData
from edgebench.training.fine_tuning.fine_tuner import FineTuner, FoldValidator
from edgebench.training.fine_tuning.fold_files import (
    METRICS,
    RUN,
    VERSION,
    Answer,
    FoldResult,
    answers_of,
    read_fold,
    score_answers,
    write_fold,
    write_json,
)
from edgebench.training.fine_tuning.folds import folds_of, read_parts
from edgebench.training.fine_tuning.recipe import FineTuningRecipe, FoldRecipe
from edgebench.training.loop.checkpoint import changes
from edgebench.training.loop.loop import Progress
from edgebench.training.loop.processes import Processes
from edgebench.training.loop.progress import tell
from edgebench.training.method import Job

Notify = Callable[[Progress], None]


def train(recipe: FineTuningRecipe, job: Job) -> None:
    """Train and test every fold of the recipe's protocol; finished folds in ``job.output`` are kept.

    ``job.corpora`` are divided, ``job.train_only`` joins the train part of every fold.
    """
    refuse_another(job.output, resume=job.resume)
    clips, extra, notes = read_parts(job.corpora, job.train_only)
    if Processes().is_main:
        tell(notes)
    folds = folds_of(recipe, clips, extra)
    run_folds(recipe, folds, job.output, command=job.command, notes=notes, notify=job.notify)


def refuse_another(output: Path, *, resume: bool) -> None:
    """Raise :class:`UsageError` where ``output`` holds folds that were not asked to go on."""
    if not resume and output.is_dir() and (any(output.glob(f"*/{SPLIT}")) or (output / RUN).exists()):
        raise UsageError(
            f"{output} already holds folds of a run. Add --resume to continue it, or give another --output."
        )


def run_folds(
    recipe: FineTuningRecipe,
    folds: Sequence[Gathered],
    output: Path,
    *,
    command: str,
    notes: Sequence[str] = (),
    notify: Notify | None = None,
) -> list[FoldResult]:
    """Train every fold in order, resuming where a checkpoint stands; ``run.json`` is written after each.

    Of many processes the first returns the results, the others none.
    """
    results: list[FoldResult] = []
    main = Processes().is_main
    for number, fold in enumerate(folds, start=1):
        if main:
            sys.stderr.write(f"fold {number} of {len(folds)}: {fold.split.name}\n")
        result = run_fold(recipe, fold, output / fold.split.name, notify=notify)
        if not main or result is None:
            continue
        results.append(result)
        sys.stderr.write(f"  tested: {_told(results[-1])}\n")
        write_json(output / RUN, _run_record(recipe, results, len(folds), command=command, notes=notes))
    return results


def run_fold(
    recipe: FineTuningRecipe, fold: Gathered, folder: Path, *, notify: Notify | None = None
) -> FoldResult | None:
    """One fold: train, choose the epoch on its validation part, answer for its test part.

    None where another process answers. Raises :class:`ConfigError` where ``folder`` holds the finished fold
    of another recipe or other clips.
    """
    counted = recipe.for_clips(len(fold.train))
    bound = bound_to(counted, fold)
    finished = read_fold(folder)
    if finished is not None:
        refuse_changed(folder, finished.record["bound"], bound)
        return finished
    tuner = train_fold(counted, fold, folder, notify=notify)
    if not tuner.processes.is_main:
        return None
    answers = answers_of(fold.test, tuner.best_logits(fold.test))
    record = {
        "fold_version": VERSION,
        "split": fold.split.name,
        "split_sha256": fold.split.sha256,
        "leaks_speakers": fold.split.leaks_speakers,
        "clips": {part: len(fold.part(part)) for part in PARTS},
        "best": {"step": tuner.history.best_step, "validation_ua": tuner.history.best_score},
        "steps": tuner.history.step,
        "figures": scored_json(answers),
        "bound": bound,
    }
    result = FoldResult(record, answers)
    write_fold(folder, result)
    return result


def train_fold(
    recipe: FoldRecipe, fold: Gathered, folder: Path, *, notify: Notify | None = None
) -> FineTuner:
    """Train to the end, from the checkpoint in ``folder`` if there is one; leaves ``split.json`` there."""
    data = FineTuningData(fold.train, recipe)
    tuner = FineTuner(recipe, data, FoldValidator(fold.validation, recipe), folder)
    if tuner.processes.is_main:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_split(fold.split, folder / SPLIT)
        except OSError as error:
            raise StoreError(
                f"the fold's folder {folder} cannot be written ({error.strerror or error}). Make room there, "
                "then use --resume, or give another --output."
            ) from None
    tuner.resume()
    tuner.run(notify=notify)
    return tuner


def scored_json(answers: Iterable[Answer]) -> dict[str, Any]:
    """The categorical figures and the confusion matrix of answers by corpus, as JSON."""
    return {
        corpus: {
            **{name: scoring.figures[name].to_json() for name in METRICS},
            "labels": list(scoring.labels),
            "confusion": [list(row) for row in scoring.confusion],
        }
        for corpus, scoring in score_answers(answers).items()
    }


def _told(result: FoldResult) -> str:
    rows = []
    for corpus, figures in result.record["figures"].items():
        values = [(name.upper(), figures[name]["value"]) for name in ("ua", "wa")]
        told = (f"{name} {'none' if value is None else format(value, '.3f')}" for name, value in values)
        rows.append(f"{corpus} {', '.join(told)}")
    return "; ".join(rows)


def bound_to(recipe: FoldRecipe, fold: Gathered) -> dict[str, Any]:
    """What a finished fold depends on: while this stays the same, it is not trained again."""
    return {
        "recipe": json.loads(recipe.training_json()),
        "split_sha256": fold.split.sha256,
        **{f"{part}_clips_sha256": ids_sha256(fold.part(part)) for part in PARTS},
    }


def refuse_changed(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise :class:`ConfigError` where what is finished in ``folder`` was made of other things."""
    changed = changes(before, now)
    if changed:
        told = ", ".join(changed[:5])
        raise ConfigError(
            f"what is finished in {folder} is of another run: {told}. Give the same recipe, overrides and "
            "corpora, or another --output."
        )


def _run_record(
    recipe: FineTuningRecipe,
    results: Sequence[FoldResult],
    folds: int,
    *,
    command: str,
    notes: Sequence[str],
) -> dict[str, Any]:
    answers = [answer for result in results for answer in result.answers]
    return {
        "run_version": VERSION,
        "recipe": recipe.model_dump(mode="json"),
        "protocol": recipe.protocol,
        "command": command,
        "notes": list(notes),
        "folds_planned": folds,
        "folds": [
            {key: value for key, value in result.record.items() if key != "bound"} for result in results
        ],
        "pooled": scored_json(answers),
    }
