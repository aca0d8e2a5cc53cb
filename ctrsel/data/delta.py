"""Delta tables: the newest version, pinned when it is opened.

Reference: Armbrust et al., "Delta Lake: high-performance ACID table storage over cloud object stores", VLDB 2020.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import polars as pl

from ctrsel.core.artifact import digest_json
from ctrsel.core.errors import DataError, MissingExtraError
from ctrsel.data.frames import first_line
from ctrsel.data.paths import expand, is_delta, is_uri
from ctrsel.data.raw import Shard
from ctrsel.data.reaching import unread

if TYPE_CHECKING:
    from ctrsel.data.intake import Intake

__all__ = ["delta_digest", "open_delta"]

_MANY = 32  # files: a scan of more of them costs more to open for each column than one copy does


def open_delta(path: str, *, intake: Intake, part: str) -> Shard:
    """Open the newest version of a Delta table; the shard's name says which version that is.

    A table of this machine is scanned where it lies, unless it is of very many files; another one is copied once.

    Raises:
        MissingExtraError: If the library is not installed.
        DataError: If there is no table, or it cannot be read.
    """
    table, whole = _table(path)
    name = f"{path} (version {table.version()})"
    digest = delta_digest(path) if intake.digests else ""
    try:
        lazy = pl.scan_delta(table)
        rows = int(lazy.select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise unread(f"{name}: cannot be read as a Delta table: {first_line(error)}", why=str(error)) from error
    if not rows:
        raise DataError(f"{name}: holds no rows")
    if is_uri(whole) or len(table.file_uris()) > _MANY:
        return intake.stage(lazy, part=part, name=name, digest=digest)
    if intake.rows is not None and intake.rows < rows:
        lazy, rows = lazy.head(intake.rows), intake.rows
    return Shard(part=part, name=name, source=lazy, rows=rows, digest=digest)


def delta_digest(path: str) -> str:
    """Digest which table and version stands at a path now; its files never change."""
    table, _ = _table(path)
    return digest_json({"table": str(table.metadata().id), "version": table.version()})


def _table(path: str) -> tuple[Any, str]:
    try:
        deltalake = importlib.import_module("deltalake")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{path}: reading a Delta table needs the library deltalake: pip install 'ctrsel[delta]'"
        ) from error
    whole = expand(path)
    if not is_uri(whole):
        from pathlib import Path

        whole = str(Path(whole).expanduser())
        if not is_delta(whole):
            raise DataError(f"{path}: must be a folder with a _delta_log to be a Delta table")
    try:
        return deltalake.DeltaTable(whole), whole
    except Exception as error:
        raise unread(f"{path}: cannot be read as a Delta table: {first_line(error)}", why=str(error)) from error
