"""Means over seeds and paired differences, against one training at a time and against a plain loop."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.special
import scipy.stats
from support import results_builder as b

from edgebench.results.metrics import accuracy
from edgebench.results.metrics.repeats import Trained, over_seeds, paired_over_seeds
from edgebench.results.records.messages import Predictions
from edgebench.results.records.record import CorpusFacts

ROWS = [row for i, row in enumerate(b.clips(speakers=6, per_emotion=5)) if i % 7]
CORPUS = CorpusFacts.model_validate_json(json.dumps(b.corpus(rows=ROWS)))
METRICS = ("ua", "wa", "macro_f1", "f1_anger", "ccc_valence")


def training(error: float, seed: int) -> Trained:
    found = b.predictions(ROWS, error=error, seed=seed)
    return Trained(Predictions.model_validate_json(json.dumps(found)), b.TASKS)


def alone(one: Trained, metric: str):
    return accuracy.score(one.predictions, CORPUS, one.tasks).figures[metric]


@pytest.mark.parametrize("metric", METRICS)
def test_the_mean_is_of_the_values_that_each_training_has_alone(metric):
    trainings = [training(0.5 + 0.2 * i, seed=i) for i in range(4)]
    found = over_seeds(trainings, CORPUS, metric)
    values = [alone(one, metric).value for one in trainings]
    assert found.values == pytest.approx(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.deviation == pytest.approx(np.std(values, ddof=1))
    assert found.interval.lo < found.mean < found.interval.hi


@pytest.mark.parametrize("metric", METRICS)
def test_one_training_has_the_interval_that_a_run_gives_it(metric):
    one = training(0.8, seed=1)
    found, figure = over_seeds([one], CORPUS, metric), alone(one, metric)
    assert (found.interval.lo, found.interval.hi) == pytest.approx((figure.lo, figure.hi))
    assert found.deviation is None


@pytest.mark.parametrize("metric", ["ua", "ccc_arousal"])
def test_a_difference_is_paired_by_seed_and_by_speaker(metric):
    before = [training(0.9, seed=i) for i in range(3)]
    after = [training(0.4, seed=i) for i in range(3)]
    found = paired_over_seeds(before, after, CORPUS, metric)
    plain = [alone(a, metric).value - alone(z, metric).value for z, a in zip(before, after, strict=True)]
    assert found.values == pytest.approx(plain) and found.mean == pytest.approx(np.mean(plain))
    loss = accuracy.losses(before[0].predictions, after[0].predictions, CORPUS, b.TASKS, b.TASKS)[
        f"{metric}_loss"
    ]
    one = paired_over_seeds(before[:1], after[:1], CORPUS, metric)
    assert (-one.interval.hi, -one.interval.lo) == pytest.approx((loss.lo, loss.hi))
    same = paired_over_seeds(before, before, CORPUS, metric)
    assert (same.mean, same.interval.lo, same.interval.hi) == (0.0, 0.0, 0.0)


def test_the_interval_is_a_jackknife_over_speakers_done_by_hand():
    import sklearn.metrics  # not at the top: every test process collects every file

    trainings = [training(0.7, seed=i) for i in range(3)]
    found = over_seeds(trainings, CORPUS, "ua")
    answers = [np.array(one.predictions.values[1]).argmax(1) for one in trainings]

    def mean_ua(speakers):
        clips = [i for i, row in enumerate(ROWS) if row["speaker"] in speakers]
        truth = [b.EMOTIONS.index(ROWS[i]["emotion"]) for i in clips]
        return np.mean([sklearn.metrics.balanced_accuracy_score(truth, a[clips]) for a in answers])

    speakers = sorted({row["speaker"] for row in ROWS})
    whole = mean_ua(speakers)
    squares = [(mean_ua([s for s in speakers if s != out]) - whole) ** 2 for out in speakers]
    error = np.sqrt((len(speakers) - 1) / len(speakers) * np.sum(squares))
    half = scipy.stats.t.ppf(0.975, len(speakers) - 1) * error / (whole * (1 - whole))
    middle = scipy.special.logit(whole)
    bounds = scipy.special.expit([middle - half, middle + half])
    assert (found.interval.lo, found.interval.hi) == pytest.approx(tuple(bounds))


def test_what_cannot_be_compared():
    one = training(0.5, seed=0)
    fewer = one.predictions.model_copy(
        update={
            "clips": one.predictions.clips[:-1],
            "values": tuple(column[:-1] for column in one.predictions.values),
        }
    )
    with pytest.raises(ValueError, match="same clips"):
        over_seeds([one, Trained(fewer, b.TASKS)], CORPUS, "ua")
    with pytest.raises(ValueError, match="no such output"):
        over_seeds([Trained(one.predictions, {})], CORPUS, "ua")
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_over_seeds([one], [one, one], CORPUS, "ua")
