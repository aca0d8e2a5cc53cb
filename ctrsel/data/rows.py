"""Rows: one split's rows to draw batches from, row by row in memory; blocks on disk are the other kind.

What a batch holds is the same for both. A pass in table order needs neither: it reads columns, slice by slice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from ctrsel.core.seeds import generator
from ctrsel.data.table import Ragged, Table

__all__ = ["Batch", "RowMatrix", "Rows", "all_rows", "in_order", "standardised"]

_READ = 8192  # rows read at once from every column: their matrix fits the processor's cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some rows, ready for a net.

    Attributes:
        rows: int64 `[B]`, row numbers in the table.
        codes: int32 `[B, C]`, rows of the one embedding table, in the order of `Table.code_fields`.
        floats: float32 `[B, M]`, standardised by training moments, 0 where missing, in the order of `Table.float_fields`.
        lists: Per list field (offsets int64 `[B + 1]`, rows of the embedding table int32 `[m]`).
        labels: float32 `[B, T]` or None.
        weight: float32 `[B]` or None.
    """

    rows: np.ndarray
    codes: np.ndarray
    floats: np.ndarray
    lists: Mapping[str, tuple[np.ndarray, np.ndarray]]
    labels: np.ndarray | None
    weight: np.ndarray | None

    def between(self, start: int, stop: int) -> Batch:
        """Return consecutive rows of it; all but the lists' offsets are views."""
        lists = {}
        for name, (offsets, codes) in self.lists.items():
            part = offsets[start : stop + 1]
            lists[name] = (part - part[0], codes[part[0] : part[-1]])
        return Batch(
            rows=self.rows[start:stop],
            codes=self.codes[start:stop],
            floats=self.floats[start:stop],
            lists=lists,
            labels=None if self.labels is None else self.labels[start:stop],
            weight=None if self.weight is None else self.weight[start:stop],
        )


class Rows(ABC):
    """The rows of one split of a table, to be drawn in a seeded order.

    Attributes:
        table: Whose rows.
        split: Which of them.
        nbytes: Bytes that it holds, in memory or on disk.
    """

    table: Table
    split: str | None
    nbytes: int

    @abstractmethod
    def __len__(self) -> int:
        """How many rows there are."""

    @abstractmethod
    def draw(self, places: Iterable[tuple[int, int]], *, seed: int, epoch: int) -> Iterator[Batch]:
        """Yield the rows that stand at `[start, stop)` in the order of a seed and an epoch.

        Args:
            places: Ascending; what is left out costs nothing.
            seed: Of the order.
            epoch: Each has its own order.
        """

    @abstractmethod
    def sample(self, count: int, *, size: int, seed: int) -> Iterator[Batch]:
        """Yield `count` rows drawn without replacement, all if there are no more, in batches of `size`."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what it holds; it cannot be drawn from any more."""

    def __enter__(self) -> Rows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RowMatrix(Rows):
    """All rows in memory, each in one piece."""

    def __init__(self, table: Table, split: str | None) -> None:
        self.table, self.split = table, split
        self._span = table.span(split) if split is not None else slice(0, table.n_rows)
        self._codes = table.matrix(split)
        self._floats = standardised(table, self._span)
        self._lists = {name: _in_memory_list(table.columns[name], self._span) for name in table.list_fields}
        self._labels = None if table.labels is None else _in_memory(table.labels[self._span])
        self._weight = None if table.weight is None else _in_memory(table.weight[self._span])
        self._offsets = {name: table.encoder.offset(name) for name in table.list_fields}
        self.nbytes = self._codes.nbytes + self._floats.nbytes

    def __len__(self) -> int:
        return len(self._codes)

    def close(self) -> None:
        """Give the memory back."""
        self._codes, self._floats = self._codes[:0].copy(), self._floats[:0].copy()

    @staticmethod
    def estimate(table: Table, split: str | None) -> int:
        """Return the bytes of anonymous memory that one would take, its row order included."""
        span = table.span(split) if split is not None else slice(0, table.n_rows)
        per_row = 4 * (len(table.code_fields) + len(table.float_fields)) + 8
        total = (span.stop - span.start) * per_row
        for part in (table.labels, table.weight):
            if isinstance(part, np.memmap):
                total += part[span].nbytes
        for name in table.list_fields:
            column = table.columns[name]
            assert isinstance(column, Ragged)
            if isinstance(column.codes, np.memmap) or isinstance(column.offsets, np.memmap):
                held = int(column.offsets[span.stop] - column.offsets[span.start])
                total += held * column.codes.itemsize + (span.stop - span.start) * 8
        return total

    def draw(self, places: Iterable[tuple[int, int]], *, seed: int, epoch: int) -> Iterator[Batch]:
        """Yield the rows of one permutation."""
        order = generator(seed, "batches", epoch).permutation(len(self))
        return (self._take(order[start:stop]) for start, stop in places)

    def sample(self, count: int, *, size: int, seed: int) -> Iterator[Batch]:
        """Yield a sample in table order."""
        count = min(count, len(self))
        picked = np.sort(np.random.default_rng(seed).permutation(len(self))[:count])
        return (self._take(picked[start : start + size]) for start in range(0, count, size))

    def _take(self, picked: np.ndarray) -> Batch:
        lists = {}
        for name, column in self._lists.items():
            taken = column.take(picked)
            lists[name] = (taken.offsets, taken.codes.astype(np.int32) + np.int32(self._offsets[name]))
        return Batch(
            rows=picked + self._span.start,
            codes=self._codes[picked],
            floats=self._floats[picked],
            lists=lists,
            labels=None if self._labels is None else self._labels[picked],
            weight=None if self._weight is None else self._weight[picked].astype(np.float32),
        )


def all_rows(table: Table) -> Batch:
    """Return all rows of a table in its order, as one batch."""
    return _columns(table, slice(0, table.n_rows))


def in_order(table: Table, span: slice, places: Iterable[tuple[int, int]]) -> Iterator[Batch]:
    """Yield rows in table order, reading slices of the columns only as they are needed.

    Args:
        table: The rows.
        span: The split's rows.
        places: Ascending `[start, stop)`, counted from the start of the span.
    """
    end = span.stop - span.start
    piece, first, last = None, 0, 0
    for start, stop in places:
        if piece is None or stop > last:
            first, last = start, min(max(stop, start + _READ), end)
            piece = _columns(table, slice(span.start + first, span.start + last))
        yield piece.between(start - first, stop - first)


def standardised(table: Table, rows: slice) -> np.ndarray:
    """Return the float fields of some rows by training moments, 0 where missing, float32 `[n, M]`."""
    names = table.float_fields
    out = np.empty((rows.stop - rows.start, len(names)), dtype=np.float32)
    for j, name in enumerate(names):
        column = table.columns[name]
        assert isinstance(column, np.ndarray)
        mean, spread = table.encoder.moments[name]
        for start in range(rows.start, rows.stop, _READ):
            some = np.asarray(column[start : min(start + _READ, rows.stop)])
            to = start - rows.start
            out[to : to + len(some), j] = np.nan_to_num((some - np.float32(mean)) / np.float32(spread), nan=0.0)
    return out


def _columns(table: Table, rows: slice) -> Batch:
    lists = {}
    for name in table.list_fields:
        column = table.columns[name]
        assert isinstance(column, Ragged)
        offsets = np.asarray(column.offsets[rows.start : rows.stop + 1], dtype=np.int64)
        codes = column.codes[offsets[0] : offsets[-1]].astype(np.int32) + np.int32(table.encoder.offset(name))
        lists[name] = (offsets - offsets[0], codes)
    return Batch(
        rows=np.arange(rows.start, rows.stop),
        codes=table.matrix(rows),
        floats=standardised(table, rows),
        lists=lists,
        labels=None if table.labels is None else np.array(table.labels[rows]),
        weight=None if table.weight is None else table.weight[rows].astype(np.float32),
    )


def _in_memory(part: np.ndarray) -> np.ndarray:
    """Return an array in memory: random rows of a file would be a page each."""
    return np.array(part) if isinstance(part, np.memmap) else part


def _in_memory_list(column: np.ndarray | Ragged, rows: slice) -> Ragged:
    assert isinstance(column, Ragged)
    part = column.between(rows)
    return Ragged(offsets=part.offsets, codes=_in_memory(part.codes))
