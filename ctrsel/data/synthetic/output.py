"""Output: a drawn table in chunks, as a lazy frame, or in a file, never whole in memory."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ctrsel.core.errors import ConfigError
from ctrsel.data.synthetic.block import BLOCK_ROWS
from ctrsel.data.synthetic.render import lists_as_json

if TYPE_CHECKING:
    from ctrsel.data.synthetic.drawing import Drawing

__all__ = ["in_chunks", "lazy_frame", "write_file"]


def in_chunks(frames: Iterator[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """Cut frames anew, so that each but the last has so many rows.

    Examples:
        >>> frames = (pl.DataFrame({"a": [i, i]}) for i in range(3))
        >>> [f["a"].to_list() for f in in_chunks(frames, 4)]
        [[0, 0, 1, 1], [2, 2]]
    """
    held: list[pl.DataFrame] = []
    count = 0
    for frame in frames:
        held.append(frame)
        count += frame.height
        while count >= rows:
            whole = pl.concat(held)
            yield whole.head(rows)
            count -= rows
            held = [whole.slice(rows)]
    if count:
        yield pl.concat(held)


def lazy_frame(drawing: Drawing) -> pl.LazyFrame:
    """Return a lazy frame that draws blocks while it is read, and only the columns that are read."""
    from polars.io.plugins import register_io_source

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, batch: int | None
    ) -> Iterator[pl.DataFrame]:
        del batch
        names = drawing.table.columns if columns is None else tuple(columns)
        for frame in drawing.frames(names, stop=limit):
            yield frame if predicate is None else frame.filter(predicate)

    return register_io_source(source, schema=drawing.types(), is_pure=True)


def write_file(drawing: Drawing, file: Path) -> None:
    """Write a .parquet or .csv file beside its place, then rename it; in a .csv file lists are JSON texts.

    Raises:
        ConfigError: If the name ends in something else.
    """
    ending = file.suffix.lower()
    if ending not in (".parquet", ".csv"):
        raise ConfigError(f"{file}: the name must end in .parquet or .csv, got {ending or 'no ending'}")
    partial = file.with_name(f".{file.stem}.partial-{uuid.uuid4().hex[:8]}{ending}")
    try:
        if ending == ".parquet":
            lazy_frame(drawing).sink_parquet(partial, row_group_size=BLOCK_ROWS)
        else:
            with partial.open("wb") as out:
                for i, frame in enumerate(drawing.frames(drawing.table.columns)):
                    lists_as_json(frame).write_csv(out, include_header=i == 0)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
