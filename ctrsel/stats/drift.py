"""How far the values of a field moved between two sets of rows.

References:
    Lewis (1994), "An introduction to credit scoring" (population stability index, the symmetrised Kullback-Leibler
    divergence of Jeffreys 1946); Lin (1991), "Divergence measures based on the Shannon entropy" (Jensen-Shannon, equal
    weights).
"""

from __future__ import annotations

import numpy as np
from scipy import special

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array, Floats, Ints, counts

__all__ = ["jensen_shannon", "psi", "unseen_share"]


def psi(counts_a: Array, counts_b: Array, *, smoothing: float = 0.5) -> float | None:
    """Population stability index ``sum (a - b) ln(a / b)`` of two sets of counts, in nats.

    Conventional reading: below 0.1 stable, above 0.25 moved. With many rare values it is large for two samples of one
    distribution as well (about ``K (1/n_a + 1/n_b)``): pool rare values before reading it so.

    Shape:
        ``[K]`` and ``[K]``: rows per value, values in the same order.

    Args:
        counts_a: Rows per value in the first set (usually training).
        counts_b: Rows per value in the second set.
        smoothing: Rows added to every value present in either set, so that an absent value counts finitely.

    Returns:
        A number of at least 0, or None when a set has no rows.

    Raises:
        DataError: different lengths or negative counts.
        ValueError: a smoothing that is not above 0.

    Examples:
        >>> round(psi(np.array([50, 50]), np.array([50, 50])), 6)
        0.0
        >>> round(psi(np.array([90, 10]), np.array([50, 50]), smoothing=1e-9), 4)
        0.8789
    """
    if smoothing <= 0:
        raise ValueError(f"smoothing must be above 0 rows, got {smoothing}")
    first, second = _pair(counts_a, counts_b)
    if not first.any() or not second.any():
        return None
    present = (first > 0) | (second > 0)
    a = first[present] + smoothing
    b = second[present] + smoothing
    a, b = a / a.sum(), b / b.sum()
    return float(((a - b) * np.log(a / b)).sum())


def jensen_shannon(counts_a: Array, counts_b: Array) -> float | None:
    """Jensen-Shannon divergence of two sets of counts, in nats, from 0 (same shares) to ln 2 (no value in common).

    Shape:
        ``[K]`` and ``[K]``: rows per value, values in the same order.

    Args:
        counts_a: Rows per value in the first set.
        counts_b: Rows per value in the second set.

    Returns:
        A number in [0, ln 2], or None when a set has no rows.

    Raises:
        DataError: different lengths or negative counts.

    Examples:
        >>> round(jensen_shannon(np.array([5, 0]), np.array([0, 7])), 6)
        0.693147
    """
    first, second = _pair(counts_a, counts_b)
    if not first.any() or not second.any():
        return None
    a: Floats = first / first.sum()
    b: Floats = second / second.sum()
    middle = (a + b) / 2
    divergence = float((special.rel_entr(a, middle) + special.rel_entr(b, middle)).sum()) / 2
    return min(max(divergence, 0.0), float(np.log(2.0)))


def unseen_share(counts_known: Array, counts_new: Array) -> float | None:
    """Share of the new rows whose value never occurs in the known rows.

    Shape:
        ``[K]`` and ``[K]``: rows per value, values in the same order.

    Args:
        counts_known: Rows per value in the known set (usually training).
        counts_new: Rows per value in the new set.

    Returns:
        A share in [0, 1], or None when there are no new rows.

    Raises:
        DataError: different lengths or negative counts.

    Examples:
        >>> unseen_share(np.array([5, 0]), np.array([3, 1]))
        0.25
    """
    known, new = _pair(counts_known, counts_new)
    rows = int(new.sum())
    return None if rows == 0 else float(new[known == 0].sum() / rows)


def _pair(counts_a: Array, counts_b: Array) -> tuple[Ints, Ints]:
    first, second = counts("counts", counts_a), counts("counts", counts_b)
    if first.shape != second.shape:
        raise DataError(f"both sets of counts must speak of the same values, got {first.size} and {second.size}")
    return first, second
