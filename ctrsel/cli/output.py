"""Output files of commands: a frame in the format that its name says, whole or not at all."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from ctrsel.core.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FRAME_SUFFIXES", "check_folder", "check_frame_path", "write_frame"]

FRAME_SUFFIXES = (".parquet", ".csv", ".tsv", ".arrow", ".json")


def check_folder(path: Path) -> None:
    """Refuse a place where no folder could be written, before any work is done; nothing is left there.

    Raises:
        ConfigError: If something of the way is no folder, or must not be written to.
    """
    there = next(p for p in (path, *path.absolute().parents) if p.exists())
    try:
        Path(tempfile.mkdtemp(prefix=".ctrsel-", dir=there)).rmdir()
    except NotADirectoryError as error:
        raise ConfigError(f"--out {path}: must be a folder, but {there} is a file") from error
    except OSError as error:
        raise ConfigError(f"--out {path}: cannot be written: {error.strerror}") from error


def check_frame_path(path: Path) -> None:
    """Refuse a path that names no format, before any work is done.

    Raises:
        ConfigError: If the ending is not known.
    """
    if path.suffix.lower() not in FRAME_SUFFIXES:
        raise ConfigError(
            f"--out {path}: the name must end in one of {', '.join(FRAME_SUFFIXES)}, got {path.suffix or 'no ending'}"
        )


def write_frame(frame: pl.DataFrame, path: Path, *, exact: bool = False) -> None:
    """Write a frame beside its place, then rename it.

    Args:
        frame: What is written.
        path: Its ending says as what.
        exact: Whether .csv and .tsv hold all texts as they are, for programs; else, for people, none is a formula.
    """
    from ctrsel.records.spreadsheet import write_sheet

    check_frame_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{path.stem}.partial-{uuid.uuid4().hex[:8]}{path.suffix}"
    try:
        match path.suffix.lower():
            case ".parquet":
                frame.write_parquet(partial)
            case ".csv" | ".tsv" as ending:
                separator = "\t" if ending == ".tsv" else ","
                if exact:
                    _flat(frame).write_csv(partial, separator=separator)
                else:
                    write_sheet(_flat(frame), partial, separator=separator)
            case ".arrow":
                frame.write_ipc(partial)
            case _:
                frame.write_json(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Join lists, which a text format has no cell for, by semicolons."""
    import polars as pl

    lists = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List)]
    return frame.with_columns(pl.col(name).cast(pl.List(pl.String)).list.join(";") for name in lists)
