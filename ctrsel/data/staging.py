"""Staging: a text file becomes raw rows once, in bounded memory: a frame if it is small, else parquet on disk."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from ctrsel.core.errors import unknown_name
from ctrsel.data.delimited import delimited_pieces
from ctrsel.data.libsvm import LibsvmReader
from ctrsel.data.ndjson import NdjsonReader
from ctrsel.data.raw import Shard
from ctrsel.data.rejects import Rejects
from ctrsel.data.text_blocks import Piece, RowFaults, encoding_name

__all__ = ["stage_text"]

_ROWS = 1_000_000  # of a shard, at most
_BLOCK = (1 << 20, 1 << 24)  # bytes of text that are looked at together, at least and at most
_SMALL = 4096  # a file whose frame takes at most this part of the memory is kept in it
_SHARD = 8  # rows wait for their shard in at most this part of the memory


def stage_text(
    path: str,
    *,
    kind: str,
    part: str,
    encoding: str = "utf-8",
    rejects: Rejects,
    scratch: Path,
    memory: int,
    rows: int | None = None,
    max_cell: int = 1_000_000,
) -> list[Shard]:
    r"""Read a text file once, in bounded memory.

    Rows read = rows of the shards + rows rejected. The rules of each format stand in its module.

    Args:
        path: A file, plain or compressed with gzip or Zstandard (known by its first bytes, not by its name).
        kind: "csv", "tsv", "ndjson", "libsvm" or "libfm".
        part: "train", "valid" or "test".
        encoding: Of the text, by Python's name; a byte order mark is no text.
        rejects: Takes the faulty rows; with a tolerance of 0 the first one is refused.
        scratch: Folder for the shards, which must outlive them.
        memory: Bytes that may be held.
        rows: Read at most so many, rejected ones included.
        max_cell: Characters; a row with a longer cell is rejected.

    Returns:
        Shards in order: one frame in memory if the file is small, else parquet files of at most a million rows. A file
        without rows gives one shard of no rows.

    Raises:
        DataError: For a fault of the file (damaged, cut off, a header that cannot be one), and for the first faulty
            row if none is tolerated.
        ConfigError: If the kind or the encoding is not known.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.csv").write_text("ad,click\nx,1\nbroken\ny,0\n")
        >>> rejects = Rejects(tolerance=0.5)
        >>> file = str(folder / "a.csv")
        >>> [shard] = stage_text(file, kind="csv", part="train", rejects=rejects, scratch=folder, memory=2**30)
        >>> shard.rows, rejects.frame()["reason"].to_list()
        (2, ["must have the header's 2 cells, got 1"])
    """
    faults = RowFaults(rejects=rejects, part=part, file=path)
    codec = encoding_name(encoding)
    size = min(max(memory // 64, _BLOCK[0]), _BLOCK[1])
    shards = _Shards(part=part, name=path, scratch=scratch, memory=memory)
    if kind in ("csv", "tsv"):
        separator = "," if kind == "csv" else "\t"
        for piece in delimited_pieces(
            path, separator=separator, encoding=codec, faults=faults, rows=rows, max_cell=max_cell, size=size
        ):
            shards.add(piece)
        return shards.end(None)
    if kind not in _READERS:
        raise unknown_name("format", kind, ("csv", "tsv", *_READERS), place="data.format")
    reader = _READERS[kind](path=path, faults=faults, encoding=codec, max_cell=max_cell, size=size)
    for piece in reader.pieces(rows=rows):
        shards.add(piece)
    return shards.end(reader.columns)


_READERS: Mapping[str, type[LibsvmReader] | type[NdjsonReader]] = {
    "ndjson": NdjsonReader,
    "libsvm": LibsvmReader,
    "libfm": LibsvmReader,
}


def _bytes(frame: pl.DataFrame) -> int:
    """Return what a frame takes; polars counts the texts of its cells, but not their 16 bytes of place."""
    return int(frame.estimated_size()) + 16 * frame.height * frame.width


@dataclass(slots=True, kw_only=True)
class _Shards:
    """Gathers pieces into shards: a frame in memory if there is little, else parquet files."""

    part: str
    name: str
    scratch: Path
    memory: int
    done: list[Shard] = field(default_factory=list)
    waiting: list[pl.DataFrame] = field(default_factory=list)
    held: int = 0  # bytes that wait
    rows: int = 0  # rows that wait
    first: int = 0  # number of the first row that waits, rejected ones counted
    gaps: list[int] = field(default_factory=list)  # rejected rows from there on
    kinds: dict[str, pl.DataType] = field(default_factory=dict)  # of the columns that wait
    folder: Path | None = None  # of the shards on disk

    def add(self, piece: Piece) -> None:
        frame = piece.frame
        if self.rows and frame.height and not self.fits(frame):
            self.close()
        self.gaps += piece.gaps
        while self.rows + frame.height > _ROWS:
            cut = _ROWS - self.rows
            self.take(frame.head(cut))
            frame = frame.slice(cut)
            self.spill()
        self.take(frame)
        if self.held > self.memory // _SHARD:
            self.spill()

    def fits(self, frame: pl.DataFrame) -> bool:
        """Whether a frame can join those that wait without a change of any value."""
        return all(pl.Null in (k, self.kinds.get(n, k)) or k == self.kinds.get(n, k) for n, k in frame.schema.items())

    def take(self, frame: pl.DataFrame) -> None:
        if frame.height or not (self.waiting or self.done):
            self.waiting.append(frame)
            self.kinds |= {n: k for n, k in frame.schema.items() if k != pl.Null or n not in self.kinds}
            self.rows += frame.height
            self.held += _bytes(frame)

    def close(self) -> None:
        """End a shard: keep it in memory if there is little so far, else write it."""
        if not self.rows and self.done:
            self.waiting = []
            return
        if (
            self.folder is not None
            or self.held + sum(_bytes(s.source) for s in self.done if isinstance(s.source, pl.DataFrame))
            > self.memory // _SMALL
        ):
            self.spill()
            return
        self._end(pl.concat(self.waiting, how="diagonal_relaxed", rechunk=True))

    def spill(self) -> None:
        """Write what waits to parquet."""
        if self.folder is None:
            self.scratch.mkdir(parents=True, exist_ok=True)
            self.folder = Path(tempfile.mkdtemp(prefix="text-", dir=self.scratch))
        file = self.folder / f"{len(self.done):05d}.parquet"
        pl.concat(self.waiting, how="diagonal_relaxed").write_parquet(file, compression="lz4", statistics=False)
        self._end(pl.scan_parquet(file, glob=False))

    def _end(self, source: pl.DataFrame | pl.LazyFrame) -> None:
        shard = Shard(
            part=self.part,
            name=self.name,
            source=source,
            rows=self.rows,
            first=self.first,
            gaps=tuple(self.gaps),
            untyped=True,
        )
        if self.rows:
            after = int(shard.numbers(np.array([self.rows - 1]))[0]) + 1
            shard = replace(shard, gaps=tuple(g for g in self.gaps if g < after))
            self.first, self.gaps = after, [g for g in self.gaps if g >= after]
        self.done.append(shard)
        self.waiting, self.kinds, self.held, self.rows = [], {}, 0, 0

    def end(self, columns: Callable[[list[str]], list[pl.Expr]] | None) -> list[Shard]:
        if self.rows or not self.done:
            self.close()
        if columns is None:
            return self.done
        return [
            replace(
                s,
                source=s.source.with_columns(*(made := columns(list(s.schema)))).select(
                    e.meta.output_name() for e in made
                ),
            )
            for s in self.done
        ]
