"""Kept fields and values of a feature set as polars expressions; needs polars alone.

`transform(frame)` takes a DataFrame or a LazyFrame of raw rows and returns the kept columns: null is missing, and the
text `PLAN["other"]` stands for any value that is not kept. `expressions(schema)` are the same for a query of your own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

__all__ = ["PLAN", "expressions", "transform"]

_EXACT = 2**53
# Texts of whole numbers below 2^53 that are written with ".0", told from longer ones digit by digit.
_BELOW = [f"{_EXACT}"[:i] + f"[0-{int(d) - 1}]" + f"[0-9]{{{15 - i}}}" for i, d in enumerate(f"{_EXACT}") if d != "0"]
_WHOLE = rf"^(?:-(0)|(-?(?:[0-9]{{1,15}}|{'|'.join(_BELOW)})))\.0$"


def transform(frame: Any, plan: Mapping[str, Any] | None = None) -> Any:
    """Return the kept columns of raw rows, a DataFrame or a LazyFrame as the rows are."""
    return frame.select(expressions(frame.collect_schema(), plan))


def expressions(schema: Mapping[str, Any], plan: Mapping[str, Any] | None = None) -> list[pl.Expr]:
    """Return one expression for each kept column, given the names and types of the raw columns."""
    plan = PLAN if plan is None else plan
    return [_column(f, schema, plan["other"]).alias(f["name"]) for f in plan["fields"]]


def _column(f: Mapping[str, Any], schema: Mapping[str, Any], other: str) -> pl.Expr:
    if f["form"] == "joint":
        pieces = [_piece(p, schema) for p in f["parts"]]
        known = pl.concat_str(pieces, separator=" \u00d7 ")  # null if one of them is
        absent = pl.all_horizontal([_absent(p, schema) for p in f["parts"]])
        return pl.when(absent).then(None).otherwise(_kept(known, f["kept"], other).fill_null(other))
    name = f["name"]
    if f["form"] == "list":
        items = _items(name, schema[name]) if name in schema else pl.repeat([], pl.len(), dtype=pl.List(pl.String))
        items = items.list.tail(f["last"]) if f["last"] is not None else items
        return items.list.eval(_kept(pl.element(), f["kept"], other))
    if name not in schema:
        return pl.repeat(None, pl.len(), dtype=pl.Float64 if f["form"] == "float" else pl.String)
    if f["form"] == "float":
        number = _number(pl.col(name), schema[name])
        return pl.when(number.cast(pl.Float32).is_finite()).then(number)
    if f["form"] == "range":
        return _ranged(_number(pl.col(name), schema[name]), f["ranges"], other)
    return _kept(_text(pl.col(name), schema[name]), f["kept"], other)


def _kept(text: pl.Expr, kept: Mapping[str, str], other: str | None) -> pl.Expr:
    """Return what a text becomes; null stays null."""
    if not kept:
        return pl.when(text.is_not_null()).then(pl.lit(other, dtype=pl.String))
    found = text.replace_strict(list(kept), list(kept.values()), default=None, return_dtype=pl.String)
    return found if other is None else pl.when(text.is_not_null()).then(found.fill_null(other))


def _ranged(number: pl.Expr, ranges: list[tuple[float, float, str]], other: str | None) -> pl.Expr:
    """Return what a number becomes, given where each kept bucket starts and the next one does."""
    chain: Any = pl.when(number.is_null()).then(None)
    rest = pl.lit(other, dtype=pl.String)
    for low, high, kept in ranges:
        inside = (number >= low) & ((number < high) | (number == float("inf")) & (high == float("inf")))
        chain = chain.when(inside).then(pl.lit(kept))
    made: pl.Expr = chain.otherwise(rest).cast(pl.String)
    return made


def _piece(p: Mapping[str, Any], schema: Mapping[str, Any]) -> pl.Expr:
    """Return what a part adds to a joint text; null where no joint text has it."""
    name = p["name"]
    if name not in schema:
        return pl.repeat("(missing)", pl.len())
    if p["form"] == "range":
        known = _ranged(_number(pl.col(name), schema[name]), p["ranges"], None)
    else:
        known = _kept(_text(pl.col(name), schema[name]), p["kept"], None)
    return pl.when(_absent(p, schema)).then(pl.lit("(missing)")).otherwise(known)


def _absent(p: Mapping[str, Any], schema: Mapping[str, Any]) -> pl.Expr:
    name = p["name"]
    if name not in schema:
        return pl.repeat(True, pl.len())
    return (_number if p["form"] == "range" else _text)(pl.col(name), schema[name]).is_null()


def _text(column: pl.Expr, kind: Any) -> pl.Expr:
    """Return the text of each value, the same whatever type holds it; null where it is missing."""
    if kind == pl.Float16:
        column, kind = column.cast(pl.Float32), pl.Float32()
    if kind.is_float():
        whole = (column == column.floor()) & (column.abs() < _EXACT)
        text = (
            pl.when(whole).then(column.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(column.cast(pl.String))
        )
        return pl.when(column.is_not_nan()).then(text)
    if kind.is_decimal():
        text = column.cast(pl.String)
        short = text.str.strip_chars_end("0").str.strip_chars_end(".")
        return pl.when(text.str.contains(".", literal=True)).then(short).otherwise(text)
    if kind.is_integer() or kind in (pl.Boolean, pl.Null, pl.Date, pl.Time):
        return column.cast(pl.String)
    if isinstance(kind, pl.Datetime):
        if kind.time_zone:
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return column.dt.to_string("%Y-%m-%dT%H:%M:%S%.9f").str.replace(r"\.?0+$", "", literal=False)
    if isinstance(kind, pl.Duration):
        per = {"ms": 1000, "us": 1, "ns": 0}[kind.time_unit]
        count = column.to_physical()
        if per:
            return (count * per).cast(pl.String)
        size = count.abs()
        sign = pl.when(count < 0).then(pl.lit("-")).otherwise(pl.lit(""))
        part = (size % 1000).cast(pl.String).str.zfill(3).str.strip_chars_end("0")
        whole = sign + (size // 1000).cast(pl.String)
        return pl.when(size % 1000 == 0).then((count // 1000).cast(pl.String)).otherwise(whole + "." + part)
    if kind in (pl.String, pl.Categorical, pl.Enum):
        text = column.cast(pl.String)
        return pl.when(text != "").then(text.str.replace(_WHOLE, "${1}${2}"))
    raise TypeError(f"a value must be a text, a number or a time, got {kind}")


def _number(column: pl.Expr, kind: Any) -> pl.Expr:
    """Return each value as a number; null where it is missing, an error where it is none."""
    if kind.is_numeric() or kind in (pl.Boolean, pl.Null):
        return column.cast(pl.Float64).fill_nan(None)
    if isinstance(kind, pl.Datetime | pl.Duration):
        per = {"ms": 1000.0, "us": 1.0, "ns": 0.001}[kind.time_unit]
        return column.to_physical().cast(pl.Float64) * per
    if kind.is_temporal():
        return column.to_physical().cast(pl.Float64)
    return _text(column, kind).str.strip_chars().cast(pl.Float64).fill_nan(None)


def _items(name: str, kind: Any) -> pl.Expr:
    """Return lists of texts: a list as it is, a text parted at "|" or read as a JSON array, or one value."""
    column = pl.col(name)
    none = pl.lit([], dtype=pl.List(pl.String))
    if isinstance(kind, pl.Array):
        column, kind = column.arr.to_list(), pl.List(kind.inner)
    if isinstance(kind, pl.List):
        lists = column.list.eval(_text(pl.element(), kind.inner))
    elif kind == pl.String:
        split = column.str.split("|")
        json_arrays = column.str.contains(r"^\s*\[.*\]\s*$")
        read = column.map_elements(_json_array, return_dtype=pl.List(pl.String), skip_nulls=True)
        lists = pl.when(json_arrays).then(read).otherwise(split).list.eval(_text(pl.element(), pl.String()))
    else:
        lists = pl.concat_list(_text(column, kind))
    return lists.list.drop_nulls().fill_null(none)


def _json_array(text: str) -> list[str | None]:
    otherwise: list[str | None] = [*text.split("|")]
    try:
        found = json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return otherwise
    if not isinstance(found, list) or any(isinstance(item, list | dict) for item in found):
        return otherwise
    items = [item if item is None else str(item).lower() if isinstance(item, bool) else item for item in found]
    lone = any("\ud800" <= c <= "\udfff" for item in items if item is not None for c in item)
    return otherwise if lone else items


PLAN: dict[str, Any] = {"other": "(other)", "fields": []}
