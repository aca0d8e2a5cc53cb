"""Render: drawn cells as polars columns, as texts like "s_100=17" or as whole numbers."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import polars as pl

from ctrsel.data.synthetic.part import Column

__all__ = ["Texts", "column_series", "column_type", "lists_as_json"]

Texts = Literal["names", "integers"]

_KEPT = 70_000  # texts of a field with more values are made anew for each block, which costs as much as looking them up


@lru_cache(maxsize=64)
def _texts(vocabulary: str, values: int) -> pl.Series:
    """All texts of a vocabulary, a missing one last."""
    codes = pl.Series(np.arange(values))
    return pl.concat([_named(vocabulary, codes), pl.Series([None], dtype=pl.String)])


def _named(vocabulary: str, codes: pl.Series) -> pl.Series:
    return pl.select(pl.lit(f"{vocabulary}=") + codes.cast(pl.String)).to_series()


def column_type(column: Column, texts: Texts) -> pl.DataType:
    """Return the type of a column."""
    if column.kind == "numeric":
        return pl.Float64()
    one: pl.DataType = pl.String() if texts == "names" else pl.Int64()
    return pl.List(one) if column.kind in ("multivalued", "sequence") else one


def column_series(column: Column, cells: np.ndarray, texts: Texts) -> pl.Series:
    """Return drawn cells `[B]`, or `[B, items]` of a list, as a column."""
    if column.kind == "numeric":
        return pl.Series(column.name, cells, nan_to_null=True)
    if cells.ndim == 2:
        return _lists(column, cells, texts)
    return _values(column, cells, texts).alias(column.name)


def _values(column: Column, codes: np.ndarray, texts: Texts) -> pl.Series:
    if texts == "integers":
        return _nullable(codes)
    if column.values is None or column.values > _KEPT:
        return _named(column.vocabulary, _nullable(codes))
    known = _texts(column.vocabulary, column.values)
    return known.gather(pl.Series(np.where(codes < 0, column.values, codes).astype(np.uint32)))


def _lists(column: Column, cells: np.ndarray, texts: Texts) -> pl.Series:
    held = cells >= 0
    rows = pl.Series("row", np.repeat(np.arange(len(cells)), held.sum(axis=1))).set_sorted()
    values = _values(column, cells[held], texts).alias(column.name)
    lists = pl.DataFrame([rows, values]).group_by("row", maintain_order=True).agg(column.name)
    every = pl.DataFrame({"row": np.arange(len(cells))}).join(lists, on="row", how="left", maintain_order="left")
    return every[column.name].fill_null([])


def _nullable(codes: np.ndarray) -> pl.Series:
    series = pl.Series(codes.astype(np.int64))
    if len(codes) == 0 or codes.min() >= 0:
        return series
    return series.set(pl.Series(codes < 0), None)


def lists_as_json(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame whose lists are JSON texts, for formats without lists."""
    made = []
    for name, kind in frame.schema.items():
        if isinstance(kind, pl.List):
            items = pl.element().cast(pl.String)
            quoted = pl.format('"{}"', items) if kind.inner == pl.String else items
            inside = pl.col(name).list.eval(quoted).list.join(",")
            made.append(pl.format("[{}]", inside).alias(name))
    return frame.with_columns(made) if made else frame
