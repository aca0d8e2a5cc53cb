"""Codes of one column in memory, without an Encoder: for counting a column once, not for scoring rows later."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data.buckets import bucket_ids, quantile_edges
from ctrsel.records.feature_set import MISSING, RESERVED

__all__ = ["MOST_NUMBERS", "column_codes"]

MOST_NUMBERS = 20  # a column of numbers with more different ones is bucketed, as in the ingest
_GLANCE = 4096  # rows in which a column of many numbers is mostly recognised
_NUMBERS = {"floating", "integer", "mixed-integer-float", "boolean", "decimal", "integer-na", "empty"}


def column_codes(column: Any, *, categorical: bool | None = None, bins: int = 32, place: str = "") -> np.ndarray:
    """Return a code per row: 0 where missing, and from 3 on for the values.

    Texts, categories and anything else that can be compared get a code each. Numbers and times do so where they are few,
    or where the caller says so; else their codes are those of quantile buckets.

    Args:
        column: A numpy array, a pandas Series or a polars Series `[N]`; None, NaN and NaT are missing.
        categorical: Whether each number is a value of its own; None for up to 20 different ones.
        bins: How many buckets at most.
        place: Name of the column, for messages.

    Returns:
        uint32 `[N]`.

    Raises:
        DataError: If a cell is a list or another object that cannot be compared.

    Examples:
        >>> column_codes(np.array(["b", "a", None, "b"], dtype=object)).tolist()
        [3, 4, 0, 3]
        >>> column_codes(np.arange(100.0), bins=2)[[0, 49, 50, 99]].tolist()
        [3, 3, 4, 4]
    """
    if categorical and isinstance(column, pl.Series) and column.dtype.is_integer():
        column = column.cast(pl.String)  # as floats, large ids with missing ones among them would fall together
    found = _dictionary(column)
    if found is None:
        values = _plain(column)
        if values.dtype.kind in "biuf" and not (_few(values) if categorical is None else categorical):
            return _bucketed(values.astype(np.float64, copy=False), bins=bins)
        try:
            found = pd.factorize(values, use_na_sentinel=True)[0]
        except TypeError as error:
            raise DataError(
                f"{place}: a cell must be a text, a number or another value that can be compared: {error}"
            ) from error
    return np.where(found < 0, MISSING, found + RESERVED).astype(np.uint32)


def _dictionary(column: Any) -> np.ndarray | None:
    """Return the codes of texts and categories from 0 on, -1 where missing; None for anything else."""
    if isinstance(column, pl.Series) and column.dtype in (pl.String, pl.Binary, pl.Categorical, pl.Enum):
        plain = column if column.dtype in (pl.String, pl.Binary) else column.cast(pl.String)
        codes = plain.to_arrow().dictionary_encode().indices
        return np.asarray(codes.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)
    if isinstance(column, pd.Series) and isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy().astype(np.int64)
    return None


def _plain(column: Any) -> np.ndarray:
    """Return an array of numbers where all cells are numbers or times, of objects elsewhere."""
    if isinstance(column, pl.Series):
        kind = column.dtype
        if kind.is_temporal():
            column = column.to_physical()
        elif not (kind.is_numeric() or kind == pl.Boolean):
            return np.array([None, *column.to_list()], dtype=object)[1:]  # lists and structs are refused by name
        whole = kind.is_integer() and not column.null_count()
        return np.asarray(column.to_numpy() if whole else column.cast(pl.Float64).to_numpy())
    if isinstance(column, pd.Series):
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            column = column.dt.tz_localize(None)
        elif isinstance(column.dtype, pd.api.extensions.ExtensionDtype):
            if pd.api.types.is_numeric_dtype(column.dtype):
                return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
            column = column.astype(object)
    values = np.asarray(column)
    if values.dtype.kind in "mM":
        return np.where(np.isnat(values), np.nan, values.astype(np.int64).astype(np.float64))
    if values.dtype.kind == "O" and pd.api.types.infer_dtype(values, skipna=True) in _NUMBERS:
        return np.asarray(pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))
    return values.astype(object) if values.dtype.kind in "US" else values


def _few(numbers: np.ndarray) -> bool:
    for some in (numbers[:_GLANCE], numbers):
        if len(pd.unique(some)) > MOST_NUMBERS + int(some.dtype.kind == "f" and bool(np.isnan(some).any())):
            return False
    return True


def _bucketed(numbers: np.ndarray, *, bins: int) -> np.ndarray:
    edges = quantile_edges(numbers[~np.isnan(numbers)], bins=bins)
    ids = bucket_ids(numbers, edges=edges)
    return np.where(ids < 0, MISSING, ids + RESERVED).astype(np.uint32)
