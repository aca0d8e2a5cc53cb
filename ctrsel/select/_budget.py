"""Budget: one size shared by vocabularies that can be cut at many numbers of groups, by what a freed group costs least."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

__all__ = ["hull", "reduce_groups"]


def reduce_groups(steps: Mapping[str, tuple[np.ndarray, np.ndarray]], groups: dict[str, int], *, size: int) -> None:
    """Merge on until all groups are at most `size`, what loses least per group first; `groups` is changed.

    Args:
        steps: By vocabulary numbers of groups, falling, and what is lost with so many.
        groups: How many groups each vocabulary has now.
        size: How many there may be over all vocabularies.
    """
    counted = list(steps)
    over = sum(groups[n] for n in counted) - size
    if over <= 0:
        return
    slopes, freed, owner, ends = [], [], [], []
    for i, name in enumerate(counted):
        counts, lost = steps[name]
        here = counts <= groups[name]
        for a, b in hull(counts[here], lost[here]):
            slopes.append((lost[here][b] - lost[here][a]) / (counts[here][a] - counts[here][b]))
            freed.append(int(counts[here][a] - counts[here][b]))
            owner.append(i)
            ends.append(int(counts[here][b]))
    for j in np.lexsort((np.arange(len(slopes)), np.array(slopes))).tolist():
        name = counted[owner[j]]
        if over < freed[j]:  # part of a stretch is enough
            counts = steps[name][0]
            ends[j] = int(counts[counts <= groups[name] - over].max())
        over -= groups[name] - ends[j]
        groups[name] = ends[j]
        if over <= 0:
            return


def hull(counts: np.ndarray, lost: np.ndarray) -> list[tuple[int, int]]:
    """Return the stretches (first and last place) of the lower convex hull of loss against groups that are gone."""
    found: list[int] = []
    gone, loss = (-counts).tolist(), lost.tolist()
    for i in range(len(gone)):
        while len(found) > 1:
            a, b = found[-2], found[-1]
            if (loss[b] - loss[a]) * (gone[i] - gone[a]) < (loss[i] - loss[a]) * (gone[b] - gone[a]):
                break
            found.pop()
        found.append(i)
    return list(pairwise(found))
