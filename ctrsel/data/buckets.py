"""Numeric buckets: quantiles of the training rows, or the log-square form that is usual for Criteo's counts."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ctrsel.core.errors import DataError

__all__ = ["NO_BUCKET", "bucket_ids", "bucket_texts", "moments", "quantile_edges"]

_PIECE = 1 << 20  # values summed together

NO_BUCKET = -(2**62)  # the bucket of a missing value; -1 is the bucket of a count of -1


def quantile_edges(values: np.ndarray, *, bins: int, in_place: bool = False) -> np.ndarray:
    """Return increasing inner edges so that each bucket holds about as many training rows as another.

    Heavy single values (a count of 0 in most rows) get a bucket of their own: an edge stands at the value and one
    just above it, and the other edges are quantiles of what is left.

    Args:
        values: Training values without missing ones, float64 `[n]`; infinite ones do not move the edges.
        bins: How many buckets at most, at least 2.
        in_place: Sort the values where they are rather than a copy of them.

    Returns:
        float64 `[<= bins - 1]`, strictly increasing; bucket k holds edges[k-1] <= x < edges[k].

    Examples:
        >>> quantile_edges(np.arange(100.0), bins=4).tolist()
        [25.0, 50.0, 75.0]
        >>> quantile_edges(np.array([0.0] * 90 + list(range(1, 11))), bins=3).tolist()
        [1.0, 6.0]
    """
    ordered = values if np.isfinite(values).all() else values[np.isfinite(values)]
    ordered = ordered.astype(np.float64, copy=not in_place and ordered is values)
    ordered.sort()
    n = len(ordered)
    few: list[float] = []
    at = 0
    while at < n and len(few) <= bins:
        few.append(float(ordered[at]))
        at = _after(ordered, at)
    if len(few) <= bins:
        return np.array(few[1:])
    edges: set[float] = set()
    heavy: list[
        tuple[int, int]
    ] = []  # where runs of more than a bucket's share lie; such a run has one of these places
    for value in np.unique(ordered[:: n // bins]).tolist():
        start, stop = int(np.searchsorted(ordered, value)), int(np.searchsorted(ordered, value, side="right"))
        if stop - start > n / bins:
            heavy.append((start, stop))
            edges |= {float(ordered[j]) for j in (start, stop) if 0 < j < n}
    rest = n - sum(stop - start for start, stop in heavy)
    left = bins - 1 - len(edges)
    for quantile in np.arange(1, left + 1) / (left + 1):
        rank = min(max(int(quantile * rest), 1), rest)
        while rank > 1 and (rank - 1) / rest >= quantile:
            rank -= 1
        while rank < rest and rank / rest < quantile:
            rank += 1
        at = rank - 1  # among the others; now among all, then behind the run that it is in
        for start, stop in heavy:
            at += stop - start if at >= start else 0
        at = _after(ordered, at) if at < n else n
        for start, stop in heavy:
            at = stop if at == start else at
        if at < n:
            edges.add(float(ordered[at]))
    return np.array(sorted(edges))[: bins - 1]


def _after(ordered: np.ndarray, at: int) -> int:
    """Return the place of the first larger value than that at a place."""
    return int(np.searchsorted(ordered, ordered[at], side="right"))


def moments(values: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation of the values that float32 can hold; 0 and 1 where they tell nothing.

    They are summed a piece at a time, so that nothing as large as the values is made.

    Args:
        values: float64 `[n]`.

    Examples:
        >>> moments(np.array([1.0, 3.0, np.nan, 1e300]))
        (2.0, 1.0)
    """
    most = float(np.finfo(np.float32).max)

    def pieces() -> Iterator[np.ndarray]:
        for start in range(0, len(values), _PIECE):
            some = values[start : start + _PIECE]
            yield some[np.abs(some) <= most]

    n = sum(len(some) for some in pieces())
    if not n:
        return 0.0, 1.0
    mean = math.fsum(float(some.sum()) for some in pieces()) / n
    spread = math.sqrt(math.fsum(float(((some - mean) ** 2).sum()) for some in pieces()) / n)
    return mean, spread if spread > 0 else 1.0


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
