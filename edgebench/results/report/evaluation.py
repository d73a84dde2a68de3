"""An evaluation as sections: accuracy, F1 by class, confusion, and differences between models."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.results.evaluation import Evaluation, EvaluationRow
from edgebench.results.metrics.accuracy import CATEGORICAL, CCC
from edgebench.results.metrics.table import EMOTIONS, METRICS
from edgebench.results.report.notes import corpus_notes
from edgebench.results.report.tables import Cell, Column, Section, figure_cell, make_section
from edgebench.results.report.words import NOTHING, share

_F1 = tuple(f"f1_{emotion}" for emotion in EMOTIONS)
# Which columns give way first on a narrow terminal: those of the run's tables.
_PRIORITIES = {"wa": 6, "macro_f1": 5, "ccc_dominance": 4, "ccc_valence": 3, "ccc_arousal": 2}


def evaluation_sections(evaluation: Evaluation) -> list[Section]:
    """Every table of an evaluation, corpus by corpus."""
    found = []
    for name in dict.fromkeys(row.corpus.name for row in evaluation.rows):
        rows = [row for row in evaluation.rows if row.corpus.name == name]
        found += [_accuracy(rows), _by_class(rows), *map(_confusion, rows), _differences(rows)]
    return [section for section in found if section.rows]


def _columns(names: Sequence[str], *before: str) -> tuple[Column, ...]:
    plain = (Column(title, right=False) for title in before)
    metrics = (Column(METRICS[n].title, _PRIORITIES.get(n.removesuffix("_loss"), 0)) for n in names)
    return (*plain, *metrics)


def _accuracy(rows: Sequence[EvaluationRow]) -> Section:
    names = (*CATEGORICAL, *CCC)
    cells = [(Cell(row.name), *_figures(row, names)) for row in rows]
    corpus = rows[0].corpus
    # A model may have fewer outputs than the next: the one with the most clips says what was scored.
    scoring = max((row.scoring for row in rows), key=lambda scored: scored.n_clips)
    title = f"Accuracy on {corpus.name}, predicted on this host"
    notes = [*corpus_notes(corpus, scoring), *_training_notes(rows)]
    return make_section(title, _columns(names, "Artifact"), cells, *notes)


def _training_notes(rows: Sequence[EvaluationRow]) -> list[str]:
    notes = []
    for row in rows:
        if row.trained_on_corpus is None:
            notes.append(
                f"{row.name}: its manifest does not say what it was trained on; speakers it has seen may "
                "be among these."
            )
        elif row.clips_learnt:
            notes.append(f"{row.name}: {row.clips_learnt} of these clips are of speakers it was trained on.")
        elif row.trained_on_corpus:
            notes.append(f"{row.name}: trained on other speakers of this corpus.")
        else:
            notes.append(f"{row.name}: never trained on this corpus (cross-corpus).")
    return notes


def _by_class(rows: Sequence[EvaluationRow]) -> Section:
    cells = [(Cell(row.name), *_figures(row, _F1)) for row in rows if row.scoring.labels]
    return make_section(f"F1 by emotion on {rows[0].corpus.name}", _columns(_F1, "Artifact"), cells)


def _confusion(row: EvaluationRow) -> Section:
    labels = row.scoring.labels
    columns = (Column("Truth", right=False), *(Column(label) for label in labels), Column("Recall"))
    cells = []
    for number, counts in enumerate(row.scoring.confusion):
        total = sum(counts)
        recall = share(counts[number] / total) if total else NOTHING
        cells.append((Cell(labels[number]), *(Cell(str(count)) for count in counts), Cell(recall)))
    title = f"Confusion of {row.name} on {row.corpus.name}"
    return make_section(
        title, columns, cells, "Clips: a row for each true emotion, a column for each prediction."
    )


def _differences(rows: Sequence[EvaluationRow]) -> Section:
    names = tuple(f"{name}_loss" for name in (*CATEGORICAL, *CCC))
    cells = [
        (Cell(row.name), Cell(row.against), *_figures(row, names)) for row in rows if row.against is not None
    ]
    return make_section(
        f"Loss on {rows[0].corpus.name}, same clips",
        _columns(names, "Artifact", "Against"),
        cells,
        "The other minus the artifact: above 0 is a loss. In brackets: 95 % interval, paired over speakers.",
    )


def _figures(row: EvaluationRow, names: Sequence[str]) -> list[Cell]:
    return [figure_cell(row.figures, name, bounded=True) for name in names]
