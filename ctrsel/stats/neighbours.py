"""What near rows of a sample say about its fields: ReliefF, and the graph that unsupervised scores start from.

Two rows are as far from each other as the number of fields in which they differ. All pairs of rows are compared, so the
work is quadratic in the rows.

References:
    Kononenko (1994), "Estimating attributes: analysis and extensions of RELIEF" (ReliefF, differences of nominal
    attributes); He, Cai and Niyogi (2005), "Laplacian score for feature selection" (graph with a heat kernel, score).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array, Floats, Ints, binary
from ctrsel.stats._neighbour_loops import nearest

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["laplacian_score", "nearest_rows", "neighbour_graph", "relief_weights"]


def nearest_rows(codes: Array, *, neighbours: int) -> tuple[Ints, Ints]:
    """Nearest other rows of each row, nearest first, and the number of fields in which they differ.

    Shape:
        ``codes`` ``[M, F]``; both results ``[M, K]`` with K the smaller of ``neighbours`` and M - 1.

    Args:
        codes: Codes of a sample of rows.
        neighbours: How many; of equally near rows those that stand first.

    Raises:
        DataError: codes that are not a matrix of at least 2 rows.
        ValueError: less than one neighbour.

    Examples:
        >>> nearest_rows(np.array([[1, 1], [1, 2], [3, 3]]), neighbours=1)[0].ravel()
        array([1, 0, 0])
    """
    table = _codes(codes)
    if neighbours < 1:
        raise ValueError(f"neighbours must be at least 1, got {neighbours}")
    return nearest(table, np.zeros(len(table), dtype=np.bool_), True, min(neighbours, len(table) - 1))


def relief_weights(codes: Array, labels: Array, *, neighbours: int = 10) -> Floats:
    """ReliefF weights: how much more often a field differs from the nearest misses than from the nearest hits.

    Every row of the sample is asked once, and both classes count the same. (The nearest of many rows are nearer than
    the nearest of few, in noise too. If the larger class counted more, a field of noise would seem to differ more
    between misses than between hits, and the more so the fewer values it has.)

    Shape:
        ``codes`` ``[M, F]``, ``labels`` ``[M]``, the result ``[F]``.

    Args:
        codes: Codes of a sample of rows; a missing value is a code like another.
        labels: 0 or 1.
        neighbours: Hits and misses per row; fewer where a class has not so many rows.

    Returns:
        Numbers in [-1, 1].

    Raises:
        DataError: a class with fewer than 2 rows.
        ValueError: less than one neighbour.

    Examples:
        >>> codes = np.array([[0, 5], [0, 6], [1, 5], [1, 6]])
        >>> relief_weights(codes, np.array([0, 0, 1, 1]), neighbours=1)
        array([ 1., -1.])
    """
    table, positive = _codes(codes), binary(labels)
    if neighbours < 1:
        raise ValueError(f"neighbours must be at least 1, got {neighbours}")
    few = min(int(positive.sum()), len(positive) - int(positive.sum()))
    if few < 2:
        raise DataError(f"ReliefF needs two rows of each class in the sample, got {few} of one")
    out = np.zeros(table.shape[1])
    weight = 0.5 / np.where(positive, positive.sum(), (~positive).sum())
    for same, sign in ((True, -1.0), (False, 1.0)):
        who, _ = nearest(table, positive, same, min(neighbours, len(table) - 1))
        known = who >= 0
        share = known / known.sum(axis=1, keepdims=True) * weight[:, None]
        for place in range(who.shape[1]):
            out += sign * (share[:, place] @ (table != table[who[:, place]]))
    return out


def neighbour_graph(codes: Array, *, neighbours: int = 5) -> csr_array:
    """Return the weights between near rows, ``exp(-d / t)`` where one of two rows is among the nearest of the other.

    ``d`` is the number of fields that differ, half the squared distance of the one-hot columns, and ``t`` its mean over
    the edges.

    Shape:
        ``codes`` ``[M, F]``, the result ``[M, M]``, symmetric, without a diagonal.

    Args:
        codes: Codes of a sample of rows.
        neighbours: Nearest rows per row.

    Raises:
        DataError: codes that are not a matrix of at least 2 rows.

    Examples:
        >>> neighbour_graph(np.array([[1, 1], [1, 2], [3, 3]]), neighbours=1).toarray().round(2)
        array([[0.  , 0.47, 0.22],
               [0.47, 0.  , 0.  ],
               [0.22, 0.  , 0.  ]])
    """
    from scipy.sparse import csr_array

    who, far = nearest_rows(codes, neighbours=neighbours)
    rows = len(who)
    heat = np.exp(-far / max(float(far.mean()), 1.0))
    begins = np.repeat(np.arange(rows), who.shape[1])
    one_way = csr_array((heat.ravel(), (begins, who.ravel())), shape=(rows, rows))
    return one_way.maximum(one_way.T.tocsr())


def laplacian_score(codes: Array, graph: csr_array) -> Floats:
    """Laplacian score of each field as a whole: how much near rows differ in it, over how much any two rows do.

    The score of a column f is ``f' L f / f' D f`` with f made orthogonal to the degrees. Numerator and denominator are
    summed over a field's one-hot columns, which gives the weight of edges whose ends differ over the same share of all
    pairs: no column is built, whatever the number of values.

    Shape:
        ``codes`` ``[M, F]``, ``graph`` ``[M, M]``, the result ``[F]``.

    Args:
        codes: Codes of a sample of rows.
        graph: Weights between rows.

    Returns:
        Numbers of at least 0, the smaller the more a field keeps to the neighbourhoods; NaN for a constant field.

    Examples:
        >>> codes = np.array([[1, 1], [1, 2], [2, 1], [2, 2]])
        >>> from scipy.sparse import csr_array
        >>> laplacian_score(codes, csr_array(np.kron(np.eye(2), [[0.0, 1.0], [1.0, 0.0]])))
        array([0., 2.])
    """
    table = _codes(codes)
    edges = graph.tocoo()
    degree = np.asarray(graph.sum(axis=1), dtype=np.float64).ravel()
    volume = float(degree.sum())
    out = np.full(table.shape[1], np.nan)
    for f, column in enumerate(table.T):
        share = np.bincount(np.unique(column, return_inverse=True)[1], weights=degree) / volume
        differs = 1.0 - float((share**2).sum())
        if differs > 1e-12:
            out[f] = float(edges.data[column[edges.coords[0]] != column[edges.coords[1]]].sum()) / volume / differs
    return out


def _codes(codes: Array) -> Array:
    table = np.ascontiguousarray(codes, dtype=np.int32)
    if table.ndim != 2 or len(table) < 2:
        raise DataError(f"codes must be a matrix of at least 2 rows, got shape {table.shape}")
    return table
