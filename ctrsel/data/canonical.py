"""The one text form of a value: 1, 1.0 and "1" are the same value; null, NaN and "" are all missing.

The text of a value does not depend on the type that holds it:

- A whole number has its decimal digits, be it an integer, a decimal, a float, or the text that a float is written as
  ("3.0"), so that a column keeps its values when a null turns it from integers to floats. -0.0 is 0.
- Beyond 2^53 floats cannot tell neighbours apart, so that one float may stand for several ids. There a float keeps the
  form of a float ("9007199254740992.0", "1e+20"), as a float and as a text, and is never merged with an integer;
  `beyond_exact` finds such floats, for those who know that other shards hold integers.
- Other floats have the shortest digits that read back as the same number; infinities are inf and -inf. NaN is missing.
- Truth values are true and false; they are neither 1 and 0 nor "True" and "False".
- Times are ISO 8601 in UTC, whatever unit and zone they are kept in; one without a zone is taken as UTC. A date is no
  time at midnight. Durations are microseconds.
- Texts are left as they are but for "3.0": case, spaces and the Unicode form may matter ("é" as one character or as
  two are two values, since nobody said they are one), and "nan", "inf", "NULL" or "None" are texts like others. Only
  the empty text is missing.
- Bytes, structs and lists have no text; `list_items` takes lists apart.
"""

from __future__ import annotations

import json

import polars as pl

from ctrsel.core.errors import DataError

__all__ = ["LIST_SEPARATOR", "WHOLE_FLOAT", "beyond_exact", "canonical_text", "list_items", "numeric_values"]

_EXACT = 2**53  # from here on, a float may stand for several integers
# Texts of whole floats below 2^53 and how they are told from longer ones digit by digit; -0.0 is the first group.
_BELOW_EXACT = "|".join(
    [
        r"[0-9]{1,15}",
        *(f"{_EXACT}"[:i] + f"[0-{int(d) - 1}]" + f"[0-9]{{{15 - i}}}" for i, d in enumerate(f"{_EXACT}") if d != "0"),
    ]
)
WHOLE_FLOAT = rf"^(?:-(0)|(-?(?:{_BELOW_EXACT})))\.0$"  # to be replaced by "${1}${2}"
_FAR = {"d": 70_000_000, "ms": 6 * 10**15, "us": 6 * 10**18}  # polars ends the process on later times
LIST_SEPARATOR = "|"  # between the items of a list field that comes as text


def canonical_text(series: pl.Series) -> pl.Series:
    """Return the canonical text of each value, null where it is missing.

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
        if kind == pl.Float16:  # of which polars 2.1 says that 2.5 is its own floor
            series = series.cast(pl.Float32)
        whole = (series == series.floor()) & (series.abs() < _EXACT)
        text = pl.select(
            pl.when(whole).then(series.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(series.cast(pl.String))
        ).to_series()
        missing = series.is_nan().fill_null(value=True)
        return pl.select(pl.when(missing).then(None).otherwise(text)).to_series().rename(series.name)
    if kind.is_integer() or kind in (pl.Boolean, pl.Null):
        return series.cast(pl.String)
    if kind.is_decimal():
        # Not by way of floats: a database's ids come as decimals of more than 53 bits.
        text = series.cast(pl.String)
        fraction = text.str.contains(".", literal=True).any()
        return text.str.strip_chars_end("0").str.strip_chars_end(".") if fraction else text
    if kind.is_temporal():
        return _time_text(series)
    if kind in (pl.Categorical, pl.Enum) or kind == pl.String:
        text = series.cast(pl.String)
        text = text.set(text == "", None)
        if text.str.ends_with(".0").any():
            text = text.str.replace(WHOLE_FLOAT, "${1}${2}")
        return text
    raise DataError(f"column {series.name!r}: a categorical value must be a text, a number or a time, got {kind}")


def _time_text(series: pl.Series) -> pl.Series:
    kind = series.dtype
    far = _FAR.get(getattr(kind, "time_unit", None) or "d")
    if far is not None and kind not in (pl.Duration, pl.Time):
        physical = series.to_physical()
        outside = ((physical > far) | (physical < -far)).fill_null(value=False)
        if outside.any():
            row = int(outside.arg_true()[0])
            raise DataError(
                f"column {series.name!r}: row {row + 1} must be a time within 200,000 years of now, got {physical[row]} "
                f"as {kind}"
            )
    if isinstance(kind, pl.Datetime):
        if kind.time_zone:
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return series.dt.to_string("%Y-%m-%dT%H:%M:%S%.9f").str.replace(r"\.?0+$", "", literal=False)
    if kind == pl.Duration:
        whole = series.dt.total_microseconds().cast(pl.String)
        if getattr(kind, "time_unit", "") != "ns":
            return whole
        parts = series.to_physical().abs()
        fraction = pl.select(
            pl.when(series.to_physical() < 0).then(pl.lit("-")).otherwise(pl.lit(""))
            + (parts // 1000).cast(pl.String)
            + "."
            + (parts % 1000).cast(pl.String).str.zfill(3).str.strip_chars_end("0")
        ).to_series()
        return pl.select(pl.when(parts % 1000 == 0).then(whole).otherwise(fraction).alias(series.name)).to_series()
    return series.cast(pl.String)


def beyond_exact(series: pl.Series) -> float | None:
    """Return the first whole float that may stand for several integers, None if there is none.

    Ids beyond 2^53 in a column of floats have been rounded before they came here, and cannot be matched with the
    integers of another shard; whoever sees both should refuse them.

    Examples:
        >>> beyond_exact(pl.Series([1.5, 2.0**53])), beyond_exact(pl.Series([2**53])), beyond_exact(pl.Series([2.5]))
        (9007199254740992.0, None, None)
    """
    if not series.dtype.is_float():
        return None
    found = series.filter((series.abs() >= _EXACT) & series.is_finite())
    return float(found[0]) if found.len() else None


def numeric_values(series: pl.Series, *, place: str = "", sensitive: bool = False) -> pl.Series:
    """Return float64 values, null where missing or NaN; infinities are kept, times and durations are microseconds.

    Args:
        series: Numbers, times or texts.
        place: Where they stand, for messages.
        sensitive: Whether no value may be shown in them.

    Raises:
        DataError: If a value is not a number; names the first such row and the value, unless it is sensitive.

    Examples:
        >>> numeric_values(pl.Series(["1", "", "2e3"])).to_list()
        [1.0, None, 2000.0]
    """
    kind = series.dtype
    if kind.is_numeric() or kind in (pl.Boolean, pl.Null):
        return series.cast(pl.Float64).fill_nan(None)
    if isinstance(kind, pl.Datetime | pl.Duration):
        per = {"ms": 1000.0, "us": 1.0, "ns": 0.001}[kind.time_unit]
        return series.to_physical().cast(pl.Float64) * per
    if kind.is_temporal():
        return series.to_physical().cast(pl.Float64)
    text = canonical_text(series).str.strip_chars()
    values = text.cast(pl.Float64, strict=False)
    bad = text.is_not_null() & values.is_null()
    if bad.any():
        row = int(bad.arg_true()[0])
        raise DataError(
            f"{place}column {series.name!r}: row {row + 1} must be a number, got "
            f"{'a text' if sensitive else _shown(text[row])} "
            f"({int(bad.sum())} such rows); make it categorical in the schema, or mend the file"
        )
    return values.fill_nan(None)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")


def _json_array(text: str, *, otherwise: list[str]) -> list[str | None]:
    """Return the items of a JSON array of single values as texts; of any other text what it is otherwise."""
    try:
        found = json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return list(otherwise)
    if any(isinstance(item, list | dict) for item in found):
        return list(otherwise)
    items = [item if item is None else str(item).lower() if isinstance(item, bool) else item for item in found]
    lone = any("\ud800" <= character <= "\udfff" for item in items if item is not None for character in item)
    return list(otherwise) if lone else items


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
            filled = (lists.list.len() > 0).fill_null(value=False).arg_true()
            where = f"{series.dtype} in row {filled[0] + 1}" if filled.len() else f"{series.dtype}"
            raise DataError(f"column {series.name!r}: a list must hold single values, got {where}")
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
