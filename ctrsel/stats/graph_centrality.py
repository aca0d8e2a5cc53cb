"""How much all paths through a node of a weighted graph add up to: the scores behind infinite feature selection.

References:
    Katz (1953), "A new status index derived from sociometric analysis" (paths of every length, damped); Roffo, Melzi
    and Cristani (2015), "Infinite feature selection" (the damping 0.9 / spectral radius).
"""

from __future__ import annotations

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array, Floats

__all__ = ["path_scores", "spectral_radius"]


def spectral_radius(adjacency: Array) -> float:
    """Largest absolute eigenvalue of a square matrix, symmetric or not.

    Shape:
        ``adjacency`` ``[F, F]``.

    Args:
        adjacency: Finite numbers.

    Returns:
        A number of at least 0; 0 for a matrix without entries.

    Raises:
        DataError: a matrix that is not square, or a number that is not finite.

    Examples:
        >>> spectral_radius(np.array([[0.0, 2.0], [2.0, 0.0]]))
        2.0
    """
    matrix = _square(adjacency)
    if matrix.size == 0:
        return 0.0
    symmetric = np.array_equal(matrix, matrix.T)
    values = np.linalg.eigvalsh(matrix) if symmetric else np.linalg.eigvals(matrix)
    return float(np.abs(values).max())


def path_scores(adjacency: Array, *, share: float = 0.9, damping: float | None = None) -> Floats:
    """Sum over all paths that begin at a node, ``((I - r A)^-1 - I) 1``; negative entries of ``A`` count as 0.

    A path of length l weighs the product of its edges times ``r**l``. One linear system is solved for the vector of
    ones; no inverse is formed.

    Shape:
        ``adjacency`` ``[F, F]``, the result ``[F]``.

    Args:
        adjacency: Edge from row to column.
        share: ``r`` as a share of the largest one for which the sum is finite, which is 1 / spectral radius.
        damping: ``r`` itself, in place of ``share``.

    Returns:
        Numbers of at least 0; all 0 for a graph without edges.

    Raises:
        DataError: a matrix that is not square or not finite.
        ValueError: a share outside 0 to 1, or a damping for which the sum over paths is infinite.

    Examples:
        >>> path_scores(np.array([[0.0, 1.0], [1.0, 0.0]]), damping=0.5)
        array([1., 1.])
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"share must be above 0 and below 1, got {share}")
    graph: Floats = np.maximum(_square(adjacency), 0.0)
    radius = spectral_radius(graph)
    if radius == 0.0:
        return np.asarray(graph.sum(axis=1) * (share if damping is None else damping), dtype=np.float64)
    factor = share / radius if damping is None else damping
    if not 0.0 < factor * radius < 1.0:
        raise ValueError(f"damping must be above 0 and below {1 / radius}, got {factor}")
    ones = np.ones(len(graph))
    # (S 1) with S = (I - rA)^-1 - I; the right side rA1 gives S1 itself, so that nothing is subtracted afterwards.
    return np.asarray(np.linalg.solve(np.eye(len(graph)) - factor * graph, factor * (graph @ ones)), dtype=np.float64)


def _square(adjacency: Array) -> Floats:
    matrix: Floats = np.asarray(adjacency, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise DataError(f"adjacency must be square, got shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise DataError("adjacency must be finite")
    return matrix
