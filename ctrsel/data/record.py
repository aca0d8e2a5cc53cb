"""Record: one row as consecutive bytes, every part in the smallest type that holds it.

The wide parts come first, and a row is a multiple of four bytes, so that every part is aligned. A list has its length in
the record; its codes stand elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ctrsel.data.rows import Batch, standardised
from ctrsel.data.table import Ragged, Table
from ctrsel.data.vocabulary import smallest_uint

__all__ = ["Record", "bytes_of", "taken"]

_TILE = 4096  # rows that are put together at once: they stay in the processor's cache


class Record:
    """How the rows of a span of a table are laid out.

    Attributes:
        size: R, bytes of a row.
        lists: The list columns of the table.
        mean_length: Of the lists of the field with the longest ones, rounded up.
    """

    def __init__(self, table: Table, span: slice) -> None:
        self._table, self._first = table, span.start
        self.lists: Mapping[str, Ragged] = {
            name: column for name in table.list_fields if isinstance(column := table.columns[name], Ragged)
        }
        ends = [int(c.offsets[span.stop] - c.offsets[span.start]) for c in self.lists.values()]
        self.mean_length = -(-max(ends, default=0) // max(span.stop - span.start, 1))
        offsets = {name: table.encoder.offset(name) for name in (*table.code_fields, *table.list_fields)}
        self._list_offsets = {name: np.int32(offsets[name]) for name in self.lists}
        codes: dict[str, np.dtype[np.generic]] = {
            name: smallest_uint(table.encoder.size(name)) for name in table.code_fields
        }
        # Fields of one width stand together: a batch's codes are as many copies as there are widths.
        by_width = sorted(codes, key=lambda name: -codes[name].itemsize)
        self._order = np.argsort([table.code_fields.index(name) for name in by_width]).astype(np.intp)
        self._in_order = bool((np.diff(self._order) > 0).all())
        self._offsets = np.array([offsets[name] for name in by_width], dtype=np.int32)
        parts: list[tuple[str, np.dtype[np.generic], int]] = [
            ("row", smallest_uint(max(span.stop - span.start, 1)), 1),
            ("floats", np.dtype(np.float32), len(table.float_fields)),
        ]
        if table.labels is not None:
            parts.append(("labels", np.dtype(np.float32), table.labels.shape[1]))
        if table.weight is not None:
            parts.append(("weight", np.dtype(np.float32), 1))
        for name, column in self.lists.items():
            parts.append((f"length/{name}", smallest_uint(_longest(column, span) + 1), 1))
        self._code_parts = []
        for width in (4, 2, 1):
            names = [name for name in by_width if codes[name].itemsize == width]
            if names:
                parts.append((f"codes/{width}", codes[names[0]], len(names)))
                self._code_parts.append((f"codes/{width}", names))
        self._parts: dict[str, tuple[slice, np.dtype[np.generic]]] = {}
        at = 0
        for name, dtype, count in sorted(parts, key=lambda part: -part[1].itemsize):
            self._parts[name] = (slice(at, at + count * dtype.itemsize), dtype)
            at += count * dtype.itemsize
        self.size = -(-at // 4) * 4

    def rows(self, span: slice) -> np.ndarray:
        """Put rows of the table together, uint8 `[n, R]`."""
        table = self._table
        out = np.zeros((span.stop - span.start, self.size), dtype=np.uint8)
        columns = {name: np.asarray(table.columns[name]) for name in table.code_fields}
        for start in range(span.start, span.stop, _TILE):
            some = slice(start, min(start + _TILE, span.stop))
            tile = out[start - span.start : some.stop - span.start]
            self._part(tile, "row")[:, 0] = np.arange(start - self._first, some.stop - self._first)
            self._part(tile, "floats")[:] = standardised(table, some)
            if table.labels is not None:
                self._part(tile, "labels")[:] = table.labels[some]
            if table.weight is not None:
                self._part(tile, "weight")[:, 0] = table.weight[some]
            for name, column in self.lists.items():
                self._part(tile, f"length/{name}")[:, 0] = np.diff(column.offsets[some.start : some.stop + 1])
            for part, names in self._code_parts:
                view = self._part(tile, part)
                for j, name in enumerate(names):
                    view[:, j] = columns[name][some]
        return out

    def length(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Return the lengths of one list field of rows uint8 `[n, R]`."""
        return self._part(rows, f"length/{name}")[:, 0]

    def batch(self, parts: Sequence[tuple[np.ndarray, Mapping[str, Ragged]]]) -> Batch:
        """Turn rows uint8 `[n, R]` and their lists, in one or several parts, into a batch."""
        rows = parts[0][0] if len(parts) == 1 else np.concatenate([r for r, _ in parts])
        codes = np.empty((len(rows), len(self._offsets)), dtype=np.int32)
        at = 0
        for part, names in self._code_parts:
            to = slice(at, at + len(names))
            np.add(self._part(rows, part), self._offsets[to], out=codes[:, to], casting="unsafe")
            at = to.stop
        lists = {}
        for name, offset in self._list_offsets.items():
            some = [lists_of[name] for _, lists_of in parts]
            lengths = np.concatenate([np.diff(column.offsets) for column in some])
            values = np.concatenate([column.codes for column in some]).astype(np.int32) + offset
            lists[name] = (np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), values)
        return Batch(
            rows=self._part(rows, "row")[:, 0].astype(np.int64) + self._first,
            codes=codes if self._in_order else codes.take(self._order, axis=1),
            floats=self._part(rows, "floats").copy(),
            lists=lists,
            labels=self._part(rows, "labels").copy() if "labels" in self._parts else None,
            weight=self._part(rows, "weight")[:, 0].copy() if "weight" in self._parts else None,
        )

    def _part(self, rows: np.ndarray, name: str) -> np.ndarray:
        where, dtype = self._parts[name]
        return rows[:, where].view(dtype)


def taken(rows: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return rows uint8 `[n, R]` in an order; a row is moved as one item, which takes a third of the time."""
    size = rows.shape[1]
    found: np.ndarray = rows.view(f"V{size}")[:, 0][order]
    return found.view(np.uint8).reshape(-1, size)


def bytes_of(table: Table) -> int:
    """Return the bytes of a row, list codes left out, about: without a pass over the table."""
    total = sum(smallest_uint(table.encoder.size(name)).itemsize for name in table.code_fields)
    total += 4 * (len(table.float_fields) + len(table.list_fields) + 1)
    total += 4 * (table.labels.shape[1] if table.labels is not None else 0) + 4 * (table.weight is not None)
    return total


def _longest(column: Ragged, span: slice) -> int:
    longest, step = 0, 1 << 20
    for start in range(span.start, span.stop, step):
        offsets = column.offsets[start : min(start + step, span.stop) + 1]
        longest = max(longest, int(np.diff(offsets).max()))
    return longest
