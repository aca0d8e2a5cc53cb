"""Count rows and positive labels per value of a field, in one pass that adds up exactly over chunks.

One cell ``2 * code + label`` is incremented per row, so a table is counted at the speed of memory and any split of its
rows into chunks, threads or machines gives the same integers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array, Floats, Ints, contingency, row_weight
from ctrsel.stats._kernel import kernel

_DENSE = 256  # values of fewer rows are told apart in a table of 512 kB

__all__ = ["LabelCounts", "WeightedLabelCounts", "label_counts", "weighted_label_counts"]


class LabelCounts:
    """Rows per value of one field; ``+`` merges the counts of two chunks exactly.

    Kept in the smallest whole numbers that hold them (one byte a value of a row id, not sixteen), given out as int64 so
    that nobody's products overflow: each access is a copy.

    Shape:
        ``positives`` and ``totals`` are ``[V]`` int64, in rows.

    Examples:
        >>> half = LabelCounts(positives=np.array([1, 0]), totals=np.array([2, 3]))
        >>> (half + half).totals
        array([4, 6])
        >>> half.rows
        5
    """

    __slots__ = ("_positives", "_totals", "rows")

    rows: int
    """Number of rows counted."""

    def __init__(self, *, positives: Array, totals: Array) -> None:
        _same_shape(positives, totals)
        self._positives, self._totals = _smallest(positives), _smallest(totals)
        self.rows = int(self._totals.sum(dtype=np.int64))

    @property
    def size(self) -> int:
        """Number of values V."""
        return int(self._totals.size)

    @property
    def positives(self) -> Ints:
        """Positive rows per value."""
        return self._positives.astype(np.int64)

    @property
    def totals(self) -> Ints:
        """Rows per value."""
        return self._totals.astype(np.int64)

    @property
    def sums(self) -> tuple[int, int]:
        """Positive rows and rows of all values together."""
        return int(self._positives.sum(dtype=np.int64)), self.rows

    @property
    def occupied(self) -> np.ndarray:
        """Boolean ``[V]``: which values have rows."""
        return np.asarray(self._totals > 0)

    def at(self, values: Array | int) -> tuple[Ints, Ints]:
        """Positive rows and rows of some values (numbers or a mask), without a copy of all."""
        return np.atleast_1d(self._positives[values]).astype(np.int64), np.atleast_1d(self._totals[values]).astype(
            np.int64
        )

    def distinct(self) -> tuple[Ints, Ints, Ints]:
        """Pairs of positive rows and rows that occur, and how many values have each: all that a statistic of counts needs.

        A row id of millions of values has two. Values without rows are left out; pairs rise by rows, then by positives.

        Examples:
            >>> LabelCounts(positives=np.array([1, 0, 0, 1]), totals=np.array([1, 2, 0, 1])).distinct()
            (array([1, 0]), array([1, 2]), array([2, 1]))
        """
        if self._totals.dtype.kind != "u" or (self._positives > self._totals).any():
            contingency(self._positives, self._totals)  # says what is wrong, if anything is
        positives = self._positives.astype(self._totals.dtype, copy=False)  # one compiled loop per width
        dense, rest = _pairs(positives, self._totals, _DENSE)
        few_totals, few_positives = np.nonzero(dense)
        large = np.flatnonzero(rest)
        order = np.lexsort((positives[large], self._totals[large]))
        yes, rows = positives[large][order].astype(np.int64), self._totals[large][order].astype(np.int64)
        first = np.flatnonzero(np.r_[True, (np.diff(rows) != 0) | (np.diff(yes) != 0)][: len(rows)])
        return (
            np.concatenate([few_positives, yes[first]]),
            np.concatenate([few_totals, rows[first]]),
            np.concatenate([dense[few_totals, few_positives], np.diff(np.append(first, len(rows)))]),
        )

    def __add__(self, other: LabelCounts) -> LabelCounts:
        """Counts of both chunks together; the chunks must speak of the same values."""
        _same_size(self._totals, other._totals)
        return LabelCounts(positives=self.positives + other.positives, totals=self.totals + other.totals)


def _smallest(counts: Array) -> Array:
    """Return whole numbers in as few bytes as hold the largest; negative ones stay for others to refuse."""
    given = np.asarray(counts)
    if given.dtype.kind not in "iu" or not given.size or int(given.min()) < 0:
        return given
    most = int(given.max())
    kind = next(k for k in (np.uint8, np.uint16, np.uint32, np.uint64) if most <= np.iinfo(k).max)
    return given.astype(kind)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeightedLabelCounts:
    """Sums of row weights per value of one field; ``+`` merges two chunks up to rounding.

    Shape:
        ``positives`` and ``totals`` are ``[V]`` float64, in units of the weight.

    Examples:
        >>> part = WeightedLabelCounts(positives=np.array([0.5]), totals=np.array([2.0]))
        >>> (part + part).totals
        array([4.])
    """

    positives: Floats
    totals: Floats

    def __post_init__(self) -> None:
        _same_shape(self.positives, self.totals)

    def __add__(self, other: WeightedLabelCounts) -> WeightedLabelCounts:
        """Sums of both chunks together; the chunks must speak of the same values."""
        _same_size(self.totals, other.totals)
        return WeightedLabelCounts(positives=self.positives + other.positives, totals=self.totals + other.totals)


def _same_shape(positives: Array, totals: Array) -> None:
    if positives.ndim != 1 or positives.shape != totals.shape:
        raise DataError(f"positives and totals must be [V] of one length, got {positives.shape} and {totals.shape}")


def _same_size(left: Array, right: Array) -> None:
    if left.size != right.size:
        raise DataError(
            f"counts of one field must have one number of values to add up, got {left.size} and {right.size}"
        )


@kernel
def _pairs(positives: Array, totals: Array, limit: int) -> tuple[Ints, np.ndarray]:
    """Count pairs of rows and positives below a limit; mark the values that are not below it."""
    dense = np.zeros((limit, limit), dtype=np.int64)
    rest = np.zeros(totals.shape[0], dtype=np.bool_)
    bound = np.uint64(limit)
    for value in range(totals.shape[0]):
        rows = np.uint64(totals[value])
        if rows == 0:
            continue
        if rows < bound:
            dense[rows, np.uint64(positives[value])] += 1
        else:
            rest[value] = True
    return dense, rest


@kernel
def _count(codes: Array, labels: Array, size: int) -> tuple[Array, int]:
    # Unsigned indices: a signed one costs a test for "negative means from the end" in every row. Cells of four bytes, since
    # a column of 2**32 rows is counted in chunks.
    cells = np.zeros(2 * size + 2, dtype=np.uint32)
    limit = np.uint64(size)
    for row in range(codes.shape[0]):
        code = np.uint64(codes[row])
        label = np.uint64(labels[row])
        if code >= limit or label > np.uint64(1):
            return cells, row
        cells[(code << np.uint64(1)) | label] += 1
    return cells, -1


@kernel
def _count_weighted(codes: Array, labels: Array, weight: Floats, size: int) -> tuple[Floats, int]:
    cells = np.zeros(2 * size + 2, dtype=np.float64)
    limit = np.uint64(size)
    for row in range(codes.shape[0]):
        code = np.uint64(codes[row])
        label = np.uint64(labels[row])
        if code >= limit or label > np.uint64(1):
            return cells, row
        cells[(code << np.uint64(1)) | label] += weight[row]
    return cells, -1


def _columns(codes: Array, labels: Array, size: int) -> tuple[Array, Array]:
    codes, labels = np.asarray(codes), np.asarray(labels)
    if codes.ndim != 1 or codes.shape != labels.shape:
        raise DataError(f"codes and labels must be [N] of one length, got {codes.shape} and {labels.shape}")
    if codes.dtype.kind not in "iu":
        raise DataError(f"codes must be whole numbers, got type {codes.dtype}")
    if size < 0:
        raise ValueError(f"size must not be negative, got {size}")
    if labels.dtype == np.bool_:
        labels = labels.view(np.uint8) if labels.flags.c_contiguous else labels.astype(np.uint8)
    elif labels.dtype != np.uint8:
        small = labels.astype(np.uint8)
        if not np.array_equal(small, labels):
            row = int(np.argmax(small != labels))
            raise DataError(f"labels must be 0 or 1, got {labels[row]!r} in row {row}")
        labels = small
    if codes.dtype.kind == "i":
        if codes.size and codes.min() < 0:
            row = int(np.argmax(codes < 0))
            raise DataError(f"codes must be below {size} and not negative, got {codes[row]} in row {row}")
        codes = codes.view(f"u{codes.dtype.itemsize}")  # one compiled loop per width, not two
    return np.ascontiguousarray(codes), np.ascontiguousarray(labels)


def _refuse(codes: Array, labels: Array, size: int, row: int) -> None:
    if labels[row] > 1:
        raise DataError(f"labels must be 0 or 1, got {labels[row]} in row {row}")
    raise DataError(f"codes must be below {size}, got {codes[row]} in row {row}")


def label_counts(codes: Array, labels: Array, *, size: int) -> LabelCounts:
    """Rows and positive rows per value of one field.

    Shape:
        ``codes`` ``[N]``, ``labels`` ``[N]``; the result has ``[V]`` with V = ``size``.

    Args:
        codes: Whole numbers from 0 to ``size - 1``; uint8, uint16 and uint32 are read without a copy.
        labels: 0 or 1; uint8 and bool are read without a copy.
        size: Number of values V of the field.

    Returns:
        Counts in rows, equal for any order of the rows and exactly additive over chunks.

    Raises:
        DataError: a code outside the field, a label that is not 0 or 1, or different lengths.
        ValueError: a negative size.

    Examples:
        >>> counts = label_counts(np.array([0, 2, 2, 0]), np.array([1, 0, 1, 1]), size=3)
        >>> counts.positives, counts.totals
        (array([2, 0, 1]), array([2, 0, 2]))
    """
    plain, binary_labels = _columns(codes, labels, size)
    if plain.size >= 1 << 32:
        half = plain.size // 2
        first, second = (label_counts(plain[s], binary_labels[s], size=size) for s in (slice(half), slice(half, None)))
        return first + second
    cells, bad = _count(plain, binary_labels, size)
    if bad >= 0:
        _refuse(codes, binary_labels, size, bad)
    cells[0 : 2 * size : 2] += cells[1 : 2 * size : 2]
    return LabelCounts(positives=cells[1 : 2 * size : 2], totals=cells[0 : 2 * size : 2])


def weighted_label_counts(codes: Array, labels: Array, *, size: int, weight: Array) -> WeightedLabelCounts:
    """Sums of row weights per value of one field, of all rows and of positive rows.

    Shape:
        ``codes``, ``labels`` and ``weight`` ``[N]``; the result has ``[V]`` with V = ``size``.

    Args:
        codes: Whole numbers from 0 to ``size - 1``.
        labels: 0 or 1.
        size: Number of values V of the field.
        weight: Non-negative row weights.

    Returns:
        Sums in units of the weight.

    Raises:
        DataError: as :func:`label_counts`, or a weight that is negative or not finite.

    Examples:
        >>> weight = np.array([0.5, 2.0])
        >>> weighted_label_counts(np.array([1, 1]), np.array([1, 0]), size=2, weight=weight).totals
        array([0. , 2.5])
    """
    plain, binary_labels = _columns(codes, labels, size)
    weights = row_weight(weight, rows=plain.size)
    assert weights is not None
    cells, bad = _count_weighted(plain, binary_labels, np.ascontiguousarray(weights), size)
    if bad >= 0:
        _refuse(codes, binary_labels, size, bad)
    positives = cells[1 : 2 * size : 2].copy()
    return WeightedLabelCounts(positives=positives, totals=cells[0 : 2 * size : 2] + positives)
