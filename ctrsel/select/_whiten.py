"""Embedding rows as points, in units in which half a weighted squared distance is what a net's log-loss grows by."""

from __future__ import annotations

import numpy as np

__all__ = ["drawn_in", "full_weights", "half_known", "whitened"]

_KNOWN = 5.0  # rows from which on a value's own curvature counts as much as the field's


def whitened(rows: np.ndarray, matrix: np.ndarray, *, damping: float) -> np.ndarray:
    """Return rows in units in which the curvature is the same in all directions, `[V, K]`."""
    trace = float(np.trace(matrix))
    damped = matrix + damping * max(trace, 1e-300) / len(matrix) * np.eye(len(matrix))
    values, axes = np.linalg.eigh(damped)
    return np.asarray((rows @ axes) * np.sqrt(np.maximum(values, 0.0)), dtype=np.float64)


def full_weights(weight: np.ndarray, occurrences: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return each value's curvature over all training rows, from that of the rows that were looked at."""
    per_row = float(weight.sum() / max(occurrences.sum(), 1e-300))
    return np.asarray(counts * (weight + _KNOWN * per_row) / (occurrences + _KNOWN), dtype=np.float64)


def half_known(counts: np.ndarray, slope: np.ndarray, curve: np.ndarray) -> float:
    """Return from how many training rows on a value's row says more than it is led astray by: r of `n / (n + r)`.

    That share of a value's way from the mean row is what rows held out bear out: the one r whose shares lose them least.

    Shape:
        All ``[V]``.

    Args:
        counts: Training rows of each value, n.
        slope: Of the held-out loss along the way from the mean row, nats (see `row_pulls`).
        curve: Its curvature.

    Returns:
        Rows; 0 where rows are borne out as they are, or nothing tells.

    Examples:
        >>> n = np.array([1.0, 10.0, 100.0])
        >>> curve = np.ones(3)
        >>> half_known(n, (1.0 - n / (n + 10.0)) * curve, curve)
        10.0
        >>> half_known(n, np.zeros(3), curve)
        0.0
    """
    n = np.asarray(counts, dtype=np.float64)
    here = (n > 0) & (curve > 0)
    if not here.any():
        return 0.0
    n, slope, curve = n[here], slope[here], curve[here]
    tried = np.concatenate([[0.0], 10.0 ** np.arange(-1.0, np.log10(n.max()) + 1.01, 0.125)])
    lost = []
    for rows in tried:
        undone = n / (n + rows) - 1.0
        lost.append(float(slope @ undone + 0.5 * curve @ undone**2))
    return float(tried[int(np.argmin(lost))])


def drawn_in(points: np.ndarray, counts: np.ndarray, *, rows: float) -> np.ndarray:
    """Return points drawn to their mean, each by how few rows it has."""
    share = counts / max(float(counts.sum()), 1e-300)
    mean = share @ points
    return np.asarray(mean + (points - mean) * (counts / np.maximum(counts + rows, 1e-300))[:, None], dtype=np.float64)
