"""Opening of layouts: what a layout yields becomes parquet once, a file's rows one shard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ctrsel.core.errors import ConfigError
from ctrsel.data.layouts._contract import Layout
from ctrsel.data.layouts._reading import LayoutReader
from ctrsel.data.paths import GROUP_ROWS, is_uri
from ctrsel.data.raw import Shard

if TYPE_CHECKING:
    from ctrsel.data.intake import Intake

__all__ = ["open_with"]


def open_with(layout: Layout, pattern: str, *, intake: Intake, part: str) -> list[Shard]:
    """Read the files that a pattern names; each is one shard.

    Raises:
        ConfigError: If it is a URI.
        DataError: If a file is absent, damaged or of another form.
    """
    if is_uri(pattern):
        raise ConfigError(f"{pattern}: an original layout is read from files of this machine; copy them here first")
    shards: list[Shard] = []
    left = intake.rows
    for path in layout.files(pattern):
        folder = intake.folder(part)
        reader = LayoutReader(
            part=part,
            rejects=intake.rejects,
            memory=intake.memory,
            max_cell=intake.max_cell,
            rows=left,
            scratch=folder,
        )
        before = len(intake.rejects.frames)
        files = _written(layout.frames(path, reader), folder, left)
        lazy = pl.scan_parquet(files, glob=False)
        rows = int(lazy.select(pl.len()).collect().item())
        digest = layout.digest(path) if intake.digests else ""
        rejected = intake.rejects.frames[before:] if layout.line_is_row else []
        gaps = tuple(number - 1 for f in rejected for number in f["row"])
        shards.append(Shard(part=part, name=str(path), source=lazy, rows=rows, gaps=gaps, digest=digest))
        if left is not None:
            left -= rows
            if left <= 0:
                break
    return shards


def _written(frames: Iterator[pl.DataFrame], folder: Path, rows: int | None) -> list[Path]:
    """Write frames to parquet files in order, at most so many rows."""
    files: list[Path] = []
    waiting: list[pl.DataFrame] = []
    held, left = 0, rows

    def write() -> None:
        files.append(folder / f"rows-{len(files):05d}.parquet")
        pl.concat(waiting).write_parquet(files[-1], compression="lz4", statistics=False, row_group_size=GROUP_ROWS)
        waiting.clear()

    for each in frames:
        frame = each if left is None else each.head(left)
        waiting.append(frame)
        held += frame.height
        if left is not None:
            left -= frame.height
        if held >= GROUP_ROWS:
            write()
            held = 0
        if left == 0:
            break
    if waiting:
        write()
    return files
