"""Distance correlation: published values, counts against distances, and the moments of all permutations."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from ctrsel.core.errors import DataError
from ctrsel.core.seeds import generator
from ctrsel.stats.distance_correlation import DistanceTest, distance_correlation, distance_test


def _apart(values: np.ndarray) -> np.ndarray:
    return np.abs(values[:, None] - values).astype(float)


def _unequal(values: np.ndarray) -> np.ndarray:
    return (values[:, None] != values).astype(float)


def _from_counts(x: np.ndarray, y: np.ndarray) -> DistanceTest | None:
    return distance_test(np.bincount(x, weights=y).astype(np.int64), np.bincount(x))


def test_the_reference() -> None:
    x = np.arange(1.0, 6.0)
    y = x**2 - 6 * x
    assert distance_correlation(_apart(x), _apart(y)) == pytest.approx(0.5159234568589329, abs=1e-14)
    found = distance_correlation(_apart(x), _apart(y), corrected=True)
    assert found == pytest.approx(-0.40824829046386096, abs=1e-14)


def test_a_line_is_perfect_and_a_rotation_changes_nothing() -> None:
    rng = generator(1, "dcor")
    x, z = rng.normal(size=30), rng.normal(size=(30, 2))
    assert distance_correlation(_apart(x), _apart(3 - 2 * x)) == pytest.approx(1.0)
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    flat, turned = (np.linalg.norm(p[:, None] - p, axis=2) for p in (z, z @ turn))
    turned = (turned + turned.T) / 2
    assert distance_correlation(_apart(x), flat) == pytest.approx(distance_correlation(_apart(x), turned))


def test_two_values_give_phi() -> None:
    rng = generator(2, "dcor")
    x = rng.integers(0, 2, 80)
    y = np.where(rng.random(80) < 0.2, 1 - x, x)
    phi = abs(np.corrcoef(x, y)[0, 1])
    assert distance_correlation(_apart(x), _apart(y)) == pytest.approx(phi)
    found = _from_counts(x, y)
    assert found is not None
    assert found.value == pytest.approx(phi)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1)), min_size=5, max_size=60))
def test_counts_give_what_distances_give(pairs: list[tuple[int, int]]) -> None:
    x, y = (np.array(c) for c in zip(*pairs, strict=True))
    found = _from_counts(x, y)
    if found is None:
        assert any(np.abs(distance_correlation(d, d, corrected=True)) < 0.5 for d in (_unequal(x), _unequal(y)))
        return
    assert found.value == pytest.approx(distance_correlation(_unequal(x), _unequal(y)), abs=1e-9)
    general = distance_correlation(_unequal(x), _unequal(y), corrected=True)
    assert found.corrected == pytest.approx(general, abs=1e-9)


@pytest.mark.parametrize("values", [(0, 0, 0, 1, 1, 2), (0, 0, 0, 0, 1, 1), (0, 0, 1, 2, 3, 4)])
def test_mean_and_variance_under_all_permutations_are_exactly_0_and_1(values: tuple[int, ...]) -> None:
    x, y = np.array(values), np.array([1, 1, 0, 0, 0, 0])
    found = [_from_counts(x, y[list(order)]) for order in permutations(range(6))]
    z = np.array([t.z for t in found if t is not None])
    assert len(z) == 720
    assert z.mean() == pytest.approx(0.0, abs=1e-12)
    assert z.var() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(("values", "positives"), [(2, 300), (40, 60), (800, 60), (800, 1000)])
def test_p_values_are_calibrated(values: int, positives: int) -> None:
    rng = generator(values, "dcor", positives)
    totals = np.bincount(rng.integers(0, values, 2000))
    totals = totals[totals > 0]
    p = []
    for _ in range(600):
        test = distance_test(rng.multivariate_hypergeometric(totals, positives), totals)
        assert test is not None
        p.append(test.p_value)
    for level in (0.2, 0.05, 0.01):
        assert binomtest(int((np.array(p) < level).sum()), 600, level).pvalue > 1e-3


def test_noise_of_many_values_is_about_0_and_its_plug_in_value_is_not() -> None:
    rng = generator(3, "dcor")
    x, y = rng.integers(0, 3000, 5000), rng.integers(0, 2, 5000)
    found = _from_counts(x, y)
    assert found is not None
    assert found.value > 0.09
    assert abs(found.corrected) < 4 * np.sqrt(2) / 5000


def test_rare_values_of_many_rows_are_exact() -> None:
    totals = np.array([20_000_000 - 2, 2])
    hit = distance_test(np.array([600_000 - 2, 2]), totals)
    assert hit is not None
    # Up to terms of order 1 / n one pair has an entry, 2; the label's at a positive pair is 2 q^2 and its squares add
    # up to (2 n p q)^2: 2 * 2 * 2 q^2 / (sqrt(8) * 2 n p q).
    assert hit.corrected == pytest.approx(np.sqrt(2) * 0.97 / 0.03 / 2e7, rel=1e-6)
    assert hit.p_value < 1e-3


def test_what_has_no_distances_has_no_correlation() -> None:
    assert _from_counts(np.arange(9), np.arange(9) % 2) is None
    assert _from_counts(np.zeros(9, dtype=int), np.arange(9) % 2) is None
    assert _from_counts(np.arange(9) // 2, np.zeros(9, dtype=int)) is None
    assert distance_correlation(np.zeros((5, 5)), _apart(np.arange(5.0))) == 0.0


def test_refuses() -> None:
    with pytest.raises(DataError, match="symmetric matrix"):
        distance_correlation(np.ones((3, 3)), np.ones((3, 3)))
    with pytest.raises(DataError, match="of the same rows, got 3 and 2"):
        distance_correlation(np.zeros((3, 3)), np.zeros((2, 2)))
    with pytest.raises(DataError, match="needs 4 rows, got 3"):
        distance_correlation(np.zeros((3, 3)), np.zeros((3, 3)), corrected=True)
