"""The intercept shift: predictions add up to the positives, with weights, from any start."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctrsel.train.intercept import intercept_shift


@given(st.integers(0, 10_000), st.floats(-8, 8), st.booleans())
def test_predictions_add_up_to_the_positives(seed, offset, weighted):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=200) * 2
    y = (rng.random(200) < 1 / (1 + np.exp(-z))).astype(float)
    y[:2] = 0, 1
    w = rng.random(200) + 0.1 if weighted else None
    b = intercept_shift(y, z + offset, weight=w)
    p = 1 / (1 + np.exp(-(z + offset + b)))
    weights = np.ones(200) if w is None else w
    assert float((weights * p).sum()) == pytest.approx(float((weights * y).sum()), rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_class_is_left_alone(value):
    assert intercept_shift(np.full(5, value), np.zeros(5)) == 0.0
