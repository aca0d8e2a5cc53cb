"""Count rows and positive labels per occupied cell of several fields together, exactly and without collisions.

A cell is a mixed-radix number of the codes, so two cells never share one, and counts of chunks add up exactly. Few
cells are counted in a table; many are sorted, with the label as the key's last bit, and counted as runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array, Ints, binary
from ctrsel.stats._joint_loops import dense, extend, runs
from ctrsel.stats.counts import LabelCounts

__all__ = ["JointCounts", "joint_counts"]

DENSE_CELLS = 2**24  # the largest table, 128 MiB
DENSE_SHARE = 2  # cells a row, above which sorting the keys costs less than a table that is mostly empty


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointCounts:
    """Rows per occupied cell of J fields; ``+`` merges the counts of two chunks exactly.

    Attributes:
        cells: Mixed-radix number of each occupied cell, rising: ``(code_1 * size_2 + code_2) * size_3 + ...``.
        positives: Positive rows per cell.
        totals: Rows per cell, at least 1.
        sizes: Number of codes of each field.

    Shape:
        ``cells`` uint64 ``[M]``; ``positives`` and ``totals`` int64 ``[M]``.

    Examples:
        >>> half = joint_counts([np.array([0, 1]), np.array([2, 2])], np.array([1, 0]), sizes=(2, 3))
        >>> (half + half).cells, (half + half).totals
        (array([2, 5], dtype=uint64), array([2, 2]))
    """

    cells: np.ndarray
    positives: Ints
    totals: Ints
    sizes: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Number of rows counted."""
        return int(self.totals.sum())

    def codes(self, place: int) -> np.ndarray:
        """Code of each cell in the field at ``place``, int64 ``[M]``."""
        below = np.uint64(prod(self.sizes[place + 1 :]))
        return np.asarray((self.cells // below) % np.uint64(self.sizes[place])).astype(np.int64)

    def marginal(self, place: int) -> LabelCounts:
        """Counts of one of the fields alone, ``[V]``."""
        codes, size = self.codes(place), self.sizes[place]
        return LabelCounts(
            positives=np.bincount(codes, weights=self.positives, minlength=size).astype(np.int64),
            totals=np.bincount(codes, weights=self.totals, minlength=size).astype(np.int64),
        )

    def __add__(self, other: JointCounts) -> JointCounts:
        """Counts of both chunks together; the chunks must speak of the same fields."""
        if self.sizes != other.sizes:
            raise DataError(
                f"joint counts add up for fields of the same sizes only, got {self.sizes} and {other.sizes}"
            )
        cells, place = np.unique(np.concatenate([self.cells, other.cells]), return_inverse=True)
        positives, totals = np.zeros(len(cells), dtype=np.int64), np.zeros(len(cells), dtype=np.int64)
        np.add.at(positives, place, np.concatenate([self.positives, other.positives]))
        np.add.at(totals, place, np.concatenate([self.totals, other.totals]))
        return JointCounts(cells=cells, positives=positives, totals=totals, sizes=self.sizes)


def joint_counts(columns: Sequence[Array], labels: Array, *, sizes: Sequence[int]) -> JointCounts:
    """Rows and positive rows per occupied cell of several fields.

    Shape:
        ``columns`` J arrays ``[N]``, ``labels`` ``[N]``; the result has ``[M]``, M <= N.

    Args:
        columns: Codes of each field, from 0 to its size - 1.
        labels: 0 or 1.
        sizes: Number of codes of each field; their product must be below 2**63.

    Raises:
        DataError: a code outside its field, labels other than 0 and 1, or more cells than a number can name.
    """
    if len(columns) != len(sizes) or not columns:
        raise DataError(f"one size per field is needed, got {len(columns)} fields and {len(sizes)} sizes")
    if prod(int(s) for s in sizes) >= 2**63:
        raise DataError(f"fields of {list(sizes)} codes have more cells together than 2**63")
    marks = np.asarray(labels)
    if any(len(column) != len(marks) for column in columns):
        raise DataError(f"fields and labels need one length, got {[len(c) for c in columns]} and {len(marks)}")
    marks = binary(marks).view(np.uint8)
    keys = np.zeros(len(marks), dtype=np.uint64)
    for column, size in zip(columns, sizes, strict=True):
        codes = np.asarray(column)
        wrong = extend(keys, codes, int(size))
        if wrong >= 0:
            raise DataError(f"codes must be below {size}, got {codes[wrong]}")
    whole = tuple(int(s) for s in sizes)
    possible = prod(whole)
    if possible <= min(DENSE_CELLS, DENSE_SHARE * len(keys)):
        table = np.zeros(possible, dtype=np.int64)
        dense(keys, marks, table)
        cells = np.flatnonzero(table)
        packed = table[cells]
        return JointCounts(
            cells=cells.astype(np.uint64), positives=packed >> 32, totals=packed & 0xFFFFFFFF, sizes=whole
        )
    keys <<= np.uint64(1)
    keys |= marks
    keys.sort()
    cells, counted = np.empty(len(keys), dtype=np.uint64), np.empty((2, len(keys)), dtype=np.int64)
    found = runs(keys, cells, counted[0], counted[1])
    return JointCounts(
        cells=cells[:found].copy(), positives=counted[0, :found].copy(), totals=counted[1, :found].copy(), sizes=whole
    )
