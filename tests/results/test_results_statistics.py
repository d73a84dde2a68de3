"""Quantiles and spread against scipy and against definitions spelt out."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

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


@given(
    samples=st.lists(st.floats(allow_infinity=False), min_size=1, max_size=40),
    q=st.sampled_from([0.0, 0.25, 0.5, 0.9, 0.99, 1.0]) | st.floats(0, 1),
)
def test_a_quantile_is_numpys_to_the_bit(samples, q):
    with np.errstate(all="ignore"):
        assert np.array_equal(statistics.quantile(samples, q), np.quantile(samples, q), equal_nan=True)


def test_every_share_between_two_samples_is_numpys_to_the_bit():
    pairs = np.random.default_rng(5).exponential(size=(40, 2))
    for share in np.linspace(0.0, 1.0, 41):
        assert [statistics.quantile(pair, share) for pair in pairs] == np.quantile(
            pairs, share, axis=1
        ).tolist()
