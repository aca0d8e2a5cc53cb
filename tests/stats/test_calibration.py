"""Calibration by hand, order of rows and repetition of rows, and its size for a calibrated model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.stats.calibration import calibration_by_segment, calibration_ratio, ece, reliability
from ctrsel.stats.intervals import wilson

tables = st.lists(st.tuples(st.booleans(), st.integers(0, 10), st.integers(0, 3)), max_size=50)


def columns(rows):
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 1] / 10, table[:, 2]


@given(tables, st.integers(1, 8))
@settings(max_examples=100, deadline=None)
def test_weights_are_repetitions_and_order_does_not_matter(rows, bins):
    labels, p, times = columns(rows)
    repeated = np.repeat(labels, times), np.repeat(p, times)
    one, two = ece(labels, p, bins=bins, weight=times), ece(*repeated, bins=bins)
    assert (one is None) == (two is None)
    if one is not None:
        assert one == pytest.approx(two, abs=1e-12)
        assert 0 <= one <= 1
    one, two = calibration_ratio(labels, p, weight=times), calibration_ratio(*repeated)
    assert one == (None if two is None else pytest.approx(two, abs=1e-12))
    one, two = reliability(labels, p, bins=bins, weight=times), reliability(*repeated, bins=bins)
    np.testing.assert_allclose(one.predicted, two.predicted)
    np.testing.assert_allclose(one.observed, two.observed)
    if labels.size:
        order = np.random.default_rng(0).permutation(labels.size)
        assert ece(labels[order], p[order], bins=bins) == pytest.approx(ece(labels, p, bins=bins), abs=1e-12)


def test_ece_by_hand():
    labels = np.array([0, 0, 0, 1, 1, 0, 1, 1])
    p = np.array([0.1, 0.1, 0.2, 0.2, 0.6, 0.6, 0.8, 0.8])
    # halves: |0.15 - 0.25| and |0.7 - 0.75|
    assert ece(labels, p, bins=2) == pytest.approx(0.075)
    curve = reliability(labels, p, bins=2)
    np.testing.assert_allclose(curve.predicted, [0.15, 0.7])
    np.testing.assert_allclose(curve.observed, [0.25, 0.75])
    np.testing.assert_allclose(curve.weight, [4, 4])
    low = wilson(1, 4)
    assert (curve.low[0], curve.high[0]) == pytest.approx((low.low, low.high))


def test_bins_have_equal_mass_and_a_constant_has_one():
    rng = np.random.default_rng(0)
    p = rng.random(10_000)
    labels = rng.random(10_000) < p
    curve = reliability(labels, p)
    np.testing.assert_allclose(curve.weight, 500)
    assert np.mean((curve.low <= curve.predicted) & (curve.predicted <= curve.high)) > 0.8
    assert ece(labels, p) < 0.03
    assert ece(labels, p**2) > 0.1
    assert reliability(labels, np.full(10_000, 0.5)).weight.tolist() == [10_000]


def test_expected_size_of_noise_is_as_stated():
    rng = np.random.default_rng(1)
    rows, rate = 20_000, 0.05
    values = []
    for _ in range(30):
        p = np.clip(rng.normal(rate, 1e-6, rows), 0, 1)
        values.append(ece(rng.random(rows) < rate, p))
    assert np.mean(values) == pytest.approx(math.sqrt(2 * rate * 20 / (math.pi * rows)), rel=0.1)


def test_equal_weights_do_not_narrow_the_limits():
    labels, p = np.array([0, 1, 0, 1]), np.array([0.2, 0.2, 0.9, 0.9])
    plain, heavy = reliability(labels, p, bins=2), reliability(labels, p, bins=2, weight=np.full(4, 7.0))
    np.testing.assert_allclose(heavy.low, plain.low)
    np.testing.assert_allclose(heavy.weight, 7 * plain.weight)


def test_by_segment():
    labels, p = np.array([1, 0, 1, 0, 0]), np.array([0.5, 0.5, 0.9, 0.1, 0.2])
    segments = np.array(["b", "b", "a", "a", "c"])
    found = calibration_by_segment(labels, p, segments, weight=np.array([1, 1, 1, 1, 2]))
    assert found.segments.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(found.predicted, [0.5, 0.5, 0.2])
    np.testing.assert_allclose(found.observed, [0.5, 0.5, 0.0])
    np.testing.assert_allclose(found.weight, [2, 2, 2])
    np.testing.assert_allclose(found.ratio, [1.0, 1.0, np.nan])


def test_absent_and_refused():
    none = np.zeros(0)
    assert calibration_ratio(none, none) is None
    assert calibration_ratio(np.array([0]), np.array([0.5])) is None
    assert ece(none, none) is None
    assert reliability(none, none).weight.size == 0
    assert calibration_by_segment(none, none, none).segments.size == 0
    with pytest.raises(DataError, match=r"probabilities must lie in \[0, 1\], got 1.5 in row 1"):
        ece(np.array([0, 1]), np.array([0.5, 1.5]))
    with pytest.raises(DataError, match="segments"):
        calibration_by_segment(np.array([0, 1]), np.array([0.5, 0.5]), np.array([1]))
    with pytest.raises(ValueError, match="bins"):
        ece(np.array([0, 1]), np.array([0.5, 0.5]), bins=0)
