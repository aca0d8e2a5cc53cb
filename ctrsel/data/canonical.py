"""The one text form of a value: 1, 1.0 and "1" are the same value; null, NaN and "" are all missing."""

from __future__ import annotations

import json

import polars as pl

from ctrsel.core.errors import DataError

__all__ = ["LIST_SEPARATOR", "canonical_text", "list_items", "numeric_values"]

LIST_SEPARATOR = "|"  # between the items of a list field that comes as text


def canonical_text(series: pl.Series) -> pl.Series:
    """Return the canonical text of each value, null where it is missing.

    Integers are written in decimal; a float with an integer value as that integer; a text that is such a float
    ("3.0") likewise, so that a column keeps its values when a null turns it from integer to float; booleans as true
    and false; times as ISO 8601 in UTC, whatever unit they are kept in; durations in microseconds. Texts are otherwise
    left as they are: case and inner spaces may matter.

    Raises:
        DataError: If the type has no text form (bytes, structs, lists).

    Examples:
        >>> canonical_text(pl.Series([1.0, 2.5, None, float("nan")])).to_list()
        ['1', '2.5', None, None]
        >>> canonical_text(pl.Series(["a", "", "3.0", "v3.0"])).to_list()
        ['a', None, '3', 'v3.0']
    """
    kind = series.dtype
    if kind.is_float():
        whole = (series == series.floor()) & (series.abs() < 2**53)
        # Floats from 2**53 on are written "9007199254740992.0", which is "9007199254740992" where it comes as text.
        other = series.cast(pl.String).str.strip_suffix(".0")
        text = pl.select(
            pl.when(whole).then(series.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(other)
        ).to_series()
        missing = series.is_nan().fill_null(value=True)
        return pl.select(pl.when(missing).then(None).otherwise(text)).to_series().rename(series.name)
    if kind.is_integer() or kind == pl.Boolean:
        return series.cast(pl.String)
    if kind.is_decimal():
        # Not by way of floats: a database's ids come as decimals of more than 53 bits.
        text = series.cast(pl.String)
        return (
            text.str.strip_chars_end("0").str.strip_chars_end(".")
            if text.str.contains(".", literal=True).any()
            else text
        )
    if kind == pl.Null:
        return series.cast(pl.String)
    if kind.is_temporal():
        if isinstance(kind, pl.Datetime) and kind.time_zone:
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        if kind == pl.Duration:
            return series.dt.total_microseconds().cast(pl.String)
        if isinstance(kind, pl.Datetime):
            text = series.dt.to_string("%Y-%m-%dT%H:%M:%S%.9f")
            return text.str.replace(r"\.?0+$", "", literal=False)
        return series.cast(pl.String)
    if kind in (pl.Categorical, pl.Enum) or kind == pl.String:
        text = series.cast(pl.String)
        text = text.set(text == "", None)
        if text.str.ends_with(".0").any():
            text = text.str.replace(r"^(-?\d+)\.0$", "${1}")
        return text
    raise DataError(f"column {series.name!r}: a categorical value must be a text, a number or a time, got {kind}")


def numeric_values(series: pl.Series, *, place: str = "") -> pl.Series:
    """Return float64 values, null where missing or NaN; infinities are kept.

    Raises:
        DataError: If a value is not a number; names the first such row and the value.

    Examples:
        >>> numeric_values(pl.Series(["1", "", "2e3"])).to_list()
        [1.0, None, 2000.0]
    """
    kind = series.dtype
    if kind.is_numeric() or kind in (pl.Boolean, pl.Null):
        return series.cast(pl.Float64).fill_nan(None)
    if kind.is_temporal():
        return series.to_physical().cast(pl.Float64)
    text = canonical_text(series).str.strip_chars()
    values = text.cast(pl.Float64, strict=False)
    bad = text.is_not_null() & values.is_null()
    if bad.any():
        row = int(bad.arg_true()[0])
        raise DataError(
            f"{place}column {series.name!r}: row {row + 1} must be a number, got {text[row]!r} "
            f"({int(bad.sum())} such rows); make it categorical in the schema, or mend the file"
        )
    return values.fill_nan(None)


def _json_array(text: str, *, otherwise: list[str]) -> list[str | None]:
    """Return the items of a JSON array of single values as texts; of any other text what it is otherwise."""
    try:
        found = json.loads(text, parse_int=str, parse_float=str)
    except ValueError:
        return list(otherwise)
    if any(isinstance(item, list | dict) for item in found):
        return list(otherwise)
    return [item if item is None else str(item).lower() if isinstance(item, bool) else item for item in found]


def list_items(series: pl.Series) -> pl.Series:
    """Return a list column with canonical texts; a text column is split at `|`, a single value is a list of one.

    A text that is a JSON array (`[1, 2]`, as a frame with lists is often written to CSV) is read as that array. Missing
    items inside a list are left out; a missing list is empty.

    Examples:
        >>> list_items(pl.Series([[1, 2], None, []], dtype=pl.List(pl.Int64))).to_list()
        [['1', '2'], [], []]
        >>> list_items(pl.Series(["a|b", None])).to_list()
        [['a', 'b'], []]
        >>> list_items(pl.Series(['[1, 2]', '["a", null]', "[a]|b"])).to_list()
        [['1', '2'], ['a'], ['[a]', 'b']]
    """
    if isinstance(series.dtype, pl.List | pl.Array):
        lists = series.arr.to_list() if isinstance(series.dtype, pl.Array) else series
        if isinstance(series.dtype.inner, pl.List | pl.Array | pl.Struct):
            raise DataError(f"column {series.name!r}: a list must hold single values, got {series.dtype}")
    elif series.dtype == pl.String:
        lists = series.str.split(LIST_SEPARATOR)
        bracketed = series.str.contains(r"^\s*\[.*\]\s*$").fill_null(value=False)
        if bracketed.any():
            split = lists.to_list()
            for row in bracketed.arg_true().to_list():
                split[row] = _json_array(series[row], otherwise=split[row])
            lists = pl.Series(series.name, split, dtype=pl.List(pl.String))
    else:
        lists = canonical_text(series).reshape((-1, 1)).arr.to_list()
    rows = pl.DataFrame({"row": pl.int_range(len(lists), eager=True), "item": lists})
    items = rows.explode("item", empty_as_null=True, keep_nulls=True)
    texts = items.with_columns(canonical_text(items["item"]).alias("item"))
    packed = texts.drop_nulls("item").group_by("row", maintain_order=True).agg("item")
    whole = rows.select("row").join(packed, on="row", how="left", maintain_order="left")["item"]
    none = pl.lit([], dtype=pl.List(pl.String))
    return pl.select(pl.when(whole.is_null()).then(none).otherwise(whole).alias(series.name)).to_series()
