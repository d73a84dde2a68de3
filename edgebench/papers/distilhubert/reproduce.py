"""``edgebench reproduce distilhubert-table2``: both arms of Table II, the production model, Fig. 1.

::

    DIR/alone/, DIR/joined/    the folds of each arm, as ``edgebench train`` leaves them
    DIR/production/            checkpoint, curves, split, ONNX fp32 and int8, manifests, card
    DIR/table2.json, .html     Table II beside the paper's
    DIR/fig1.json, .html       the confusion matrix on the corpus that the production model alone is tested on
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.corpora import PARTS, Clip, Where
from edgebench.errors import UsageError
from edgebench.papers.distilhubert.page import figure1_page, table2_page
from edgebench.papers.distilhubert.production import cross_corpus, train_production
from edgebench.papers.distilhubert.table2 import ALONE, JOINED, PAPER_PRODUCTION, figure1, table2
from edgebench.results.metrics.accuracy import Scoring
from edgebench.results.report.files import write_figure
from edgebench.training.artifacts.score import predict_corpora, score_artifact
from edgebench.training.clips.gather import Gathered
from edgebench.training.fine_tuning.folds import cross_corpus_clips, folds_of, production_fold, read_parts
from edgebench.training.fine_tuning.recipe import FineTuningRecipe
from edgebench.training.fine_tuning.run import refuse_another, run_folds
from edgebench.training.loop.loop import Progress
from edgebench.training.loop.processes import Processes
from edgebench.training.loop.progress import tell
from edgebench.training.methods import load_recipe
from edgebench.training.run import command_line

if TYPE_CHECKING:
    from edgebench.models import Artifact

RECIPE = "distilhubert_loso"
PRODUCTION = "production"

Notify = Callable[[Progress], None]


def reproduce_table2(
    *,
    corpora: Mapping[str, Where],
    train_only: Mapping[str, Where],
    output: Path,
    overrides: Sequence[str] = (),
    resume: bool = False,
    notify: Notify | None = None,
) -> dict[str, Any] | None:
    """Train everything that is not finished in ``output`` and return the table, production and Fig. 1.

    Of many processes the first returns them, the others None.

    Of ``corpora``, the recipe's ``cross_corpus.corpus`` tests the production model alone; the others are
    divided. Raises the errors of :mod:`edgebench.errors`.
    """
    recipe = load_recipe(RECIPE, overrides=overrides)
    assert isinstance(recipe, FineTuningRecipe)
    last = recipe.cross_corpus.corpus
    divided = {name: path for name, path in corpora.items() if name != last}
    if last in train_only:
        raise UsageError(
            f"corpus {last!r} tests the finished model on unseen speech (cross_corpus.corpus), and "
            "--train-only would train on it. Leave it out there."
        )
    for arm in (ALONE, JOINED, PRODUCTION):
        refuse_another(output / arm, resume=resume)
    refuse_another(output, resume=resume)
    clips, extra, notes = read_parts(divided, train_only)
    unseen = cross_corpus_clips(recipe, corpora[last]) if last in corpora else []
    if main := Processes().is_main:
        tell(notes)
    command = command_line(RECIPE, corpora, overrides, train_only=train_only)
    command = command.replace("train " + RECIPE, "reproduce distilhubert-table2", 1)
    folds = {ALONE: folds_of(recipe, clips, []), JOINED: folds_of(recipe, clips, extra) if extra else []}
    results = {
        arm: run_folds(recipe, chosen, output / arm, command=command, notes=notes, notify=notify)
        for arm, chosen in folds.items()
        if chosen
    }
    fold = production_fold(recipe, clips, extra)
    pair = train_production(recipe, fold, output / PRODUCTION, command=command, notify=notify)
    if not main or pair is None:
        return None
    table = table2(
        results[ALONE],
        results.get(JOINED, []),
        protocol=recipe.protocol,
        train_only=list(train_only),
    )
    found = {**table, "command": command, "notes": notes, "production": _production(recipe, fold, pair)}
    write_figure(table2_page(found, found["production"]), found, output, "table2")
    if unseen:
        figure, told = _figure1(recipe, pair, unseen, fold)
        tell(told)
        found = {**found, "figure1": figure, "notes": [*notes, *told]}
        write_figure(figure1_page(figure), figure, output, "fig1")
    return found


def _production(recipe: FineTuningRecipe, fold: Gathered, pair: tuple[Artifact, Artifact]) -> dict[str, Any]:
    """The production model on its held-out clips, by artifact; on IEMOCAP beside the paper's."""
    compared = {clip.corpus for clip in fold.test} == {"iemocap"}
    models: dict[str, Any] = {}
    for artifact in pair:
        for scored in score_artifact(artifact, fold.test, predict_corpora(artifact, fold.test)):
            row = {name: scored.figures[name].to_json() for name in ("ua", "wa", "macro_f1")}
            values = {name: scored.figures[name].value for name in PAPER_PRODUCTION}
            models[f"{artifact.key} on {scored.corpus}"] = row | {
                "sha256": artifact.sha256,
                "size_bytes": artifact.size_bytes,
                "paper": dict(PAPER_PRODUCTION) if compared else None,
                "difference": {n: v - PAPER_PRODUCTION[n] for n, v in values.items() if v is not None}
                if compared
                else None,
            }
    return {
        "split_sha256": fold.split.sha256,
        "leaks_speakers": fold.split.leaks_speakers,
        "clips": {part: len(fold.part(part)) for part in PARTS},
        "models": models,
    }


def _figure1(
    recipe: FineTuningRecipe, pair: Sequence[Artifact], unseen: Sequence[Clip], fold: Gathered
) -> tuple[dict[str, Any], list[str]]:
    learnt = [*fold.train, *fold.validation]
    scorings: dict[str, Scoring]
    scorings, told = cross_corpus(pair, unseen, learnt)
    options = recipe.cross_corpus
    return figure1(scorings, corpus=options.corpus, as_neutral=options.as_neutral), told
