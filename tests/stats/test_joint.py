from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.stats.counts import label_counts
from ctrsel.stats.joint import joint_counts

SIZES = (4, 3, 5)


def drawn(seed: int, rows: int = 60) -> tuple[list[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, s, rows).astype(np.uint8) for s in SIZES], rng.integers(0, 2, rows).astype(np.uint8)


def test_by_hand():
    counts = joint_counts([np.array([0, 1, 1]), np.array([2, 0, 0])], np.array([1, 0, 1]), sizes=(2, 3))
    assert counts.cells.tolist() == [2, 3]
    assert counts.totals.tolist() == [1, 2]
    assert counts.positives.tolist() == [1, 1]
    assert counts.codes(0).tolist() == [0, 1]
    assert counts.codes(1).tolist() == [2, 0]


@given(st.integers(0, 10**6), st.integers(0, 60))
def test_chunks_add_up_and_margins_are_the_single_counts(seed, cut):
    columns, labels = drawn(seed)
    whole = joint_counts(columns, labels, sizes=SIZES)
    parts = [joint_counts([c[s] for c in columns], labels[s], sizes=SIZES) for s in (slice(cut), slice(cut, None))]
    joined = parts[0] + parts[1]
    for name in ("cells", "positives", "totals"):
        assert (getattr(joined, name) == getattr(whole, name)).all()
    for place, size in enumerate(SIZES):
        margin, single = whole.marginal(place), label_counts(columns[place], labels, size=size)
        assert (margin.positives == single.positives).all()
        assert (margin.totals == single.totals).all()


def test_refuses():
    columns, labels = drawn(1)
    with pytest.raises(DataError, match="codes must be below 3, got 3"):
        joint_counts(columns, labels, sizes=(3, 3, 5))
    with pytest.raises(DataError, match="more cells together"):
        joint_counts(columns, labels, sizes=(2**31, 2**31, 5))
    with pytest.raises(DataError, match="one size per field"):
        joint_counts(columns, labels, sizes=(4, 3))
    one = joint_counts(columns[:1], labels, sizes=(4,))
    with pytest.raises(DataError, match="same sizes only"):
        one + joint_counts(columns[1:2], labels, sizes=(3,))
