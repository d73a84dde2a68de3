"""Accuracy against scikit-learn and audmetric on clips really drawn, and a worked example."""

from __future__ import annotations

import json

import audmetric
import numpy as np
import pytest
from support import results_builder as b

from edgebench.results import record_from
from edgebench.results.metrics import accuracy
from edgebench.results.records.messages import Predictions
from edgebench.results.records.record import CorpusFacts
from edgebench.results.report.words import figure_text


def corpus_facts(rows, **changes):
    return CorpusFacts.model_validate_json(json.dumps(b.corpus(rows=rows, **changes)))


def predicted(rows, **options):
    return Predictions.model_validate_json(json.dumps(b.predictions(rows, **options)))


def unbalanced(seed=0, speakers=8):
    """Speakers of different sizes who do not all show every emotion."""
    rng = np.random.default_rng(seed)
    rows = [row for row in b.clips(speakers=speakers, per_emotion=9) if rng.random() < 0.6]
    return [row for row in rows if not (row["speaker"] == "s1" and row["emotion"] == "sadness")]


def classes(rows, found):
    logits = np.array(found.values[1])
    return [row["emotion"] for row in rows], [b.EMOTIONS[k] for k in logits.argmax(axis=1)]


def test_figures_are_scikit_learns():
    import sklearn.metrics  # not at the top: every test process collects every file

    rows = unbalanced()
    found = predicted(rows, error=0.8)
    truth, prediction = classes(rows, found)
    figures = accuracy.score(found, corpus_facts(rows), b.TASKS).figures
    assert figures["ua"].value == pytest.approx(sklearn.metrics.balanced_accuracy_score(truth, prediction))
    assert figures["wa"].value == pytest.approx(sklearn.metrics.accuracy_score(truth, prediction))
    f1 = sklearn.metrics.f1_score(truth, prediction, average=None, labels=b.EMOTIONS)
    assert figures["macro_f1"].value == pytest.approx(f1.mean())
    for name, value in zip(b.EMOTIONS, f1, strict=True):
        assert figures[f"f1_{name}"].value == pytest.approx(value)
    scoring = accuracy.score(found, corpus_facts(rows), b.TASKS)
    oracle = sklearn.metrics.confusion_matrix(truth, prediction, labels=b.EMOTIONS)
    assert np.array_equal(scoring.confusion, oracle)
    assert scoring.labels == b.EMOTIONS
    assert (scoring.n_clips, scoring.n_speakers) == (len(rows), 8)


def test_concordance_of_lins_definition():
    rows = unbalanced(1)
    found = predicted(rows, error=1.0)
    figures = accuracy.score(found, corpus_facts(rows), b.TASKS).figures
    for column, name in enumerate(("arousal", "dominance", "valence")):
        t = np.array([row[name] for row in rows])
        p = np.array(found.values[0])[:, column]
        plain = (
            2 * np.mean((t - t.mean()) * (p - p.mean())) / (t.var() + p.var() + (t.mean() - p.mean()) ** 2)
        )
        assert figures[f"ccc_{name}"].value == pytest.approx(plain)


def test_sums_over_drawn_speakers_score_their_clips():
    """Speakers weighted by how often they were drawn score as audmetric does on their clips copied."""
    rows = unbalanced(2, speakers=5)
    found = predicted(rows, error=0.8)
    labels, categorical, dimensional = accuracy.answers(found, corpus_facts(rows), b.TASKS)
    names = sorted({row["speaker"] for row in rows})
    truth, prediction = classes(rows, found)
    arousal = np.array(found.values[0])[:, 0]
    weights = np.random.default_rng(3).multinomial(5, [0.2] * 5, size=30)
    confusions = weights @ accuracy.speaker_confusions(categorical, 4)
    moments = weights @ accuracy.speaker_moments(dimensional["arousal"])
    for k, draw in enumerate(weights):
        clips = [
            i
            for name, times in zip(names, draw, strict=True)
            for _ in range(times)
            for i, row in enumerate(rows)
            if row["speaker"] == name
        ]
        t, p = [truth[i] for i in clips], [prediction[i] for i in clips]
        present = sorted(set(t))
        recalls = audmetric.recall_per_class(t, p, labels=labels)
        f1s = audmetric.fscore_per_class(t, p, labels=labels)
        flat = confusions[k]
        assert accuracy.category_statistic("ua", labels)(flat) == pytest.approx(
            np.mean([recalls[c] for c in present])
        )
        assert accuracy.category_statistic("wa", labels)(flat) == pytest.approx(audmetric.accuracy(t, p))
        assert accuracy.category_statistic("macro_f1", labels)(flat) == pytest.approx(
            np.mean([f1s[c] for c in present])
        )
        oracle = audmetric.concordance_cc([rows[i]["arousal"] for i in clips], arousal[clips])
        assert accuracy.concordance(moments[k]) == pytest.approx(oracle, abs=1e-12)


def test_a_worked_example():
    """Four clips a class of two classes: recalls 3/4 and 1/4, so UA 0.5; the other classes are not there."""
    rows = [
        {
            "id": f"c{n}",
            "speaker": f"s{n % 2}",
            "emotion": emotion,
            "arousal": None,
            "dominance": None,
            "valence": None,
            "seen": False,
        }
        for n, emotion in enumerate(["anger"] * 4 + ["sadness"] * 4)
    ]
    named = ["anger", "anger", "anger", "neutral", "sadness", "anger", "anger", "happiness"]
    values = [[float(name == label) for label in b.EMOTIONS] for name in named]
    found = Predictions(
        clips=tuple(r["id"] for r in rows), names=("emotion_logits",), values=(tuple(map(tuple, values)),)
    )
    figures = accuracy.score(found, corpus_facts(rows), b.TASKS).figures
    assert figures["ua"].value == 0.5
    assert figures["wa"].value == 0.5
    # F1 anger 2*3/(4+5) = 2/3, sadness 2*1/(4+1) = 2/5.
    assert figures["macro_f1"].value == pytest.approx((2 / 3 + 2 / 5) / 2)
    assert figures["f1_neutral"].value is None and "no clip" in figures["f1_neutral"].reason
    assert figures["ccc_arousal"].value is None and "no output" in figures["ccc_arousal"].reason


def test_a_constant_prediction_is_null_with_a_reason():
    rows = b.clips()
    found = b.predictions(rows)
    found["values"][0] = [[0.5, value[1], value[2]] for value in found["values"][0]]
    figures = accuracy.score(
        Predictions.model_validate_json(json.dumps(found)), corpus_facts(rows), b.TASKS
    ).figures
    assert figures["ccc_arousal"].value is None and "prediction is the same" in figures["ccc_arousal"].reason
    assert figures["ccc_valence"].value is not None


def test_a_prediction_that_is_not_finite_is_null_with_a_count():
    rows = b.clips()
    found = b.predictions(rows)
    found["values"][1][3][2] = None
    figures = accuracy.score(
        Predictions.model_validate_json(json.dumps(found)), corpus_facts(rows), b.TASKS
    ).figures
    assert figures["ua"].value is None and "1 of 120 predictions are not finite" in figures["ua"].reason
    assert figures["ccc_arousal"].value is not None


@pytest.mark.parametrize(("speakers", "told"), [(1, "1 speaker; an"), (4, "4 speakers; an interval needs 5")])
def test_too_few_speakers_have_a_figure_and_no_interval(speakers, told):
    rows = b.clips(speakers=speakers)
    figures = accuracy.score(predicted(rows), corpus_facts(rows), b.TASKS).figures
    for name in ("ua", "ccc_valence"):
        assert figures[name].value is not None
        assert (figures[name].lo, figures[name].hi) == (None, None)
        assert told in figures[name].reason


def test_clips_without_a_label_are_left_out_of_what_needs_it():
    rows = b.clips()
    for row in rows[:10]:
        row["emotion"] = None
    for row in rows[10:15]:
        row["emotion"] = "disgust"
    figures = accuracy.score(
        predicted([dict(row, emotion="anger") for row in rows]), corpus_facts(rows), b.TASKS
    ).figures
    assert figures["ua"].n == 105
    assert figures["ccc_arousal"].n == 120


def test_losses_are_paired_over_speakers():
    """The child differs on three clips: the paired interval is far narrower than that of UA itself."""
    rows = unbalanced(4)
    parent = b.predictions(rows, error=0.8)
    child = b.predictions(rows, error=0.8)
    for i in (0, 40, 80):
        child["values"][1][i] = [-v for v in parent["values"][1][i]]
    child["values"][0] = [[0.9 * v for v in row] for row in child["values"][0]]
    first, second = (Predictions.model_validate_json(json.dumps(p)) for p in (parent, child))
    facts = corpus_facts(rows)
    figures = accuracy.losses(first, second, facts, b.TASKS, b.TASKS)
    a, c = (accuracy.score(p, facts, b.TASKS).figures for p in (first, second))
    for name in ("ua", "wa", "macro_f1", "ccc_arousal", "ccc_dominance", "ccc_valence"):
        assert figures[f"{name}_loss"].value == pytest.approx(a[name].value - c[name].value, abs=1e-12)
        assert figures[f"{name}_loss"].lo <= figures[f"{name}_loss"].value <= figures[f"{name}_loss"].hi
    assert figures["ua_loss"].hi - figures["ua_loss"].lo < 0.5 * (a["ua"].hi - a["ua"].lo)


def test_a_child_that_is_its_parent_loses_nothing():
    rows = b.clips()
    same = predicted(rows)
    figures = accuracy.losses(same, same, corpus_facts(rows), b.TASKS, b.TASKS)
    changed = figures.pop("classes_changed")
    assert (changed.value, changed.n, changed.lo) == (0, len(rows), None)
    assert {(f.value, f.lo, f.hi) for f in figures.values()} == {(0.0, 0.0, 0.0)}


def test_classes_that_changed_are_counted_whether_right_or_wrong():
    rows = b.clips()
    before = b.predictions(rows)
    after = json.loads(json.dumps(before))
    logits = after["names"].index("emotion_logits")
    for clip in (0, 3, 7):
        after["values"][logits][clip] = after["values"][logits][clip][::-1]
    # A clip that only one of the two predicted has not changed.
    after["clips"].pop()
    for column in after["values"]:
        column.pop()
    first, second = (Predictions.model_validate_json(json.dumps(p)) for p in (before, after))
    figure = accuracy.losses(first, second, corpus_facts(rows), b.TASKS, b.TASKS)["classes_changed"]
    assert (figure.value, figure.unit, figure.n) == (3, "clips", len(rows) - 1)
    assert figure_text(figure) == f"3 of {len(rows) - 1}"
    other = {**b.TASKS, "emotion_logits": {"kind": "categorical", "labels": ["a", "b", "c", "d"]}}
    unlike = accuracy.losses(first, second, corpus_facts(rows), b.TASKS, other)["classes_changed"]
    assert unlike.value is None and "same emotions" in unlike.reason


def test_seen_clips_are_counted():
    rows = b.clips(speakers=3) + [
        dict(row, id="x" + row["id"], speaker="t") for row in b.clips(speakers=1, seen=True)
    ]
    scoring = accuracy.score(predicted(rows), corpus_facts(rows), b.TASKS)
    assert (scoring.seen, scoring.n_clips, scoring.n_speakers) == (20, 80, 4)
    assert record_from(b.header(corpora=[b.corpus(rows=rows)])).corpora[0].clips[-1].seen
