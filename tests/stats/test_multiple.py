"""Corrected p-values against scipy and a published vector, and the rate of false discoveries by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from ctrsel.core.errors import DataError
from ctrsel.stats.multiple import benjamini_hochberg, benjamini_yekutieli


def test_reference_vector():
    p = np.array([0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205])
    q = [0.008, 0.032, 0.0672, 0.0672, 0.0672, 0.08, 0.08457143, 0.205]
    np.testing.assert_allclose(benjamini_hochberg(p), q, atol=5e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_equals_scipy_and_keeps_the_order(p):
    p = np.array(p)
    q = benjamini_hochberg(p)
    np.testing.assert_allclose(q, false_discovery_control(p), atol=1e-12)
    np.testing.assert_allclose(benjamini_yekutieli(p), false_discovery_control(p, method="by"), atol=1e-12)
    assert (q >= p * (1 - 1e-12)).all()
    assert (np.diff(q[np.argsort(p)]) >= 0).all()


def test_no_questions_no_answers():
    assert benjamini_hochberg(np.zeros(0)).size == 0
    assert benjamini_yekutieli(np.zeros(0)).size == 0


def test_keeps_its_rate():
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(400):
        p = rng.random(50)
        p[:10] = rng.random(10) * 1e-4
        found = benjamini_hochberg(p) <= 0.1
        shares.append(found[10:].sum() / max(found.sum(), 1))
    assert np.mean(shares) == pytest.approx(0.1 * 0.8, abs=0.02)


@pytest.mark.parametrize("wrong", [np.nan, -0.1, 1.1])
def test_refuses(wrong):
    with pytest.raises(DataError, match="at place 1"):
        benjamini_hochberg(np.array([0.5, wrong]))
    with pytest.raises(DataError, match="one-dimensional"):
        benjamini_hochberg(np.array([[0.5]]))
