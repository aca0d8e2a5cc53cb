"""Intake: whatever a user names (frames, files, globs, URIs, queries, original layouts) becomes raw rows in shards."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from ctrsel.core.artifact import digest_file
from ctrsel.core.config import DataConfig
from ctrsel.core.errors import ConfigError, DataError, unknown_name
from ctrsel.data import layouts
from ctrsel.data.delta import delta_digest, open_delta
from ctrsel.data.frames import first_line, read_frame
from ctrsel.data.paths import GROUP_ROWS, TEXT_FORMATS, dataset_files, guess_format, is_delta, is_uri, source_paths
from ctrsel.data.raw import PARTS, RawRows, Shard
from ctrsel.data.rejects import Rejects
from ctrsel.data.remote import open_remote
from ctrsel.data.shard_columns import like_training, plain_names, same_columns
from ctrsel.data.sql import open_sql

__all__ = ["Intake", "open_raw", "source_digests", "source_files"]

_SMALL = 1 << 22  # bytes of a parquet or Arrow file that is rather kept than opened anew for each column
_KEPT = 8  # small files take at most this part of the memory


def open_raw(
    data: Any,
    *,
    rejects: Rejects,
    scratch: Path,
    memory: int,
    max_cell: int = 1_000_000,
    digests: bool = False,
) -> RawRows:
    """Open raw rows without reading them all into memory.

    Parquet and Arrow files and Delta tables are scanned where they lie. Text files, queries, lazy frames, original
    layouts and what lies behind a URI become parquet in `scratch` once.

    Args:
        data: A `DataConfig`, a path, glob or URI, a polars (lazy) or pandas frame, an Arrow table, or a mapping of
            part ("train", "valid", "test") to any of the latter.
        rejects: Takes the rows that cannot be read.
        scratch: A folder that outlives the rows returned.
        memory: Bytes that may be held.
        max_cell: Characters; a row of a text file with a longer cell is rejected.
        digests: Whether shards carry the digest of the bytes they were read from; reads local files once more.

    Raises:
        ConfigError: If the data are named wrongly.
        DataError: If a source cannot be read, has no rows, or other columns than the first one.

    Examples:
        >>> import tempfile
        >>> frame = pl.DataFrame({"ad": ["a", "b"], "click": [0, 1]})
        >>> raw = open_raw({"train": frame, "test": frame}, rejects=Rejects(), scratch=Path("unused"), memory=2**30)
        >>> raw.columns, raw.parts
        (('ad', 'click'), {'train': slice(0, 2, None), 'test': slice(2, 4, None)})
    """
    intake = Intake(rejects=rejects, scratch=scratch, memory=memory, max_cell=max_cell, digests=digests)
    if isinstance(data, DataConfig):
        given: Mapping[str, Any] = source_files(data)
        kind = "parquet" if data.dataset is not None else data.format
        intake = replace(intake, format=kind, encoding=data.encoding, connection=data.connection, rows=data.rows)
    else:
        given = data if isinstance(data, Mapping) else {"train": data}
        if not set(given) <= set(PARTS) or "train" not in given:
            names = sorted(map(str, given))
            raise ConfigError(f"data: a mapping needs 'train' and may have 'valid' and 'test', got {names}")
    shards: list[Shard] = []
    for part in (p for p in PARTS if p in given):
        found = intake.open(given[part], part=part)
        if part != "train":
            like_training([s for s in shards if s.part == "train"], found, part)
        shards += found
    return RawRows(shards=tuple(shards), columns=tuple(shards[0].schema))


def source_files(data: DataConfig) -> dict[str, str]:
    """Return what a config names as its sources, by part.

    Raises:
        ConfigError: If no training data is named, or both a dataset and files.
    """
    files = {k: v for k in PARTS if (v := getattr(data, k)) is not None}
    if data.dataset is not None:
        if files:
            raise ConfigError(
                f"data: name a dataset or files, not both: got dataset {data.dataset!r} and {sorted(files)}"
            )
        files = dataset_files(data.dataset)
    if "train" not in files:
        raise ConfigError(
            "data.train: name the training file, or a dataset that ships with the package in data.dataset"
        )
    return {k: files[k] for k in PARTS if k in files}


def source_digests(data: DataConfig) -> dict[str, list[str]] | None:
    """Digest what a config names, by part, without opening it; None if only reading it tells (queries, URIs).

    Raises:
        ConfigError, DataError: If there is no such source.
    """
    given = source_files(data)
    if data.format == "sql" or any(is_uri(v) for v in given.values()):
        return None
    found = {}
    for part, pattern in given.items():
        if data.format in layouts.CATALOG.names():
            layout = layouts.CATALOG.create(data.format)
            found[part] = [layout.digest(path) for path in layout.files(pattern)]
        elif data.format == "delta" or (data.format == "auto" and is_delta(pattern)):
            found[part] = [delta_digest(pattern)]
        else:
            found[part] = [digest_file(path) for path in source_paths(pattern)]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """How sources are opened; the attributes are those of `open_raw` and of `DataConfig`."""

    rejects: Rejects
    scratch: Path
    memory: int
    max_cell: int = 1_000_000
    digests: bool = False
    format: str = "auto"
    encoding: str = "utf-8"
    connection: str | None = None
    rows: int | None = None

    def open(self, given: Any, *, part: str) -> list[Shard]:
        """Open one part; its shards have the same columns, whose types may differ.

        Raises:
            ConfigError, DataError: As `open_raw` does.
        """
        rejected = self.rejects.rows
        if not isinstance(given, str | os.PathLike):
            shards = [self._frame(given, part)]
            if not shards[0].rows:
                raise DataError(f"data.{part}: has no rows")
            return shards
        pattern = os.fspath(given)
        shards = self._named(pattern, part)
        same_columns(shards)
        full = [s for s in shards if s.rows]
        if not full and self.rejects.rows > rejected:
            raise DataError(f"{pattern}: every row had to be rejected; {self.rejects.frames[-1]['reason'][0]}")
        if not full:
            raise DataError(f"{pattern}: holds a header but no rows")
        return full

    def _frame(self, given: Any, part: str) -> Shard:
        if not isinstance(given, pl.LazyFrame):
            frame = read_frame(given)
            return Shard(part=part, name="frame", source=frame, rows=frame.height)
        try:
            return self.stage(given, part=part, name="frame")
        except DataError as error:
            raise DataError(str(error).replace("frame: cannot", "the lazy frame cannot", 1)) from error

    def _named(self, pattern: str, part: str) -> list[Shard]:
        kind = self.format
        if kind == "sql":
            return [open_sql(pattern, intake=self, part=part)]
        if kind in layouts.CATALOG.names():
            return layouts.open_layout(pattern, intake=self, part=part)
        if kind == "auto" and is_uri(pattern):
            kind = guess_format(pattern)
        if kind == "delta" or (kind == "auto" and is_delta(pattern)):
            return [open_delta(pattern, intake=self, part=part)]
        known = ("auto", *TEXT_FORMATS, *_SCANS)
        if kind not in known:
            raise unknown_name("format", kind, (*known, "delta", "sql", *layouts.CATALOG.names()), place="data.format")
        if is_uri(pattern):
            return open_remote(pattern, kind=kind, intake=self, part=part)
        return self._files(pattern, kind, part)

    def _files(self, pattern: str, kind: str, part: str) -> list[Shard]:
        shards: list[Shard] = []
        left, kept = self.rows, self.memory // _KEPT
        for path in source_paths(pattern):
            each = guess_format(str(path)) if self.format == "auto" else kind
            if each in TEXT_FORMATS:
                found = self.text(str(path), kind=each, part=part, rows=left)
            else:
                shard = self._scan(path, each, part, left)
                if path.stat().st_size <= min(_SMALL, kept):
                    shard = replace(shard, source=shard.read(list(shard.schema)))
                    kept -= int(shard.source.estimated_size()) if isinstance(shard.source, pl.DataFrame) else 0
                found = [shard]
            digest = digest_file(path) if self.digests else ""
            shards += [replace(s, digest=digest) for s in found]
            if left is not None:
                left -= sum(s.rows for s in found)
                if left <= 0:
                    break
        return shards

    def text(self, path: str, *, kind: str, part: str, rows: int | None) -> list[Shard]:
        """Stage one text file of this machine."""
        from ctrsel.data.staging import stage_text  # compiled loops, which nobody needs who only scores frames

        return stage_text(
            path,
            kind=kind,
            part=part,
            encoding=self.encoding,
            rejects=self.rejects,
            scratch=self.folder(part),
            memory=self.memory,
            rows=rows,
            max_cell=self.max_cell,
        )

    def _scan(self, path: Path, kind: str, part: str, rows: int | None) -> Shard:
        scan, name = _SCANS[kind]
        if kind == "ipc":
            _named_once(path)
        try:
            lazy = scan(path)
            columns = lazy.collect_schema().names()
            n = int(lazy.select(pl.len()).collect().item())
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            reason = first_line(error)
            if "duplicate" in reason.lower() or "more than one occurrence" in reason:
                reason = f"two columns have the same name ({reason})"
            raise DataError(f"{path}: cannot be read as {name}: {reason}") from error
        if not columns:
            raise DataError(f"{path}: has no columns")
        plain_names(columns)
        if rows is not None and rows < n:
            lazy, n = lazy.head(rows), rows
        return Shard(part=part, name=str(path), source=lazy, rows=n)

    def stage(self, lazy: pl.LazyFrame, *, part: str, name: str, digest: str = "") -> Shard:
        """Write a lazy frame to parquet once, streaming, and return the shard of it.

        Args:
            lazy: At most `rows` of its rows are written.
            part: Of the data.
            name: For people.
            digest: Of what it was read from; that of the copy if absent and wanted.

        Raises:
            DataError: If it cannot be read.
        """
        file = self.folder(part) / "rows.parquet"
        try:
            few = lazy if self.rows is None else lazy.head(self.rows)
            few.sink_parquet(file, compression="lz4", statistics=False, row_group_size=GROUP_ROWS)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            if f"os error {errno.ENOSPC}" in str(error):
                raise DataError(f"{self.scratch}: no space is left on the disk for a copy of {name}") from error
            raise DataError(f"{name}: cannot be read: {first_line(error)}") from error
        if self.digests and not digest:
            digest = digest_file(file)
        return replace(Shard.of_parquet(file, part=part, name=name), digest=digest)

    def folder(self, part: str) -> Path:
        """Return a new folder in `scratch`."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{part}-", dir=self.scratch))


_SCANS: Mapping[str, tuple[Callable[[Path], pl.LazyFrame], str]] = {
    "parquet": (lambda path: pl.scan_parquet(path, glob=False), "parquet"),
    "ipc": (lambda path: pl.scan_ipc(path, glob=False), "Arrow IPC"),
}


def _named_once(path: Path) -> None:
    """Refuse an Arrow file with two columns of one name, at which polars' reader panics."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            names = pa.ipc.open_file(source).schema.names
    except (pa.ArrowException, OSError):
        return  # polars says what is wrong
    twice = next((n for i, n in enumerate(names) if n in names[:i]), None)
    if twice is not None:
        raise DataError(f"{path}: the file has two columns named {twice!r}")
