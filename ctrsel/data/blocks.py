"""Blocks: a split's rows, shuffled once into pieces of about 64k rows on disk, each row in one piece of bytes.

Every row is sent to one of K blocks by an independent seeded draw, so a block is a uniform sample of the split; the order
of the blocks and the order within each are drawn anew for every epoch. The first epoch is a uniform shuffle, later ones
keep together what lies in one block. Columns are read front to back once, blocks whole: no random rows of any file.

Reference: Rao, "Generation of random permutation of given number of elements using random sampling numbers", 1961:
independent draws of a group, then an order within each group, are together a uniform permutation.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ctrsel.core.log import event
from ctrsel.core.seeds import derive, generator, uniform_hash
from ctrsel.data.record import Record, bytes_of, taken
from ctrsel.data.rows import Batch, Rows
from ctrsel.data.scratch import scratch_file
from ctrsel.data.table import Ragged, Table

__all__ = ["Blocks"]


class Blocks(Rows):
    """Rows on disk in shuffled blocks.

    Anonymous memory: `memory` bytes while they are written; two blocks and a batch when they are drawn from.

    Args:
        table: Whose rows.
        split: Which of them; None for all.
        seed: Of the assignment to blocks.
        block_rows: Rows of a block, about.
        scratch: Folder for the file, which has no name and is gone when it is closed or the process ends; None for
            the folder for temporary files.
        memory: Bytes that writing may use.

    Raises:
        DataError: If the scratch folder has no space for them.
    """

    def __init__(
        self,
        table: Table,
        split: str | None,
        *,
        seed: int,
        block_rows: int = 1 << 16,
        scratch: Path | None = None,
        memory: int = 128 << 20,
    ) -> None:
        began = time.perf_counter()
        self.table, self.split = table, split
        self._span = table.span(split) if split is not None else slice(0, table.n_rows)
        self._n = self._span.stop - self._span.start
        self._seed = derive(seed, "blocks")
        blocks = max(1, round(self._n / block_rows))
        self._record = Record(table, self._span)
        # What a row in work takes: its record twice, or its draw; and one list field's codes with their places.
        self._piece = max(1024, memory // (2 * self._record.size + 40 + 40 * self._record.mean_length))
        self.sizes, codes = self._counts(blocks)
        # A block's rows come first, then the codes of each list field.
        lengths = np.column_stack([self.sizes * self._record.size, codes])  # [K, 1 + lists] bytes
        starts = np.concatenate([[0], np.cumsum(lengths.ravel())])
        self._starts = starts[:-1].reshape(lengths.shape)
        self._lengths = lengths
        self.nbytes = int(starts[-1])
        self._file = scratch_file(self.nbytes, folder=scratch)
        try:
            self._write()
        except BaseException:
            self._file.close()
            raise
        event("blocks", rows=self._n, blocks=blocks, bytes=self.nbytes, seconds=time.perf_counter() - began)

    def __len__(self) -> int:
        return self._n

    @staticmethod
    def estimate(table: Table, split: str | None, *, block_rows: int = 1 << 16) -> int:
        """Return the bytes of anonymous memory that drawing from blocks takes, about."""
        span = table.span(split) if split is not None else slice(0, table.n_rows)
        n = max(span.stop - span.start, 1)
        row = bytes_of(table)
        for name in table.list_fields:
            column = table.columns[name]
            assert isinstance(column, Ragged)
            row += -(-int(column.offsets[span.stop] - column.offsets[span.start]) * column.codes.itemsize // n)
        return 3 * min(n, block_rows) * (row + 8)

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()

    def draw(self, places: Iterable[tuple[int, int]], *, seed: int, epoch: int) -> Iterator[Batch]:
        """Yield the rows of a shuffle of the blocks and of the rows within each."""
        order = generator(seed, "blocks", epoch).permutation(np.flatnonzero(self.sizes))
        ends = np.cumsum(self.sizes[order])
        held: dict[int, _Block] = {}
        for start, stop in places:
            first, last = np.searchsorted(ends, [start, max(stop - 1, start)], side="right").tolist()
            parts = []
            for i in range(first, last + 1):
                if i not in held:
                    held = {j: b for j, b in held.items() if j >= first}
                    block = int(order[i])
                    within = generator(seed, "block", epoch, block).permutation(int(self.sizes[block]))
                    held[i] = _Block(self._read(block), within, start=int(ends[i]) - len(within))
                    if i + 1 < len(order):
                        self._expect(int(order[i + 1]))
                parts.append(held[i].between(start, stop))
            yield self._record.batch(parts)

    def sample(self, count: int, *, size: int, seed: int) -> Iterator[Batch]:
        """Yield the first rows of a shuffle: as few blocks as they need are read."""
        count = min(count, self._n)
        return self.draw([(a, min(a + size, count)) for a in range(0, count, size)], seed=seed, epoch=0)

    def _draws(self, start: int, stop: int) -> np.ndarray:
        """Return the blocks of the rows from `start` to `stop` of the split, the same however they are asked for."""
        blocks = len(self.sizes)
        draws = (uniform_hash(np.arange(start, stop), seed=self._seed) * blocks).astype(np.int64)
        return draws.astype(np.uint16 if blocks <= 1 << 16 else np.uint32)  # two bytes sort in linear time

    def _counts(self, blocks: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of each block `[K]`, and the bytes of each list field in it `[K, lists]`."""
        self.sizes = np.zeros(blocks, dtype=np.int64)
        codes = np.zeros((blocks, len(self._record.lists)), dtype=np.int64)
        step = min(self._piece, 1 << 20)
        for start in range(0, self._n, step):
            stop = min(start + step, self._n)
            draws = self._draws(start, stop)
            self.sizes += np.bincount(draws, minlength=blocks)
            for j, column in enumerate(self._record.lists.values()):
                offsets = column.offsets[self._span.start + start : self._span.start + stop + 1]
                held = np.bincount(draws, weights=np.diff(offsets), minlength=blocks)
                codes[:, j] += held.astype(np.int64) * column.codes.itemsize
        return self.sizes, codes

    def _write(self) -> None:
        handle, at = self._file.fileno(), self._starts.copy()
        for start in range(0, self._n, self._piece):
            stop = min(start + self._piece, self._n)
            draws = self._draws(start, stop)
            order = np.argsort(draws, kind="stable")
            ends = np.cumsum(np.bincount(draws, minlength=len(self.sizes)))
            del draws
            span = slice(self._span.start + start, self._span.start + stop)
            self._scatter(handle, at[:, 0], taken(self._record.rows(span), order), ends)
            for j, column in enumerate(self._record.lists.values()):
                part = column.between(span).take(order)
                self._scatter(handle, at[:, j + 1], part.codes, part.offsets[ends])

    @staticmethod
    def _scatter(handle: int, at: np.ndarray, items: np.ndarray, ends: np.ndarray) -> None:
        """Append to each block its items, and move the places `at` behind them."""
        data = np.ascontiguousarray(items).reshape(-1).view(np.uint8).data
        width = items.itemsize * (items.shape[1] if items.ndim == 2 else 1)
        first = 0
        for block in np.flatnonzero(np.diff(ends, prepend=0)).tolist():
            last = int(ends[block]) * width
            _write_all(handle, data[first:last], int(at[block]))
            at[block] += last - first
            first = last

    def _read(self, block: int) -> tuple[np.ndarray, dict[str, Ragged]]:
        """Return a block's rows uint8 `[n, R]` and its lists."""
        lengths = self._lengths[block]
        whole = np.empty(int(lengths.sum()), dtype=np.uint8)
        _read_all(self._file.fileno(), whole.data, int(self._starts[block, 0]))
        rows, *parts = np.split(whole, np.cumsum(lengths)[:-1])
        rows = rows.reshape(-1, self._record.size)
        lists = {}
        for (name, column), codes in zip(self._record.lists.items(), parts, strict=True):
            offsets = np.concatenate([[0], np.cumsum(self._record.length(name, rows), dtype=np.int64)])
            lists[name] = Ragged(offsets=offsets, codes=codes.view(column.codes.dtype))
        return rows, lists

    def _expect(self, block: int) -> None:
        """Tell the system to read a block while another is in work."""
        if hasattr(os, "posix_fadvise"):
            size = int(self._lengths[block].sum())
            os.posix_fadvise(self._file.fileno(), int(self._starts[block, 0]), size, os.POSIX_FADV_WILLNEED)


class _Block:
    """A block in memory, and the order in which an epoch takes its rows."""

    def __init__(self, content: tuple[np.ndarray, dict[str, Ragged]], order: np.ndarray, *, start: int) -> None:
        self.rows, self.lists = content
        self.order, self.start = order, start

    def between(self, start: int, stop: int) -> tuple[np.ndarray, dict[str, Ragged]]:
        """Return its rows that stand at `[start, stop)` in the epoch."""
        picked = self.order[max(start - self.start, 0) : max(stop - self.start, 0)]
        return taken(self.rows, picked), {name: column.take(picked) for name, column in self.lists.items()}


def _write_all(handle: int, data: memoryview, at: int) -> None:
    while data:
        done = os.pwrite(handle, data, at)
        data, at = data[done:], at + done


def _read_all(handle: int, data: memoryview, at: int) -> None:
    while data:
        done = os.preadv(handle, [data], at)
        if done == 0:
            raise OSError("a scratch file ended early")
        data, at = data[done:], at + done
