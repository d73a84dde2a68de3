"""Student's t, the jackknife and Holm's procedure against scipy and plain loops; coverage by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats

from edgebench.results.metrics.families import holm
from edgebench.results.metrics.intervals import (
    FISHER_Z,
    LOG,
    LOGIT,
    MIN_CLUSTERS,
    PLAIN,
    Estimate,
    difference_of,
    halfwidth,
    jackknife,
    launches_needed,
    mean_of,
)
from edgebench.results.metrics.student import two_sided_p, two_sided_quantile


@pytest.mark.parametrize("df", [1, 2, 4, 9, 29, 3.7, 12.25, 0.5, 400, 5000])
def test_t_is_scipys(df):
    for t in (0.0, 1e-4, 0.3, 1.0, 2.2, 7.5, 60.0, 1e4):
        oracle = 2 * scipy.stats.t.sf(t, df)
        assert two_sided_p(t, df) == pytest.approx(oracle, rel=1e-8, abs=1e-300)
        assert two_sided_p(-t, df) == two_sided_p(t, df)
    for p in (0.5, 0.05, 0.01, 1e-3, 1e-6):
        assert two_sided_quantile(p, df) == pytest.approx(scipy.stats.t.isf(p / 2, df), rel=1e-8)


def test_what_no_t_distribution_has():
    assert two_sided_p(math.inf, 3) == 0
    for t, df in ((math.nan, 3), (1.0, 0.0), (1.0, -2.0)):
        with pytest.raises(ValueError, match="no t distribution"):
            two_sided_p(t, df)
    for p in (0.0, 1.0, -0.1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            two_sided_quantile(p, 3)


def test_a_mean_is_scipys():
    values = np.random.default_rng(1).normal(3, 2, size=9)
    found = mean_of(values, cluster="launch")
    oracle = scipy.stats.ttest_1samp(values, 0.0)
    interval = oracle.confidence_interval(0.95)
    assert (found.interval().lo, found.interval().hi) == pytest.approx((interval.low, interval.high))
    assert found.p_value() == pytest.approx(oracle.pvalue)
    grown = found.exp_interval()
    assert (grown.lo, grown.hi) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))


def test_a_difference_is_scipys_welch_test():
    rng = np.random.default_rng(2)
    before, after = rng.normal(0, 1, size=6), rng.normal(1, 4, size=11)
    found = difference_of(before, after, cluster="launch")
    oracle = scipy.stats.ttest_ind(after, before, equal_var=False)
    interval = oracle.confidence_interval(0.95)
    assert (found.interval().lo, found.interval().hi) == pytest.approx((interval.low, interval.high))
    assert found.p_value() == pytest.approx(oracle.pvalue)
    assert found.clusters == 6


def test_the_jackknife_of_a_mean_is_students_t():
    values = np.random.default_rng(3).normal(10, 2, size=12)
    sums = np.stack([values, np.ones_like(values)], axis=1)
    found = jackknife(sums, lambda s: s[..., 0] / s[..., 1], cluster="speaker")
    plain = mean_of(values, cluster="speaker")
    assert (found.value, found.error, found.df) == pytest.approx((plain.value, plain.error, plain.df))


def test_the_jackknife_is_the_plain_loop():
    """A ratio of sums over unequal clusters, one cluster left out at a time."""
    rng = np.random.default_rng(4)
    sums = rng.gamma(3, 2, size=(8, 2))
    found = jackknife(sums, lambda s: s[..., 0] / s[..., 1], cluster="speaker")
    whole = sums[:, 0].sum() / sums[:, 1].sum()
    squares = 0.0
    for out in range(8):
        rest = [row for number, row in enumerate(sums) if number != out]
        squares += (sum(row[0] for row in rest) / sum(row[1] for row in rest) - whole) ** 2
    assert found.value == pytest.approx(whole)
    assert found.error == pytest.approx(math.sqrt(7 / 8 * squares))


SCALES = {
    "logit": (LOGIT, scipy.special.logit, scipy.special.expit, 0.9),
    "z": (FISHER_Z, np.arctanh, np.tanh, -0.7),
    "log": (LOG, np.log, np.exp, 20.0),
    "plain": (PLAIN, lambda x: x, lambda x: x, 0.3),
}


@pytest.mark.parametrize("name", SCALES)
def test_a_scale_is_gone_to_and_come_back_from(name):
    """The bounds on the scale are value -+ t * error * slope; the slope is taken numerically here."""
    scale, there, back, value = SCALES[name]
    slope = (there(value * (1 + 1e-6)) - there(value * (1 - 1e-6))) / (2e-6 * value)
    half = scipy.stats.t.ppf(0.975, 7) * 0.02 * slope
    found = Estimate(value, 0.02, 7, 8, "speaker").interval(scale)
    assert (found.lo, found.hi) == pytest.approx((back(there(value) - half), back(there(value) + half)))


def test_shares_and_correlations_stay_within_their_range():
    wide = Estimate(0.97, 0.2, 4, 5, "speaker")
    for scale, low in ((LOGIT, 0.0), (FISHER_Z, -1.0)):
        found = wide.interval(scale)
        assert low < found.lo < 0.97 < found.hi < 1
    assert "end of its range" in Estimate(1.0, 0.1, 4, 5, "speaker").interval(LOGIT).reason


def test_too_few_clusters_have_no_interval_and_no_p_value():
    for count in range(1, MIN_CLUSTERS):
        found = mean_of(np.arange(count, dtype=float), cluster="launch")
        assert (found.interval().lo, found.interval().hi, found.p_value()) == (None, None, None)
        assert f"{count} launch" in found.interval().reason and "needs 5" in found.interval().reason
    assert mean_of(np.arange(MIN_CLUSTERS, dtype=float), cluster="launch").interval().lo is not None
    one = jackknife([[1.0, 2.0]], lambda s: s[..., 0] / s[..., 1], cluster="speaker")
    assert one.value == 0.5 and "1 speaker; an interval needs 5" in one.interval().reason
    with pytest.raises(ValueError, match="no launch"):
        mean_of([], cluster="launch")


def test_a_statistic_that_one_cluster_decides_is_undefined():
    """Only one speaker shows the class: without it there is nothing to divide by."""
    sums = [[1.0, 2.0], *[[0.0, 0.0]] * 5]

    def share(s):
        with np.errstate(invalid="ignore"):
            return s[..., 0] / s[..., 1]

    found = jackknife(sums, share, cluster="speaker")
    assert found.value == 0.5
    assert "undefined" in found.interval().reason and found.p_value() is None


def test_equal_values_leave_no_doubt():
    same = mean_of(np.zeros(6), cluster="pair")
    assert (same.interval().lo, same.interval().hi, same.p_value()) == (0.0, 0.0, 1.0)
    assert mean_of(np.ones(6), cluster="pair").p_value() == 0.0


def test_p_value_and_interval_agree():
    """The interval leaves 0 out exactly where the p-value is below 0.05."""
    rng = np.random.default_rng(5)
    seen = set()
    for _ in range(300):
        found = mean_of(rng.normal(0.6, 1, size=7), cluster="pair")
        out = not found.interval().lo <= 0 <= found.interval().hi
        assert out == (found.p_value() < 0.05)
        seen.add(out)
    assert seen == {True, False}


def plain_holm(p_values):
    """Holm's steps as the paper has them: walk up the sorted p-values, stop at the first that fails."""
    rejected, order = set(), sorted(range(len(p_values)), key=lambda i: p_values[i])
    for step, place in enumerate(order):
        if p_values[place] > 0.05 / (len(p_values) - step):
            break
        rejected.add(place)
    return rejected


def test_holm_rejects_what_its_steps_reject():
    rng = np.random.default_rng(6)
    for _ in range(300):
        p_values = list(rng.random(rng.integers(1, 12)) ** 4)
        adjusted = holm(p_values)
        assert {i for i, p in enumerate(adjusted) if p <= 0.05} == plain_holm(p_values)
        assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))
    assert holm([]) == []


@pytest.mark.parametrize(("deviation", "wanted"), [(0.01, 0.01), (0.03, 0.01), (0.0424, 0.03), (0.001, 0.05)])
def test_the_least_number_of_launches_that_is_narrow_enough(deviation, wanted):
    def half(n):
        return scipy.stats.t.ppf(0.975, n - 1) * deviation / math.sqrt(n)

    plain = next(n for n in range(5, 10_000) if half(n) <= wanted)
    assert launches_needed(deviation, wanted) == plain
    assert halfwidth(deviation, plain) == pytest.approx(half(plain))


def test_a_width_that_nobody_reaches_is_an_error():
    with pytest.raises(ValueError, match="above 0"):
        launches_needed(0.01, 0.0)
    with pytest.raises(ValueError, match="more than"):
        launches_needed(1.0, 1e-4)


HEAVY = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "t3": lambda rng, shape: rng.standard_t(3, shape),
    # Pairs of launches that run on two levels, 15 deviations apart.
    "pairs on two levels": lambda rng, shape: (
        15.0 * ((rng.random(shape) < 0.5).astype(float) - (rng.random(shape) < 0.5))
        + rng.standard_normal(shape)
    ),
}


@pytest.mark.parametrize("count", [5, 8, 12])
@pytest.mark.parametrize("kind", HEAVY)
def test_coverage_of_few_clusters(kind, count):
    """1,500 intervals hold the truth in 93 to 97 % (98.5 % where tails are heavy); bounds for luck added."""
    rng = np.random.default_rng(count)
    values = HEAVY[kind](rng, (1500, count))
    found = [mean_of(row, cluster="launch").interval() for row in values]
    held = np.mean([interval.lo <= 0 <= interval.hi for interval in found])
    assert 0.93 <= held <= 0.985
