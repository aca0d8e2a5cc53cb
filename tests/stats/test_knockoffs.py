"""Knockoff thresholds against the definition written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.stats.knockoffs import knockoff_q_values, knockoff_threshold


def threshold(w: list[float], q: float) -> float:
    for t in sorted({abs(x) for x in w if x != 0}):
        if (1 + sum(x <= -t for x in w)) / max(sum(x >= t for x in w), 1) <= q:
            return t
    return math.inf


def test_by_hand():
    w = np.array([9, 8, 7, 6, 5, 4, 3, 2, 1, 0.5, -0.7, -0.2, 0])
    assert knockoff_threshold(w, q=0.2) == 0.5  # (1 + 1) / 10
    assert knockoff_threshold(w, q=0.15) == 1  # (1 + 0) / 9; at 0.7 it is 2 / 9
    assert knockoff_threshold(w, q=0.1) == math.inf
    assert knockoff_q_values(w).round(4).tolist() == [0.1111] * 9 + [0.2] + [1.0] * 3


@settings(max_examples=150, deadline=None)
@given(w=st.lists(st.integers(-6, 9), max_size=25), q=st.sampled_from([0.1, 0.2, 0.35, 0.5]))
def test_the_definition(w, q):
    found = knockoff_threshold(np.array(w, dtype=float), q=q)
    assert found == threshold(w, q)
    q_values = knockoff_q_values(np.array(w, dtype=float))
    assert ((q_values <= q) == (np.array(w, dtype=float) >= found)).all()
    assert ((q_values > 0) & (q_values <= 1)).all()


def test_fair_coins_are_chosen_at_most_as_often_as_said():
    """True items with W above 0 and false ones with signs at random: the mean share of false ones stays below q."""
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(400):
        null = rng.normal(size=30)
        w = np.concatenate([rng.normal(3, 1, 12), null])
        chosen = w >= knockoff_threshold(w, q=0.2)
        shares.append(chosen[12:].sum() / max(chosen.sum(), 1))
    assert np.mean(shares) <= 0.2
    assert np.mean(shares) > 0.1  # and not by choosing nothing


def test_refusals():
    with pytest.raises(ConfigError, match="q: must be between 0 and 1, got 1"):
        knockoff_threshold(np.ones(3), q=1)
    with pytest.raises(DataError, match="one finite number per item"):
        knockoff_q_values(np.array([1.0, np.nan]))
