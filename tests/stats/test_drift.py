"""Drift measures: by hand, against scipy, bounds, symmetry, and their size without drift."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from ctrsel.core.errors import DataError
from ctrsel.stats.drift import jensen_shannon, psi, unseen_share

pairs = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=12)


@given(pairs)
def test_bounds_symmetry_and_scipy(rows):
    a, b = np.array(rows, dtype=np.int64).T
    if not a.sum() or not b.sum():
        assert jensen_shannon(a, b) is None
        assert psi(a, b) is None
        return
    value = jensen_shannon(a, b)
    assert 0 <= value <= math.log(2)
    assert value == pytest.approx(np.nan_to_num(jensenshannon(a, b)) ** 2, abs=1e-7)
    assert value == pytest.approx(jensen_shannon(b, a), abs=1e-12)
    assert psi(a, b) >= 0
    assert psi(a, b) == pytest.approx(psi(b, a), abs=1e-12)
    assert psi(a, a) == 0.0
    # values that occur on neither side change nothing
    assert psi(np.append(a, 0), np.append(b, 0)) == pytest.approx(psi(a, b), abs=1e-12)


def test_psi_by_hand_with_smoothing():
    a, b = np.array([0, 9]), np.array([4, 5])
    p, q = np.array([0.5, 9.5]) / 10, np.array([4.5, 5.5]) / 10
    assert psi(a, b) == pytest.approx(float(((p - q) * np.log(p / q)).sum()), abs=1e-14)


def test_psi_without_drift_is_as_stated():
    rng = np.random.default_rng(0)
    share = np.full(20, 0.05)
    values = [psi(rng.multinomial(5000, share), rng.multinomial(10_000, share)) for _ in range(300)]
    assert np.mean(values) == pytest.approx(19 * (1 / 5000 + 1 / 10_000), rel=0.1)


def test_unseen_share():
    assert unseen_share(np.array([5, 0, 0]), np.array([1, 2, 1])) == 0.75
    assert unseen_share(np.array([5, 0]), np.array([0, 0])) is None
    assert unseen_share(np.array([0, 0]), np.array([1, 1])) == 1.0


def test_refuses():
    with pytest.raises(DataError, match="got 1 and 2"):
        psi(np.array([1]), np.array([1, 2]))
    with pytest.raises(ValueError, match="smoothing"):
        psi(np.array([1]), np.array([1]), smoothing=0)
