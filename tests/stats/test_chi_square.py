"""Pearson's chi-square and G against scipy; the exact moments against Haldane's formula in whole numbers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, power_divergence

from ctrsel.stats.chi_square import chi_square, chi_square_test, g_test, pooled
from ctrsel.stats.permutation import permutation_moments, two_value_tail

tables = st.lists(st.tuples(st.integers(0, 8), st.integers(1, 20)), min_size=2, max_size=8).map(
    lambda pairs: (np.array([min(y, n) for y, n in pairs]), np.array([n for _, n in pairs]))
)


def exact_moments(positives, totals):
    """Mean and variance from factorial moments of the multivariate hypergeometric distribution, as fractions."""
    n, k, totals = int(sum(totals)), len(totals), [int(t) for t in totals]

    def falling(number, times):
        out = 1
        for i in range(times):
            out *= number - i
        return out

    c1, c2, c3, c4 = (
        Fraction(falling(positives, j), falling(n, j)) if falling(n, j) else Fraction(0) for j in (1, 2, 3, 4)
    )
    rest, squares = n - k, sum((t - 1) ** 2 for t in totals)
    apart = (rest**2 - squares) * c4 + 2 * (k - 1) * rest * c3 + k * (k - 1) * c2
    alone = sum(
        Fraction(falling(t - 1, 3), t) * c4
        + 6 * Fraction(falling(t - 1, 2), t) * c3
        + 7 * Fraction(t - 1, t) * c2
        + c1 / t
        for t in totals
    )
    mean = sum((t - 1) * c2 + c1 for t in totals)
    scale = Fraction(n * n, positives * (n - positives))
    return float(scale * (mean - Fraction(positives**2, n))), float(scale**2 * (apart + alone - mean**2))


@pytest.mark.parametrize(
    ("positives", "totals"),
    [
        (5, [4, 3, 3]),
        (6, [10, 5, 3, 2]),
        (50, [400, 300, 3, 2, 1]),
        (50_000, [400_000, 300_000, 200_000, 100_000]),
        (20_000, [999_998, 1, 1]),
        (300, [1] * 2000 + [2] * 30),
    ],
)
def test_moments_are_haldanes(positives, totals):
    mean, variance = exact_moments(positives, totals)
    found = permutation_moments(positives, np.array(totals), statistic="chi_square")
    n = sum(totals)
    assert found.mean == pytest.approx(mean, rel=1e-10)
    assert mean == pytest.approx(n * (len(totals) - 1) / (n - 1), rel=1e-12)
    assert found.variance == pytest.approx(variance, rel=1e-6)


@given(tables)
@settings(max_examples=60, deadline=None)
def test_statistics_are_those_of_scipy(table):
    yes, totals = table
    if yes.sum() in (0, totals.sum()):
        assert chi_square(yes, totals) == 0.0
        assert g_test(yes, totals).p_value == chi_square_test(yes, totals).p_value == 1.0
        return
    cells = np.stack([totals - yes, yes], axis=1)
    known = chi2_contingency(cells, correction=False)
    n, positive = totals.sum(), yes.sum()
    assert chi_square(yes, totals) == pytest.approx(known.statistic, rel=1e-9, abs=1e-9)
    # the form without differences from the mean
    other = n**2 / (positive * (n - positive)) * ((yes**2 / totals).sum() - positive**2 / n)
    assert chi_square(yes, totals) == pytest.approx(other, rel=1e-6, abs=1e-6)
    g = power_divergence(cells, f_exp=known.expected_freq, lambda_="log-likelihood", axis=None).statistic
    assert g_test(yes, totals).value == pytest.approx(g, rel=1e-9, abs=1e-9)
    for test in (chi_square_test(yes, totals), g_test(yes, totals), g_test(yes, totals, rare="pool")):
        assert 0 <= test.p_value <= 1
        assert test.log_p <= 0


def test_two_values_have_an_exact_tail():
    yes, totals = np.array([7, 2]), np.array([10, 12])
    found = chi_square_test(yes, totals)
    assert found.how == "exact"
    ways, limit = 0.0, chi_square(yes, totals) * (1 - 1e-9)
    from scipy.stats import hypergeom

    for y in range(10):
        if chi_square(np.array([y, 9 - y]), totals) >= limit:
            ways += hypergeom(22, 10, 9).pmf(y)
    assert found.p_value == pytest.approx(ways, rel=1e-9)
    assert two_value_tail(found.value, 9, totals, statistic="chi_square") == pytest.approx(ways, rel=1e-9)


def test_pooling():
    yes, totals = np.array([3, 1, 0, 9]), np.array([30, 5, 4, 100])
    assert [a.tolist() for a in pooled(yes, totals, least=20)] == [
        [9, 4],
        [100, 39],
    ]  # the pool alone would be too small
    assert [a.tolist() for a in pooled(yes, totals, least=6)] == [[3, 9, 1], [30, 100, 9]]
    assert [a.tolist() for a in pooled(yes, totals, least=1)] == [yes.tolist(), totals.tolist()]
    assert [a.tolist() for a in pooled(yes, totals, least=1000)] == [[13], [139]]
