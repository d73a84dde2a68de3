"""Pareto fronts against brute force, and planes against the verdicts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support import results_builder as b

from edgebench.results import summarise
from edgebench.results.compare import compare_artifacts
from edgebench.results.pareto import default_reference, front, plane, relative_plane

DIRECTIONS = {"size_bytes": "lower", "ua": "higher", "latency_p50_ns": "lower", "ccc_arousal": "higher"}


def brute_force(points, metrics):
    def as_good(a, c):
        return all(
            x <= y if DIRECTIONS[m] == "lower" else x >= y for x, y, m in zip(a, c, metrics, strict=True)
        )

    whole = [not any(np.isnan(point)) for point in points]
    return [
        whole[i]
        and not any(
            whole[j] and as_good(points[j], points[i]) and not as_good(points[i], points[j])
            for j in range(len(points))
        )
        for i in range(len(points))
    ]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_front_is_that_of_brute_force(data):
    metrics = data.draw(st.permutations(sorted(DIRECTIONS)).map(tuple))[: data.draw(st.integers(1, 4))]
    shape = (data.draw(st.integers(0, 12)), len(metrics))
    # Few distinct values, so that ties and equal points happen; NaN for what was not measured.
    elements = st.sampled_from([0.0, 1.0, 2.0, 3.0, float("nan")])
    points = data.draw(hnp.arrays(np.float64, shape, elements=elements))
    assert front(points, metrics).tolist() == brute_force(points.tolist(), metrics)


def test_equal_points_share_the_front():
    assert front([[1, 0.5], [1, 0.5], [2, 0.5]], ["size_bytes", "ua"]).tolist() == [True, True, False]


@pytest.fixture(scope="module")
def models():
    keys = (("a.small", 2e6, 0.9), ("b.middle", 5e6, 0.6), ("c.wasteful", 9e6, 1.2), ("d.large", 20e6, 0.3))
    artifacts = []
    for number, (key, speed, _) in enumerate(keys):
        made = b.artifact(key, sha256=str(number) * 64, size_bytes=int(speed))
        made["manifest"] = {"tasks": b.TASKS}
        b.SHA[key] = made["sha256"]
        artifacts.append(made)
    yield {"models": keys, "artifacts": artifacts}
    for key, _, _ in keys:
        del b.SHA[key]


def points_of(summary, cost="latency_p50_ns"):
    return {p.artifact: p for p in plane(summary, cost=cost, accuracy="ua", corpus="emodb", input_s=5.0)}


def test_the_plane_marks_front_and_dominated(models):
    found = points_of(summarise(b.records(b.run_lines(**models))))
    assert {name: point.on_front for name, point in found.items()} == {
        "a.small": True,
        "b.middle": True,
        "c.wasteful": False,
        "d.large": True,
    }
    assert found["d.large"].cost.value == pytest.approx(101e6, rel=0.02)
    assert not any(point.problems for point in found.values())


def test_an_invalid_point_neither_stands_on_the_front_nor_dominates(models):
    def spoil(line):
        if line["condition"]["artifact"] == "b.middle" and line["condition"]["scenario"] == "single_stream":
            line["trial"]["telemetry"] = b.telemetry(busy=0.5)

    found = points_of(summarise(b.records(b.run_lines(change=spoil, **models))))
    assert found["b.middle"].problems == ("BUSY_HOST",)
    assert not found["b.middle"].on_front
    assert not found["c.wasteful"].on_front, "a.small is still better in both"
    assert found["a.small"].on_front


def relative_points(summary, cost="latency_p50_ns", against="a.small"):
    comparison = compare_artifacts(summary, against=against)
    found = relative_plane(comparison, cost=cost, accuracy="ua", corpus="emodb", input_s=5.0)
    return {point.artifact: point for point in found}


def test_relative_points_are_ratios_of_rounds_and_differences_of_the_same_clips(models):
    """Every launch of a round is slower by the same factor: the ratios know nothing of it."""

    def drift(line):
        factor = 1 + 0.3 * line["round"]
        line["trial"]["samples_ns"] = [int(sample * factor) for sample in line["trial"]["samples_ns"]]

    summary = summarise(b.records(b.run_lines(change=drift, **models)))
    found = relative_points(summary)
    absolute = points_of(summary)
    assert all("UNSTABLE" in point.problems for point in absolute.values())
    for key, speed, _ in models["models"]:
        point = found[key]
        assert point.problems == () and point.cost.value == pytest.approx(speed / 2e6, rel=0.01)
        assert point.accuracy.value == pytest.approx(
            absolute[key].accuracy.value - absolute["a.small"].accuracy.value
        )
    assert found["d.large"].cost.lo < found["d.large"].cost.value < found["d.large"].cost.hi < 10.1
    assert (found["a.small"].cost.lo, found["a.small"].accuracy.lo) == (None, None)
    assert {name: point.on_front for name, point in found.items()} == {
        "a.small": True,
        "b.middle": True,
        "c.wasteful": False,
        "d.large": True,
    }


def test_a_ratio_of_few_or_scattered_pairs_is_not_on_the_front(models):
    few = relative_points(summarise(b.records(b.run_lines(launches=4, **models))))
    assert few["d.large"].problems == ("FEW_PAIRS",) and not few["d.large"].on_front

    def scatter(line):
        if line["condition"]["artifact"] == "d.large":
            factor = 1 + line["round"] % 2
            line["trial"]["samples_ns"] = [sample * factor for sample in line["trial"]["samples_ns"]]

    wide = relative_points(summarise(b.records(b.run_lines(change=scatter, **models))))
    assert wide["d.large"].problems == ("SCATTERED_PAIRS",) and not wide["d.large"].on_front
    assert wide["b.middle"].on_front


def test_what_a_file_is_has_a_ratio_without_an_interval(models):
    found = relative_points(
        summarise(b.records(b.run_lines(**models))), cost="size_bytes", against="b.middle"
    )
    assert {name: point.cost.value for name, point in found.items()} == {
        "a.small": 0.4,
        "b.middle": 1.0,
        "c.wasteful": 1.8,
        "d.large": 4.0,
    }
    assert found["a.small"].cost.lo is None and found["a.small"].on_front


def test_the_reference_is_a_parent_where_there_is_one(models):
    assert default_reference(summarise(b.records(b.run_lines()))) == b.FP32
    swapped = b.run_lines(artifacts=[b.artifact(b.INT8), b.artifact(b.FP32)])
    assert default_reference(summarise(b.records(swapped))) == b.FP32
    assert default_reference(summarise(b.records(b.run_lines(**models)))) == "a.small"
    alone = b.run_lines(models=((b.FP32, 4e6, 0.3),), artifacts=[b.artifact(b.FP32)])
    assert default_reference(summarise(b.records(alone))) is None


def test_no_corpus_gives_no_points():
    summary = summarise(b.records(b.run_lines(corpora=())))
    assert plane(summary, cost="size_bytes", accuracy="ua", corpus="emodb", input_s=5.0) == ()
