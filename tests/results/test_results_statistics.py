"""Statistics against scipy and against loops that spell the definition out."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import scipy.stats

from edgebench.results.metrics import statistics


@pytest.mark.parametrize("q", [0.0, 0.5, 0.9, 0.99, 1.0])
def test_quantile_is_type_7(q):
    values = np.random.default_rng(1).exponential(size=37)
    ordered = sorted(values)
    place = (len(ordered) - 1) * q  # Hyndman and Fan's definition 7, written plainly
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    plain = ordered[low] + (place - low) * (ordered[high] - ordered[low])
    assert statistics.quantile(values, q) == pytest.approx(plain, rel=1e-12)
    oracle = scipy.stats.mstats.mquantiles(values, q, alphap=1, betap=1)[0]
    assert statistics.quantile(values, q) == pytest.approx(oracle, rel=1e-12)


def test_quantile_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="no samples"):
        statistics.quantile([], 0.5)


def test_mad_is_scipys():
    values = np.random.default_rng(2).normal(size=101)
    assert statistics.mad(values) == pytest.approx(scipy.stats.median_abs_deviation(values))


def plain_launch_bootstrap(launches, q, *, seed, replicates):
    """The hierarchical bootstrap, spelled out."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(replicates):
        pool = []
        for _ in launches:
            launch = launches[rng.integers(len(launches))]
            pool.extend(launch[rng.integers(len(launch))] for _ in launch)
        found.append(np.quantile(pool, q))
    return np.array(found)


@pytest.mark.parametrize("sizes", [(60, 60, 60, 60), (20, 90, 45)])
@pytest.mark.parametrize("q", [0.5, 0.9])
def test_launch_bootstrap_has_the_distribution_of_the_plain_loop(sizes, q):
    rng = np.random.default_rng(3)
    launches = [rng.gamma(5, 1 + 0.2 * number, size=size) for number, size in enumerate(sizes)]
    fast = statistics.launch_quantiles(launches, [q], seed=4, replicates=2000)[:, 0]
    plain = plain_launch_bootstrap(launches, q, seed=5, replicates=2000)
    assert scipy.stats.ks_2samp(fast, plain).pvalue > 1e-3


def test_launch_bootstrap_sees_launches_not_only_samples():
    """Launches that differ by 10 % with no scatter within: the interval must span them."""
    launches = [np.full(500, 10.0), np.full(500, 11.0), np.full(500, 10.5)]
    interval = statistics.latency_intervals(launches, [0.5], seed=1)[0]
    assert (interval.lo, interval.hi) == (10.0, 11.0)


def test_blocks_and_thinning_do_not_change_what_is_estimated(monkeypatch):
    rng = np.random.default_rng(6)
    launches = [rng.normal(100, 5, size=3000) for _ in range(4)]
    whole = statistics.latency_intervals(launches, [0.5, 0.99], seed=1)
    monkeypatch.setattr(statistics, "SAMPLES_PER_LAUNCH", 10_000)
    monkeypatch.setattr(statistics, "BLOCK_ELEMENTS", 50_000)
    exact = statistics.latency_intervals(launches, [0.5, 0.99], seed=1)
    for thin, full in zip(whole, exact, strict=True):
        middle = (full.lo + full.hi) / 2
        assert (thin.lo + thin.hi) / 2 == pytest.approx(middle, rel=0.005)
        assert thin.hi - thin.lo >= 0.8 * (full.hi - full.lo), "thinning may widen, not narrow"


def test_memory_is_bounded_for_long_launches():
    launches = [np.random.default_rng(n).normal(size=100_000) for n in range(5)]
    tracemalloc.start()
    statistics.latency_intervals(launches, [0.5, 0.9, 0.99], seed=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150e6


def test_the_same_seed_gives_the_same_interval():
    launches = [np.random.default_rng(n).normal(size=50) for n in range(3)]
    first = statistics.latency_intervals(launches, [0.5], seed=9)
    assert first == statistics.latency_intervals(launches, [0.5], seed=9)
    assert first != statistics.latency_intervals(launches, [0.5], seed=10)


def test_coverage_of_the_median_over_many_launches():
    """With twenty launches the 95 % interval holds the true median about 95 times in a hundred."""
    rng = np.random.default_rng(7)
    held = 0
    for trial in range(120):
        launches = [rng.normal(rng.normal(100, 3), 1, size=30) for _ in range(20)]
        replicates = statistics.launch_quantiles(launches, [0.5], seed=trial, replicates=300)[:, 0]
        interval = statistics.percentile_interval(replicates)
        held += interval.lo <= 100 <= interval.hi
    assert 0.86 <= held / 120 <= 1.0


def test_one_launch_has_no_interval_but_a_reason():
    (interval,) = statistics.latency_intervals([[1.0, 2.0]], [0.5], seed=1)
    assert (interval.lo, interval.hi) == (None, None)
    assert "one process launch" in interval.reason
    assert (
        "one speaker"
        in statistics.cluster_interval([[1.0]], lambda s: s[:, 0], seed=1, cluster="speaker").reason
    )
    assert statistics.value_interval([5], np.median, seed=1).reason


def test_cluster_bootstrap_is_scipys_of_the_mean():
    values = np.random.default_rng(8).normal(10, 2, size=25)
    sums = np.stack([values, np.ones_like(values)], axis=1)
    interval = statistics.cluster_interval(sums, lambda s: s[:, 0] / s[:, 1], seed=1, cluster="speaker")
    oracle = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert interval.lo == pytest.approx(oracle.low, abs=0.12)
    assert interval.hi == pytest.approx(oracle.high, abs=0.12)


def test_undefined_replicates_are_left_out_or_make_the_interval_null():
    values = np.arange(100.0)
    values[:5] = np.nan
    kept = statistics.percentile_interval(values)
    assert [kept.lo, kept.hi] == pytest.approx(np.quantile(np.arange(5.0, 100.0), [0.025, 0.975]))
    values[:20] = np.nan
    assert statistics.percentile_interval(values).reason


def test_ratio_interval_of_a_known_ratio():
    rng = np.random.default_rng(9)
    interval = statistics.ratio_interval(rng.normal(100, 1, 20_000), rng.normal(150, 1, 20_000))
    # First order: the relative variances add.
    half = 1.96 * 1.5 * np.hypot(1 / 100, 1 / 150)
    assert interval.lo == pytest.approx(1.5 - half, abs=0.002)
    assert interval.hi == pytest.approx(1.5 + half, abs=0.002)
