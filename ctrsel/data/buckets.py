"""Numeric buckets: quantiles of the training rows, or the log-square form that is usual for Criteo's counts."""

from __future__ import annotations

import numpy as np

from ctrsel.core.errors import DataError

__all__ = ["NO_BUCKET", "bucket_ids", "bucket_texts", "quantile_edges"]

NO_BUCKET = -(2**62)  # the bucket of a missing value; -1 is the bucket of a count of -1


def quantile_edges(values: np.ndarray, *, bins: int) -> np.ndarray:
    """Return increasing inner edges so that each bucket holds about as many training rows as another.

    Heavy single values (a count of 0 in most rows) get a bucket of their own: an edge stands at the value and one
    just above it, and the other edges are quantiles of what is left.

    Args:
        values: Training values without missing ones, float64 `[n]`; infinite ones do not move the edges.
        bins: How many buckets at most, at least 2.

    Returns:
        float64 `[<= bins - 1]`, strictly increasing; bucket k holds edges[k-1] <= x < edges[k].

    Examples:
        >>> quantile_edges(np.arange(100.0), bins=4).tolist()
        [25.0, 50.0, 75.0]
        >>> quantile_edges(np.array([0.0] * 90 + list(range(1, 11))), bins=3).tolist()
        [1.0, 6.0]
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return np.zeros(0)
    points, counts = np.unique(values, return_counts=True)
    if len(points) <= bins:
        return points[1:].astype(np.float64)
    heavy = np.flatnonzero(counts > len(values) / bins)
    edges = [points[j] for h in heavy for j in (h, h + 1) if 0 < j < len(points)]
    left = bins - 1 - len(set(edges))
    rest = np.setdiff1d(np.arange(len(points)), heavy)
    if left > 0 and len(rest) > 1:
        mass = np.cumsum(counts[rest]) / counts[rest].sum()
        cut = np.searchsorted(mass, np.arange(1, left + 1) / (left + 1), side="left") + 1
        edges += [points[rest[c]] for c in cut if c < len(rest)]
    return np.unique(np.asarray(edges, dtype=np.float64))[: bins - 1]


def bucket_ids(values: np.ndarray, *, edges: np.ndarray | None) -> np.ndarray:
    """Return each value's bucket, `NO_BUCKET` where missing (NaN).

    Args:
        values: float64 `[N]`.
        edges: Inner edges of quantile buckets; None for the log-square form: floor(ln(x)^2) for x > 2, else
            floor(x), as in the preprocessing of Criteo's count fields (Guo et al., 2017, and later benchmarks).

    Examples:
        >>> bucket_ids(np.array([1.0, 2.0, 3.0, 100.0, -1.0]), edges=None).tolist()
        [1, 2, 3, 23, -1]
    """
    missing = np.isnan(values)
    if edges is not None:
        ids = np.searchsorted(edges, np.where(missing, 0.0, values), side="right").astype(np.int64)
    else:
        safe = np.clip(np.where(missing, 0.0, values), -1e15, 1e300)
        with np.errstate(divide="ignore", invalid="ignore"):
            ids = np.where(safe > 2, np.floor(np.log(np.maximum(safe, 2.0)) ** 2), np.floor(safe)).astype(np.int64)
        # DEVIATION(log-square buckets): the usual form puts x = 3 and x = 1 in one bucket; here small integers keep their own.
        ids = np.where(safe > 2, ids + 2, ids)
    ids[missing] = NO_BUCKET
    return ids


def bucket_texts(ids: np.ndarray, *, edges: np.ndarray | None) -> list[str]:
    """Name buckets by the range of values that they hold: the first end belongs to it, the second does not.

    Edges have as few digits as tell them apart; in the log-square form "2" is the range from 2 to e, which for counts
    is 2 alone.

    Examples:
        >>> bucket_texts(np.array([0, 1]), edges=np.array([5.0]))
        ['under 5', '5 or more']
        >>> bucket_texts(np.array([2, 23]), edges=None)
        ['2', '97.8 to 108.9']
    """
    if edges is None:
        return [
            str(i) if i <= 2 else f"{_number(np.exp(np.sqrt(i - 2)))} to {_number(np.exp(np.sqrt(i - 1)))}"
            for i in ids.tolist()
        ]
    names, ends = [], _numbers(edges)
    for i in ids.tolist():
        if not 0 <= i <= len(edges):
            raise DataError(f"bucket {i} is outside 0..{len(edges)}")
        if len(edges) == 0:
            names.append("any")
        elif i == 0:
            names.append(f"under {ends[0]}")
        elif i == len(edges):
            names.append(f"{ends[-1]} or more")
        else:
            names.append(f"{ends[i - 1]} to {ends[i]}")
    return names


def _numbers(edges: np.ndarray) -> list[str]:
    """Write edges exactly where that is short, else with the fewest digits (6 at least) that keep them apart."""
    for digits in range(6, 18):
        texts = [_exact(x, digits) for x in edges.tolist()]
        if len(set(texts)) == len(texts):
            break
    return texts


def _exact(x: float, digits: int) -> str:
    whole = f"{x:.0f}" if x.is_integer() and abs(x) < 1e15 else repr(x)
    return whole if len(whole) <= 10 or x.is_integer() else f"{x:.{digits}g}"


def _number(x: float) -> str:
    return (
        f"{x:.0f}"
        if float(x).is_integer() and abs(x) < 1e15
        else f"{x:.7g}"
        if abs(x) < 1
        else f"{x:.1f}"
        if abs(x) < 1e6
        else f"{x:.6g}"
    )
