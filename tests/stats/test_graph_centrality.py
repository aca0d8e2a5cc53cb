"""Path scores: values worked out by hand, the power series, and both limits of the damping."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from ctrsel.core.errors import DataError
from ctrsel.core.seeds import generator
from ctrsel.stats.graph_centrality import path_scores, spectral_radius


def test_two_nodes() -> None:
    assert path_scores(np.array([[0.0, 1.0], [1.0, 0.0]]), damping=0.5) == pytest.approx([1.0, 1.0])


def test_three_nodes() -> None:
    graph = np.array([[0.2, 0.5, 0.1], [0.5, 0.3, 0.4], [0.1, 0.4, 0.6]])
    assert spectral_radius(graph) == pytest.approx(1.059534, abs=5e-7)
    assert path_scores(graph) == pytest.approx([6.7929622, 9.71425436, 9.81360506], abs=1e-7)


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_solve_is_the_power_series(symmetric: bool) -> None:
    graph = generator(1, "graph").random((12, 12))
    if symmetric:
        graph = (graph + graph.T) / 2
    factor = 0.9 / np.abs(np.linalg.eigvals(graph)).max()
    paths, series = np.ones(12), np.zeros(12)
    for _ in range(400):
        paths = factor * graph @ paths
        series += paths
    assert path_scores(graph) == pytest.approx(series, rel=1e-10)


def test_names_of_nodes_do_not_matter() -> None:
    rng = generator(2, "graph")
    graph, order = rng.random((9, 9)), rng.permutation(9)
    assert path_scores(graph[np.ix_(order, order)]) == pytest.approx(path_scores(graph)[order])


def test_little_damping_counts_edges_and_much_finds_the_leading_eigenvector() -> None:
    graph = generator(3, "graph").random((200, 200))
    graph = (graph + graph.T) / 2
    edges = graph.sum(axis=1)
    leading = np.abs(np.linalg.eigh(graph)[1][:, -1])
    assert kendalltau(path_scores(graph, share=1e-6), edges).statistic == pytest.approx(1.0)
    assert kendalltau(path_scores(graph, share=1 - 1e-9), leading).statistic == pytest.approx(1.0)
    # What the paths add at the published damping: next to nothing on a dense graph.
    assert kendalltau(path_scores(graph), edges).statistic > 0.98


def test_a_graph_of_rank_one_ranks_as_its_vector_does() -> None:
    p = generator(4, "graph").random(30)
    found = path_scores(np.outer(p, p), share=0.99)
    assert found == pytest.approx(99 * p * p.sum() / (p @ p), rel=1e-9)


def test_negative_edges_count_as_none() -> None:
    graph = np.array([[0.0, 1.0], [1.0, -5.0]])
    assert path_scores(graph, damping=0.5) == pytest.approx([1.0, 1.0])


def test_a_graph_without_edges() -> None:
    assert path_scores(np.zeros((3, 3))).tolist() == [0.0, 0.0, 0.0]
    assert path_scores(np.zeros((0, 0))).tolist() == []


def test_refuses() -> None:
    with pytest.raises(DataError, match=r"square, got shape \(2, 3\)"):
        path_scores(np.zeros((2, 3)))
    with pytest.raises(DataError, match="finite"):
        path_scores(np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match="share must be above 0 and below 1, got 1"):
        path_scores(np.eye(2), share=1.0)
    with pytest.raises(ValueError, match=r"damping must be above 0 and below 1.0, got 1.5"):
        path_scores(np.eye(2), damping=1.5)
