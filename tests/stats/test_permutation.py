"""The moments are checked against full enumeration, a plain log-factorial sum, scikit-learn, and simulated shuffles."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from scipy.sparse import csr_matrix
from sklearn.metrics.cluster import expected_mutual_information as reference_expectation

from ctrsel.core.errors import DataError
from ctrsel.stats.information import entropy, mutual_information
from ctrsel.stats.information_test import information_test
from ctrsel.stats.permutation import (
    expected_mutual_information,
    mutual_information_variance,
    permutation_moments,
    two_value_tail,
)


def enumerated(positives, totals):
    """Mean and variance over every table with these margins (feasible for small ones only)."""
    values, ways = [], []
    for ys in itertools.product(*(range(min(a, positives) + 1) for a in totals[:-1])):
        last = positives - sum(ys)
        if 0 <= last <= totals[-1]:
            table = np.array([*ys, last])
            values.append(mutual_information(table, np.array(totals)))
            ways.append(math.prod(math.comb(a, int(y)) for a, y in zip(totals, table, strict=True)))
    value, way = np.array(values), np.array(ways, dtype=float) / sum(ways)
    mean = float(way @ value)
    return mean, float(way @ (value - mean) ** 2), value, way


def plain_expectation(positives, totals):
    """The defining sum over all cells with scipy's hypergeometric distribution."""
    n, total = sum(totals), 0.0
    for a in totals:
        for b in (positives, n - positives):
            x = np.arange(max(1, a + b - n), min(a, b) + 1)
            total += float((x / n * np.log(n * x / (a * b)) * stats.hypergeom(n, a, b).pmf(x)).sum())
    return total


def zipf(size, rows, seed, power=1.0):
    p = np.arange(1, size + 1.0) ** -power
    counts = np.random.default_rng(seed).multinomial(rows, p / p.sum())
    return counts[counts > 0]


def shuffled_values(positives, totals, draws, seed):
    """Plug-in values of tables drawn as a shuffle draws them."""
    rng, n = np.random.default_rng(seed), totals.sum()
    ys = rng.multivariate_hypergeometric(totals, positives, size=draws, method="marginals")
    mean = totals * (positives / n)
    return (special.xlogy(ys, ys / mean) + special.xlogy(totals - ys, (totals - ys) / (totals - mean))).sum(axis=1) / n


SMALL = [
    (5, [4, 3, 3]),
    (6, [10, 5, 3, 2]),
    (2, [1, 1, 1, 1, 8]),
    (7, [12, 9, 1, 1]),
    (10, [20, 3, 2, 2, 1]),
    (4, [30, 4, 4, 2]),
    (20, [30, 14, 4, 2]),
    (5, [5, 5]),
    (9, [100, 1, 1]),
    (60, [400, 300, 3]),
    (200, [900, 90, 10]),
]


@pytest.mark.parametrize(("positives", "totals"), SMALL)
def test_mean_and_variance_equal_full_enumeration(positives, totals):
    mean, variance, _, _ = enumerated(positives, totals)
    moments = permutation_moments(positives, np.array(totals))
    assert moments.mean == pytest.approx(mean, abs=1e-13)
    assert moments.variance == pytest.approx(variance, rel=1e-4)


@pytest.mark.parametrize(("positives", "totals"), [*SMALL, (1000, [5000, 4000, 3, 3, 2, 1, 1]), (3, [1] * 40)])
def test_expectation_equals_its_definition(positives, totals):
    assert expected_mutual_information(positives, np.array(totals)) == pytest.approx(
        plain_expectation(positives, totals), abs=1e-12
    )


@pytest.mark.parametrize(("size", "rows", "rate"), [(2, 1000, 0.05), (300, 20_000, 0.05), (3000, 50_000, 0.2)])
def test_expectation_equals_scikit_learn(size, rows, rate):
    totals = zipf(size, rows, seed=size)
    positives = int(rate * rows)
    ys = np.random.default_rng(0).multivariate_hypergeometric(totals, positives, method="marginals")
    expected = reference_expectation(csr_matrix(np.stack([totals - ys, ys], axis=1)), rows)
    assert expected_mutual_information(positives, totals, rows) == pytest.approx(expected, abs=1e-10)


def test_reference_value():
    assert expected_mutual_information(5, np.array([4, 3, 3])) == pytest.approx(0.13575060590230034, abs=1e-14)


def test_nothing_can_change_when_all_values_are_unique_or_one_class():
    ones = np.ones(500, dtype=np.int64)
    moments = permutation_moments(30, ones)
    assert moments.mean == pytest.approx(special.entr(0.06) + special.entr(0.94), abs=1e-12)
    assert moments.variance == 0.0
    for positives, totals in [(0, [5, 5]), (10, [5, 5]), (3, [10]), (0, []), (1, [1])]:
        moments = permutation_moments(positives, np.array(totals, dtype=np.int64))
        assert (moments.mean, moments.variance, moments.skewness) == (0.0, 0.0, 0.0)


def test_expectation_of_identifier_saturates_below_label_entropy():
    totals = np.concatenate([np.ones(900, dtype=np.int64), [100]])
    assert expected_mutual_information(50, totals) <= entropy(np.array([50, 950])) + 1e-12


def test_large_counts_approach_chi_square():
    totals = np.array([400_000, 300_000, 200_000, 100_000])
    moments = permutation_moments(50_000, totals)
    scale = 2 * totals.sum()
    assert moments.mean * scale == pytest.approx(3, rel=1e-3)
    assert moments.variance * scale**2 == pytest.approx(6, rel=1e-3)
    assert moments.skewness == pytest.approx(math.sqrt(8 / 3), rel=1e-3)


def test_a_hundred_million_rows_are_no_special_case():
    totals = np.array([60_000_000, 30_000_000, 10_000_000])
    moments = permutation_moments(3_000_000, totals)
    scale = 2.0 * totals.sum()
    assert moments.mean * scale == pytest.approx(2, rel=1e-4)
    assert moments.variance * scale**2 == pytest.approx(4, rel=1e-3)
    assert moments.skewness == pytest.approx(2, rel=1e-3)
    ones = permutation_moments(50_000, np.ones(1_000_000, dtype=np.int64))
    assert ones.variance == 0.0


@given(st.lists(st.integers(0, 12), min_size=1, max_size=8), st.data())
@settings(max_examples=60, deadline=None)
def test_moments_depend_on_the_bag_of_counts_and_on_class_only_up_to_naming(totals, data):
    n = sum(totals)
    positives = data.draw(st.integers(0, n))
    shuffled = data.draw(st.permutations(totals))
    one = permutation_moments(positives, np.array(totals))
    for other in (
        permutation_moments(positives, np.array(shuffled)),
        permutation_moments(n - positives, np.array([*totals, 0])),
    ):
        assert other.mean == pytest.approx(one.mean, abs=1e-12)
        assert other.variance == pytest.approx(one.variance, rel=1e-7, abs=1e-15)
    assert one.mean >= 0
    assert one.variance >= 0


@pytest.mark.parametrize("totals", [np.full(10, 500), zipf(10, 5000, 1), zipf(1000, 16_384, 2), np.full(1000, 5)])
def test_moments_agree_with_simulated_shuffles(totals):
    positives, draws = int(0.05 * totals.sum()), 4000
    values = shuffled_values(positives, totals, draws, seed=3)
    moments = permutation_moments(positives, totals)
    assert abs(values.mean() - moments.mean) < 4 * math.sqrt(moments.variance / draws)
    spread = np.var(values) / moments.variance
    kurtosis = float(stats.kurtosis(values)) + 2
    assert abs(spread - 1) < 4 * math.sqrt(kurtosis / draws)
    assert mutual_information_variance(positives, totals) == moments.variance


@pytest.mark.slow
@pytest.mark.parametrize("rows", [5000, 50_000])
@pytest.mark.parametrize("kind", ["zipf", "uniform"])
@pytest.mark.parametrize("size", [2, 3, 10, 1000])
def test_p_values_are_calibrated_in_the_tail(size, kind, rows):
    """Shares of p-values under 0.1, 0.05, 0.01, 0.001 at a rate of 5 percent are what they say."""
    totals = zipf(size, rows, seed=size) if kind == "zipf" else np.full(size, rows // size)
    positives, draws = int(0.05 * totals.sum()), 20_000 if size < 1000 else 6000
    rng = np.random.default_rng(11)
    ys = rng.multivariate_hypergeometric(totals, positives, size=draws, method="marginals")
    tables, repeats = np.unique(ys, axis=0, return_counts=True)
    p = np.repeat([information_test(y, totals).p_value for y in tables], repeats)
    for level in (0.1, 0.05, 0.01, 0.001):
        share, error = float((p <= level).mean()), math.sqrt(level * (1 - level) / draws)
        assert share <= level * 1.1 + 4 * error
        # With two or three values the tables are few and a level between two of them is not used up.
        assert share >= level * (0.75 if size <= 3 else 0.9) - 4 * error


@pytest.mark.parametrize(("positives", "totals"), [(5, [6, 14]), (3, [3, 3]), (2, [2, 9])])
def test_two_values_have_an_exact_tail(positives, totals):
    _, _, values, ways = enumerated(positives, totals)
    for value in values:
        exact = float(ways[values >= value - 1e-12].sum())
        assert two_value_tail(float(value), positives, np.array(totals)) == pytest.approx(exact, rel=1e-9)


def test_two_value_tail_is_fishers_test_where_the_orders_agree():
    table = np.array([[40, 160], [10, 190]])
    found = information_test(table[:, 0], table.sum(axis=1)).p_value
    assert found == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-6)


@pytest.mark.parametrize(
    ("positives", "totals", "message"),
    [
        (5, [2, 2], "got 5"),
        (-1, [2], "got -1"),
        (1, [2, -1], "negative, got -1 at value 1"),
        (1, [0.5], "whole numbers"),
    ],
)
def test_refuses(positives, totals, message):
    with pytest.raises(DataError, match=message):
        expected_mutual_information(positives, np.array(totals))


def test_refuses_another_number_of_rows_and_other_than_two_values():
    with pytest.raises(DataError, match="n = 7"):
        expected_mutual_information(1, np.array([2, 3]), 7)
    with pytest.raises(DataError, match="two-valued"):
        two_value_tail(0.1, 1, np.array([2, 3, 4]))
