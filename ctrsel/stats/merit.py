"""Merit of a set of fields, what they tell about the label against what they tell about each other; a search for it.

References:
    Ghiselli (1964), "Theory of psychological measurement" (correlation of a sum of tests with an outcome); Hall (1999),
    "Correlation-based feature selection for machine learning" (merit of a set of features, best-first search).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ctrsel.stats._checks import Array, Floats

__all__ = ["best_first", "merit", "merit_order"]

Row = Callable[[int], Floats]

_SAME = 1e-12  # merits closer than this are equal: two names of one field differ by rounding only


def merit(relevance: Array, redundancy: Array) -> float:
    """Merit of a set, ``k r_cf / sqrt(k + k (k - 1) r_ff)`` with the means of both kinds of correlation.

    Shape:
        ``relevance`` ``[k]``, ``redundancy`` ``[k, k]``.

    Args:
        relevance: Correlation of each field of the set with the label.
        redundancy: Correlation of every two of them; the diagonal is not read.

    Returns:
        0 for an empty set.

    Examples:
        >>> round(merit(np.array([0.5, 0.5]), np.array([[1.0, 0.0], [0.0, 1.0]])), 6)
        0.707107
        >>> merit(np.array([0.5, 0.5]), np.ones((2, 2)))
        0.5
    """
    told: Floats = np.asarray(relevance, dtype=np.float64)
    both: Floats = np.asarray(redundancy, dtype=np.float64)
    if told.size == 0:
        return 0.0
    return float(told.sum() / np.sqrt(told.size + both.sum() - np.trace(both)))


@dataclass(order=True, slots=True)
class _Set:
    rank: float  # minus the merit, as a heap gives its smallest first
    members: tuple[int, ...]
    told: float = field(compare=False)
    both: float = field(compare=False)  # over ordered pairs
    beside: Floats = field(compare=False)  # sum of each field's correlations with the members

    def with_each(self, relevance: Floats) -> Floats:
        """Return the merit of this set and one more field, for each field; those of the set are -inf."""
        out = (self.told + relevance) / np.sqrt(len(self.members) + 1.0 + self.both + 2.0 * self.beside)
        out[list(self.members)] = -np.inf
        return np.asarray(out)

    def add(self, one: int, value: float, relevance: Floats, row: Row) -> _Set:
        return _Set(
            rank=-value,
            members=tuple(sorted((*self.members, one))),
            told=self.told + float(relevance[one]),
            both=self.both + 2.0 * float(self.beside[one]),
            beside=self.beside + row(one),
        )


def _empty(relevance: Floats) -> _Set:
    return _Set(rank=0.0, members=(), told=0.0, both=0.0, beside=np.zeros(relevance.size))


def best_first(relevance: Array, row: Row, *, patience: int = 5) -> tuple[int, ...]:
    """Set of the highest merit that a best-first search finds, beginning with no field.

    The best set not yet extended is extended by every field in turn, until `patience` extensions in a row have given no
    higher merit.

    Shape:
        ``relevance`` ``[F]``; a row ``[F]``.

    Args:
        relevance: Correlation of each field with the label.
        row: Gives the correlations of a field with all fields; asked only for fields of sets that are extended.
        patience: Extensions without a higher merit after which the search ends.

    Returns:
        Places of the chosen fields, rising; none where no field has a relevance above 0.

    Examples:
        >>> same = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        >>> best_first(np.array([0.5, 0.5, 0.4]), lambda i: same[i])
        (0, 2)
    """
    told: Floats = np.asarray(relevance, dtype=np.float64)
    best, start = 0.0, _empty(told)
    found: tuple[int, ...] = ()
    # A set waits as the one it came from and the field that it adds, so that a field's row is asked for only when it is
    # extended.
    waiting: list[tuple[float, tuple[int, ...], int, _Set]] = []
    seen: set[tuple[int, ...]] = {()}
    stale, current = 0, start
    while stale < patience:
        values = current.with_each(told)
        better = False
        for one in np.flatnonzero(np.isfinite(values)).tolist():
            members = tuple(sorted((*current.members, one)))
            if members in seen:
                continue
            seen.add(members)
            heapq.heappush(waiting, (-float(values[one]), members, one, current))
            if values[one] > best + _SAME:
                best, found, better = float(values[one]), members, True
        stale = 0 if better else stale + 1
        if not waiting:
            break
        rank, _, one, source = heapq.heappop(waiting)
        current = source.add(one, -rank, told, row)
    return found


def merit_order(
    relevance: Array, row: Row, *, first: Sequence[int] = (), k: int | None = None
) -> tuple[list[int], list[float], list[float]]:
    """Fields in the order in which each raises the merit of those before it most, or lowers it least.

    Shape:
        ``relevance`` ``[F]``; a row ``[F]``; the results ``[F]``.

    Args:
        relevance: Correlation of each field with the label.
        row: Gives the correlations of a field with all fields.
        first: Fields that come before all others.
        k: Fields to put in order so, at least those of `first`; the others stand behind in the order of their gain
            beside the k.

    Returns:
        Places of the fields; the gain in merit of each over those before it (or beside the k); the merit of the set up
        to it (or of it and the k).

    Examples:
        >>> same = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        >>> order, gains, merits = merit_order(np.array([0.5, 0.5, 0.4]), lambda i: same[i])
        >>> order, [round(g, 3) for g in gains]
        ([0, 2, 1], [0.5, 0.136, -0.01])
    """
    told: Floats = np.asarray(relevance, dtype=np.float64)
    steps = told.size if k is None else max(min(k, told.size), len(first))
    current, before = _empty(told), 0.0
    order: list[int] = []
    gains: list[float] = []
    merits: list[float] = []
    for step in range(steps):
        values = current.with_each(told)
        open_ = np.zeros(told.size, dtype=np.bool_)
        open_[list(first) if step < len(first) else slice(None)] = True
        open_[order] = False
        one = int(np.flatnonzero(open_)[np.argmax(values[open_].round(12))])
        value = float(values[one])
        order.append(one)
        gains.append(value - before)
        merits.append(value)
        current, before = current.add(one, value, told, row), value
    if steps < told.size:
        values = current.with_each(told)
        left = sorted(set(range(told.size)) - set(order), key=lambda i: (-round(float(values[i]), 12), i))
        order += left
        gains += [float(values[i]) - before for i in left]
        merits += [float(values[i]) for i in left]
    return order, gains, merits
