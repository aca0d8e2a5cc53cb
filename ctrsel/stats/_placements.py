"""Runs of equal scores, midranks, and the share of the other class that a row beats: the parts of an AUC and its error.

References:
    DeLong, DeLong and Clarke-Pearson (1988); Sun and Xu (2014) (midranks); Obuchowski (1997) (clusters): see ``auc``.
"""

from __future__ import annotations

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array, Bools, Floats, Ints

__all__ = ["covariance", "placements", "run_starts"]


def run_starts(*sorted_keys: Array) -> Ints:
    """First place of each run of rows that are equal in all keys, which come sorted.

    Shape:
        Keys ``[N]`` to places ``[R]``, rising.

    Examples:
        >>> run_starts(np.array([1, 1, 2, 5, 5]))
        array([0, 2, 3])
    """
    change = np.zeros(sorted_keys[0].size, dtype=np.bool_)
    change[:1] = True
    for key in sorted_keys:
        change[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(change)


def _midranks(values: Floats) -> Floats:
    order = np.argsort(values)
    starts = run_starts(values[order])
    lengths = np.diff(np.append(starts, values.size))
    ranks = np.empty(values.size)
    ranks[order] = np.repeat(starts + (lengths + 1) / 2, lengths)
    return ranks


def placements(positive: Bools, values: Floats) -> Floats | None:
    """Share of the other class that a positive beats, or that beats a negative: V10 and V01 of DeLong, in row order.

    Shape:
        ``[N]`` and ``[N]`` to ``[N]``; None with fewer than two rows of either class.

    Examples:
        >>> placements(np.array([False, False, True, True]), np.array([1.0, 3.0, 2.0, 4.0]))
        array([1. , 0.5, 0.5, 1. ])
    """
    m = int(positive.sum())
    n = positive.size - m
    if m < 2 or n < 2:
        return None
    ranks = _midranks(values)
    placed = np.empty(positive.size)
    placed[positive] = (ranks[positive] - _midranks(values[positive])) / n
    placed[~positive] = 1.0 - (ranks[~positive] - _midranks(values[~positive])) / m
    return placed


def covariance(positive: Bools, left: Floats, right: Floats, groups: Array | None) -> float | None:
    """Covariance of the two areas that two sets of placements average to; of whole groups where groups are given.

    Shape:
        All ``[N]``; None with fewer than two groups.

    Examples:
        >>> placed = np.array([1.0, 0.5, 0.5, 1.0])
        >>> covariance(np.array([False, False, True, True]), placed, placed, None)
        0.125
    """
    m = int(positive.sum())
    n = positive.size - m
    up = (left[positive] - left[positive].mean(), right[positive] - right[positive].mean())
    down = (left[~positive] - left[~positive].mean(), right[~positive] - right[~positive].mean())
    if groups is None:
        return float(up[0] @ up[1]) / (m * (m - 1)) + float(down[0] @ down[1]) / (n * (n - 1))
    if np.shape(groups) != positive.shape:
        raise DataError(f"groups must have shape {positive.shape} like the labels, got {np.shape(groups)}")
    _, owner = np.unique(groups, return_inverse=True)
    units = int(owner.max()) + 1
    if units < 2:
        return None
    # DEVIATION(Obuchowski 1997): one factor I / (I - 1) over all groups for both classes and their covariance, instead
    # of one per class over the groups that hold the class; they agree for many groups, and this form cannot turn
    # negative.
    sums = [
        np.bincount(owner[positive], weights=u, minlength=units) / m
        + np.bincount(owner[~positive], weights=d, minlength=units) / n
        for u, d in zip(up, down, strict=True)
    ]
    return float(sums[0] @ sums[1]) * units / (units - 1)
