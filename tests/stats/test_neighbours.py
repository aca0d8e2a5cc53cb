"""Near rows: distances, ReliefF and the Laplacian score against plain loops over rows and one-hot columns."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from ctrsel.core.errors import DataError
from ctrsel.core.seeds import generator
from ctrsel.stats.neighbours import laplacian_score, nearest_rows, neighbour_graph, relief_weights


def _table(seed: int, rows: int = 70, fields: int = 6) -> np.ndarray:
    return generator(seed, "near").integers(0, 4, (rows, fields))


def test_distances_are_scikit_learns() -> None:
    codes = _table(1)
    far = NearestNeighbors(n_neighbors=6, metric="hamming").fit(codes).kneighbors(codes)[0][:, 1:] * codes.shape[1]
    who, found = nearest_rows(codes, neighbours=5)
    assert found == pytest.approx(far)
    assert np.array_equal((codes[who] != codes[:, None]).sum(axis=2), found)
    assert (who != np.arange(len(codes))[:, None]).all()


def test_of_equally_near_rows_the_first_count() -> None:
    who, _ = nearest_rows(np.zeros((5, 2), dtype=int), neighbours=2)
    assert who.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1]]


def _relief(codes: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    out = np.zeros(codes.shape[1])
    for i in range(len(codes)):
        for same, sign in ((True, -1.0), (False, 1.0)):
            others = [j for j in range(len(codes)) if j != i and (labels[j] == labels[i]) == same]
            others.sort(key=lambda j: ((codes[i] != codes[j]).sum(), j))
            apart = np.mean([codes[i] != codes[j] for j in others[:k]], axis=0)
            out += sign * apart / 2 / (labels == labels[i]).sum()
    return out


@pytest.mark.parametrize("share", [0.5, 0.06])
def test_relief_agrees_with_loops(share: float) -> None:
    codes = _table(2)
    labels = (np.arange(70) < 70 * share).astype(int)
    assert relief_weights(codes, labels, neighbours=7) == pytest.approx(_relief(codes, labels, 7))


def test_relief_finds_a_pair_that_counts_only_together() -> None:
    rng = generator(3, "near")
    codes = rng.integers(0, 2, (800, 6))
    weights = relief_weights(codes, codes[:, 1] ^ codes[:, 4])
    assert set(np.argsort(-weights)[:2].tolist()) == {1, 4}


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_noise_weighs_about_0_even_where_one_class_is_rare(share: float) -> None:
    rng = generator(4, "near")
    found = [
        relief_weights(rng.integers(0, 3, (300, 5)), (np.arange(300) < 300 * share).astype(int)) for _ in range(30)
    ]
    mean = np.mean(found, axis=1)
    assert abs(mean.mean()) < 3.5 * mean.std(ddof=1) / np.sqrt(30)


def test_laplacian_is_that_of_the_one_hot_columns_added_up() -> None:
    codes = _table(5)
    graph = neighbour_graph(codes, neighbours=4)
    s = graph.toarray()
    assert np.array_equal(s, s.T)
    assert not np.diag(s).any()
    d = np.diag(s.sum(axis=1))
    one = np.ones(len(s))
    for f, found in enumerate(laplacian_score(codes, graph)):
        above = below = 0.0
        for value in np.unique(codes[:, f]):
            column = (codes[:, f] == value).astype(float)
            flat = column - (column @ d @ one) / (one @ d @ one)
            above += flat @ (d - s) @ flat
            below += flat @ d @ flat
        assert found == pytest.approx(above / below)


def test_a_single_column_has_the_papers_score_and_a_constant_has_none() -> None:
    codes = np.concatenate([_table(6)[:, :3] // 2, np.zeros((70, 1), dtype=int)], axis=1)
    graph = neighbour_graph(codes, neighbours=4)
    s = graph.toarray()
    d = np.diag(s.sum(axis=1))
    f = codes[:, 0] - (codes[:, 0] @ d).sum() / d.sum()
    found = laplacian_score(codes, graph)
    assert found[0] == pytest.approx((f @ (d - s) @ f) / (f @ d @ f))
    assert np.isnan(found[3])


def test_refuses() -> None:
    with pytest.raises(DataError, match="two rows of each class in the sample, got 1 of one"):
        relief_weights(_table(1), np.arange(70) == 3)
    with pytest.raises(DataError, match="at least 2 rows"):
        nearest_rows(np.zeros((1, 3), dtype=int), neighbours=1)
    for call in (
        lambda: nearest_rows(_table(1), neighbours=0),
        lambda: relief_weights(_table(1), np.arange(70) % 2, neighbours=0),
    ):
        with pytest.raises(ValueError, match="neighbours must be at least 1, got 0"):
            call()
