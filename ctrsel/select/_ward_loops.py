"""Loops behind the merging of embedding rows: Ward's merges of weighted points, by chains of nearest neighbours.

References: Ward, "Hierarchical grouping to optimize an objective function", 1963 (what a merge costs); Murtagh, "A survey of
recent advances in hierarchical clustering algorithms", 1983 (the chain, which finds the same merges in quadratic time).
"""

from __future__ import annotations

import numpy as np

from ctrsel.stats._kernel import kernel

__all__ = ["cut", "ward_merges"]


@kernel
def _cost(points: np.ndarray, weight: np.ndarray, a: int, b: int) -> float:
    # What the merge of two groups adds.
    total = 0.0
    for d in range(points.shape[1]):
        apart = points[a, d] - points[b, d]
        total += apart * apart
    both = weight[a] + weight[b]
    return float(total * (weight[a] * weight[b] / both)) if both > 0.0 else 0.0


@kernel
def ward_merges(given: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge points until one is left.

    Shape: points float64 `[V, D]`, mass float64 `[V]`; the merges int64 `[V - 1, 2]` (the smallest points of two groups, in
    the order in which the chain finds them) and float64 `[V - 1]`: what each adds to the squared distances of the points
    from their groups' centres, weighted by mass.
    """
    size = given.shape[0]
    points, weight = given.copy(), mass.copy()
    alive = np.arange(size)
    where = np.arange(size)
    count = size
    merged = np.empty((max(size - 1, 0), 2), dtype=np.int64)
    costs = np.empty(max(size - 1, 0))
    chain = np.empty(size, dtype=np.int64)
    length = done = 0
    while count > 1:
        if length == 0:
            chain[0] = alive[0]
            length = 1
        me = chain[length - 1]
        # The group before in the chain wins ties, so that a chain never turns in a circle.
        near = chain[length - 2] if length > 1 else -1
        least = _cost(points, weight, me, near) if length > 1 else np.inf
        before = near
        for i in range(count):
            other = alive[i]
            if other in (me, before):
                continue
            cost = _cost(points, weight, me, other)
            if cost < least or near < 0:
                near, least = other, cost
        if near != before:
            chain[length] = near
            length += 1
            continue
        length -= 2
        keep, gone = min(me, near), max(me, near)
        merged[done, 0], merged[done, 1] = keep, gone
        costs[done] = least
        done += 1
        both = weight[keep] + weight[gone]
        share = weight[gone] / both if both > 0.0 else 0.5
        for d in range(points.shape[1]):
            points[keep, d] += share * (points[gone, d] - points[keep, d])
        weight[keep] = both
        count -= 1
        last = alive[count]
        alive[where[gone]] = last
        where[last] = where[gone]
    return merged, costs


@kernel
def cut(merges: np.ndarray, size: int) -> np.ndarray:
    """Return the group of each of `size` points after some merges, in any order: the smallest point of it, int64 `[V]`."""
    root = np.arange(size)
    for i in range(merges.shape[0]):
        a, b = merges[i, 0], merges[i, 1]
        while root[a] != a:
            root[a] = root[root[a]]
            a = root[a]
        while root[b] != b:
            root[b] = root[root[b]]
            b = root[b]
        if a != b:
            root[max(a, b)] = min(a, b)
    for i in range(size):
        a = i
        while root[a] != a:
            a = root[a]
        root[i] = a
    return root
