"""Roles: the columns that are no fields (label, time, group, weight), read by chunk, with the rows that lack them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from ctrsel.core.config import LabelConfig
from ctrsel.core.durations import seconds
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.canonical import canonical_text, numeric_values
from ctrsel.data.coding import NONE, Coded, code_columns
from ctrsel.data.faults import Faults
from ctrsel.data.hashing import stable_hash
from ctrsel.data.raw import RawRows
from ctrsel.records.schema import Label

__all__ = [
    "Moment",
    "as_moment",
    "coded_places",
    "duration",
    "find_label",
    "read_group",
    "read_label",
    "read_time",
    "read_weight",
]

_POSITIVE = {"1", "true", "yes", "y", "click", "clicked", "t"}
_NEGATIVE = {"0", "-1", "false", "no", "n", "f", "none"}
_PIECE = 1 << 20  # rows looked at together
_SHOWN = 200  # rejected values are written down with their text; longer ones are cut
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def coded_places(coded: Coded, column: int = 0) -> np.ndarray:
    """Return the place of each row's text in `coded.texts`, `[N]` of the smallest signed integers; -1 where missing."""
    lut = np.append(coded.places.astype(np.int64), np.int64(NONE))
    lut[lut == int(NONE)] = -1
    lut = lut.astype(np.min_scalar_type(-len(coded.texts) - 1))
    ids = coded.ids[column]
    out = np.empty(len(ids), dtype=lut.dtype)
    for start in range(0, len(ids), _PIECE):
        out[start : start + _PIECE] = np.take(lut, ids[start : start + _PIECE], mode="clip")
    return out


def read_label(
    raw: RawRows,
    config: LabelConfig,
    faults: Faults,
    *,
    memory: int,
    scratch: Path,
    values: Sequence[str] | None = None,
) -> tuple[Label, tuple[str, ...], np.ndarray]:
    """Read the label column.

    With a tolerance, the two most frequent values of the training part are the label's, and rows with another one or
    none are rejected; without, every row must have one of two values.

    Args:
        raw: The rows.
        config: The label's column and positive value.
        faults: Where rows without a label go.
        memory: Bytes that may be held.
        scratch: A folder for what does not fit.
        values: The label's two values, where an earlier ingest has found them.

    Returns:
        The label, its two values, and boolean `[N]`, whether it is positive (False in rejected rows).

    Raises:
        DataError: If a row has no label, or one that training has not, or there are not two values.
        ConfigError: If nobody said which value is positive.
    """
    name = config.name
    coded = code_columns([lambda: raw.chunks(name)], rows=[raw.n_rows], memory=memory, scratch=scratch)
    place = coded_places(coded)
    texts = coded.texts
    for part, rows in raw.parts.items():
        none = np.flatnonzero(place[rows] < 0) + rows.start

        def lacking(none: np.ndarray = none, part: str = part, rows: slice = rows) -> str:
            return (
                f"data.{part}: label {name!r}: every row needs a label, but row {none[0] - rows.start + 1} has none "
                f"({len(none)} such rows)"
            )

        faults.add(none, f"label {name!r}: has no value", refuse=lacking)
    train = place[raw.parts["train"]]
    counts = np.zeros(len(texts), dtype=np.int64)
    for start in range(0, len(train), _PIECE):
        some = train[start : start + _PIECE]
        counts += np.bincount(some[some >= 0], minlength=len(texts))
    known = np.flatnonzero(counts)
    if faults.rejects.tolerance > 0 and len(known) > 2:
        known = np.sort(np.argsort(-counts, kind="stable")[:2])
    if values is not None:
        known = texts.find(pl.Series(list(values), dtype=pl.String))
    if len(known) == 2:
        pair = tuple(values) if values is not None else tuple(texts.take(known).to_list())
        for part, rows in raw.parts.items():
            here = place[rows]
            other = np.flatnonzero((here >= 0) & (here != known[0]) & (here != known[1])) + rows.start

            def strange(other: np.ndarray = other, part: str = part, rows: slice = rows) -> str:
                got = texts.take(place[other[:1]])[0]
                return (
                    f"data.{part}: label {name!r}: row {other[0] - rows.start + 1} must have one of the training values "
                    f"{' and '.join(map(repr, sorted(pair)))}, got {got!r}"
                )

            def reasons(other: np.ndarray = other) -> pl.Series:
                return _quoted(f"label {name!r}: must be {pair[0]!r} or {pair[1]!r}, got ", texts.take(place[other]))

            faults.add(other, reasons, refuse=strange)
    else:
        pair = tuple(texts.to_list())
    label = find_label(pair, config)
    wanted = texts.find(pl.Series([label.positive]))[0]
    return label, pair, (place == wanted) & (place >= 0)


def find_label(values: Sequence[str], config: LabelConfig) -> Label:
    """Decide which of a label's values is positive.

    Raises:
        DataError: If there are not two values, or the positive one does not occur.
        ConfigError: If nobody said which value is positive.

    Examples:
        >>> find_label(["no", "yes"], LabelConfig(name="y")).positive
        'yes'
    """
    name, found = config.name, sorted(values)
    if len(found) != 2:
        shown = ", ".join(repr(v[:_SHOWN]) for v in found[:5]) + (", ..." if len(found) > 5 else "")
        raise DataError(f"label {name!r}: must have exactly two values, got {len(found)}: {shown}")
    if config.positive is not None:
        if config.positive not in found:
            raise DataError(
                f"label {name!r}: the positive value {config.positive!r} does not occur; values: {found[0]!r}, {found[1]!r}"
            )
        return Label(name=name, positive=config.positive)
    positive = [v for v in found if v.lower() in _POSITIVE]
    negative = [v for v in found if v.lower() in _NEGATIVE]
    if len(positive) == 1 and len(negative) == 1:
        return Label(name=name, positive=positive[0])
    raise ConfigError(
        f"schema.label.positive: say which of {found[0][:_SHOWN]!r} and {found[1][:_SHOWN]!r} is the positive value of {name!r}"
    )


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
        _refuse(faults, bad, chunk, start, rule=f"column {name!r} must be a time or a whole number", raw=raw)
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


def read_group(raw: RawRows, name: str, *, memory: int, scratch: Path) -> np.ndarray:
    """Read the group column as int64 `[N]`: a stable hash of each group's text, 0 where missing.

    The number depends on the text alone, so that a split by group puts a group on the same side when rows are added.
    """
    coded = code_columns([lambda: raw.chunks(name)], rows=[raw.n_rows], memory=memory, scratch=scratch)
    hashes = np.concatenate(
        [stable_hash(part).view(np.int64) for part in coded.texts.chunks(1_000_000)] or [np.zeros(0, dtype=np.int64)]
    )
    groups: np.ndarray = np.append(hashes, 0)[coded_places(coded)]
    return groups


def read_weight(raw: RawRows, name: str, faults: Faults) -> np.ndarray:
    """Read the weight column as float64 `[N]`."""
    out = np.zeros(raw.n_rows)
    start = 0
    for chunk in raw.chunks(name):
        values = number_values(chunk)
        wrong = (values.is_null() | ~values.is_finite() | (values < 0)).fill_null(value=True)
        bad = np.flatnonzero(wrong.to_numpy()) + start
        _refuse(faults, bad, chunk, start, rule=f"column {name!r} must be a weight of at least 0", raw=raw)
        out[start : start + len(chunk)] = pl.select(pl.when(wrong).then(0.0).otherwise(values)).to_series().to_numpy()
        start += len(chunk)
    return out


def number_values(series: pl.Series) -> pl.Series:
    """Return float64 values, null where missing or no number; nothing is refused."""
    if series.dtype in (pl.String, pl.Categorical, pl.Enum):
        return canonical_text(series).str.strip_chars().cast(pl.Float64, strict=False).fill_nan(None)
    return numeric_values(series)


def _refuse(faults: Faults, bad: np.ndarray, chunk: pl.Series, start: int, *, rule: str, raw: RawRows) -> None:
    # A time that is refused has no text.
    plain = chunk.to_physical() if chunk.dtype.is_temporal() else chunk

    def sentence() -> str:
        return f"{raw.place(int(bad[0]))} of {rule}, got {plain[int(bad[0]) - start]!r}"

    def reasons() -> pl.Series:
        return _quoted(f"{rule}, got ", plain.gather(bad - start).cast(pl.String, strict=False))

    faults.add(bad, reasons, refuse=sentence)


def _quoted(rule: str, values: pl.Series) -> pl.Series:
    shown = values.fill_null("nothing").str.slice(0, _SHOWN).str.replace_all(r"\p{Cc}", " ")  # in one line
    return pl.select(pl.concat_str([pl.lit(rule), shown])).to_series()
