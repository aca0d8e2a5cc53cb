"""Sources: files, globs and frames become one polars frame, or one sentence that says what is wrong with them."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ctrsel.core.errors import ConfigError, DataError, unknown_name
from ctrsel.data.delimited import read_delimited
from ctrsel.data.libsvm import read_libsvm

__all__ = ["DATASETS", "alike", "dataset_files", "guess_format", "read_frame", "read_source", "source_paths"]

DATASETS = Path(__file__).parent / "datasets"
_BY_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "ipc",
    ".ipc": "ipc",
    ".feather": "ipc",
    ".libsvm": "libsvm",
    ".svm": "libsvm",
    ".libfm": "libfm",
}


def dataset_files(name: str) -> dict[str, str]:
    """Return the files of a dataset that ships with the package, by split.

    Raises:
        ConfigError: If there is no such dataset.
    """
    folder = DATASETS / name
    known = [p.name for p in DATASETS.iterdir() if p.is_dir() and not p.name.startswith("_")]
    if name not in known:
        raise unknown_name("dataset", name, known, place="data.dataset")
    return {p.stem: str(p) for p in sorted(folder.glob("*.parquet"))}


def guess_format(path: str) -> str:
    """Guess a file's format by its name ("clicks.csv.gz" is csv).

    Raises:
        ConfigError: If the ending is not known.

    Examples:
        >>> guess_format("logs/day-*.csv.gz")
        'csv'
    """
    name = Path(path).name.lower().removesuffix(".gz").removesuffix(".zst")
    suffix = Path(name).suffix
    if suffix not in _BY_SUFFIX:
        raise ConfigError(
            f"{path}: the ending {suffix!r} says no format; set data.format to one of: {', '.join(sorted(set(_BY_SUFFIX.values())))}"
        )
    return _BY_SUFFIX[suffix]


def alike(a: pl.DataType, b: pl.DataType) -> bool:
    """Whether two files may have a column as these types: the same, both numbers, or one without any value.

    Examples:
        >>> alike(pl.Int64(), pl.Float32()), alike(pl.List(pl.Int64), pl.List(pl.Null)), alike(pl.Int64(), pl.String())
        (True, True, False)
    """
    if isinstance(a, pl.List) and isinstance(b, pl.List):
        return alike(pl.Series(dtype=a.inner).dtype, pl.Series(dtype=b.inner).dtype)
    return a == b or pl.Null in (a, b) or (a.is_numeric() and b.is_numeric())


def source_paths(pattern: str) -> list[Path]:
    """Return the files that a path or glob names, in the order of their names; `~` and `$NAME` are expanded.

    Raises:
        DataError: If there is none, or one is a folder or empty.
        ConfigError: If a variable is not set.
    """
    whole = Path(os.path.expandvars(pattern)).expanduser()
    unset = re.search(r"\$\{?(\w+)", str(whole))
    if unset is not None and not whole.exists():
        raise ConfigError(f"{pattern}: the environment variable {unset[1]} is not set")
    if set("*?[") & set(str(whole)) and not whole.exists():
        parts = whole.parts[1:] if whole.is_absolute() else whole.parts
        paths = sorted(Path(whole.anchor).glob(str(Path(*parts))))
        if not paths:
            raise DataError(f"{pattern}: no file matches this pattern")
    else:
        paths = [whole]
    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: no such file")
        if path.is_dir():
            raise DataError(f"{path}: is a folder; name its files by a pattern such as {path}/*.parquet")
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")
    return paths


def read_source(pattern: str, *, format: str = "auto", rows: int | None = None) -> pl.DataFrame:
    """Read a file or a glob of files with the same columns.

    Text formats are read as text: what a column is, the schema decides, not the first rows of a file.

    Args:
        pattern: A path or a glob; shards are read in the order of their names.
        format: One of auto, csv, tsv, parquet, ipc, libsvm, libfm.
        rows: Read at most this many rows in all.

    Raises:
        DataError: If no file matches, or a file is empty, damaged, ragged, not UTF-8, or unlike the other shards.
        ConfigError: If the format cannot be guessed.
    """
    paths = [str(p) for p in source_paths(pattern)]
    frames: list[pl.DataFrame] = []
    left = rows
    for path in paths:
        kind = guess_format(path) if format == "auto" else format
        frame = _reader(kind)(path, left)
        if frames:
            _same_columns(paths[0], frames[0], path, frame)
            frame = frame.select(frames[0].columns)
        frames.append(frame)
        if left is not None:
            left -= frame.height
            if left <= 0:
                break
    whole = pl.concat(frames, how="vertical_relaxed") if len(frames) > 1 else frames[0]
    if whole.height == 0:
        raise DataError(f"{pattern}: holds a header but no rows")
    return whole


def read_frame(frame: Any) -> pl.DataFrame:
    """Return a polars frame from a polars frame or lazy frame, a pandas frame or an Arrow table.

    Raises:
        DataError: If it is none of these, is empty, or has two columns of one name.
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        try:
            return frame.collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(f"the lazy frame cannot be read: {_first_line(error)}") from error
    module = type(frame).__module__.split(".")[0]
    if module == "pandas":
        names = [str(c) for c in frame.columns]
        twice = sorted({c for c in names if names.count(c) > 1})
        if twice:
            raise DataError(f"the frame has two columns named {twice[0]!r}")
        return pl.DataFrame({name: _from_pandas(frame.iloc[:, i]) for i, name in enumerate(names)})
    if module == "pyarrow":
        names = list(getattr(frame, "column_names", []))
        twice = sorted({c for c in names if names.count(c) > 1})
        if twice:
            raise DataError(f"the table has two columns named {twice[0]!r}")
        converted = pl.from_arrow(frame)
        if isinstance(converted, pl.DataFrame):
            return converted
    raise DataError(
        f"expected a path, a polars or pandas frame or an Arrow table, got {type(frame).__module__}.{type(frame).__name__}"
    )


def _from_pandas(column: Any) -> pl.Series:
    """Convert one pandas column; mixed object columns become text, since pandas has no type for them."""
    if str(column.dtype) == "category":
        column = column.astype(column.cat.categories.dtype if column.isna().sum() == 0 else object)
    if str(column.dtype) == "object":
        values = [None if _absent(v) else v for v in column.tolist()]
        values = [v.item() if isinstance(v, np.generic) else v for v in values]
        kinds = {type(v) for v in values if v is not None}
        if kinds and kinds <= {list, tuple, np.ndarray}:
            return pl.Series([None if v is None else list(v) for v in values])
        return pl.Series(values if len(kinds) <= 1 else [None if v is None else _plain(v) for v in values])
    if str(column.dtype).startswith("Sparse"):
        column = column.sparse.to_dense()
    converted = pl.from_pandas(column)
    assert isinstance(converted, pl.Series)
    return converted


def _absent(value: Any) -> bool:
    import pandas as pd

    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def _plain(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _reader(kind: str) -> Callable[[str, int | None], pl.DataFrame]:
    readers: dict[str, Callable[[str, int | None], pl.DataFrame]] = {
        "csv": lambda path, rows: read_delimited(path, separator=",", rows=rows),
        "tsv": lambda path, rows: read_delimited(path, separator="\t", rows=rows),
        "parquet": lambda path, rows: _read_binary(pl.scan_parquet, "parquet", path, rows),
        "ipc": lambda path, rows: _read_binary(pl.scan_ipc, "Arrow IPC", path, rows),
        "libsvm": lambda path, rows: read_libsvm(path, rows=rows),
        "libfm": lambda path, rows: read_libsvm(path, rows=rows),
    }
    if kind not in readers:
        raise unknown_name("format", kind, readers, place="data.format")
    return readers[kind]


def _read_binary(scan: Callable[[str], pl.LazyFrame], name: str, path: str, rows: int | None) -> pl.DataFrame:
    try:
        lazy = scan(path)
        return (lazy if rows is None else lazy.head(rows)).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: cannot be read as {name}: {_first_line(error)}") from error


def _same_columns(first_path: str, first: pl.DataFrame, path: str, frame: pl.DataFrame) -> None:
    if set(first.columns) != set(frame.columns):
        odd = sorted(set(first.columns) ^ set(frame.columns))[0]
        has, lacks = (first_path, path) if odd in first.columns else (path, first_path)
        raise DataError(
            f"{path}: all shards must have the same columns, but {odd!r} stands in {has} and not in {lacks}"
        )
    for name in first.columns:
        a, b = first.schema[name], frame.schema[name]
        if not alike(a, b):
            raise DataError(
                f"{path}: column {name!r} must have the same type in all shards, got {b} here and {a} in {first_path}"
            )


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:300]
