"""Structure of near rows as numbers: coordinates of a graph of rows, and weights that keep local clusters apart.

References:
    Cai, Zhang and He (2010), "Unsupervised feature selection for multi-cluster data" (the coordinates that MCFS
    regresses on); Yang, Shen, Ma, Huang and Zhou (2011), "l2,1-norm regularized discriminative feature selection for
    unsupervised learning" (UDFS).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array, Floats

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["discriminative_weights", "graph_coordinates"]


def graph_coordinates(graph: csr_array, *, dimensions: int) -> Floats:
    """Solutions of ``L y = lambda D y`` with the smallest lambda, but for the constant one.

    Shape:
        ``graph`` ``[M, M]``, the result ``[M, K]`` with K = ``dimensions``.

    Args:
        graph: Symmetric weights of at least 0 between rows, each row with an edge.
        dimensions: How many, below M.

    Returns:
        Columns of length 1; the sign of each is such that its largest entry is above 0.

    Raises:
        DataError: a row without an edge, or more dimensions than rows allow.

    Examples:
        >>> from scipy.sparse import csr_array
        >>> line = csr_array(np.array([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]]))
        >>> graph_coordinates(line, dimensions=1).ravel().round(3) + 0.0
        array([ 0.707,  0.   , -0.707])
    """
    from scipy.linalg import eigh

    rows = graph.shape[0]
    degree = np.asarray(graph.sum(axis=1), dtype=np.float64).ravel()
    if not 0 < dimensions < rows:
        raise DataError(f"a graph of {rows} rows has between 1 and {rows - 1} coordinates, asked for {dimensions}")
    if degree.min() <= 0:
        raise DataError(f"row {int(np.argmin(degree))} of the graph has no edge")
    root = 1.0 / np.sqrt(degree)
    normal = graph.toarray() * root * root[:, None]
    _, vectors = eigh(normal, subset_by_index=(rows - dimensions - 1, rows - 2))
    found = vectors[:, ::-1] * root[:, None]
    found /= np.linalg.norm(found, axis=0)
    # The first one of entries that are equal up to rounding decides, so that the sign is the same everywhere.
    top = np.argmax(np.abs(found).round(10), axis=0)
    return np.asarray(found * np.sign(found[top, np.arange(dimensions)]), dtype=np.float64)


def discriminative_weights(
    columns: Array,
    near: Array,
    *,
    dimensions: int = 5,
    ridge: float = 1.0,
    sparsity: float = 0.1,
    iterations: int = 30,
    tolerance: float = 1e-6,
) -> Floats:
    """UDFS weights: lengths of the rows of the W with W'W = I that makes ``tr(W' M W) + sparsity * ||W||_2,1`` least.

    M adds up, over rows and their neighbours, what the projection cannot tell apart locally. Alternates W (the
    eigenvectors of the smallest eigenvalues of ``M + sparsity * U``) and the diagonal ``U = 1 / (2 ||w_i||)``; no step
    raises the objective.

    Shape:
        ``columns`` ``[M, D]``, ``near`` ``[M, K]``, the result ``[D]``.

    Args:
        columns: Numbers per row, of one scale.
        near: Neighbours of each row.
        dimensions: Columns of W.
        ridge: Added to the local scatter.
        sparsity: Of the l2,1 norm.
        iterations: At most so many.
        tolerance: Relative change of the objective at which to stop.

    Returns:
        Numbers of at least 0 whose squares add up to ``dimensions``.

    Raises:
        DataError: fewer columns than dimensions.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> x = np.concatenate([np.zeros(20), np.ones(20)])
        >>> columns = np.stack([2 * x, rng.normal(size=40)], axis=1)
        >>> near = np.array([[(i + 1) % 20 + 20 * (i // 20), (i + 2) % 20 + 20 * (i // 20)] for i in range(40)])
        >>> bool(np.diff(discriminative_weights(columns, near, dimensions=1))[0] < 0)
        True
    """
    from scipy.linalg import eigh

    x: Floats = np.asarray(columns, dtype=np.float64)
    if x.shape[1] < dimensions:
        raise DataError(f"{x.shape[1]} columns have no {dimensions} dimensions")
    scatter = _local_scatter(x, np.asarray(near, dtype=np.int64), ridge)
    penalty, before = np.ones(x.shape[1]), np.inf
    length: Floats = np.zeros(x.shape[1])
    for _ in range(iterations):
        _, w = eigh(scatter + sparsity * np.diag(penalty), subset_by_index=(0, dimensions - 1))
        length = np.asarray(np.linalg.norm(w, axis=1), dtype=np.float64)
        objective = float(np.trace(w.T @ scatter @ w)) + sparsity * float(length.sum())
        if before - objective <= tolerance * abs(objective):
            break
        penalty, before = 1.0 / (2.0 * np.maximum(length, 1e-10)), objective
    return length


def _local_scatter(x: Floats, near: Array, ridge: float) -> Floats:
    """Return ``X' (sum_i S_i H B_i H S_i') X`` with ``B_i = (X~_i X~_i' + ridge I)^-1`` of row i and its neighbours."""
    from scipy.sparse import csr_array

    rows, size = len(x), near.shape[1] + 1
    sets = np.concatenate([np.arange(rows)[:, None], near], axis=1)
    centre = np.eye(size) - 1.0 / size
    local = x[sets]
    local = local - local.mean(axis=1, keepdims=True)
    inverse = np.linalg.inv(local @ local.transpose(0, 2, 1) + ridge * np.eye(size))
    blocks = centre @ inverse @ centre
    at = (np.repeat(sets, size, axis=1).ravel(), np.tile(sets, (1, size)).ravel())
    # divided by the number of rows, so that the sparsity means the same for every sample
    whole = csr_array((blocks.ravel(), at), shape=(rows, rows))
    out = x.T @ (whole @ x) / rows
    return np.asarray((out + out.T) / 2.0, dtype=np.float64)
