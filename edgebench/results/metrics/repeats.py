"""Several trainings of one recipe, and two recipes against each other: what is luck of the seed, what is not.

A training is drawn as much as a test speaker is. So the mean over seeds stands beside its deviation over
seeds, and two recipes are compared seed by seed on the same clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgebench.results.metrics import accuracy
from edgebench.results.metrics.intervals import PLAIN, Interval, Scale, jackknife
from edgebench.results.metrics.statistics import Floats
from edgebench.results.metrics.table import METRICS
from edgebench.results.records.messages import Predictions
from edgebench.results.records.record import CorpusFacts


class Trained(NamedTuple):
    """What one training answered, and the tasks of its outputs (as a manifest has them)."""

    predictions: Predictions
    tasks: accuracy.Tasks


@dataclass(frozen=True)
class Repeated:
    """A metric over the seeds: ``values (seeds,)``, their mean with a 95 % interval over test speakers.

    ``deviation``: of the values over seeds (n - 1), None for one seed.
    """

    values: tuple[float, ...]
    mean: float
    interval: Interval
    deviation: float | None


def over_seeds(trainings: Sequence[Trained], corpus: CorpusFacts, metric: str) -> Repeated:
    """``metric`` (``ua``, ``wa``, ``macro_f1``, ``f1_*``, ``ccc_*``) of each training, and their mean.

    Raises :class:`ValueError` where an artifact has no such output, an answer is no number, or the
    trainings answered for different clips.
    """
    sums, statistic = _stacked(trainings, corpus, metric)
    width = sums.shape[1] // len(trainings)

    def each(drawn: Floats) -> Floats:
        return statistic(drawn.reshape(*drawn.shape[:-1], len(trainings), width))

    return _repeated(sums, each, METRICS[metric].scale)


def paired_over_seeds(
    before: Sequence[Trained], after: Sequence[Trained], corpus: CorpusFacts, metric: str
) -> Repeated:
    """``after - before`` of ``metric``, training by training; the interval leaves a speaker out of both.

    The two are paired by their place: give both in the order of their seeds.
    """
    if len(before) != len(after):
        raise ValueError(f"{len(before)} and {len(after)} trainings cannot be paired.")
    sums, statistic = _stacked([*before, *after], corpus, metric)
    width = sums.shape[1] // (2 * len(before))

    def each(drawn: Floats) -> Floats:
        values = statistic(drawn.reshape(*drawn.shape[:-1], 2, len(before), width))
        difference: Floats = values[..., 1, :] - values[..., 0, :]
        return difference

    return _repeated(sums, each, PLAIN)


def _repeated(sums: Floats, each: accuracy.Statistic, scale: Scale) -> Repeated:
    """``each``: sums (..., all trainings' sums) to values (..., seeds)."""
    values = each(sums.sum(axis=0))
    estimate = jackknife(sums, lambda drawn: each(drawn).mean(axis=-1), cluster="speaker")
    deviation = float(values.std(ddof=1)) if len(values) > 1 else None
    return Repeated(tuple(values.tolist()), float(values.mean()), estimate.interval(scale), deviation)


def _stacked(
    trainings: Sequence[Trained], corpus: CorpusFacts, metric: str
) -> tuple[Floats, accuracy.Statistic]:
    """The sums of every speaker, those of all trainings side by side, and what makes a value of one's."""
    parts: list[Floats] = []
    clips: set[tuple[str, ...]] = set()
    labels: tuple[str, ...] = ()
    concordance = metric in accuracy.CCC
    for predictions, tasks in trainings:
        labels, categorical, dimensional = accuracy.answers(predictions, corpus, tasks)
        found = dimensional.get(METRICS[metric].of) if concordance else categorical
        if found is None or found.problem:
            raise ValueError(f"{metric} on {corpus.name}: {found.problem if found else 'no such output'}")
        clips.add(found.clip_ids)
        if concordance:
            parts.append(accuracy.speaker_moments(found))
        else:
            parts.append(accuracy.speaker_confusions(found, len(labels)))
    if len(clips) != 1:
        raise ValueError(f"{metric} on {corpus.name}: the trainings did not answer for the same clips.")
    value = accuracy.concordance if concordance else accuracy.category_statistic(metric, labels)
    return np.hstack(parts), value
