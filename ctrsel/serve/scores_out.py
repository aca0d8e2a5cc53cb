"""Scores on their way to a file: appended piece by piece beside its place, which they take when all are there."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from ctrsel.core.errors import ConfigError, DataError

__all__ = ["check_out", "scores_writer"]

_TEXTS = (".csv", ".tsv", ".ndjson", ".jsonl")
_TABLES = (".parquet", ".arrow")
_PACKED = {".gz": "gzip", ".zst": "zstd"}

Append = Callable[[pl.DataFrame], None]


def check_out(path: Path) -> None:
    """Refuse a name that says no format, before any work is done.

    Raises:
        ConfigError: If the ending is not known.
    """
    kind, packed = _kind(path)
    if kind in _TEXTS or (kind in _TABLES and packed is None):
        return
    raise ConfigError(
        f"{path}: the scores are written as {', '.join(_TABLES + _TEXTS)}, texts also with {' or '.join(_PACKED)}, "
        f"got {''.join(path.suffixes[-2:]) or 'no ending'!r}"
    )


@contextlib.contextmanager
def scores_writer(target: Path) -> Iterator[Append]:
    """Yield a function that appends frames of the same columns; the target appears at the end, whole.

    Raises:
        DataError: If a column changes its type.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".{target.name}.partial-{uuid.uuid4().hex[:8]}"
    kind, packed = _kind(target)
    try:
        with contextlib.ExitStack() as stack:
            yield _table(partial, kind, stack) if kind in _TABLES else _text(partial, kind, packed, stack)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _kind(path: Path) -> tuple[str, str | None]:
    suffix = path.suffix.lower()
    if suffix in _PACKED:
        return Path(path.stem).suffix.lower(), _PACKED[suffix]
    return suffix, None


def _text(path: Path, kind: str, packed: str | None, stack: contextlib.ExitStack) -> Append:
    stream: Any = stack.enter_context(path.open("wb"))
    if packed is not None:
        import pyarrow as pa

        stream = stack.enter_context(pa.CompressedOutputStream(stream, packed))
    columns: list[str] = []

    def append(frame: pl.DataFrame) -> None:
        first = not columns
        columns[:] = frame.columns
        if kind in (".ndjson", ".jsonl"):
            text = frame.write_ndjson() if frame.height else ""
        else:
            text = frame.write_csv(include_header=first, separator="," if kind == ".csv" else "\t")
        stream.write(text.encode())

    return append


def _table(path: Path, kind: str, stack: contextlib.ExitStack) -> Append:
    writers: list[Any] = []
    schemas: list[Any] = []

    def append(frame: pl.DataFrame) -> None:
        rows = frame.to_arrow()
        if not writers:
            writers.append(stack.enter_context(_opened(path, kind, rows.schema)))
            schemas.append(rows.schema)
        if rows.schema != schemas[0]:
            raise DataError(f"a kept column changes its type within the source: {schemas[0]} and {rows.schema}")
        writers[0].write_table(rows)

    return append


def _opened(path: Path, kind: str, schema: Any) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.ParquetWriter(path, schema) if kind == ".parquet" else pa.ipc.new_file(str(path), schema)
