"""Row chunks: a source piece by piece, only the columns that are wanted, in memory that does not grow with its rows."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data.canonical import canonical_text
from ctrsel.data.frames import first_line
from ctrsel.data.paths import guess_format, is_delta, is_uri
from ctrsel.data.rejects import Rejects

__all__ = ["row_chunks", "taken_whole"]

_SCANS: Mapping[str, Callable[..., pl.LazyFrame]] = {"parquet": pl.scan_parquet, "ipc": pl.scan_ipc}
_SEPARATORS = {"csv": ",", "tsv": "\t"}
_FILES = ("auto", *_SCANS, *_SEPARATORS, "ndjson")
_BLOCK = 1 << 22  # bytes of text that are looked at together
_MEMORY = 1 << 28  # bytes that may be held where a source must be copied to disk first


def taken_whole(source: str, format: str) -> bool:
    """Whether a source is not a list of files that are read one after another."""
    return is_uri(source) or is_delta(source) or format not in _FILES


def row_chunks(
    path: str, *, columns: Sequence[str], keep: Sequence[str], format: str, rows: int
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yield the rows of a source in order, as they are and the columns to keep; at least one chunk, which may have no rows.

    Args:
        path: A file, or what `taken_whole` says is no list of files.
        columns: Those that are wanted, as far as the source has them; a chunk may lack one that another chunk has.
        keep: Those that every chunk must have. Of texts they are texts, and null where a row of JSON has none.
        format: One of those of `DataConfig.format`.
        rows: Of a chunk, at most.

    Raises:
        DataError: If it cannot be read to its end, or lacks a column to keep.
    """
    kind = format
    if format == "auto" and not taken_whole(path, format):
        kind = guess_format(path)
    if kind in _SCANS:
        pieces = _scanned(path, kind, (*columns, *keep), rows)
    elif kind in _SEPARATORS:
        pieces = _delimited(path, _SEPARATORS[kind])
    elif kind == "ndjson":
        pieces = _objects(path, keep)
    else:
        pieces = _staged(path, format, rows)
    for frame in pieces:
        kept = _kept(frame, keep, path, texts=kind == "ndjson")
        found = frame.select([c for c in frame.columns if c in columns])
        if not found.width and frame.width:  # a frame without columns has no rows
            found = frame.select(frame.columns[:1])
        for start in range(0, max(found.height, 1), rows):
            yield found.slice(start, rows), kept.slice(start, rows)


def _kept(frame: pl.DataFrame, keep: Sequence[str], path: str, *, texts: bool) -> pl.DataFrame:
    if texts:
        absent = pl.Series([None] * frame.height, dtype=pl.String)
        return pl.DataFrame(
            {n: _as_texts(frame[n]) if n in frame.columns else absent for n in keep},
            schema=dict.fromkeys(keep, pl.String),
        )
    for name in keep:
        if name not in frame.columns:
            raise DataError(f"{path}: the column {name!r} is to be kept, but the file has no such column")
    return frame.select(keep)


def _scanned(path: str, kind: str, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
    try:
        lazy = _SCANS[kind](path, glob=False)
        wanted = [c for c in lazy.collect_schema().names() if c in columns]
        height = int(lazy.select(pl.len()).collect().item())
        lazy = lazy.select(wanted) if wanted else lazy
        for start in range(0, max(height, 1), rows):
            yield lazy.slice(start, rows).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"{path}: cannot be read as {kind}: {first_line(error)}") from error


def _delimited(path: str, separator: str) -> Iterator[pl.DataFrame]:
    from ctrsel.data.delimited import delimited_pieces  # compiled loops, which nobody needs who only scores frames
    from ctrsel.data.text_blocks import RowFaults

    faults = RowFaults(rejects=Rejects(), part="train", file=path)
    pieces = delimited_pieces(path, separator=separator, encoding="utf-8", faults=faults, size=_BLOCK)
    first = next(pieces).frame  # no rows, but the columns
    empty = True
    for piece in pieces:
        empty = False
        yield piece.frame
    if empty:
        yield first


def _objects(path: str, keep: Sequence[str]) -> Iterator[pl.DataFrame]:
    from ctrsel.data.ndjson import NdjsonReader
    from ctrsel.data.text_blocks import RowFaults

    reader = NdjsonReader(path=path, faults=RowFaults(rejects=Rejects(), part="train", file=path), size=_BLOCK)
    for piece in reader.pieces():
        yield piece.frame
    for name in keep:
        if name not in reader.names:
            raise DataError(f"{path}: the column {name!r} is to be kept, but the file has no such column")


def _as_texts(values: pl.Series) -> pl.Series:
    """Return the texts of JSON values: lists and objects as JSON, whose types may differ from piece to piece."""
    if values.dtype == pl.String:
        return values
    if isinstance(values.dtype, pl.List | pl.Struct):
        texts = [None if v is None else json.dumps(_plain(v), ensure_ascii=False) for v in values]
        return pl.Series(values.name, texts, dtype=pl.String)
    return canonical_text(values)


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, pl.Series | list) else value


def _staged(path: str, format: str, rows: int) -> Iterator[pl.DataFrame]:
    """Read what is no single file of rows (queries, tables, other layouts) by way of a copy on disk."""
    from ctrsel.data.intake import Intake

    with tempfile.TemporaryDirectory(prefix="ctrsel-", ignore_cleanup_errors=True) as scratch:
        intake = Intake(rejects=Rejects(), scratch=Path(scratch), memory=_MEMORY, format=format)
        for shard in intake.open(path, part="train"):
            for start in range(0, max(shard.rows, 1), rows):
                yield shard.read(list(shard.schema), start=start, rows=min(rows, shard.rows - start))
