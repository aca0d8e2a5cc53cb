from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ctrsel.core.errors import DataError
from ctrsel.stats.one_standard_error import one_standard_error, paired_error


def test_the_error_of_one_repetition_is_that_of_the_mean():
    apart = np.random.default_rng(1).normal(size=(1, 50))
    assert paired_error(apart) == pytest.approx(stats.sem(apart[0]), rel=1e-12)


def test_repetitions_add_their_own_error():
    rows = np.random.default_rng(2).normal(size=40)
    apart = np.stack([rows + 0.1, rows + 0.3, rows - 0.4])
    expected = np.sqrt(stats.sem(rows) ** 2 + np.var([0.1, 0.3, -0.4], ddof=1) / 3)
    assert paired_error(apart) == pytest.approx(expected, rel=1e-12)


def test_groups_are_one_unit_and_whole_weights_are_copies():
    rng = np.random.default_rng(3)
    apart, groups = rng.normal(size=(1, 30)), np.repeat(np.arange(10), 3)
    sums = apart[0].reshape(10, 3).sum(axis=1)
    assert paired_error(apart, groups=groups) == pytest.approx(stats.sem(sums) / 3, rel=1e-12)
    # A row of weight 3 counts as a group of three equal rows.
    three = np.repeat(apart[0][:10], 3)[None]
    assert paired_error(apart[:, :10], weight=np.full(10, 3.0)) == pytest.approx(
        paired_error(three, groups=groups), rel=1e-12
    )


def test_a_planted_curve():
    """Losses fall to .50 and stay there but for noise; what is larger than needed is not taken."""
    rng = np.random.default_rng(4)
    hard = rng.exponential(size=4000)  # common to all sizes, and far larger than the differences
    level = np.array([0.58, 0.53, 0.5, 0.4999, 0.5001])
    losses = (hard + level[:, None] + 0.02 * rng.normal(size=(5, 4000)))[:, None]
    found = one_standard_error(losses)
    assert found.chosen == 2
    assert found.loss[found.best] == min(found.loss)
    assert found.error[found.best] == 0 == found.above[found.best]
    assert max(found.error) < 0.01 < stats.sem(hard)  # unpaired, the first size would pass


@given(st.integers(0, 10_000))
def test_the_choice_is_never_larger_than_the_best(seed):
    losses = np.random.default_rng(seed).normal(size=(4, 2, 12))
    found = one_standard_error(losses)
    assert found.chosen <= found.best
    assert one_standard_error(losses, errors=0.0).chosen == found.best
    assert one_standard_error(losses, errors=1e9).chosen == 0


def test_what_cannot_be_told():
    with pytest.raises(DataError, match="two rows"):
        paired_error(np.ones((1, 1)))
    with pytest.raises(DataError, match=r"\[S, R, N\]"):
        one_standard_error(np.ones(3))
