"""Cramer's V: agreement with scipy's chi-square, and nothing left for independent fields of any number of values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency
from sklearn.metrics.cluster import contingency_matrix

from ctrsel.core.errors import DataError
from ctrsel.core.seeds import generator
from ctrsel.stats.cramer import cramers_v, cramers_v_matrix


def _slow(a: np.ndarray, b: np.ndarray) -> float:
    table = contingency_matrix(a, b)
    n, (r, c) = len(a), table.shape
    if min(r, c) < 2 or max(r, c) == n:
        return 0.0
    square = max(chi2_contingency(table, correction=False).statistic / n - (r - 1) * (c - 1) / (n - 1), 0.0)
    rows, columns = (k - (k - 1) ** 2 / (n - 1) for k in (r, c))
    return float(np.sqrt(min(square / min(rows - 1, columns - 1), 1.0)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-2, 3)), min_size=2, max_size=50))
def test_agrees_with_scipy(pairs: list[tuple[int, int]]) -> None:
    a, b = (np.array(c) for c in zip(*pairs, strict=True))
    assert cramers_v(a, b) == pytest.approx(_slow(a, b), abs=1e-6)


def test_all_pairs() -> None:
    columns = [generator(1, "cramer", k).integers(0, k, 300) for k in (2, 7, 40)]
    columns += [columns[1] // 2, columns[1][::-1] * 3]
    found = cramers_v_matrix(columns)
    assert np.array_equal(found, found.T)
    assert np.diag(found).tolist() == [1.0] * 5
    for i in range(5):
        for j in range(i):
            assert found[i, j] == pytest.approx(_slow(columns[i], columns[j]), abs=1e-9)


@pytest.mark.parametrize("values", [2, 30, 500, 1500])
def test_independent_fields_share_nothing_whatever_their_number_of_values(values: int) -> None:
    rng = generator(values, "cramer")
    found = [cramers_v(rng.integers(0, values, 2000), rng.integers(0, 20, 2000)) for _ in range(40)]
    assert np.mean(found) < 0.03


def test_a_copy_shares_all_and_a_row_number_nothing() -> None:
    x = generator(2, "cramer").integers(0, 50, 1000)
    assert cramers_v(x, 7 - x) == pytest.approx(1.0)
    assert cramers_v(x, np.arange(1000)) == 0.0
    assert cramers_v(x, np.zeros(1000, dtype=int)) == 0.0


def test_refuses_different_lengths() -> None:
    with pytest.raises(DataError, match=r"one length, got \[2, 3\]"):
        cramers_v(np.zeros(2, dtype=int), np.zeros(3, dtype=int))
