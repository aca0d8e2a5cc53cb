import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctrsel.core.errors import DataError
from ctrsel.data.buckets import NO_BUCKET, bucket_ids, bucket_texts, moments, quantile_edges

FINITE = st.floats(-1e12, 1e12) | st.integers(-5, 30).map(float)
VALUES = st.lists(FINITE, min_size=1, max_size=60).map(np.array)


def holds(name: str, x: float) -> bool:
    """Whether a value lies in the range that a bucket's name says."""
    if name == "any":
        return True
    if found := re.fullmatch(r"under (\S+)", name):
        return x < float(found[1])
    if found := re.fullmatch(r"(\S+) or more", name):
        return x >= float(found[1])
    if found := re.fullmatch(r"(\S+) to (\S+)", name):
        return float(found[1]) <= x < float(found[2])
    return x == float(name)


@given(VALUES, st.integers(2, 12))
def test_quantile_edges_rise_and_are_few(values: np.ndarray, bins: int) -> None:
    edges = quantile_edges(values, bins=bins)
    assert len(edges) <= bins - 1
    assert (np.diff(edges) > 0).all()
    assert np.isin(edges, values).all()
    ids = bucket_ids(values, edges=edges)
    assert set(ids) == set(range(len(edges) + 1))  # no bucket is empty in training
    assert np.array_equal(quantile_edges(np.random.default_rng(0).permutation(values), bins=bins), edges)


def by_counting(values: np.ndarray, bins: int) -> np.ndarray:
    """Edges from the distinct values and their counts, as the docstring says."""
    points, counts = np.unique(values, return_counts=True)
    if len(points) <= bins:
        return points[1:]
    heavy = np.flatnonzero(counts > len(values) / bins)
    edges = [points[j] for h in heavy for j in (h, h + 1) if 0 < j < len(points)]
    left = bins - 1 - len(set(edges))
    rest = np.setdiff1d(np.arange(len(points)), heavy)
    if left > 0 and len(rest) > 1:
        mass = np.cumsum(counts[rest]) / counts[rest].sum()
        cut = np.searchsorted(mass, np.arange(1, left + 1) / (left + 1)) + 1
        edges += [points[rest[c]] for c in cut if c < len(rest)]
    return np.unique(edges)[: bins - 1]


@given(st.lists(FINITE | st.sampled_from([0.0, 1.0, 7.0]), min_size=1, max_size=80).map(np.array), st.integers(2, 12))
def test_quantile_edges_are_those_of_the_counted_values(values: np.ndarray, bins: int) -> None:
    given_ = values.copy()
    assert np.array_equal(quantile_edges(values, bins=bins), by_counting(values, bins))
    assert np.array_equal(values, given_)
    assert np.array_equal(quantile_edges(values, bins=bins, in_place=True), by_counting(given_, bins))
    assert np.array_equal(values, np.sort(given_))


@given(st.lists(st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf, 1e300]), max_size=50).map(np.array))
def test_moments_are_of_what_float32_can_hold(values: np.ndarray) -> None:
    finite = values[np.isfinite(values) & (np.abs(values) < 1e38)] if len(values) else values
    mean, spread = moments(values)
    assert mean == pytest.approx(finite.mean() if len(finite) else 0.0, rel=1e-9, abs=1e-9)
    assert spread > 0
    assert not len(finite) or spread == pytest.approx(finite.std() or 1.0, rel=1e-6, abs=1e-6) or finite.std() < 1e-6


@given(VALUES, st.integers(2, 12), VALUES)
def test_every_value_falls_into_its_named_range(train: np.ndarray, bins: int, values: np.ndarray) -> None:
    train, values = np.round(train, 3), np.round(values, 3)
    edges = quantile_edges(train, bins=bins)
    ids = bucket_ids(values, edges=edges)
    order = np.argsort(values, kind="stable")
    assert (np.diff(ids[order]) >= 0).all()
    every = bucket_texts(np.arange(len(edges) + 1), edges=edges)
    assert len(set(every)) == len(every)
    for name, x in zip(bucket_texts(ids, edges=edges), values.tolist(), strict=True):
        assert holds(name, x) or np.abs(edges - x).min() <= 1e-5 * abs(x)  # long edges are rounded in their names


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=40, unique=True))
def test_names_of_buckets_never_collide(edges: list[float]) -> None:
    sorted_edges = np.unique(np.array(edges))
    names = bucket_texts(np.arange(len(sorted_edges) + 1), edges=sorted_edges)
    assert len(set(names)) == len(names)


def test_near_edges_keep_different_names() -> None:
    # Seconds since 1970 with a fraction: six digits would name all of these alike.
    edges = np.array([1_700_000_000.1, 1_700_000_000.2, 1_700_000_000.3])
    assert bucket_texts(np.arange(2), edges=edges) == ["under 1700000000.1", "1700000000.1 to 1700000000.2"]


def test_equal_mass_without_heavy_values() -> None:
    values = np.random.default_rng(0).normal(size=10_000)
    share = np.bincount(bucket_ids(values, edges=quantile_edges(values, bins=8))) / 10_000
    assert share == pytest.approx(np.full(8, 1 / 8), abs=0.002)


def test_a_heavy_value_has_its_own_bucket() -> None:
    values = np.concatenate([np.zeros(500), np.arange(1, 501), -np.arange(1, 101)]).astype(float)
    edges = quantile_edges(values, bins=6)
    ids = bucket_ids(values, edges=edges)
    assert set(values[ids == bucket_ids(np.zeros(1), edges=edges)[0]]) == {0.0}


def test_missing_and_infinite_values() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 5.0])
    edges = quantile_edges(np.array([1.0, 2.0, 3.0, np.inf, -np.inf]), bins=4)
    assert np.isfinite(edges).all()
    assert bucket_ids(values, edges=edges).tolist() == [NO_BUCKET, len(edges), 0, len(edges)]
    log = bucket_ids(values, edges=None)
    assert log[0] == NO_BUCKET
    assert log[1] > log[3] > log[2]
    assert len(set(bucket_texts(log[1:], edges=None))) == 3
    assert len(quantile_edges(np.array([np.inf]), bins=4)) == 0
    assert bucket_texts(np.array([0]), edges=np.zeros(0)) == ["any"]


@given(st.lists(st.integers(-50, 2**40), min_size=1, max_size=50))
def test_log_square_is_monotone_and_named_right_for_counts(counts: list[int]) -> None:
    values = np.array(counts, dtype=np.float64)
    ids = bucket_ids(values, edges=None)
    assert (np.diff(ids[np.argsort(values, kind="stable")]) >= 0).all()
    for x, name in zip(counts, bucket_texts(ids, edges=None), strict=True):
        assert holds(name, x) or min(abs(float(e) - x) for e in re.findall(r"[-\d.e+]+", name)) <= max(0.051, 1e-5 * x)


def test_log_square_is_the_published_form() -> None:
    # floor(ln(x)^2) for x > 2, shifted by 2 here so that 3 does not share a bucket with 1.
    x = np.arange(3, 5000).astype(float)
    assert np.array_equal(bucket_ids(x, edges=None) - 2, np.floor(np.log(x) ** 2).astype(int))
    assert bucket_ids(np.array([-3.0, -1.0, 0.0, 1.0, 2.0]), edges=None).tolist() == [-3, -1, 0, 1, 2]


def test_a_bucket_that_is_not_there() -> None:
    with pytest.raises(DataError, match=r"bucket 4 is outside 0\.\.2"):
        bucket_texts(np.array([4]), edges=np.array([1.0, 2.0]))
