"""Sources: files, globs and frames become one polars frame, or one sentence that says what is wrong with them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data.frames import alike, read_frame
from ctrsel.data.intake import Intake
from ctrsel.data.paths import DATASETS, dataset_files, guess_format, source_paths
from ctrsel.data.raw import Shard
from ctrsel.data.rejects import Rejects

__all__ = ["DATASETS", "alike", "dataset_files", "guess_format", "read_frame", "read_source", "source_paths"]

_MEMORY = 1 << 30  # bytes for staging; the frame itself is as large as it is


def read_source(
    pattern: str,
    *,
    format: str = "auto",
    rows: int | None = None,
    encoding: str = "utf-8",
    connection: str | None = None,
) -> pl.DataFrame:
    """Read a whole source into memory: a file, or a glob of files with the same columns and types.

    Text formats are read as text: what a column is, the schema decides, not the first rows of a file.

    Args:
        pattern: A path, a glob or a URI; a query where the format is sql. Shards are read in the order of their names.
        format: One of those of `DataConfig.format`.
        rows: Read at most this many rows in all.
        encoding: Of text files.
        connection: For sql: the environment variable that holds the database's URI.

    Raises:
        DataError: If no file matches, or a file is empty, damaged, ragged, not UTF-8, or unlike the other shards.
        ConfigError: If the format cannot be guessed.
    """
    with tempfile.TemporaryDirectory(prefix="ctrsel-", ignore_cleanup_errors=True) as scratch:
        intake = Intake(
            rejects=Rejects(),
            scratch=Path(scratch),
            memory=_MEMORY,
            format=format,
            encoding=encoding,
            connection=connection,
            rows=rows,
        )
        shards = intake.open(pattern, part="train")
        columns = list(shards[0].schema)
        for shard in shards[1:]:
            _same_types(shards[0], shard)
        frames = [s.read(columns) for s in shards]
    return pl.concat(frames, how="vertical_relaxed") if len(frames) > 1 else frames[0]


def _same_types(first: Shard, shard: Shard) -> None:
    for name in first.schema:
        a, b = first.schema[name], shard.schema[name]
        if not alike(a, b):
            raise DataError(
                f"{shard.name}: column {name!r} must have the same type in all shards, got {b} here and {a} in {first.name}"
            )
