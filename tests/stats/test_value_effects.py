"""Effects of values: the test against scipy, the mode against an optimiser, the interval and the prior against truth."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from ctrsel.core.errors import DataError
from ctrsel.core.seeds import generator
from ctrsel.stats.information_test import information_test
from ctrsel.stats.value_effects import prior_deviation, value_effects

COUNTS = st.lists(
    st.integers(0, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=9
)


@settings(max_examples=150, deadline=None)
@given(COUNTS)
def test_the_p_value_is_that_of_the_hypergeometric_distribution(pairs):
    yes, rows = (np.array(c) for c in zip(*pairs, strict=True))
    n, p = rows.sum(), yes.sum()
    found = value_effects(yes, rows)
    if p in (0, n):
        assert found is None
        return
    y, about = found.positives, (n, p, found.totals)
    smaller = np.minimum(stats.hypergeom.cdf(y, *about), stats.hypergeom.sf(y - 1, *about))
    np.testing.assert_allclose(found.p_value, np.minimum(2 * smaller, 1), atol=1e-12)
    deviation = np.sqrt(found.totals * (p / n) * (1 - p / n) * (n - found.totals) / (n - 1))
    some = deviation > 0
    distance = found.positives - found.totals * p / n
    np.testing.assert_allclose(found.z[some], distance[some] / deviation[some], atol=1e-9)


def test_the_p_value_keeps_its_digits_in_large_tables():
    yes, rows = np.array([30, 800, 6, 499_164]), np.array([1_000, 20_000, 8, 9_978_992])
    found = value_effects(yes, rows)
    y, about = found.positives, (10_000_000, 500_000, found.totals)
    smaller = np.minimum(stats.hypergeom.cdf(y, *about), stats.hypergeom.sf(y - 1, *about))
    np.testing.assert_allclose(found.p_value, np.minimum(2 * smaller, 1), rtol=1e-5)


@settings(max_examples=100, deadline=None)
@given(COUNTS)
def test_the_terms_add_up_to_the_information_of_the_field(pairs):
    yes, rows = (np.array(c) for c in zip(*pairs, strict=True))
    found = value_effects(yes, rows)
    if found is None:
        return
    whole = information_test(yes, rows)
    assert (found.repeats * found.information).sum() == pytest.approx(whole.value, abs=1e-12)
    assert found.excess == pytest.approx(whole.excess, abs=1e-10)
    seen = rows > 0
    assert (found.case >= 0).tolist() == seen.tolist()
    np.testing.assert_array_equal(found.totals[found.case[seen]], rows[seen])
    np.testing.assert_array_equal(found.positives[found.case[seen]], yes[seen])
    assert found.repeats.sum() == seen.sum()
    assert ((found.low < found.log_odds) & (found.log_odds < found.high)).all()


def test_the_log_odds_are_the_posterior_mode():
    yes, rows = np.array([0, 3, 40, 1, 2_000]), np.array([5, 3, 100, 400, 40_000])
    found = value_effects(yes, rows)
    base = special.logit(found.base)
    for k, n, d in zip(found.positives, found.totals, found.log_odds, strict=True):

        def loss(x, k=k, n=n):
            return n * np.logaddexp(0, base + x) - k * (base + x) + 0.5 * (x / found.deviation) ** 2

        assert optimize.minimize_scalar(loss, bounds=(-20, 20), method="bounded").x == pytest.approx(d, abs=1e-4)


def test_a_value_with_few_rows_is_drawn_to_the_base_rate_and_one_with_many_is_not():
    yes, rows = np.array([2, 2_000, 100, 900]), np.array([2, 4_000, 1_000, 5_000])  # base rate .3, first rate 1
    found = value_effects(yes, rows)
    few, many = found.log_odds[found.case[0]], found.log_odds[found.case[1]]
    assert 0 < few < 1.5  # plain log-odds would be infinite
    assert many == pytest.approx(special.logit(0.5) - special.logit(found.base), abs=0.01)
    assert found.high[found.case[0]] - found.low[found.case[0]] > 10 * (found.high - found.low)[found.case[1]]


@pytest.mark.parametrize("base", [-3.0, 0.0])
@pytest.mark.parametrize("spread", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("zipf", [0.0, 1.0])
def test_the_prior_and_the_interval_meet_planted_effects(base, spread, zipf):
    inside, deviations = [], []
    for seed in range(8):
        rng = generator(seed, "values", str(base), str(spread), str(zipf))
        share = 1.0 / np.arange(1, 801) ** zipf
        rows = rng.multinomial(80_000, share / share.sum())
        effect = rng.normal(0.0, spread, 800)
        yes = rng.binomial(rows, special.expit(base + effect))
        found = value_effects(yes, rows)
        seen = rows > 0
        true = base + effect[seen] - special.logit(found.base)
        case = found.case[seen]
        inside.append(np.mean((found.low[case] <= true) & (true <= found.high[case])))
        deviations.append(found.deviation)
    # Wide effects at a low base rate: the mean rate lies above the rate of the mean effect, which costs some cover.
    assert np.mean(inside) > (0.84 if base < 0 and spread == 1.0 else 0.9)
    assert 0.7 * spread < np.mean(deviations) < 1.4 * spread


def test_noise_is_drawn_to_nothing():
    rng = generator(1, "noise")
    rows = rng.multinomial(100_000, np.full(500, 1 / 500))
    found = value_effects(rng.binomial(rows, 0.05), rows)
    assert found.deviation < 0.15
    assert np.abs(found.log_odds).max() < 0.25
    assert (found.p_value * 500 > 0.05).mean() > 0.99


def test_a_field_of_single_rows_has_wide_intervals():
    found = value_effects(np.array([1] * 5 + [0] * 20), np.ones(25, dtype=np.int64))
    assert prior_deviation(np.array([0, 1]), np.array([1, 1])) == 1.0
    assert (found.high - found.low).min() > 2


def test_one_class_says_nothing():
    assert value_effects(np.array([0, 0]), np.array([4, 5])) is None
    assert value_effects(np.array([4, 5]), np.array([4, 5])) is None
    assert value_effects(np.zeros(0, np.int64), np.zeros(0, np.int64)) is None
    with pytest.raises(DataError, match="positives must not exceed totals"):
        value_effects(np.array([5]), np.array([4]))


def test_a_million_values_take_well_under_a_second():
    rng = generator(3, "million")
    rows = rng.poisson(20.0, 1_000_000)
    yes = rng.binomial(rows, 0.05)
    value_effects(yes[:100], rows[:100])  # compiled
    began = time.process_time()  # other processes do not count
    found = value_effects(yes, rows)
    assert time.process_time() - began < 10  # 0.2 to 0.3 s alone on one core
    assert found.totals.size < 1_000
