"""What a fold leaves beside its checkpoint, and how it is read again: split, predictions, record.

``predictions.json``::

    {"predictions_version": 1, "split": "iemocap.Session1", "split_sha256": "...", "labels": ["anger", ...],
     "clips": [{"corpus": "iemocap", "id": "...", "speaker": "Ses01F", "emotion": "anger", "logits": [...]}]}

``fold.json`` is written last: where it stands, the fold is finished.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebench.corpora import EMOTIONS, Clip
from edgebench.errors import StoreError
from edgebench.results.metrics.accuracy import CATEGORICAL, Scoring, losses, score
from edgebench.results.metrics.table import Figure
from edgebench.results.records.messages import Predictions
from edgebench.results.records.record import ClipTruth, CorpusFacts
from edgebench.training.loop.checkpoint import replace_whole

RUN, PREDICTIONS, FOLD = "run.json", "predictions.json", "fold.json"
VERSION = 1
METRICS = ("wa", "ua", "macro_f1", *(f"f1_{emotion}" for emotion in EMOTIONS))

_OUTPUT = "emotion_logits"
_TASKS = {_OUTPUT: {"kind": "categorical", "labels": EMOTIONS}}


@dataclass(frozen=True)
class Answer:
    """A net's answer to one test clip: ``logits`` in the order of ``EMOTIONS``."""

    corpus: str
    id: str
    speaker: str
    emotion: str
    logits: tuple[float, ...]


@dataclass(frozen=True)
class FoldResult:
    """A finished fold: its record (``fold.json``) and its answers."""

    record: Mapping[str, Any]
    answers: tuple[Answer, ...]


def answers_of(clips: Sequence[Clip], logits: NDArray[np.float32]) -> tuple[Answer, ...]:
    """The answers for clips (clips,) of logits (clips, 4)."""
    return tuple(
        Answer(clip.corpus, clip.id, clip.speaker, str(clip.emotion), tuple(float(v) for v in row))
        for clip, row in zip(clips, logits, strict=True)
    )


def write_fold(folder: Path, result: FoldResult) -> None:
    """Write predictions, then the record that says the fold is finished."""
    predictions = {
        "predictions_version": VERSION,
        "split": result.record["split"],
        "split_sha256": result.record["split_sha256"],
        "labels": list(EMOTIONS),
        "clips": [vars(answer) for answer in result.answers],
    }
    write_json(folder / PREDICTIONS, predictions)
    write_json(folder / FOLD, result.record)


def read_fold(folder: Path) -> FoldResult | None:
    """A finished fold, None where it is not. Raises :class:`StoreError` for files that cannot be read."""
    if not (folder / FOLD).is_file():
        return None
    try:
        record = json.loads((folder / FOLD).read_text(encoding="utf-8"))
        document = json.loads((folder / PREDICTIONS).read_text(encoding="utf-8"))
        rows = [Answer(**{**row, "logits": tuple(row["logits"])}) for row in document["clips"]]
        known = (record["fold_version"], document["predictions_version"], document["labels"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"the finished fold in {folder} cannot be read ({type(error).__name__}: {error}). Delete "
            f"{FOLD} there to train it again, or start in another --output."
        ) from None
    if known != (VERSION, VERSION, list(EMOTIONS)):
        raise StoreError(
            f"the finished fold in {folder} is of version {known[0]!r}, its predictions of {known[1]!r}; "
            f"this edgebench reads {VERSION}. Start in another --output."
        )
    return FoldResult(record, tuple(rows))


def write_json(path: Path, values: Any) -> None:
    """Write JSON whole or not at all. Raises :class:`StoreError` where the disk does not take it."""
    text = json.dumps(values, indent=1, allow_nan=False) + "\n"
    replace_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def score_answers(answers: Iterable[Answer]) -> dict[str, Scoring]:
    """UA, WA, F1 and confusion by corpus, with intervals over speakers."""
    return {
        corpus: score(_predictions(rows), _facts(rows), _TASKS)
        for corpus, rows in _by_corpus(answers).items()
    }


def gain_of(before: Iterable[Answer], after: Iterable[Answer]) -> dict[str, dict[str, Figure]]:
    """By corpus and metric what ``after`` gains over ``before`` on the same clips, paired over speakers."""
    first, second = _by_corpus(before), _by_corpus(after)
    found = {}
    for corpus in sorted(first.keys() & second.keys()):
        # subtle: losses gives parent minus child, so the one that came after stands as the parent.
        pair = _predictions(second[corpus]), _predictions(first[corpus])
        figures = losses(*pair, _facts(first[corpus]), _TASKS, _TASKS)
        found[corpus] = {name: figures[f"{name}_loss"] for name in CATEGORICAL}
    return found


def _by_corpus(answers: Iterable[Answer]) -> dict[str, list[Answer]]:
    found: dict[str, list[Answer]] = {}
    for answer in answers:
        found.setdefault(answer.corpus, []).append(answer)
    return dict(sorted(found.items()))


def _predictions(answers: Sequence[Answer]) -> Predictions:
    return Predictions(
        clips=tuple(answer.id for answer in answers),
        names=(_OUTPUT,),
        values=(tuple(answer.logits for answer in answers),),
    )


def _facts(answers: Sequence[Answer]) -> CorpusFacts:
    """The truth of answers of one corpus in the record's terms, as far as a score needs it."""
    clips = tuple(
        ClipTruth(id=a.id, speaker=a.speaker, emotion=a.emotion, arousal=None, dominance=None, valence=None)
        for a in answers
    )
    return CorpusFacts(
        name=answers[0].corpus,
        sha256="",
        split_sha256=None,
        label_source="human",
        languages=(),
        n_speakers=len({answer.speaker for answer in answers}),
        licence="",
        audio_s=0.0,
        clips=clips,
    )
