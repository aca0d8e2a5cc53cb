"""RawRows: the rows as the source has them, in memory or on disk, read by column and by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from ctrsel.core.errors import DataError

__all__ = ["PARTS", "RawRows", "Shard"]

PARTS = ("train", "valid", "test")
_FEW = 16  # frames of at most this part of a chunk are joined


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A run of raw rows that lies in one place.

    Attributes:
        part: "train", "valid" or "test": which of the given sources it belongs to.
        name: For people: the file's path as the user gave it, or "frame".
        source: A frame in memory, or a scan of files that are read anew for each column and chunk.
        rows: How many rows it has.
        first: Number of its first row in `name`, counted from 0; a file may be staged in several shards.
        gaps: Numbers of the rejected rows among its rows, from `first` on, ascending.
        untyped: Whether it comes from a text format, where a column of numbers is a column of texts too.
        digest: Of the bytes that it was read from, "" where that is not known.
    """

    part: str
    name: str
    source: pl.DataFrame | pl.LazyFrame
    rows: int
    first: int = 0
    gaps: tuple[int, ...] = ()
    untyped: bool = False
    digest: str = ""

    @cached_property
    def schema(self) -> Mapping[str, pl.DataType]:
        """Columns and their types."""
        return self.source.schema if isinstance(self.source, pl.DataFrame) else self.source.collect_schema()

    def read(self, columns: Sequence[str], *, start: int = 0, rows: int | None = None) -> pl.DataFrame:
        """Read some columns of a range of rows.

        Raises:
            DataError: If the file cannot be read any more.
        """
        rows = self.rows - start if rows is None else rows
        if isinstance(self.source, pl.DataFrame):
            return self.source.select(columns).slice(start, rows)
        try:
            return self.source.select(columns).slice(start, rows).collect()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise DataError(f"{self.name}: cannot be read: {str(error).strip().splitlines()[0][:300]}") from error

    def numbers(self, rows: np.ndarray) -> np.ndarray:
        """Return the numbers that rows have in `name`, counted from 0, rejected rows included.

        Examples:
            >>> frame = pl.DataFrame({"a": [1, 2, 3]})
            >>> shard = Shard(part="train", name="a.csv", source=frame, rows=3, first=10, gaps=(10, 12))
            >>> shard.numbers(np.arange(3)).tolist()
            [11, 13, 14]
        """
        before = np.asarray(self.gaps, dtype=np.int64) - self.first - np.arange(len(self.gaps))
        numbers: np.ndarray = self.first + rows + np.searchsorted(before, rows, side="right")
        return numbers

    @staticmethod
    def of_parquet(path: Path, *, part: str, name: str | None = None, first: int = 0, untyped: bool = False) -> Shard:
        """Return the shard of a parquet file."""
        lazy = pl.scan_parquet(path, glob=False)
        rows = int(lazy.select(pl.len()).collect().item())
        return Shard(part=part, name=name or str(path), source=lazy, rows=rows, first=first, untyped=untyped)


@dataclass(frozen=True, kw_only=True)
class RawRows:
    """All raw rows of a source, in the order train, valid, test; row numbers count over all shards from 0.

    Every shard has all columns; a column's type may differ between shards, since one text function reads them all.

    Attributes:
        shards: In order.
        columns: In the order of the first shard.
    """

    shards: tuple[Shard, ...]
    columns: tuple[str, ...]

    @staticmethod
    def of(frame: pl.DataFrame, *, part: str = "train", untyped: bool = False) -> RawRows:
        """Return the rows of one frame in memory."""
        shard = Shard(part=part, name="frame", source=frame, rows=frame.height, untyped=untyped)
        return RawRows(shards=(shard,), columns=tuple(frame.columns))

    @cached_property
    def n_rows(self) -> int:
        """N."""
        return sum(s.rows for s in self.shards)

    @cached_property
    def parts(self) -> Mapping[str, slice]:
        """Row ranges of the given parts."""
        found: dict[str, slice] = {}
        start = 0
        for shard in self.shards:
            stop = start + shard.rows
            found[shard.part] = slice(found[shard.part].start if shard.part in found else start, stop)
            start = stop
        return found

    def types(self, column: str) -> tuple[pl.DataType, ...]:
        """Return the types that a column has in the shards, each once."""
        return tuple(dict.fromkeys(s.schema[column] for s in self.shards))

    def chunks(self, column: str, *, rows: int = 1_000_000, part: str | None = None) -> Iterator[pl.Series]:
        """Yield a column in row order, at most so many rows at once, of one part or of all.

        Small frames of one type are joined, so that thousands of small files cost no more than a few large ones.
        """
        joined: list[pl.Series] = []
        held = 0
        for shard in self.shards:
            if part is not None and shard.part != part:
                continue
            if isinstance(shard.source, pl.DataFrame) and shard.rows <= rows // _FEW:
                series = shard.source.get_column(column)
                if joined and (joined[0].dtype != series.dtype or held + shard.rows > rows):
                    yield _one(joined)
                    joined, held = [], 0
                joined.append(series)
                held += shard.rows
                continue
            if joined:
                yield _one(joined)
                joined, held = [], 0
            for start in range(0, shard.rows, rows):
                yield shard.read([column], start=start, rows=min(rows, shard.rows - start))[column]
        if joined:
            yield _one(joined)

    def place(self, row: int) -> str:
        """Name a row by its part, file and number there, counted from 1.

        Examples:
            >>> RawRows.of(pl.DataFrame({"a": [1, 2]})).place(1)
            'data.train: row 2'
        """
        for shard in self.shards:
            if row < shard.rows:
                file = "" if shard.name == "frame" else f"{shard.name}: "
                return f"{file or f'data.{shard.part}: '}row {int(shard.numbers(np.array([row]))[0]) + 1}"
            row -= shard.rows
        raise IndexError(row)


def _one(series: list[pl.Series]) -> pl.Series:
    return pl.concat(series) if len(series) > 1 else series[0]
