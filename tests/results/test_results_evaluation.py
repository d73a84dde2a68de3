"""Evaluations: who is compared with whom, under which name, and the public JSON."""

from __future__ import annotations

import json

import pytest
from support import results_builder as b

from edgebench.results import ArtifactFacts, Predictions
from edgebench.results.evaluation import evaluation
from edgebench.results.metrics import accuracy
from edgebench.results.records.record import CorpusFacts
from edgebench.results.report.evaluation import evaluation_sections

ROWS = b.clips(speakers=4, per_emotion=2)


def facts(key, *, sha256=None, parent=None, training=None):
    manifest = {"tasks": b.TASKS, "parent": parent, "training": training}
    return ArtifactFacts(key=key, sha256=sha256 or key[0] * 64, size_bytes=1, parameters=1, manifest=manifest)


def corpus(name="emodb"):
    return CorpusFacts.model_validate_json(json.dumps(b.corpus(name, rows=ROWS)))


def predicted(seed):
    return Predictions.model_validate_json(json.dumps(b.predictions(ROWS, seed=seed, error=0.8)))


def evaluated(*artifacts, corpora=("emodb",)):
    given = {(a.sha256, name): predicted(n) for n, a in enumerate(artifacts) for name in corpora}
    return evaluation(artifacts, [corpus(name) for name in corpora], given)


A, B, C = facts("a.fp32"), facts("b.fp32"), facts("c.int8", parent="b" * 64)


@pytest.mark.parametrize(
    ("models", "against"),
    [
        ((A,), [None]),
        ((A, B), [None, "a.fp32"]),
        ((A, C), [None, "a.fp32"]),
        ((B, C), [None, "b.fp32"]),
        ((A, B, C), [None, "a.fp32", "b.fp32"]),
        ((C, B), ["b.fp32", None]),
        ((C, A, B), ["b.fp32", "c.int8", None]),
        ((C,), [None]),
        ((facts("d.fp32", parent="d" * 64), A), [None, "d.fp32"]),
    ],
    ids=lambda found: " ".join(a.key for a in found) if isinstance(found[0], ArtifactFacts) else "",
)
def test_the_parent_where_it_is_there_else_the_first(models, against):
    rows = evaluated(*models).rows
    assert [row.against for row in rows] == against
    for row in rows:
        assert ("ua_loss" in row.figures) == (row.against is not None)


def test_losses_are_those_of_a_run():
    first, second = evaluated(A, B).rows
    expected = accuracy.losses(predicted(0), predicted(1), corpus(), b.TASKS, b.TASKS)
    assert {name: second.figures[name] for name in expected} == expected
    assert any(figure.value != 0 for figure in expected.values())
    assert first.figures == accuracy.score(predicted(0), corpus(), b.TASKS).figures


def test_two_files_of_one_key_are_told_apart():
    twins = [facts("a.fp32", sha256=letter * 64) for letter in "12"]
    rows = evaluated(*twins).rows
    assert [row.name for row in rows] == ["a.fp32 (11111111)", "a.fp32 (22222222)"]
    assert rows[1].against == "a.fp32 (11111111)"


@pytest.mark.parametrize(
    ("training", "trained"),
    [(None, None), ({"corpora": {"emodb": {}}}, True), ({"corpora": {"nemo": {}}}, False)],
)
def test_whether_the_model_learnt_from_the_corpus(training, trained):
    (row,) = evaluated(facts("a.fp32", training=training)).rows
    assert row.trained_on_corpus is trained


def test_json_has_each_corpus_and_model_and_can_be_written():
    found = json.loads(json.dumps(evaluated(A, C, corpora=("nemo", "emodb")).to_json(), allow_nan=False))
    assert found["schema_version"] == 1
    order = [(row["corpus"]["name"], row["artifact"]) for row in found["records"]]
    assert order == [(name, key) for name in ("nemo", "emodb") for key in ("a.fp32", "c.int8")]
    for row in found["records"]:
        assert set(row["corpus"]) >= {"n_clips", "n_speakers", "left_out", "seen_in_training"}
        assert sum(map(sum, row["confusion"])) == len(ROWS)
        assert row["labels"] == list(b.EMOTIONS)
        assert {"value", "unit", "lo", "hi", "n"} <= set(row["metrics"]["ua"])


def test_recall_beside_the_confusion_is_that_of_its_row():
    found = evaluated(A)
    table = next(s for s in evaluation_sections(found) if s.title.startswith("Confusion"))
    for label, counts, row in zip(b.EMOTIONS, found.rows[0].scoring.confusion, table.rows, strict=True):
        texts = [cell.text for cell in row]
        assert texts[:-1] == [label, *map(str, counts)]
        assert float(texts[-1]) == pytest.approx(counts[b.EMOTIONS.index(label)] / 8, abs=5e-4)
