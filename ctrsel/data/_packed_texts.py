"""Packed texts: the bytes and offsets of an Arrow IPC file, read where they lie, memory-mapped or in memory.

The file is Arrow's IPC file format (Apache Arrow columnar format, version 1.0), uncompressed, one column of type
large_string, in as many record batches as there were pieces to write. Nothing is copied when it is opened: 50 million
texts take a few kilobytes of memory and the pages of the file that are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data._text_bytes import TextBytes, loops
from ctrsel.data._text_search import lower

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMN", "PackedTexts", "packed_bytes", "write_packed"]

COLUMN = "value"
_ROWS = 1 << 20  # texts of a record batch


def write_packed(parts: Iterable[pl.Series], sink: Any) -> None:
    """Write ascending parts as record batches of about a million texts each; `sink` is a path or an Arrow stream."""
    import pyarrow as pa

    schema = pa.schema([pa.field(COLUMN, pa.large_string(), nullable=False)])
    last: str | None = None
    with pa.ipc.new_file(sink, schema) as writer:
        for piece in _pieces(parts):
            if last is not None and not last < piece[0]:
                raise DataError(f"sorted texts: parts must ascend, but {piece[0]!r} comes after {last!r}")
            last = piece[-1]
            writer.write_batch(pa.record_batch([_arrow(piece)], schema=schema))


def packed_bytes(parts: Iterable[pl.Series]) -> pa.Buffer:
    """Return the file's bytes in memory."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    write_packed(parts, sink)
    return sink.getvalue()


def _pieces(parts: Iterable[pl.Series]) -> Iterator[pl.Series]:
    waiting: list[pl.Series] = []
    rows = 0
    for part in parts:
        waiting += [part] if len(part) else []
        rows += len(part)
        if rows >= _ROWS:
            whole = pl.concat(waiting) if len(waiting) > 1 else waiting[0]
            cut = rows // _ROWS * _ROWS
            for start in range(0, cut, _ROWS):
                yield whole[start : start + _ROWS]
            waiting, rows = ([whole[cut:]] if rows > cut else []), rows - cut
    if rows:
        yield pl.concat(waiting) if len(waiting) > 1 else waiting[0]


def _series(texts: pa.LargeStringArray) -> pl.Series:
    found = pl.from_arrow(texts)
    assert isinstance(found, pl.Series)
    return found.rename(COLUMN)


def _arrow(texts: pl.Series) -> pa.LargeStringArray:
    return texts.to_arrow(compat_level=pl.CompatLevel.oldest())


class PackedTexts:
    """The texts of one Arrow file.

    Args:
        buffer: All bytes of the file.
        name: Of the file, for errors.
        mapped: Whether the bytes lie in a file.

    Raises:
        DataError: If it is no such file.
    """

    def __init__(self, buffer: pa.Buffer, *, name: str, mapped: bool = False) -> None:
        import pyarrow as pa

        self.buffer, self.mapped = buffer, mapped
        try:
            reader = pa.ipc.open_file(buffer)
            kinds = [(f.name, f.type) for f in reader.schema]
            self._batches = [reader.get_batch(i).column(0) for i in range(reader.num_record_batches)]
        except (pa.ArrowException, OSError, IndexError) as error:
            raise DataError(f"{name}: expected a whole Arrow file, got: {str(error).splitlines()[0][:200]}") from error
        if kinds != [(COLUMN, pa.large_string())]:
            raise DataError(f"{name}: expected one column {COLUMN!r} of type large_string, got {kinds}")
        self.bytes = np.frombuffer(buffer, dtype=np.uint8)
        self.words = np.frombuffer(buffer, dtype=np.int64, count=buffer.size // 8)
        places = []
        for batch in (b for b in self._batches if len(b)):
            _, ends, texts = batch.buffers()
            size = 0 if texts is None else texts.size
            at, data = ends.address - buffer.address, texts.address - buffer.address if size else 0
            inside = at >= 0 and at + 8 * (len(batch) + 1) <= buffer.size and data >= 0 and data + size <= buffer.size
            if not inside or at % 8 or batch.null_count:
                raise DataError(f"{name}: expected uncompressed, aligned texts without nulls")
            places.append((len(batch), at // 8, data, size))
        self._batches = [b for b in self._batches if len(b)]
        rows = np.array([p[0] for p in places], dtype=np.int64)
        self.starts = np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)
        self.ends = np.array([p[1] for p in places], dtype=np.int64)
        self.data = np.array([p[2] for p in places], dtype=np.int64)
        self._sizes = [p[3] for p in places]
        self._name = name

    @staticmethod
    def open(path: Path) -> PackedTexts:
        """Map a file."""
        import pyarrow as pa

        try:
            with pa.memory_map(str(path)) as file:
                return PackedTexts(file.read_buffer(), name=str(path), mapped=True)
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {str(error).splitlines()[0][:200]}") from error

    def __len__(self) -> int:
        return int(self.starts[-1])

    def chunks(self, rows: int) -> Iterator[pl.Series]:
        """Yield the texts in order, at most so many at once."""
        for batch in self._batches:
            for start in range(0, len(batch), rows):
                yield _series(batch.slice(start, rows))

    def pieces(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield lengths (uint32, in bytes) and bytes of the texts in order, piece by piece.

        Raises:
            DataError: If the offsets do not ascend within the file.
        """
        for i, batch in enumerate(self._batches):
            for start in range(0, len(batch), _ROWS // 4):
                stop = min(start + _ROWS // 4, len(batch))
                ends = self.words[self.ends[i] + start : self.ends[i] + stop + 1]
                lengths = np.diff(ends)
                if ends[0] < 0 or ends[-1] > self._sizes[i] or (lengths < 0).any() or lengths.max() > 2**32 - 1:
                    raise DataError(f"{self._name}: the offsets of the texts are damaged")
                yield lengths.astype("<u4"), self.bytes[self.data[i] + ends[0] : self.data[i] + ends[-1]]

    def spans(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where the texts at some places begin in `bytes`, and their lengths in bytes, int64 `[n]` each."""
        batch = np.searchsorted(self.starts, places, side="right") - 1
        at = self.ends[batch] + places - self.starts[batch]
        first = self.words[at]
        return self.data[batch] + first, self.words[at + 1] - first

    def take(self, places: np.ndarray) -> pl.Series:
        """Return the texts at some places `[n]`, in this order."""
        import pyarrow as pa

        parts = []
        for start in range(0, len(places), _ROWS):
            begin, lengths = self.spans(places[start : start + _ROWS])
            ends = np.concatenate([[0], np.cumsum(lengths)])
            found = self.bytes[np.arange(ends[-1]) + np.repeat(begin - ends[:-1], lengths)]
            arrow = pa.LargeStringArray.from_buffers(len(lengths), pa.py_buffer(ends), pa.py_buffer(found))
            parts.append(_series(arrow))
        return pl.concat(parts) if parts else pl.Series(COLUMN, [], dtype=pl.String)

    def lower(self, texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
        """Return how many texts stand before each of some others (no nulls), int64 `[n]`, and whether it is among them.

        A few are looked up by numpy; many, nearly sorted first, by a compiled loop that goes through the file once.
        """
        if not len(self) or not len(texts):
            return np.zeros(len(texts), dtype=np.int64), np.zeros(len(texts), dtype=bool)
        compiled, asked = loops(len(texts)), TextBytes.of(texts)
        if compiled is None:
            return lower(self, asked)
        near = np.empty(len(texts), dtype=np.uint64)
        compiled.keys(asked.bytes, asked.ends, self._common, near)
        place, found = np.empty(len(texts), dtype=np.int64), np.empty(len(texts), dtype=np.bool_)
        packed = (self.bytes, self.words, self.starts, self.ends, self.data)
        compiled.lower(packed, (asked.bytes, asked.ends), np.argsort(near), place, found)
        return place, found

    @property
    def _common(self) -> int:
        """Bytes that all texts begin with."""
        begin, lengths = self.spans(np.array([0, len(self) - 1]))
        size = int(lengths.min())
        first, last = (self.bytes[b : b + size] for b in begin.tolist())
        return int(np.argmin(np.append(first == last, False)))
