"""The null of two fields: sums over all counts, shuffles, and chi-square where cells have many rows."""

from __future__ import annotations

import numpy as np
import pytest

from ctrsel.core.errors import DataError
from ctrsel.core.seeds import generator
from ctrsel.stats._association_loops import null_terms
from ctrsel.stats.association import joint_information
from ctrsel.stats.chance_table import ChanceTable, expected_association


def _zipf(rng, n, k):
    mass = np.cumsum(1 / np.arange(1, k + 1))
    return np.minimum(np.searchsorted(mass / mass[-1], rng.random(n)), k - 1)


def _moments(a, b):
    table = ChanceTable(len(a))
    return table.null(table.weights(np.bincount(a)), table.weights(np.bincount(b)))


@pytest.mark.parametrize("rows", [500, 5_000, 50_000])
def test_the_table_agrees_with_sums_over_all_counts(rows):
    rng = generator(rows, "table")
    fields = [
        rng.integers(0, 2, rows),
        (rng.random(rows) < 0.002).astype(int),
        (rng.random(rows) < 0.998).astype(int),
        _zipf(rng, rows, 300),
        rng.integers(0, rows, rows),
    ]
    table = ChanceTable(rows)
    counts = [np.bincount(f) for f in fields]
    for a in counts:
        for b in counts:
            (va, ra), (vb, rb) = (np.unique(c[c > 0], return_counts=True) for c in (a, b))
            exact = ra @ null_terms(va, vb, rows, False)[0] @ rb / rows
            assert table.expected(table.weights(a), table.weights(b)) == pytest.approx(exact, rel=1e-6)
            assert expected_association(a, b) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize(("few", "many"), [(2, 2), (2, 40), (8, 300), (40, 40), (300, 2000), (3, 4000)])
def test_mean_and_deviation_are_those_of_shuffles(few, many):
    rng = generator(few * many, "shuffles")
    n, draws = 4000, 250
    a, b = _zipf(rng, n, few), rng.integers(0, many, n)
    mean, deviation = _moments(a, b)
    totals = np.bincount(a), np.bincount(b)
    found = []
    for _ in range(draws):
        _, cells = np.unique(rng.permutation(a) * many + b, return_counts=True)
        found.append(joint_information(cells, *totals))
    assert abs(np.mean(found) - mean) < 4 * np.std(found) / np.sqrt(draws)
    assert np.std(found) / deviation == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("values", [2, 5])
def test_many_rows_per_cell_give_the_moments_of_chi_square(values):
    # 2 n I is then chi-square with (K - 1)^2 degrees of freedom.
    rows = 20_000_000
    table, freedom = ChanceTable(rows), (values - 1) ** 2
    weights = table.weights(np.full(values, rows // values))
    mean, deviation = table.null(weights, weights)
    assert 2 * rows * mean == pytest.approx(freedom, rel=1e-5)
    assert 2 * rows * deviation == pytest.approx(np.sqrt(2 * freedom), rel=1e-5)


def test_refuses():
    with pytest.raises(DataError, match="must have the same rows, got 3 and 2"):
        expected_association(np.array([1, 2]), np.array([2]))
    with pytest.raises(DataError, match="a field of this table has 5 rows, got 4"):
        ChanceTable(5).weights(np.array([4]))
