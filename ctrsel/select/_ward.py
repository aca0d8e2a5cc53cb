"""Ward's merges of any number of weighted points: in blocks of near ones first, then of what is left.

Reference: Ward, "Hierarchical grouping to optimize an objective function", 1963.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrsel.select._ward_loops import cut, ward_merges

__all__ = ["WardPath", "ward_path"]

_MOST = 4096  # points that are merged all with all: seconds
_BLOCK = 256  # points of a block, where there are more


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WardPath:
    """Partitions of V points, each made from the one before by a merge of two groups.

    Attributes:
        merges: int64 `[V - 1, 2]`, a point of each of the two groups.
        cost: What each adds to the weighted squared distance of the points from their groups' centres, float64 `[V - 1]`.
    """

    merges: np.ndarray
    cost: np.ndarray

    def groups(self, count: int) -> np.ndarray:
        """Return the partition into so many groups: the smallest point of each point's group, int64 `[V]`."""
        size = len(self.cost) + 1
        return cut(self.merges[: size - count], size)


def ward_path(
    points: np.ndarray,
    weight: np.ndarray,
    *,
    together: np.ndarray | None = None,
    most: int = _MOST,
    block: int = _BLOCK,
) -> WardPath:
    """Merge the two groups whose merge costs least, until one is left.

    Above `most` points, blocks are cut at medians along the axis along which they lie farthest apart, and the cheapest merges
    within blocks come first, until `most` groups are left.

    Shape:
        ``points`` ``[V, D]``, ``weight`` ``[V]``, V at least 1.

    Args:
        points: In the units in which distance is meant.
        weight: Not negative.
        together: int64 `[V]`: points of one number are merged before all others, the last ones first; -1 is none. None: none are.
        most: Groups that are merged all with all.
        block: Points of a block at most.

    Examples:
        >>> path = ward_path(np.array([[0.0], [10.0], [1.0]]), np.array([1.0, 1.0, 1.0]))
        >>> path.groups(2).tolist(), path.cost.round(2).tolist()
        ([0, 1, 0], [0.5, 60.17])
    """
    points, weight = np.ascontiguousarray(points, np.float64), np.ascontiguousarray(weight, np.float64)
    size = len(points)
    if together is not None and (together >= 0).any():
        first = _together(points, weight, together)
    elif size > max(most, block):
        first = _near(points, weight, most=most, block=block)
    else:
        return WardPath(**_sorted(*ward_merges(points, weight)))
    left, group = np.unique(cut(first.merges, size), return_inverse=True)
    then = ward_path(_centres(points, weight, group), np.bincount(group, weight), most=most, block=block)
    return WardPath(
        merges=np.concatenate([first.merges, left[then.merges]]), cost=np.concatenate([first.cost, then.cost])
    )


def _together(points: np.ndarray, weight: np.ndarray, together: np.ndarray) -> WardPath:
    """Merge the points that stand together; each costs its way to their centre."""
    which = np.flatnonzero(together >= 0)
    _, group = np.unique(together[which], return_inverse=True)
    centre = _centres(points[which], weight[which], group)
    cost = weight[which] * ((points[which] - centre[group]) ** 2).sum(1)
    order = np.lexsort((-which, group))  # by group, the last points first
    joins = group[order][1:] == group[order][:-1]
    merges = np.stack([which[order][1:], which[order][:-1]], 1)[joins]
    # The first two of a group merge at once.
    begins = np.concatenate([[True], ~joins])
    paid = cost[order] + np.concatenate([[0.0], np.where(begins[:-1], cost[order][:-1], 0.0)])
    at = np.argsort(-merges[:, 1], kind="stable")
    return WardPath(merges=merges[at], cost=paid[1:][joins][at])


def _near(points: np.ndarray, weight: np.ndarray, *, most: int, block: int) -> WardPath:
    """Merge near points, until `most` groups are left, or one for each block."""
    merges, costs = [], []
    for part in _blocks(points, weight, block):
        found, cost = ward_merges(points[part], weight[part])
        merges.append(part[found])
        costs.append(cost)
    first = _sorted(np.concatenate(merges), np.concatenate(costs))
    done = min(len(points) - most, len(first["cost"]))
    return WardPath(merges=first["merges"][:done], cost=first["cost"][:done])


def _centres(points: np.ndarray, weight: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return the centre of each group; a group without weight has the plain mean of its points."""
    share = np.where(np.bincount(group, weight)[group] > 0, weight, 1.0)
    total = np.bincount(group, share)
    return np.stack([np.bincount(group, share * column) / total for column in points.T], 1)


def _sorted(merges: np.ndarray, cost: np.ndarray) -> dict[str, np.ndarray]:
    """Sort merges by cost: a group's own merges never cost more than the one that it goes into."""
    order = np.argsort(cost, kind="stable")
    return {"merges": merges[order], "cost": cost[order]}


def _blocks(points: np.ndarray, weight: np.ndarray, most: int) -> list[np.ndarray]:
    """Cut points into blocks, at medians along the axis of the largest weighted variance."""
    todo, done = [np.arange(len(points))], []
    while todo:
        part = todo.pop()
        if len(part) <= most:
            done.append(np.sort(part))
            continue
        mass = weight[part] + 1e-300
        here = points[part]
        apart = here - np.average(here, axis=0, weights=mass)
        axis = int(np.argmax(mass @ apart**2))
        order = part[np.argsort(points[part, axis], kind="stable")]
        todo += [order[: len(order) // 2], order[len(order) // 2 :]]
    return done
