"""Accuracy of stored predictions: UA, WA, F1 and CCC with intervals over speakers.

The values are audmetric's; the intervals are made from what each speaker adds to a confusion matrix
or to the moments of a correlation (``scores``), and a test holds the two to the same numbers. Truth
before prediction, always.

NaN policy: one prediction that is not finite, a constant prediction or a constant truth makes the
figure null with that reason; a clip without the truth in question is left out and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebench.results.metrics.intervals import Estimate, jackknife
from edgebench.results.metrics.scores import (
    Statistic,
    accuracy,
    category_statistic,
    concordance,
    f1_mean,
    f1_per_class,
    recall_mean,
)
from edgebench.results.metrics.statistics import Floats
from edgebench.results.metrics.table import (
    CATEGORICAL,
    CCC,
    CHANGED,
    COUNTED,
    DIMENSIONS,
    METRICS,
    Figure,
    exact,
    figure,
    missing,
)
from edgebench.results.records.messages import Predictions
from edgebench.results.records.record import ClipTruth, CorpusFacts

Tasks = Mapping[str, Mapping[str, Any]]
Sums = Callable[["Answers"], Floats]
__all__ = [
    "CATEGORICAL",
    "CCC",
    "Answers",
    "Drop",
    "Scoring",
    "Statistic",
    "Tasks",
    "accuracy",
    "answers",
    "category_statistic",
    "concordance",
    "corpus_json",
    "drops",
    "f1_mean",
    "f1_per_class",
    "losses",
    "recall_mean",
    "score",
    "speaker_confusions",
    "speaker_moments",
]


@dataclass(frozen=True)
class Answers:
    """Truth and prediction of the clips that can be scored for one task.

    ``truth``, ``prediction (clips,)``: label numbers for categories, floats for a dimension.
    ``problem``: why no figure can be made of them.
    """

    clip_ids: tuple[str, ...]
    speakers: tuple[str, ...]
    truth: Floats
    prediction: Floats
    problem: str | None = None


@dataclass(frozen=True)
class Scoring:
    """What was scored in one offline row.

    ``confusion (classes, classes)``: rows truth, columns prediction, clips. ``seen``: scored clips
    whose speaker was in the training set.
    """

    corpus: str
    label_source: str
    n_clips: int
    n_speakers: int
    seen: int
    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    figures: dict[str, Figure] = field(default_factory=dict)


def answers(
    predictions: Predictions, corpus: CorpusFacts, tasks: Tasks
) -> tuple[tuple[str, ...], Answers | None, dict[str, Answers]]:
    """(labels, categorical answers or None, dimension -> answers) of one trial's predictions.

    ``tasks`` are the manifest's: output name -> {"kind", "labels"}.
    """
    truths = {clip.id: clip for clip in corpus.clips}
    rows = [(i, truths[name]) for i, name in enumerate(predictions.clips) if name in truths]
    labels: tuple[str, ...] = ()
    categorical: Answers | None = None
    dimensional: dict[str, Answers] = {}
    for number, name in enumerate(predictions.names):
        task = tasks.get(name)
        if task is None:
            continue
        task_labels = tuple(str(label) for label in task["labels"])
        if task["kind"] == "categorical" and categorical is None:
            labels = task_labels
            known = [(i, clip) for i, clip in rows if clip.emotion in labels]
            scores = _outputs(predictions, number, [i for i, _ in known], len(labels))
            truth = [labels.index(str(clip.emotion)) for _, clip in known]
            categorical = _answers(
                known,
                truth,
                scores,
                np.argmax(scores, axis=1) if scores.size else scores[:, 0:0],
                needs="an emotion that the artifact names",
            )
        elif task["kind"] == "dimensional":
            for column, dimension in enumerate(task_labels):
                known = [(i, clip) for i, clip in rows if getattr(clip, dimension, None) is not None]
                scores = _outputs(predictions, number, [i for i, _ in known], len(task_labels))
                truth_values = [float(getattr(clip, dimension)) for _, clip in known]
                dimensional[dimension] = _answers(
                    known, truth_values, scores, scores[:, column], needs=f"a rating of {dimension}"
                )
    return labels, categorical, dimensional


def score(predictions: Predictions, corpus: CorpusFacts, tasks: Tasks) -> Scoring:
    """Every accuracy figure of one artifact on one corpus."""
    labels, categorical, dimensional = answers(predictions, corpus, tasks)
    figures: dict[str, Figure] = {}
    confusion: npt.NDArray[np.int64] = np.zeros((0, 0), dtype=np.int64)
    if categorical is None:
        for name in CATEGORICAL:
            figures[name] = missing(name, "no output of the artifact names emotions")
    else:
        figures.update(_category_figures(categorical, labels))
        if categorical.problem is None:
            flat = speaker_confusions(categorical, len(labels)).sum(axis=0)
            confusion = flat.reshape(len(labels), len(labels)).astype(np.int64)
    for dimension in DIMENSIONS:
        name = f"ccc_{dimension}"
        if dimension in dimensional:
            figures[name] = _ccc_figure(name, dimensional[dimension])
        else:
            figures[name] = missing(name, f"no output of the artifact gives {dimension}")
    ids = {name for part in [categorical, *dimensional.values()] if part for name in part.clip_ids}
    scored = [clip for clip in corpus.clips if clip.id in ids]
    return Scoring(
        corpus=corpus.name,
        label_source=corpus.label_source,
        n_clips=len(scored),
        n_speakers=len({clip.speaker for clip in scored}),
        seen=sum(clip.seen for clip in scored),
        labels=labels,
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        figures=figures,
    )


@dataclass(frozen=True)
class Drop:
    """What an artifact lost of one metric against another: the figure, and the estimate behind it.

    ``estimate`` is None where there is no figure.
    """

    figure: Figure
    estimate: Estimate | None = None


def drops(
    parent: Predictions, child: Predictions, corpus: CorpusFacts, parent_tasks: Tasks, tasks: Tasks
) -> dict[str, Drop]:
    """parent - child of UA, WA, macro F1 and each CCC, by the metric's own name (positive: the child lost).

    Both are scored on the clips that both predicted; the interval is a jackknife over speakers that
    leaves a speaker out of both.
    """
    shared = set(parent.clips) & set(child.clips)
    both = corpus.model_copy(update={"clips": tuple(clip for clip in corpus.clips if clip.id in shared)})
    labels, parent_categories, parent_dimensions = answers(parent, both, parent_tasks)
    child_labels, child_categories, child_dimensions = answers(child, both, tasks)

    def confusions(found: Answers) -> Floats:
        return speaker_confusions(found, len(labels))

    found = {}
    for metric in METRICS.values():
        if metric.statistic != "drop":
            continue
        of = METRICS[metric.of]
        if of.of:
            pair = (parent_dimensions.get(of.of), child_dimensions.get(of.of))
            # Both are moved by the mean truth, which they share.
            found[of.name] = _drop(metric.name, *pair, speaker_moments, concordance)
        else:
            pair = (parent_categories, child_categories) if labels == child_labels else (None, None)
            found[of.name] = _drop(metric.name, *pair, confusions, category_statistic(of.name, labels))
    return found


def losses(
    parent: Predictions, child: Predictions, corpus: CorpusFacts, parent_tasks: Tasks, tasks: Tasks
) -> dict[str, Figure]:
    """The figures of ``drops`` by their own names (``ua_loss`` and so on), and ``classes_changed``."""
    found = drops(parent, child, corpus, parent_tasks, tasks)
    changed = _classes_changed(parent, child, corpus, parent_tasks, tasks)
    return {**{f"{name}_loss": drop.figure for name, drop in found.items()}, CHANGED: changed}


def _classes_changed(
    parent: Predictions, child: Predictions, corpus: CorpusFacts, parent_tasks: Tasks, tasks: Tasks
) -> Figure:
    """How many of the clips that both predicted have another class; ``n`` counts these clips."""
    labels, before, _ = answers(parent, corpus, parent_tasks)
    child_labels, after, _ = answers(child, corpus, tasks)
    if before is None or after is None or labels != child_labels:
        return missing(CHANGED, "the two artifacts do not name the same emotions")
    said = dict(zip(after.clip_ids, after.prediction, strict=True)) if after.problem is None else {}
    pairs = [(a, said[i]) for i, a in zip(before.clip_ids, before.prediction, strict=True) if i in said]
    if before.problem is not None or not pairs:
        return missing(CHANGED, before.problem or after.problem or "no clip was predicted by both")
    return exact(CHANGED, sum(bool(a != b) for a, b in pairs), n=len(pairs), reason=COUNTED)


def corpus_json(corpus: CorpusFacts, scored: Scoring | None) -> dict[str, Any]:
    """The public form of a corpus and of what was scored in it."""
    return {
        "name": corpus.name,
        "label_source": corpus.label_source,
        "n_clips": scored.n_clips if scored else 0,
        "n_speakers": scored.n_speakers if scored else 0,
        "seen_in_training": scored.seen if scored else 0,
        "left_out": dict(corpus.left_out),
        "labels": list(scored.labels) if scored else [],
        "confusion": [list(row) for row in scored.confusion] if scored else [],
    }


# --- inside -----------------------------------------------------------------------------------------


def _outputs(predictions: Predictions, output: int, clips: Sequence[int], width: int) -> Floats:
    rows = [predictions.values[output][i] for i in clips]
    if any(len(row) != width for row in rows):
        return np.full((len(rows), width), np.nan)
    return np.array([[np.nan if v is None else v for v in row] for row in rows], dtype=np.float64).reshape(
        -1, width
    )


def _answers(
    known: Sequence[tuple[int, ClipTruth]],
    truth: Sequence[float],
    scores: Floats,
    prediction: npt.NDArray[np.generic],
    *,
    needs: str,
) -> Answers:
    bad = int(np.sum(~np.all(np.isfinite(scores), axis=1))) if scores.size else 0
    problem = None
    if not known:
        problem = f"no clip of this corpus has {needs}"
    elif bad:
        problem = f"{bad} of {len(known)} predictions are not finite numbers of the declared length"
    return Answers(
        tuple(clip.id for _, clip in known),
        tuple(clip.speaker for _, clip in known),
        np.asarray(truth, dtype=np.float64),
        np.asarray(prediction, dtype=np.float64),
        problem,
    )


def _category_figures(found: Answers, labels: tuple[str, ...]) -> dict[str, Figure]:
    import audmetric  # noqa: PLC0415

    names = [*CATEGORICAL, *(f"f1_{label}" for label in labels if f"f1_{label}" in METRICS)]
    if found.problem:
        return {name: missing(name, found.problem) for name in names}
    truth, prediction = found.truth.astype(int), found.prediction.astype(int)
    numbers = list(range(len(labels)))
    present = sorted(set(truth.tolist()))
    recalls = audmetric.recall_per_class(truth, prediction, labels=numbers)
    f1s = audmetric.fscore_per_class(truth, prediction, labels=numbers)
    values = {
        "ua": float(np.mean([recalls[k] for k in present])),
        "wa": float(audmetric.accuracy(truth, prediction, labels=numbers)),
        "macro_f1": float(np.mean([f1s[k] for k in present])),
    }
    sums = speaker_confusions(found, len(labels))
    figures = {}
    for name in names:
        if name not in values:
            number = labels.index(name.removeprefix("f1_"))
            if number not in present:
                figures[name] = missing(name, "the corpus has no clip of this emotion")
                continue
            values[name] = float(f1s[number])
        estimate = jackknife(sums, category_statistic(name, labels), cluster="speaker")
        figures[name] = figure(name, values[name], estimate.interval(METRICS[name].scale), n=len(truth))
    return figures


def _ccc_figure(name: str, found: Answers) -> Figure:
    import audmetric  # noqa: PLC0415

    problem = found.problem or _constant(found)
    if problem:
        return missing(name, problem)
    value = float(audmetric.concordance_cc(found.truth, found.prediction))
    estimate = jackknife(speaker_moments(found), concordance, cluster="speaker")
    return figure(name, value, estimate.interval(METRICS[name].scale), n=len(found.truth))


def _drop(name: str, parent: Answers | None, child: Answers | None, sums: Sums, value: Statistic) -> Drop:
    """parent - child of ``value(sums(answers))``, with the interval over the speakers of both."""
    if parent is None or child is None:
        return Drop(missing(name, "artifact and parent have no such output in common"))
    problem = parent.problem or child.problem
    if problem is None and value is concordance:
        problem = _constant(parent) or _constant(child)
    if problem:
        return Drop(missing(name, problem))
    both = np.hstack([sums(parent), sums(child)])
    width = both.shape[1] // 2

    def difference(drawn: Floats) -> Floats:
        return value(drawn[..., :width]) - value(drawn[..., width:])

    estimate = jackknife(both, difference, cluster="speaker")
    return Drop(figure(name, estimate.value, estimate.interval(), n=len(parent.truth)), estimate)


def speaker_confusions(found: Answers, classes: int) -> Floats:
    """One flattened confusion matrix a speaker: ``(speakers, classes ** 2)``."""
    numbers = _speaker_numbers(found)
    sums = np.zeros((numbers.max(initial=-1) + 1, classes * classes))
    cells = (found.truth * classes + found.prediction).astype(np.int64)
    np.add.at(sums, (numbers, cells), 1)
    return sums


def speaker_moments(
    found: Answers,
) -> Floats:
    """n and the sums of t, p, tt, pp, tp of each speaker: ``(speakers, 6)``.

    subtle: both are moved by the same center (CCC does not mind), else the sums of squares of
    values far from 0 would cancel.
    """
    middle = float(np.mean(found.truth))
    t, p = found.truth - middle, found.prediction - middle
    numbers = _speaker_numbers(found)
    sums = np.zeros((numbers.max(initial=-1) + 1, 6))
    np.add.at(sums, numbers, np.stack([np.ones_like(t), t, p, t * t, p * p, t * p], axis=1))
    return sums


def _speaker_numbers(found: Answers) -> npt.NDArray[np.int64]:
    order = {speaker: number for number, speaker in enumerate(sorted(set(found.speakers)))}
    return np.array([order[speaker] for speaker in found.speakers], dtype=np.int64)


def _constant(found: Answers) -> str | None:
    if np.ptp(found.truth) == 0:
        return "the truth is the same for every clip, which leaves no concordance to measure"
    if np.ptp(found.prediction) == 0:
        return "the prediction is the same for every clip, which is no prediction"
    return None
