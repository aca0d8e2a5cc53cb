"""Information value by its definition, its exact moments by enumeration and by draws, and draws in place of them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ctrsel.core.errors import DataError
from ctrsel.stats.information_value import information_value, information_value_test, weight_of_evidence
from ctrsel.stats.permutation import permutation_moments, statistic_setting, two_value_tail

YES, ROWS = np.array([3, 0, 2, 0]), np.array([10, 4, 3, 0])


def by_definition(yes, rows, smoothing):
    rate, out = yes.sum() / rows.sum(), 0.0
    seen = [(y + smoothing * rate, n - y + smoothing * (1 - rate)) for y, n in zip(yes, rows, strict=True) if n]
    up, down = (sum(s[i] for s in seen) for i in (0, 1))
    for u, d in seen:
        out += (u / up - d / down) * math.log((u / up) / (d / down))
    return out


@pytest.mark.parametrize("smoothing", [0.1, 1.0, 20.0])
def test_is_its_definition(smoothing):
    assert information_value(YES, ROWS, smoothing=smoothing) == pytest.approx(by_definition(YES, ROWS, smoothing))
    woe = weight_of_evidence(YES, ROWS, smoothing=smoothing)
    assert woe[3] == 0.0  # no rows
    assert woe[1] < 0 < woe[2]
    halves = weight_of_evidence(YES / 2, ROWS / 2, smoothing=smoothing / 2)
    assert halves == pytest.approx(woe)


def test_moments_by_enumeration():
    totals, positives, smoothing = np.array([6, 3, 2]), 4, 0.5
    values, ways = [], []
    for ys in itertools.product(*(range(t + 1) for t in totals)):
        if sum(ys) == positives:
            values.append(information_value(np.array(ys), totals, smoothing=smoothing))
            ways.append(math.prod(math.comb(int(t), y) for t, y in zip(totals, ys, strict=True)))
    value, way = np.array(values), np.array(ways) / sum(ways)
    found = permutation_moments(positives, totals, statistic="information_value", smoothing=smoothing)
    mean = float(way @ value)
    assert found.mean == pytest.approx(mean, rel=1e-12)
    assert found.variance == pytest.approx(float(way @ (value - mean) ** 2), rel=1e-3)


def test_two_values_have_an_exact_tail():
    yes, rows = np.array([1, 5]), np.array([8, 9])
    found = information_value_test(yes, rows)
    limit, ways = found.value * (1 - 1e-9), 0.0
    from scipy.stats import hypergeom

    for y in range(7):
        if information_value(np.array([y, 6 - y]), rows) >= limit:
            ways += hypergeom(17, 8, 6).pmf(y)
    assert found.p_value == pytest.approx(ways, rel=1e-9)
    assert two_value_tail(found.value, 6, rows, statistic="information_value", smoothing=1.0) == pytest.approx(ways)


def test_draws_stand_in_for_the_exact_moments():
    rng = np.random.default_rng(0)
    totals = np.array([400, 300, 30, 20, 10, 5, 5, 3, 3, 2, 1, 1])
    ys = rng.multivariate_hypergeometric(totals, 60, size=3000, method="marginals")
    drawn = np.array([information_value(y, totals) for y in ys[1:]])
    one, two = information_value_test(ys[0], totals), information_value_test(ys[0], totals, drawn=drawn)
    assert one.expected == pytest.approx(two.expected, rel=0.03)
    assert one.z == pytest.approx(two.z, abs=0.1)
    assert one.p_value == pytest.approx(two.p_value, abs=0.03)


def test_nothing_to_say_and_refusals():
    for yes, rows in (([0, 0], [3, 4]), ([3, 4], [3, 4]), ([2], [5]), ([1, 0, 1], [1, 1, 1]), ([], [])):
        test = information_value_test(np.array(yes, dtype=int), np.array(rows, dtype=int))
        assert (test.excess, test.z, test.p_value) == (0.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="smoothing must be above 0"):
        information_value(YES, ROWS, smoothing=0.0)
    with pytest.raises(ValueError, match="smoothing must be above 0"):
        permutation_moments(3, ROWS, statistic="information_value")
    with pytest.raises(DataError, match="exceed totals"):
        weight_of_evidence(np.array([2.0]), np.array([1.0]))
    assert statistic_setting("chi_square", rows=10, positives=5, values=2)[1] == 1.0
