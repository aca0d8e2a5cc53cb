"""Intervals: Wilson's published numbers, bootstrap against theory, whole groups, and what the statistic is given."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from ctrsel.core.errors import DataError
from ctrsel.stats.intervals import bootstrap, normal_quantile, wilson


@given(st.integers(1, 200), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_equals_scipy(trials, data, level):
    successes = data.draw(st.integers(0, trials))
    found = wilson(successes, trials, level=level)
    expected = binomtest(successes, trials).proportion_ci(confidence_level=level, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.value == successes / trials
    assert found.level == level


def test_bootstrap_of_a_mean_agrees_with_theory_and_with_its_seed():
    x = np.random.default_rng(0).normal(size=2000)

    def mean(times):
        return float(np.average(x, weights=times))

    found = bootstrap(mean, 2000, draws=500, seed=1)
    error = x.std(ddof=1) / math.sqrt(2000)
    assert found.value == pytest.approx(x.mean())
    assert found.standard_error == pytest.approx(error, rel=0.12)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert found == bootstrap(mean, 2000, draws=500, seed=1)
    assert found != bootstrap(mean, 2000, draws=500, seed=2)


def test_groups_are_drawn_whole():
    groups = np.array(["u", "v", "v", "w", "w", "w"])
    seen = []
    bootstrap(lambda times: float(seen.append(times) or times.sum()), 6, groups=groups, draws=20, seed=0)
    assert len(seen) == 21
    assert seen[0].tolist() == [1] * 6
    for times in seen:
        assert times.dtype == np.int64
        assert times[1] == times[2]
        assert times[3] == times[4] == times[5]
        assert times[0] + times[1] + times[3] == 3


def test_copies_of_rows_fool_the_plain_form_only():
    x = np.random.default_rng(2).normal(size=300)
    ten = np.repeat(x, 10)

    def mean(times):
        return float(np.average(ten, weights=times))

    plain = bootstrap(mean, 3000, draws=300, seed=0)
    grouped = bootstrap(mean, 3000, groups=np.repeat(np.arange(300), 10), draws=300, seed=0)
    assert (plain.method, grouped.method) == ("bootstrap of rows", "bootstrap of groups")
    assert grouped.standard_error / plain.standard_error == pytest.approx(math.sqrt(10), rel=0.15)


def test_a_statistic_that_is_not_defined():
    assert bootstrap(lambda times: None, 5, seed=0) is None
    # defined on all rows, but not in the 35 percent of draws that leave the only positive out
    labels = np.array([1, 0, 0, 0, 0, 0])
    assert bootstrap(lambda times: 1.0 if (labels * times).sum() else None, 6, seed=0) is None


def test_refuses():
    with pytest.raises(DataError, match="needs rows"):
        bootstrap(lambda times: 1.0, 0, seed=0)
    with pytest.raises(DataError, match="groups"):
        bootstrap(lambda times: 1.0, 3, groups=np.zeros(2), seed=0)
    with pytest.raises(ValueError, match="draws"):
        bootstrap(lambda times: 1.0, 3, draws=1, seed=0)
    for level in (0.0, 1.0, 95.0):
        with pytest.raises(ValueError, match="level"):
            bootstrap(lambda times: 1.0, 3, level=level, seed=0)
        with pytest.raises(ValueError, match="level"):
            normal_quantile(level)
    with pytest.raises(DataError, match="got 3 of 2"):
        wilson(3, 2)
    with pytest.raises(DataError, match="got 0 of 0"):
        wilson(0, 0)
