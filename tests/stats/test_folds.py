from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.stats.folds import cross_fitted, folds_of


@given(st.integers(2, 40), st.integers(2, 40), st.integers(2, 8), st.integers(0, 99))
def test_every_class_is_spread_evenly(yes, no, folds, seed):
    labels = np.repeat([1, 0], [yes, no])
    found = folds_of(labels, np.arange(yes + no), folds=folds, seed=seed)
    number = min(folds, yes, no)
    assert set(found.tolist()) == set(range(number))
    for of_class in (1, 0):
        counts = np.bincount(found[labels == of_class], minlength=number)
        assert counts.max() - counts.min() <= 1


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(0)
    labels, keys = rng.integers(0, 2, 100), rng.permutation(100)
    found = folds_of(labels, keys, folds=5, seed=3)
    order = rng.permutation(100)
    np.testing.assert_array_equal(folds_of(labels[order], keys[order], folds=5, seed=3), found[order])
    assert (folds_of(labels, keys, folds=5, seed=4) != found).any()


def test_groups_stay_together():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 30, 300)
    found = folds_of(rng.integers(0, 2, 300), np.arange(300), folds=5, seed=1, groups=groups)
    assert all(len(set(found[groups == g].tolist())) == 1 for g in range(30))
    assert len(set(found.tolist())) == 5


def test_what_cannot_be_folded():
    with pytest.raises(DataError, match="two rows of each class, got 1"):
        folds_of(np.array([1, 0, 0]), np.arange(3), folds=2, seed=0)
    with pytest.raises(DataError, match="two groups, got 1"):
        folds_of(np.array([1, 0, 0, 1]), np.arange(4), folds=2, seed=0, groups=np.zeros(4))
    with pytest.raises(DataError, match="leaves one class"):
        folds_of(np.array([1, 1, 0, 0]), np.arange(4), folds=2, seed=0, groups=np.array([0, 0, 1, 1]))
    with pytest.raises(ValueError, match="2 folds"):
        folds_of(np.array([1, 0]), np.arange(2), folds=1, seed=0)


def test_no_row_is_fitted_on_itself():
    folds = np.array([0, 1, 2, 0, 1, 2])
    seen = []

    def fit(rows):
        seen.append(rows)
        return lambda part: part + 1

    np.testing.assert_array_equal(cross_fitted(fit, np.arange(6.0), folds), np.arange(6.0) + 1)
    np.testing.assert_array_equal(np.stack(seen), [folds != f for f in range(3)])
