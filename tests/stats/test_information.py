"""Truths about information from counts: scikit-learn's numbers, entropy bounds, copies, renaming, and weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score, mutual_info_score

from ctrsel.core.errors import DataError
from ctrsel.stats.counts import label_counts
from ctrsel.stats.information import (
    adjusted_mutual_information,
    entropy,
    mutual_information,
    weighted_mutual_information,
)

rows = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=80)


def counted(codes, labels, size):
    found = label_counts(np.asarray(codes, dtype=np.uint32), np.asarray(labels), size=size)
    return found.positives, found.totals


def columns(pairs):
    return np.array([c for c, _ in pairs], dtype=np.uint8), np.array([y for _, y in pairs], dtype=np.uint8)


@given(rows)
@settings(max_examples=100, deadline=None)
def test_properties_of_mutual_information(pairs):
    codes, labels = columns(pairs)
    positives, totals = counted(codes, labels, 7)
    value = mutual_information(positives, totals)
    assert value == pytest.approx(mutual_info_score(codes, labels), abs=1e-12)
    label_entropy = entropy(np.bincount(labels, minlength=2))
    assert 0 <= value <= min(entropy(totals), label_entropy) + 1e-12
    # renamed values, other order of rows, values without rows, classes exchanged
    renamed = np.random.default_rng(0).permutation(7)
    assert mutual_information(positives[renamed], totals[renamed]) == pytest.approx(value, abs=1e-13)
    assert counted(codes[::-1], labels[::-1], 7)[0].tolist() == positives.tolist()
    assert mutual_information(totals - positives, totals) == pytest.approx(value, abs=1e-13)
    # a copy of the label holds its whole entropy
    assert mutual_information(*counted(labels, labels, 2)) == pytest.approx(label_entropy, abs=1e-12)


@given(rows)
@settings(max_examples=60, deadline=None)
def test_adjusted_equals_scikit_learn_where_it_is_not_a_matter_of_convention(pairs):
    codes, labels = columns(pairs)
    value = adjusted_mutual_information(*counted(codes, labels, 7))
    assert math.isfinite(value)
    classes, values = len(set(labels.tolist())), len(set(codes.tolist()))
    if classes == 1 or values == 1 or values == len(codes):
        assert value == 0.0
    else:
        assert value == pytest.approx(adjusted_mutual_info_score(labels, codes), abs=1e-9)
        assert value <= 1 + 1e-9


@given(st.lists(st.integers(0, 50), max_size=10))
def test_entropy_bounds(counts):
    value = entropy(np.array(counts, dtype=np.int64))
    occupied = sum(c > 0 for c in counts)
    assert 0 <= value <= math.log(max(occupied, 1)) + 1e-12


def test_refuses_contradictions():
    with pytest.raises(DataError, match="got 3 of 2 at value 1"):
        mutual_information(np.array([0, 3]), np.array([1, 2]))
    with pytest.raises(DataError, match="one length"):
        mutual_information(np.array([0]), np.array([1, 2]))
    with pytest.raises(DataError, match="one-dimensional"):
        entropy(np.ones((2, 2), dtype=np.int64))


def test_weights_that_are_whole_numbers_are_repeated_rows():
    rng = np.random.default_rng(1)
    totals = rng.integers(1, 50, 30)
    yes = rng.binomial(totals, 0.3)
    assert weighted_mutual_information(yes * 0.5, totals * 0.5) == pytest.approx(
        mutual_information(yes, totals), abs=1e-14
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: weighted_mutual_information(np.array([-1.0]), np.array([1.0])), "not negative, got -1.0 at value 0"),
        (lambda: weighted_mutual_information(np.array([2.0]), np.array([1.0])), "got 2.0 of 1.0"),
        (lambda: weighted_mutual_information(np.array([0.0]), np.array([np.inf])), "finite"),
        (lambda: weighted_mutual_information(np.zeros(2), np.ones(3)), "one length"),
    ],
)
def test_refuses_weights_that_cannot_be(call, message):
    with pytest.raises(DataError, match=message):
        call()
