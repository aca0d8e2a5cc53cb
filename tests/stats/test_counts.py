"""Counting is checked against numpy's bincount, and chunks against one pass."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.stats.counts import LabelCounts, label_counts, weighted_label_counts


def oracle(codes, labels, size, weight=None):
    cells = np.bincount(2 * codes.astype(np.int64) + labels.astype(np.int64), minlength=2 * size, weights=weight)
    return cells[1::2], cells[0::2] + cells[1::2]


@pytest.mark.parametrize("code_type", [np.uint8, np.uint16, np.uint32, np.int16, np.int64])
@pytest.mark.parametrize("label_type", [np.uint8, np.bool_, np.float32, np.int64])
def test_equals_bincount(code_type, label_type):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 100, 5000).astype(code_type)
    labels = (rng.random(5000) < 0.1).astype(label_type)
    found = label_counts(codes, labels, size=120)
    positives, totals = oracle(codes, labels, 120)
    np.testing.assert_array_equal(found.positives, positives)
    np.testing.assert_array_equal(found.totals, totals)
    assert found.positives.dtype == found.totals.dtype == np.int64
    assert found.rows == 5000


def test_weighted_equals_bincount_and_repetition():
    rng = np.random.default_rng(1)
    codes, labels = rng.integers(0, 9, 1000).astype(np.uint8), rng.integers(0, 2, 1000).astype(np.uint8)
    times = rng.integers(0, 4, 1000)
    weighted = weighted_label_counts(codes, labels, size=9, weight=times / 2)
    positives, totals = oracle(codes, labels, 9, weight=times / 2)
    np.testing.assert_allclose(weighted.positives, positives)
    np.testing.assert_allclose(weighted.totals, totals)
    repeated = label_counts(np.repeat(codes, times), np.repeat(labels, times), size=9)
    np.testing.assert_array_equal((weighted + weighted).totals, repeated.totals)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=60), st.data())
@settings(max_examples=60, deadline=None)
def test_chunks_in_any_order_equal_one_pass(rows, data):
    codes = np.array([c for c, _ in rows], dtype=np.uint8)
    labels = np.array([y for _, y in rows], dtype=np.bool_)
    cut = data.draw(st.integers(0, len(rows)))
    first = label_counts(codes[:cut], labels[:cut], size=6)
    second = label_counts(codes[cut:], labels[cut:], size=6)
    whole = label_counts(codes, labels, size=6)
    for merged in (first + second, second + first):
        np.testing.assert_array_equal(merged.positives, whole.positives)
        np.testing.assert_array_equal(merged.totals, whole.totals)


def test_no_rows_and_strided_columns():
    assert label_counts(np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.uint8), size=3).totals.tolist() == [0, 0, 0]
    both = np.array([[0, 1], [1, 0], [2, 1]], dtype=np.uint8)
    assert label_counts(both[:, 0], both[:, 1], size=3).positives.tolist() == [1, 0, 1]
    assert label_counts(both[:, 0], both[:, 1].astype(bool)[::1], size=3).totals.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("codes", "labels", "message"),
    [
        (np.array([0, 3], dtype=np.uint8), np.array([0, 1]), "below 3, got 3 in row 1"),
        (np.array([0, -1], dtype=np.int8), np.array([0, 1]), "not negative, got -1 in row 1"),
        (np.array([0, 1], dtype=np.uint8), np.array([0, 2]), "0 or 1, got 2 in row 1"),
        (np.array([0, 1], dtype=np.uint8), np.array([0.0, 0.5]), r"0 or 1, got .*0\.5.* in row 1"),
        (np.array([0, 1], dtype=np.uint8), np.array([0]), "one length"),
        (np.array([0.0, 1.0]), np.array([0, 1]), "whole numbers"),
    ],
)
def test_refuses_with_place_and_value(codes, labels, message):
    with pytest.raises(DataError, match=message):
        label_counts(codes, labels, size=3)


def test_a_negative_code_is_refused_even_where_the_field_is_wide():
    with pytest.raises(DataError, match="not negative"):
        label_counts(np.array([-1], dtype=np.int8), np.array([0]), size=300)


def test_counts_of_different_fields_do_not_add_up():
    one, two = (LabelCounts(positives=np.zeros(k, np.int64), totals=np.zeros(k, np.int64)) for k in (1, 2))
    with pytest.raises(DataError, match="1 and 2"):
        one + two
