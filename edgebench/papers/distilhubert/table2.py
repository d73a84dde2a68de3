"""Table II of the DistilHuBERT paper from the answers of finished folds, and its Fig. 1, as JSON.

Table II: WA, UA, macro F1 and F1 of each class, mean and deviation over the folds, for the divided corpus
alone and with the corpora that only train, and the gain. What the paper calls the variance over folds is the
deviation of WA (its .031 to .021 is 32 % less); both are given here. The deviation is that of a sample
(n - 1), which the paper leaves open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from edgebench.corpora import EMOTIONS
from edgebench.results.metrics.accuracy import Scoring
from edgebench.results.metrics.table import METRICS as ALL_METRICS
from edgebench.training.fine_tuning.fold_files import METRICS, FoldResult, gain_of, score_answers

ALONE, JOINED = "alone", "joined"

PAPER: Final = {  # Table II: mean, deviation
    "wa": {ALONE: (0.595, 0.031), JOINED: (0.607, 0.021)},
    "ua": {ALONE: (0.616, 0.039), JOINED: (0.614, 0.030)},
    "macro_f1": {ALONE: (0.596, 0.040), JOINED: (0.610, 0.028)},
    "f1_anger": {ALONE: (0.684, 0.029), JOINED: (0.692, 0.040)},
    "f1_happiness": {ALONE: (0.541, 0.080), JOINED: (0.563, 0.073)},
    "f1_neutral": {ALONE: (0.512, 0.059), JOINED: (0.566, 0.029)},
    "f1_sadness": {ALONE: (0.647, 0.044), JOINED: (0.618, 0.034)},
}
PAPER_FIG1: Final = {  # Fig. 1 and Sec. V-B; no recall of happiness is printed
    "wa": 0.4664,
    "ua": 0.4557,
    "recall_anger": 0.99,
    "recall_neutral": 0.55,
    "recall_sadness": 0.27,
}
PAPER_PRODUCTION: Final = {"wa": 0.7548, "ua": 0.7640}  # Sec. V-A, on clips of learnt speakers

_PROTOCOL, _CORPUS, _SECOND = "leave_one_session_out", "iemocap", ("crema_d",)


def table2(
    alone: Sequence[FoldResult],
    joined: Sequence[FoldResult],
    *,
    protocol: str,
    train_only: Sequence[str],
) -> dict[str, Any]:
    """The table by corpus. ``joined`` is empty where no corpus only trained.

    The paper's figures stand beside ours where the protocol and the corpora are the paper's.
    """
    arms = {ALONE: alone, JOINED: joined}
    corpora = sorted({answer.corpus for result in alone for answer in result.answers})
    return {
        "table": "distilhubert-table2",
        "protocol": protocol,
        "leaks_speakers": any(result.record["leaks_speakers"] for result in alone),
        "train_only": list(train_only),
        "folds": [
            {key: result.record[key] for key in ("split", "split_sha256", "clips", "best", "steps")}
            | {"arm": arm}
            for arm, results in arms.items()
            for result in results
        ],
        "deviation": "of a sample (n - 1), over folds",
        "corpora": {
            corpus: _corpus(arms, corpus, compared=protocol == _PROTOCOL, second=tuple(train_only))
            for corpus in corpora
        },
    }


def _corpus(
    arms: dict[str, Sequence[FoldResult]], corpus: str, *, compared: bool, second: tuple[str, ...]
) -> dict[str, Any]:
    scores = {arm: [_scoring(result, corpus) for result in arms[arm]] for arm in arms}
    answers = {arm: [a for result in arms[arm] for a in result.answers] for arm in arms}
    intervals = gain_of(answers[ALONE], answers[JOINED]).get(corpus, {})
    rows = []
    for metric in METRICS:
        row: dict[str, Any] = {"metric": metric, "title": ALL_METRICS[metric].title}
        for arm in (ALONE, JOINED):
            known = compared and corpus == _CORPUS and (arm == ALONE or second == _SECOND)
            row[arm] = _over_folds(scores[arm], metric)
            row[arm] |= _beside_paper(row[arm]["mean"], PAPER[metric][arm] if known else None)
        row["gain"] = _gain(row, compared=row[JOINED]["paper"] is not None)
        if metric in intervals:
            row["gain"]["pooled"] = intervals[metric].to_json()
        row["spread"] = _spread(row)
        rows.append(row)
    return {
        "rows": rows,
        "pooled": {arm: _pooled(score_answers(answers[arm]).get(corpus)) for arm in arms},
    }


def _scoring(result: FoldResult, corpus: str) -> Scoring:
    return score_answers(result.answers)[corpus]


def _over_folds(scores: Sequence[Scoring], metric: str) -> dict[str, Any]:
    """Mean and deviation over the folds that have the figure; null with a reason where none has."""
    values = [scoring.figures[metric].value for scoring in scores]
    found = [float(value) for value in values if value is not None]
    row: dict[str, Any] = {
        "mean": float(np.mean(found)) if found else None,
        "deviation": float(np.std(found, ddof=1)) if len(found) > 1 else None,
        "n": len(found),
        "folds": values,
    }
    if not scores:
        row["reason"] = "no corpus only trained"
    elif not found:
        row["reason"] = scores[0].figures[metric].reason
    elif len(found) == 1:
        row["reason"] = "one fold has no deviation"
    return row


def _beside_paper(ours: float | None, printed: tuple[float, float] | None) -> dict[str, Any]:
    if printed is None:
        return {"paper": None, "difference": None}
    return {
        "paper": {"mean": printed[0], "deviation": printed[1]},
        "difference": None if ours is None else ours - printed[0],
    }


def _gain(row: dict[str, Any], *, compared: bool) -> dict[str, Any]:
    """The joined mean less the mean alone; beside it the paper's."""

    def gain(before: Any, after: Any) -> float | None:
        return None if before is None or after is None else after - before

    ours = gain(row[ALONE]["mean"], row[JOINED]["mean"])
    paper = gain(row[ALONE]["paper"]["mean"], row[JOINED]["paper"]["mean"]) if compared else None
    return {"value": ours, "paper": paper, "difference": gain(paper, ours)}


def _spread(row: dict[str, Any]) -> dict[str, Any]:
    """How much the folds differ with the second corpus against without: -0.32 is a third less."""

    def change(before: float | None, after: float | None) -> float | None:
        return None if not before or after is None else after / before - 1.0

    deviation = change(row[ALONE]["deviation"], row[JOINED]["deviation"])
    printed = row[ALONE]["paper"], row[JOINED]["paper"]
    return {
        "deviation_change": deviation,
        "variance_change": None if deviation is None else (1.0 + deviation) ** 2 - 1.0,
        "paper_deviation_change": change(printed[0]["deviation"], printed[1]["deviation"])
        if printed[0] and printed[1]
        else None,
    }


def _pooled(scoring: Scoring | None) -> dict[str, Any] | None:
    """All folds' answers together: figures with intervals over speakers, and the confusion matrix."""
    if scoring is None:
        return None
    return {name: scoring.figures[name].to_json() for name in METRICS} | confusion_json(scoring)


def confusion_json(scoring: Scoring) -> dict[str, Any]:
    """Labels and counts (rows truth, columns prediction), and the recall of each class."""
    recalls = {}
    for number, label in enumerate(EMOTIONS):
        clips = sum(scoring.confusion[number]) if scoring.confusion else 0
        recalls[label] = scoring.confusion[number][number] / clips if clips else None
    return {
        "labels": list(EMOTIONS),
        "confusion": [list(row) for row in scoring.confusion],
        "recall": recalls,
    }


def figure1(models: dict[str, Scoring], *, corpus: str, as_neutral: Sequence[str]) -> dict[str, Any]:
    """Fig. 1, the cross-corpus confusion matrix, for each model by its key; the paper's figures beside.

    They are set beside ours where the corpus is the paper's, RAVDESS, with calm counted as neutral: only so
    do the paper's recalls and its accuracy agree.
    """
    compared = corpus == "ravdess" and tuple(as_neutral) == ("calm",)
    found: dict[str, Any] = {}
    for key, scoring in models.items():
        row = {name: scoring.figures[name].to_json() for name in METRICS} | confusion_json(scoring)
        ours = {"wa": row["wa"]["value"], "ua": row["ua"]["value"]}
        ours |= {f"recall_{label}": value for label, value in row["recall"].items()}
        row["paper"] = dict(PAPER_FIG1) if compared else None
        row["difference"] = (
            {name: ours[name] - value for name, value in PAPER_FIG1.items() if ours[name] is not None}
            if compared
            else None
        )
        found[key] = row | {"clips": scoring.n_clips, "speakers": scoring.n_speakers}
    return {
        "figure": "distilhubert-fig1",
        "corpus": corpus,
        "as_neutral": list(as_neutral),
        "models": found,
    }
