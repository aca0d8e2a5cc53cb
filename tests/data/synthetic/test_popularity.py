"""Popularity and effects: shares, means and standard deviations by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from ctrsel.data.synthetic.popularity import Popularity, plant_effects


@pytest.mark.parametrize("skew", [0.0, 1.05])
def test_draws_follow_the_shares(skew: float) -> None:
    popularity = Popularity(values=50, skew=skew)
    drawn = np.bincount(popularity.draw(np.random.default_rng(0), 100_000), minlength=50)
    assert chisquare(drawn, popularity.shares * 100_000).pvalue > 0.01
    assert popularity.shares.sum() == pytest.approx(1)


@given(
    st.integers(2, 60),
    st.floats(0, 1.5),
    st.floats(0.05, 2),
    st.tuples(st.one_of(st.none(), st.integers(2, 60)), st.one_of(st.none(), st.integers(2, 60))),
    st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_effects_have_mean_zero_and_the_set_spread(
    values: int, skew: float, effect: float, counts: tuple[int | None, int | None], seed: int
) -> None:
    shares = Popularity(values=values, skew=skew).shares
    active, groups = (None if n is None else min(n, values) for n in counts)
    found = plant_effects(np.random.default_rng(seed), shares, effect=effect, active=active, groups=groups)
    assert shares @ found.log_odds == pytest.approx(0, abs=1e-9)
    assert np.sqrt(shares @ found.log_odds**2) == pytest.approx(effect)
    chosen = found.groups >= 0
    assert chosen.sum() == (values if active is None else active)
    assert (found.log_odds[~chosen] == 0).all()
    levels = min(values if active is None else active, values if groups is None else groups)
    assert len(np.unique(found.groups[chosen])) == levels
    for group in np.unique(found.groups[chosen]):
        assert len(np.unique(found.log_odds[found.groups == group])) == 1


def test_one_active_value_leaves_the_others_alone() -> None:
    shares = Popularity(values=9, skew=1.0).shares
    found = plant_effects(np.random.default_rng(3), shares, effect=0.5, active=1)
    assert np.count_nonzero(found.log_odds) == 1
    mean = shares @ found.log_odds
    assert np.sqrt(shares @ found.log_odds**2 - mean**2) == pytest.approx(0.5)


def test_a_field_of_one_value_does_nothing() -> None:
    assert plant_effects(np.random.default_rng(0), np.ones(1), effect=0.5).log_odds.tolist() == [0.0]


def test_active_values_are_popular_more_often() -> None:
    shares = Popularity(values=100, skew=1.0).shares
    chosen = [plant_effects(np.random.default_rng(s), shares, effect=1.0, active=5).groups >= 0 for s in range(200)]
    often = np.mean(chosen, axis=0)
    assert often[0] > 0.5
    assert often[0] > 3 * often[50:].max()
