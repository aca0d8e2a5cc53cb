"""Tails against scipy, and where scipy gives up against closed forms."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from scipy import special, stats

from ctrsel.stats.tails import log_gamma_tail, shifted_gamma_log_tail, shifted_gamma_tail


@pytest.mark.parametrize("skewness", [0.05, 0.5, 2.0, 4.0])
@pytest.mark.parametrize("z", [-3.0, -0.4, 0.0, 1.0, 4.0, 12.0])
def test_agrees_with_pearsons_third_type(z, skewness):
    assert shifted_gamma_tail(z, skewness) == pytest.approx(stats.pearson3(skewness).sf(z), rel=1e-6, abs=1e-12)
    assert math.exp(shifted_gamma_log_tail(z, skewness)) == pytest.approx(shifted_gamma_tail(z, skewness), rel=1e-9)


@pytest.mark.parametrize("skewness", [-1.0, 0.0])
def test_is_normal_without_skewness(skewness):
    assert shifted_gamma_tail(1.5, skewness) == pytest.approx(stats.norm.sf(1.5))
    assert shifted_gamma_log_tail(60.0, skewness) == pytest.approx(stats.norm.logsf(60.0))


@pytest.mark.parametrize("shape", [1, 2, 5, 40])
def test_far_out_equals_the_closed_form_of_whole_shapes(shape):
    for point in (900.0, 5000.0, 1e6):
        terms = [k * math.log(point) - special.gammaln(k + 1) for k in range(shape)]
        assert log_gamma_tail(shape, point) == pytest.approx(-point + special.logsumexp(terms), rel=1e-12)


def test_falls_without_a_step_where_the_ways_meet():
    for shape in (0.5, 30.0, 1e4, 1e6, 3e7):
        width = math.sqrt(shape)
        tails = [log_gamma_tail(shape, shape + k * width) for k in range(20, 60)]
        steps = [b - a for a, b in pairwise(tails)]
        assert all(s < 0 for s in steps)
        assert all(0.6 < b / a < 1.6 for a, b in pairwise(steps))
