from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ctrsel.stats.paired import paired_mean


def test_by_hand():
    # Differences .01, .02, .03: mean .02, s .01, t(2) = 4.3027, half width .01 * 4.3027 / sqrt(3) = .024842.
    found = paired_mean([0.81, 0.82, 0.83], [0.80, 0.80, 0.80])
    assert found.value == pytest.approx(0.02)
    assert found.low == pytest.approx(0.02 - 0.0248414, abs=1e-6)
    assert found.high == pytest.approx(0.02 + 0.0248414, abs=1e-6)
    assert found.non_inferior(0.005)
    assert not found.non_inferior(0.004)


def test_as_scipy_has_it():
    rng = np.random.default_rng(1)
    new, old = rng.normal(size=7), rng.normal(size=7)
    found = paired_mean(new.tolist(), old.tolist(), level=0.9)
    expected = stats.ttest_rel(new, old).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_a_further_error_widens():
    narrow = paired_mean([0.1, 0.3], [0.0, 0.0])
    wide = paired_mean([0.1, 0.3], [0.0, 0.0], more=0.2)
    assert wide.value == narrow.value
    assert wide.high - wide.low > narrow.high - narrow.low


def test_too_few_and_not_in_pairs():
    assert paired_mean([], []) is None
    one = paired_mean([0.2], [0.1])
    assert (one.low, one.high, one.non_inferior(1.0)) == (None, None, None)
    with pytest.raises(ValueError, match="as many of both"):
        paired_mean([1.0], [])
    with pytest.raises(ValueError, match="level"):
        paired_mean([1.0], [1.0], level=1.0)
