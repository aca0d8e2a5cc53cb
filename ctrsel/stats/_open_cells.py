"""The cells of two fields whose rates are left open, straight from rows: those left out never become cells.

A value whose rows have one class, or which has too few of them, leaves nothing open; its rows go, which may close other
values. What is left is counted in a table where that is small, else by sorting numbers of cells, of 32 bits where they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array, Ints
from ctrsel.stats._kernel import kernel
from ctrsel.stats.joint import DENSE_CELLS, DENSE_SHARE

__all__ = ["OpenCells", "open_cells"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenCells:
    """Cells in the order of the first field's codes, then of the second's.

    Attributes:
        margins: Number of each cell's value among those that are left, int32 `[2, M]`.
        positives: int32 `[M]`.
        totals: int32 `[M]`.
    """

    margins: Array
    positives: Ints
    totals: Ints


def open_cells(first: Array, second: Array, labels: Array, *, sizes: Sequence[int], least: int) -> OpenCells:
    """Count the open cells of two fields.

    Args:
        first: Codes `[N]` below `sizes[0]`.
        second: Codes `[N]` below `sizes[1]`.
        labels: uint8 `[N]` of 0 and 1.
        sizes: Numbers of codes.
        least: Values with fewer rows are left out.

    Raises:
        DataError: If a code is outside its field.
    """
    for column, size in zip((first, second), sizes, strict=True):
        low, high = int(np.min(column, initial=0)), int(np.max(column, initial=0))
        if low < 0 or high >= size:
            raise DataError(f"codes must be below {size}, got {low if low < 0 else high}")
    places = [
        np.zeros(int(s), dtype=np.int32) for s in sizes
    ]  # of a value among those that are left; -1 for those that go
    closed = True
    while closed:
        closed = _close(first, second, labels, places[0], places[1], least)
        closed |= _close(second, first, labels, places[1], places[0], least)
    kept = [_number(p) for p in places]
    rows = int(_left(first, second, places[0], places[1]))
    possible = kept[0] * kept[1]
    if possible <= min(DENSE_CELLS, DENSE_SHARE * rows):
        table = np.zeros(possible, dtype=np.int64)
        _fill(first, second, labels, places[0], places[1], kept[1], table)
        out = _empty(int(np.count_nonzero(table)))
        _of_table(table, kept[1], out.margins, out.positives, out.totals)
        return out
    keys = np.empty(rows, dtype=np.uint32 if 2 * possible <= 2**32 else np.uint64)
    _keys(first, second, labels, places[0], places[1], kept[1], keys)
    keys.sort()
    out = _empty(int(_runs(keys)))
    _of_keys(keys, kept[1], out.margins, out.positives, out.totals)
    return out


def _empty(cells: int) -> OpenCells:
    return OpenCells(
        margins=np.empty((2, cells), dtype=np.int32),
        positives=np.empty(cells, dtype=np.int32),
        totals=np.empty(cells, dtype=np.int32),
    )


def _number(places: Array) -> int:
    """Number the values that are left, in the order of their codes."""
    left = places >= 0
    places[left] = np.arange(np.count_nonzero(left), dtype=np.int32)
    return int(np.count_nonzero(left))


@kernel
def _close(  # noqa: PLR0917  # a compiled loop takes arrays by position
    column: Array, other: Array, labels: Array, place: Array, others: Array, least: int
) -> bool:
    # Closes values of one field by the rows that are open; tells whether a row was closed by it.
    yes = np.zeros(place.size, dtype=np.int64)
    rows = np.zeros(place.size, dtype=np.int64)
    for i in range(labels.size):
        if place[column[i]] >= 0 and others[other[i]] >= 0:
            yes[column[i]] += labels[i]
            rows[column[i]] += 1
    closed = False
    for v in range(place.size):
        if place[v] >= 0 and not (0 < yes[v] < rows[v] and rows[v] >= least):
            place[v] = -1
            closed = closed or rows[v] > 0
    return closed


@kernel
def _left(first: Array, second: Array, a: Array, b: Array) -> int:
    rows = 0
    for i in range(first.size):
        if a[first[i]] >= 0 and b[second[i]] >= 0:
            rows += 1
    return rows


@kernel
def _fill(  # noqa: PLR0917  # a compiled loop takes arrays by position
    first: Array, second: Array, labels: Array, a: Array, b: Array, width: int, table: Ints
) -> None:
    for i in range(labels.size):
        x = a[first[i]]
        y = b[second[i]]
        if x >= 0 and y >= 0:
            table[np.int64(x) * width + y] += 1 + (np.int64(labels[i]) << 32)


@kernel
def _of_table(table: Ints, width: int, margins: Array, positives: Ints, totals: Ints) -> None:
    found = 0
    for k in range(table.size):
        if table[k]:
            margins[0, found] = k // width
            margins[1, found] = k % width
            positives[found] = table[k] >> 32
            totals[found] = table[k] & 0xFFFFFFFF
            found += 1


@kernel
def _keys(  # noqa: PLR0917  # a compiled loop takes arrays by position
    first: Array, second: Array, labels: Array, a: Array, b: Array, width: int, keys: Array
) -> None:
    found = 0
    for i in range(labels.size):
        x = a[first[i]]
        y = b[second[i]]
        if x >= 0 and y >= 0:
            keys[found] = 2 * (np.int64(x) * width + y) + labels[i]
            found += 1


@kernel
def _runs(keys: Array) -> int:
    runs = 0
    for i in range(keys.size):
        if i == 0 or keys[i] >> 1 != keys[i - 1] >> 1:
            runs += 1
    return runs


@kernel
def _of_keys(keys: Array, width: int, margins: Array, positives: Ints, totals: Ints) -> None:
    found = -1
    last = np.int64(-1)
    for i in range(keys.size):
        key = np.int64(keys[i])
        cell = key >> 1
        if cell != last:
            found += 1
            last = cell
            margins[0, found] = cell // width
            margins[1, found] = cell % width
            positives[found] = 0
            totals[found] = 0
        totals[found] += 1
        positives[found] += key & 1
