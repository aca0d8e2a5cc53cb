"""Frames: polars, pandas and Arrow tables become one polars frame; and which types two files may have a column as."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data.canonical import canonical_text

__all__ = ["alike", "first_line", "read_frame"]


def alike(a: pl.DataType, b: pl.DataType) -> bool:
    """Whether two files may have a column as these types: the same, both numbers, or one without any value.

    Examples:
        >>> alike(pl.Int64(), pl.Float32()), alike(pl.List(pl.Int64), pl.List(pl.Null)), alike(pl.Int64(), pl.String())
        (True, True, False)
    """
    if isinstance(a, pl.List) and isinstance(b, pl.List):
        return alike(pl.Series(dtype=a.inner).dtype, pl.Series(dtype=b.inner).dtype)
    return a == b or pl.Null in (a, b) or (a.is_numeric() and b.is_numeric())


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
            raise DataError(f"the lazy frame cannot be read: {first_line(error)}") from error
    module = type(frame).__module__.split(".")[0]
    if module == "pandas":
        names = [str(c) for c in frame.columns]
        twice = sorted({c for c in names if names.count(c) > 1})
        if twice:
            raise DataError(f"the frame has two columns named {twice[0]!r}")
        return pl.DataFrame({name: _from_pandas(frame.iloc[:, i], name) for i, name in enumerate(names)})
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


def _from_pandas(column: Any, name: str) -> pl.Series:
    """Convert one pandas column; mixed object columns become text, since pandas has no type for them.

    Raises:
        DataError: If there is no form for its values; none is quoted, since the column may be a sensitive one.
    """
    try:
        return _converted(column)
    except (TypeError, ValueError, OverflowError, NotImplementedError) as error:
        raise DataError(
            f"column {name!r}: must hold texts, numbers, times or lists of them, but pandas' {column.dtype} column "
            "holds something else"
        ) from error


def _converted(column: Any) -> pl.Series:
    if str(column.dtype) == "category":
        column = column.astype(column.cat.categories.dtype if column.isna().sum() == 0 else object)
    if str(column.dtype) == "object":
        values = [None if _absent(v) else v for v in column.tolist()]
        values = [v.item() if isinstance(v, np.generic) else v for v in values]
        kinds = {type(v) for v in values if v is not None}
        if kinds and kinds <= {list, tuple, np.ndarray}:
            return _lists([None if v is None else list(v) for v in values])
        return _texts(values) if len(kinds) > 1 else _alike(values)
    if str(column.dtype).startswith("Sparse"):
        column = column.sparse.to_dense()
    if str(column.dtype).startswith("datetime64") and getattr(column.dt, "tz", None) is not None:
        # An instant is the same in any zone, and pandas warns of how others read its zones.
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
        return _converted(column).dt.replace_time_zone("UTC")
    converted = pl.from_pandas(column)
    assert isinstance(converted, pl.Series)
    return converted


def _alike(values: list[Any]) -> pl.Series:
    """Make a series of values of one Python type; integers that polars cannot hold are texts."""
    try:
        return pl.Series(values)
    except OverflowError:
        return pl.Series([None if v is None else str(v) for v in values], dtype=pl.String)


def _lists(values: list[list[Any] | None]) -> pl.Series:
    """Make a series of lists; items of several types are texts."""
    items = [None if _absent(v) else v for value in values for v in value or ()]
    items = [v.item() if isinstance(v, np.generic) else v for v in items]
    if len({type(v) for v in items if v is not None} - {list, tuple, np.ndarray}) <= 1:
        return pl.Series(values)
    texts = iter(_texts(items).to_list())
    return pl.Series([None if v is None else [next(texts) for _ in v] for v in values], dtype=pl.List(pl.String))


def _texts(values: list[Any]) -> pl.Series:
    """Return the text of values of several types: the one that each has in a column of its own type."""
    out: list[str | None] = [None] * len(values)
    places: dict[type, list[int]] = {}
    for i, value in enumerate(values):
        if value is not None:
            places.setdefault(type(value), []).append(i)
    for at in places.values():
        some = [values[i] for i in at]
        try:
            texts = canonical_text(_alike(some)).to_list()
        except DataError:  # lists, bytes and objects have no text in a column of their own
            texts = [str(v) for v in some]
        for i, text in zip(at, texts, strict=True):
            out[i] = text
    return pl.Series(out, dtype=pl.String)


def _absent(value: Any) -> bool:
    import pandas as pd

    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def first_line(error: BaseException) -> str:
    r"""Return what a library says of a fault, in one line.

    Examples:
        >>> first_line(ValueError("no such thing\nat 0x0"))
        'no such thing'
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
