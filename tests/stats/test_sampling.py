"""Stratified samples: shares, sizes, order, seeds, and the weights that undo them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.stats.sampling import sample_weight, stratified_sample


@given(st.lists(st.integers(0, 4), max_size=80), st.integers(0, 90), st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_size_order_and_shares(labels, size, seed):
    labels = np.array(labels, dtype=np.int64)
    rows = stratified_sample(labels, size, seed=seed)
    assert rows.dtype == np.int64
    assert rows.size == min(size, labels.size)
    assert (np.diff(rows) > 0).all()
    classes = np.unique(labels)
    if size >= classes.size:
        assert set(labels[rows].tolist()) == set(classes.tolist())
        assert sample_weight(labels, rows).sum() == pytest.approx(labels.size)
    counts = np.bincount(labels, minlength=5)
    taken = np.bincount(labels[rows], minlength=5)
    exact = counts * min(size, labels.size) / max(labels.size, 1)
    # never off by a row or more, but for the rows given to classes that would have none
    given_up = int(((taken == 1) & (exact < 1)).sum())
    assert (np.abs(taken - exact) < 1 + given_up + 1e-9).all()
    np.testing.assert_array_equal(rows, stratified_sample(labels, size, seed=seed))


def test_rare_positives_are_kept_and_undone_by_weights():
    rng = np.random.default_rng(0)
    labels = np.zeros(10_000, dtype=np.uint8)
    labels[:3] = 1
    x = rng.normal(size=10_000) + 5 * labels
    rows = stratified_sample(labels, 100, seed=1)
    assert labels[rows].sum() == 1
    assert not np.array_equal(rows, stratified_sample(labels, 100, seed=2))
    weight = sample_weight(labels, rows)
    assert np.average(labels[rows], weights=weight) == pytest.approx(labels.mean())
    assert np.average(x[rows], weights=weight) == pytest.approx(x.mean(), abs=0.4)


def test_every_row_is_as_likely_within_its_class():
    labels = np.array([0] * 8 + [1] * 2)
    times = np.zeros(10)
    for seed in range(2000):
        times[stratified_sample(labels, 5, seed=seed)] += 1
    np.testing.assert_allclose(times / 2000, 0.5, atol=0.05)


def test_refuses():
    with pytest.raises(ValueError, match="size"):
        stratified_sample(np.zeros(3), -1, seed=0)
    with pytest.raises(DataError, match="one-dimensional"):
        stratified_sample(np.zeros((3, 1)), 1, seed=0)
