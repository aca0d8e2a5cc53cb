"""Coordinates of a graph against scikit-learn's, and UDFS against the paper's matrices written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.manifold import spectral_embedding

from ctrsel.core.errors import DataError
from ctrsel.core.seeds import generator
from ctrsel.stats.local_structure import discriminative_weights, graph_coordinates
from ctrsel.stats.neighbours import nearest_rows, neighbour_graph


def test_coordinates_are_scikit_learns() -> None:
    graph = neighbour_graph(generator(1, "local").integers(0, 3, (60, 5)), neighbours=6)
    found = graph_coordinates(graph, dimensions=3)
    peer = spectral_embedding(graph.toarray(), n_components=3, random_state=0)
    peer = peer / np.linalg.norm(peer, axis=0)
    assert np.abs((found * peer).sum(axis=0)) == pytest.approx([1.0] * 3, abs=1e-6)
    assert (found[np.argmax(np.abs(found), axis=0), range(3)] > 0).all()


def test_coordinates_solve_the_papers_problem() -> None:
    graph = neighbour_graph(generator(2, "local").integers(0, 3, (40, 5)), neighbours=6)
    s = graph.toarray()
    d = np.diag(s.sum(axis=1))
    y = graph_coordinates(graph, dimensions=2)
    for column in y.T:
        value = (column @ (d - s) @ column) / (column @ d @ column)
        assert (d - s) @ column == pytest.approx(value * d @ column, abs=1e-8)
        assert value > 1e-6


def _scatter(x: np.ndarray, near: np.ndarray, ridge: float) -> np.ndarray:
    n, k = near.shape
    out = np.zeros((x.shape[1], x.shape[1]))
    centre = np.eye(k + 1) - np.ones((k + 1, k + 1)) / (k + 1)
    for i in range(n):
        select = np.zeros((n, k + 1))
        select[[i, *near[i]], range(k + 1)] = 1.0
        local = x.T @ select @ centre
        inner = np.linalg.inv(local.T @ local + ridge * np.eye(k + 1))
        out += x.T @ select @ centre @ inner @ centre @ select.T @ x / n
    return out


def test_udfs_minimises_the_papers_objective() -> None:
    rng = generator(3, "local")
    codes = rng.integers(0, 3, (50, 4))
    x = rng.normal(size=(50, 6))
    near = nearest_rows(codes, neighbours=4)[0]
    scatter = _scatter(x, near, 1.0)
    plain = discriminative_weights(x, near, dimensions=2, sparsity=1e-12)
    w = np.linalg.eigh(scatter)[1][:, :2]
    assert plain == pytest.approx(np.linalg.norm(w, axis=1), abs=1e-5)
    sparse = discriminative_weights(x, near, dimensions=2, sparsity=1.0, iterations=100)
    assert (sparse**2).sum() == pytest.approx(2.0)
    assert sparse.sum() < plain.sum()  # that is what the l2,1 norm is for


def test_udfs_finds_the_columns_that_make_clusters() -> None:
    rng = generator(4, "local")
    cluster = rng.integers(0, 3, 300)
    hot = (cluster[:, None] == np.arange(2)).astype(float)
    x = np.concatenate([(hot - hot.mean(axis=0)) / hot.std(axis=0), rng.normal(size=(300, 8))], axis=1)
    codes = np.concatenate([np.repeat(cluster[:, None], 6, axis=1), rng.integers(0, 2, (300, 3))], axis=1)
    weights = discriminative_weights(x, nearest_rows(codes, neighbours=5)[0], dimensions=2)
    assert set(np.argsort(-weights)[:2].tolist()) == {0, 1}


def test_refuses() -> None:
    lonely = csr_array(np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]]))
    with pytest.raises(DataError, match="row 2 of the graph has no edge"):
        graph_coordinates(lonely, dimensions=1)
    with pytest.raises(DataError, match="between 1 and 2 coordinates, asked for 3"):
        graph_coordinates(lonely, dimensions=3)
    with pytest.raises(DataError, match="1 columns have no 2 dimensions"):
        discriminative_weights(np.zeros((4, 1)), np.zeros((4, 1), dtype=int), dimensions=2)
