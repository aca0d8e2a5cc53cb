"""The time column, read by chunk as whole numbers; and the points and spans of time that a user writes, in the same count."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from ctrsel.core.durations import seconds
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.canonical import canonical_text
from ctrsel.data.faults import Faults
from ctrsel.data.raw import RawRows

__all__ = ["Moment", "as_moment", "duration", "read_time"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """How the time column counts.

    Attributes:
        temporal: Whether it holds times (microseconds since 1970, UTC); else whole numbers in a unit of its own.
    """

    temporal: bool


def read_time(raw: RawRows, name: str, faults: Faults) -> tuple[np.ndarray, Moment]:
    """Read the time column as int64 `[N]`: microseconds since 1970 in UTC, or whole numbers as they are.

    Texts are numbers if all of them are, else ISO 8601 times.
    """
    kinds = raw.types(name)
    texts = [k for k in kinds if k in (pl.String, pl.Categorical, pl.Enum)]
    temporal = any(k.is_temporal() for k in kinds)
    if texts and not temporal:
        temporal = not _whole_numbers(raw, name)
    for kind in kinds:
        if not (kind.is_temporal() or kind.is_numeric() or kind == pl.Null or kind in texts):
            raise DataError(f"schema.time: column {name!r} must hold times or numbers, got {kind}")
    out = np.zeros(raw.n_rows, dtype=np.int64)
    start = 0
    for chunk in raw.chunks(name):
        values = _micros(chunk) if temporal else _whole(chunk)
        bad = np.flatnonzero(values.is_null().to_numpy()) + start
        faults.add_values(bad, chunk, start, rule=f"column {name!r} must be a time or a whole number")
        out[start : start + len(chunk)] = values.fill_null(0).to_numpy()
        start += len(chunk)
    return out, Moment(temporal=temporal)


def _whole_numbers(raw: RawRows, name: str) -> bool:
    """Whether the texts of the first chunk with any are whole numbers."""
    for chunk in raw.chunks(name):
        texts = canonical_text(chunk).drop_nulls()
        if len(texts):
            return bool(texts.cast(pl.Int64, strict=False).is_not_null().mean() >= 0.5)  # type: ignore[operator]
    return True


def _micros(series: pl.Series) -> pl.Series:
    kind = series.dtype
    if kind.is_temporal():
        # By whole numbers: polars ends the process on a time that it cannot show, as of a damaged file.
        unit = kind.time_unit if isinstance(kind, pl.Datetime | pl.Duration) else str(kind)
        times, parts = {"Date": (86_400_000_000, 1), "ms": (1000, 1), "us": (1, 1)}.get(unit or "us", (1, 1000))
        physical = series.to_physical().cast(pl.Int64)
        far = (physical.abs() > (2**63 - 1) // times) | (physical == -(2**63))
        return pl.select(pl.when(far).then(None).otherwise(physical * times // parts)).to_series().rename(series.name)
    if kind.is_numeric() or kind == pl.Null:
        return pl.Series(series.name, [None], dtype=pl.Int64).new_from_index(0, len(series))
    texts = canonical_text(series)
    distinct = texts.unique().drop_nulls()
    parsed = _parse(distinct)
    return texts.replace_strict(distinct, parsed, default=None, return_dtype=pl.Int64)


def _parse(texts: pl.Series) -> pl.Series:
    """Read ISO 8601 texts as microseconds in UTC; what has an offset or `Z` is moved, what has none is UTC."""
    zoned = texts.str.contains(r"[T ].*(?:[zZ]|[+-]\d{2}(?::?\d{2})?)$")
    plain = pl.Series(texts.name, [None] * len(texts), dtype=pl.Datetime("us"))
    for form in (
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
        "%Y/%m/%d %H:%M:%S",
    ):
        plain = plain.fill_null(texts.str.to_datetime(form, strict=False, time_unit="us"))
    for form in ("%Y-%m-%d", "%Y/%m/%d"):
        plain = plain.fill_null(texts.str.to_date(form, strict=False).cast(pl.Datetime("us")))
    moved = pl.Series(texts.name, [None] * len(texts), dtype=pl.Datetime("us"))
    if zoned.any():
        ended = texts.str.replace("[zZ]$", "+00:00").str.replace(" ", "T", literal=True)
        ended = ended.str.replace(r"([+-]\d{2})$", "${1}:00")
        for form in ("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M%:z"):
            read = ended.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC")
            moved = moved.fill_null(read.dt.replace_time_zone(None))
    return pl.select(pl.when(zoned).then(moved).otherwise(plain)).to_series().to_physical()


def _whole(series: pl.Series) -> pl.Series:
    if series.dtype.is_float() or series.dtype.is_decimal():
        whole = series.cast(pl.Int64, strict=False)  # half a second is not left out without a word
        return pl.select(pl.when(series == whole.cast(series.dtype, strict=False)).then(whole)).to_series()
    if series.dtype.is_numeric() or series.dtype == pl.Null:
        return series.cast(pl.Int64, strict=False)
    return canonical_text(series).cast(pl.Int64, strict=False)


def as_moment(text: str, moment: Moment, *, place: str) -> int:
    """Read a point in time that the user wrote, in the time column's own count.

    Raises:
        ConfigError: If it is no time, or no number where the column holds numbers.

    Examples:
        >>> as_moment("1970-01-02", Moment(temporal=True), place="data.as_of")
        86400000000
    """
    if not moment.temporal:
        if not re.fullmatch(r"-?\d+", text.strip()):
            raise ConfigError(f"{place}: the time column holds whole numbers, so this must be one, got {text!r}")
        return int(text)
    found = _parse(pl.Series([text.strip()]))[0]
    if found is None:
        try:
            read = datetime.fromisoformat(text.strip())
            # One without a zone is UTC, wherever this runs.
            found = ((read if read.tzinfo else read.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)
        except ValueError:
            raise ConfigError(
                f"{place}: must be a date or a time such as 2026-01-31 or 2026-01-31T12:00, got {text!r}"
            ) from None
    return int(found)


def duration(text: str, moment: Moment, *, place: str) -> int:
    """Read a span of time ("7d", "12h", "30min") in the time column's own count.

    Raises:
        ConfigError: If it is none.

    Examples:
        >>> duration("2h", Moment(temporal=True), place="x") // 1_000_000, duration("3", Moment(temporal=False), place="x")
        (7200, 3)
    """
    if moment.temporal:
        return int(seconds(text, place=place) * 1_000_000)
    if re.fullmatch(r"\d+(?:\.\d+)?", text.strip()) is None:
        raise ConfigError(
            f"{place}: must be a number in the time column's own unit, since that column holds whole numbers, got {text!r}"
        )
    return int(float(text))
