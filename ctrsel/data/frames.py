"""Frames: polars, pandas and Arrow tables become one polars frame; and which types two files may have a column as."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

from ctrsel.core.errors import DataError

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


def first_line(error: BaseException) -> str:
    r"""Return what a library says of a fault, in one line.

    Examples:
        >>> first_line(ValueError("no such thing\nat 0x0"))
        'no such thing'
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
