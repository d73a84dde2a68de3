"""The simulation behind ``benchmarks.coverage``: its truth is what it says; it notices a wrong interval."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # the benchmarks are no part of what is installed

from benchmarks import coverage, real_aa, real_launches, simulated
from benchmarks.simulated import Loads, Speakers, Truth
from edgebench.results.compare import compare, compare_artifacts
from edgebench.results.metrics import intervals


@pytest.mark.parametrize("kind", ["normal", "two levels"])
def test_launches_have_the_deviation_and_the_middle_that_they_are_said_to_have(kind):
    logs = Truth(0.02, kind, drift=0.05).logs(np.random.default_rng(1), (4000, 9))
    assert logs.mean() == pytest.approx(0, abs=0.002)
    levels = np.log(1.15) / 2 if kind == "two levels" else 0.0
    assert logs[:, 4].std() == pytest.approx(np.hypot(0.02, levels), rel=0.05)
    assert logs[:, -1].mean() - logs[:, 0].mean() == pytest.approx(np.log(1.05), abs=0.004)


def test_launches_are_given_other_times_again_and_again():
    launches = Loads(3)
    for value in (0.0, 0.5):
        assert [line.trial.load_ns for line in launches.of(np.full(3, value))] == [3e7 * np.exp(value)] * 3
    assert [line.round for line in launches.lines] == [0, 1, 2]


def test_speakers_answer_as_often_rightly_as_they_are_said_to():
    first, second = Speakers(level=1.0, deviation=0.0, agreement=1.0).confusions(
        np.random.default_rng(2), 2000
    )
    assert np.array_equal(first, second)
    total = first.sum(axis=0).reshape(4, 4)
    assert np.diagonal(total) / total.sum(axis=1) == pytest.approx(np.full(4, 1 / (1 + np.exp(-1))), abs=0.01)


def test_an_interval_that_is_too_short_is_noticed(monkeypatch):
    """With the normal quantile in the place of Student's, five launches hold the truth in some 88 %."""
    monkeypatch.setattr(coverage, "CLUSTERS", (5,))
    good = coverage._figures(600, "load time", "normal")
    assert 93 < good.spread.median < 97
    monkeypatch.setattr(intervals, "two_sided_quantile", lambda p, df: 1.96)
    bad = coverage._figures(600, "load time", "normal")
    assert bad.spread.median < 91 and bad.verdict == "NOT MET"
    assert "outside: 5 launches, 0.3 %: 8" in bad.detail


def test_a_simulated_run_is_believed_and_its_slower_file_is_called_worse():
    summary = simulated.run(np.random.default_rng(3), Truth(0.005), rounds=8, inputs=(1.0,), slower=1.1)
    assert [row.verdict.codes for row in summary.rows] == [(), ()]
    (row,) = compare_artifacts(summary).rows
    words = {change.metric: change.outcome for change in row.changes}
    assert words["latency_p50_ns"] == words["cpu_p50_ns"] == words["throughput_utterances_per_s"] == "worse"
    assert words["peak_rss_bytes"] == "inconclusive"


def test_words_between_real_runs_are_counted():
    rng = np.random.default_rng(4)
    runs = [
        simulated.run(rng, Truth(0.005), rounds=8, inputs=(1.0,), keys=("net.a",), run_id=name, slower=slower)
        for name, slower in (("01A", 1.0), ("01B", 1.0), ("01C", 1.3))
    ]
    ticks = []
    disjoint, neighbours = real_aa.rows(runs, lambda done, total: ticks.append((done, total)))
    assert (disjoint.spread.median, disjoint.spread.n, disjoint.verdict) == (0.0, 1, "met")
    assert (neighbours.spread.median, neighbours.spread.n, neighbours.verdict) == (50.0, 2, "NOT MET")
    assert "1 of 2 comparisons" in neighbours.detail and "latency_p50_ns 1" in neighbours.detail
    assert ticks == [(0, 2), (1, 2)]
    outcomes = [c.outcome for row in compare(runs[1], runs[2]).rows for c in row.changes]
    assert f"worse {outcomes.count('worse')}" in neighbours.detail


def test_the_kept_launches_are_what_the_table_makes_of_a_run():
    summary = simulated.run(
        np.random.default_rng(5), Truth(0.01), rounds=4, inputs=(1.0, 5.0), keys=real_launches.COPIES
    )
    found = real_launches.table(summary)
    assert found["rounds"] == 4
    values = np.array(found["values"]["latency_p50_ns"])
    assert values.shape == (2, 2, 4)
    trial = next(
        line.trial
        for row in summary.rows
        if (row.condition.artifact, row.condition.input_s) == ("copy_b", 5.0)
        for line in row.trials
        if line.round == 2
    )
    assert values[1, 1, 2] == pytest.approx(np.median(trial.samples_ns), rel=1e-6)
    assert all(logs.shape[:2] == (2, 2) and np.isfinite(logs).all() for logs in real_launches.logs().values())
