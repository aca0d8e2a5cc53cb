from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.stats import joint
from ctrsel.stats.counts import label_counts
from ctrsel.stats.joint import joint_counts

SIZES = (4, 3, 5)


def drawn(seed: int, rows: int = 60) -> tuple[list[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, s, rows).astype(np.uint8) for s in SIZES], rng.integers(0, 2, rows).astype(np.uint8)


def by_dictionary(columns, labels) -> dict[tuple[int, ...], tuple[int, int]]:
    counts: dict[tuple[int, ...], tuple[int, int]] = {}
    for *codes, label in zip(*columns, labels, strict=True):
        yes, rows = counts.get(tuple(map(int, codes)), (0, 0))
        counts[tuple(map(int, codes))] = (yes + int(label), rows + 1)
    return counts


def test_by_hand():
    counts = joint_counts([np.array([0, 1, 1]), np.array([2, 0, 0])], np.array([1, 0, 1]), sizes=(2, 3))
    assert counts.cells.tolist() == [2, 3]
    assert counts.totals.tolist() == [1, 2]
    assert counts.positives.tolist() == [1, 1]
    assert counts.codes(0).tolist() == [0, 1]
    assert counts.codes(1).tolist() == [2, 0]


@pytest.mark.parametrize("dense", [True, False])
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), rows=st.integers(0, 200), kind=st.sampled_from([np.uint8, np.uint16, np.uint32]))
def test_a_table_and_sorted_keys_count_as_a_dictionary_does(dense, seed, rows, kind):
    rng = np.random.default_rng(seed)
    sizes = (3, 7, 2)
    columns = [rng.integers(0, s, rows).astype(kind) for s in sizes]
    labels = rng.integers(0, 2, rows).astype(np.uint8)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(joint, "DENSE_SHARE", 10**9 if dense else 0)
        counts = joint_counts(columns, labels, sizes=sizes)
    assert (np.diff(counts.cells.astype(np.int64)) > 0).all()
    found = {
        tuple(int(counts.codes(place)[i]) for place in range(3)): (int(counts.positives[i]), int(counts.totals[i]))
        for i in range(len(counts.cells))
    }
    assert found == by_dictionary(columns, labels)


def test_keys_near_the_limit_do_not_collide():
    size = 2**31
    one, other = np.array([0, 1, size - 1, size - 1]), np.array([1, 0, size - 1, size - 1])
    counts = joint_counts([one, other], np.array([1, 0, 1, 0]), sizes=(size, size))
    assert counts.totals.tolist() == [1, 1, 2]
    assert counts.codes(0).tolist() == [0, 1, size - 1]
    assert counts.codes(1).tolist() == [1, 0, size - 1]


def test_values_that_read_alike_when_joined_stay_apart():
    left, right = np.array(["1", "11", "1", "11"]), np.array(["11", "1", "11", "1"])
    assert set(np.char.add(left, right)) == {"111"}
    columns = [np.unique(side, return_inverse=True)[1] for side in (left, right)]
    counts = joint_counts(columns, np.array([1, 0, 1, 0]), sizes=(2, 2))
    assert counts.totals.tolist() == [2, 2]
    assert sorted(counts.positives.tolist()) == [0, 2]


@settings(deadline=None)
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


def test_the_order_of_rows_does_not_matter():
    columns, labels = drawn(3)
    order = np.random.default_rng(1).permutation(len(labels))
    one, other = (
        joint_counts(columns, labels, sizes=SIZES),
        joint_counts([c[order] for c in columns], labels[order], sizes=SIZES),
    )
    assert (one.cells == other.cells).all()
    assert (one.positives == other.positives).all()


def test_refuses():
    columns, labels = drawn(1)
    with pytest.raises(DataError, match="codes must be below 3, got 3"):
        joint_counts(columns, labels, sizes=(3, 3, 5))
    with pytest.raises(DataError, match="more cells together"):
        joint_counts(columns, labels, sizes=(2**31, 2**31, 5))
    with pytest.raises(DataError, match="one size per field"):
        joint_counts(columns, labels, sizes=(4, 3))
    with pytest.raises(DataError, match="labels must be 0 or 1, got"):
        joint_counts(columns, labels + 1, sizes=SIZES)
    with pytest.raises(DataError, match="need one length"):
        joint_counts([columns[0][:5], *columns[1:]], labels, sizes=SIZES)
    one = joint_counts(columns[:1], labels, sizes=(4,))
    with pytest.raises(DataError, match="same sizes only"):
        one + joint_counts(columns[1:2], labels, sizes=(3,))
