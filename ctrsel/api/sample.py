"""Samples of a source: the first rows and how many there are, read before anything is decided."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ctrsel.data.paths import TEXT_FORMATS, guess_format, is_delta, is_uri, source_paths
from ctrsel.data.sources import read_source

__all__ = ["SAMPLE_ROWS", "Sample", "is_untyped", "sample_source"]

SAMPLE_ROWS = 100_000
_EXACT_BYTES = 1 << 24  # text files up to 16 MiB are counted, larger ones estimated by the mean length of a line
_PIECE = 1 << 20
_COUNTED = ("parquet", "ipc", *TEXT_FORMATS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The first rows of a source.

    Attributes:
        frame: At most the wanted number of rows.
        rows: Rows of the whole source.
        exact: Whether `rows` was counted; else it is estimated from file sizes.
        told: Whether the source tells its size at all without being read; else `rows` is that of the frame.
    """

    frame: pl.DataFrame
    rows: int
    exact: bool
    told: bool = True

    @property
    def whole(self) -> bool:
        """Whether the sample is all there is."""
        return self.frame.height >= self.rows


def sample_source(
    pattern: str,
    *,
    format: str = "auto",
    cap: int | None = None,
    limit: int = SAMPLE_ROWS,
    encoding: str = "utf-8",
    connection: str | None = None,
) -> Sample:
    """Read the first rows of a file or glob, and count or estimate all of them.

    Args:
        pattern: As in `read_source`.
        format: As in `read_source`.
        cap: The run will read at most so many rows.
        limit: How many rows the sample may have.
        encoding: As in `read_source`.
        connection: As in `read_source`.

    Raises:
        DataError, ConfigError: As in `read_source`; a later file is only looked at if the first ones are short.
    """
    wanted = limit if cap is None else min(limit, cap)
    frame = read_source(pattern, format=format, rows=wanted, encoding=encoding, connection=connection)
    if frame.height < wanted or frame.height == cap:
        return Sample(frame=frame, rows=frame.height, exact=True)
    if is_uri(pattern) or is_delta(pattern) or format not in ("auto", *_COUNTED):
        return Sample(frame=frame, rows=frame.height, exact=False, told=False)
    rows, exact = 0, True
    for path in source_paths(pattern):
        kind = guess_format(str(path)) if format == "auto" else format
        n, known = _count(path, kind)
        rows, exact = rows + n, exact and known
    if cap is not None and rows >= cap:
        rows = cap
    return Sample(frame=frame, rows=max(rows, frame.height), exact=exact)


def is_untyped(pattern: str, *, format: str = "auto") -> bool:
    """Whether a source is of a text format, in which a column of numbers is a column of texts too."""
    kind = format
    if format == "auto":
        kind = "delta" if is_delta(pattern) else guess_format(pattern)
    return kind not in ("parquet", "ipc", "delta", "sql")


def _count(path: Path, kind: str) -> tuple[int, bool]:
    if kind == "parquet":
        return int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item()), True
    if kind == "ipc":
        return int(pl.scan_ipc(path).select(pl.len()).collect().item()), True
    header = 1 if kind in ("csv", "tsv") else 0
    size = path.stat().st_size
    packed = path.suffix == ".gz"
    if size <= _EXACT_BYTES:
        with gzip.open(path, "rb") if packed else path.open("rb") as f:
            lines, last = 0, b"\n"
            while piece := f.read(_PIECE):
                lines, last = lines + piece.count(b"\n"), piece[-1:]
        return max(lines + (last != b"\n") - header, 0), True
    with path.open("rb") as raw:
        if not packed:
            piece = raw.read(_PIECE)
            return max(round(size * piece.count(b"\n") / len(piece)) - header, 0), False
        with gzip.open(raw, "rb") as f:
            lines = sum(f.read(_PIECE).count(b"\n") for _ in range(8))
        return max(round(size * lines / max(raw.tell(), 1)) - header, 0), False
