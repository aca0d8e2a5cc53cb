"""Staging: a text file becomes raw rows once, in bounded memory: a frame if it is small, else parquet on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from ctrsel.core.errors import unknown_name
from ctrsel.data.delimited import delimited_pieces
from ctrsel.data.raw import Shard
from ctrsel.data.rejects import Rejects
from ctrsel.data.text_blocks import Piece, RowFaults

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
    size = min(max(memory // 64, _BLOCK[0]), _BLOCK[1])
    if kind in ("csv", "tsv"):
        pieces = delimited_pieces(
            path,
            separator="," if kind == "csv" else "\t",
            encoding=encoding,
            faults=faults,
            rows=rows,
            max_cell=max_cell,
            size=size,
        )
    else:
        raise unknown_name("format", kind, ("csv", "tsv", "ndjson", "libsvm", "libfm"), place="data.format")
    return _shards(pieces, part=part, name=path, scratch=scratch, memory=memory)


def _shards(pieces: Iterator[Piece], *, part: str, name: str, scratch: Path, memory: int) -> list[Shard]:
    shards: list[Shard] = []
    waiting: list[pl.DataFrame] = []
    held = rows = 0  # bytes and rows that wait
    first = read = 0  # rows of the file before those that wait, and up to here

    def write() -> None:
        nonlocal waiting, held, rows, first
        scratch.mkdir(parents=True, exist_ok=True)
        file = scratch / f"{len(shards):05d}.parquet"
        pl.concat(waiting).write_parquet(file, compression="lz4", statistics=False)
        source = pl.scan_parquet(file, glob=False)
        shards.append(Shard(part=part, name=name, source=source, rows=rows, first=first, untyped=True))
        waiting, held, rows, first = [], 0, 0, read

    for piece in pieces:
        frame = piece.frame
        while rows + frame.height > _ROWS:
            cut = _ROWS - rows
            waiting.append(frame.head(cut))
            rows += cut
            read += cut
            frame = frame.slice(cut)
            write()
        waiting.append(frame)
        rows += frame.height
        held += int(frame.estimated_size())
        read += frame.height
        if held > memory // _SHARD:
            write()
    if not shards and held <= memory // _SMALL:
        frame = pl.concat(waiting, rechunk=True)
        return [Shard(part=part, name=name, source=frame, rows=rows, untyped=True)]
    if rows or not shards:
        write()
    return shards
