"""Roles: the columns that are no fields (label, group, weight), read by chunk; for time see `time_column`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ctrsel.core.config import LabelConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.canonical import canonical_text, numeric_values
from ctrsel.data.coding import NONE, Coded, code_columns
from ctrsel.data.faults import SHOWN, Faults, shown_values
from ctrsel.data.hashing import stable_hash
from ctrsel.data.raw import RawRows
from ctrsel.records.schema import Label

__all__ = ["MAX_WEIGHT", "coded_places", "find_label", "number_values", "read_group", "read_label", "read_weight"]

MAX_WEIGHT = 1e12  # sums of squares of larger ones are no float32 any more
_POSITIVE = {"1", "true", "yes", "y", "click", "clicked", "t"}
_NEGATIVE = {"0", "-1", "false", "no", "n", "f", "none"}
_PIECE = 1 << 20  # rows looked at together


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
                return shown_values(
                    f"label {name!r}: must be {pair[0]!r} or {pair[1]!r}, got ", texts.take(place[other])
                )

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
        shown = ", ".join(repr(v[:SHOWN]) for v in found[:5]) + (", ..." if len(found) > 5 else "")
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
        f"schema.label.positive: say which of {found[0][:SHOWN]!r} and {found[1][:SHOWN]!r} is the positive value of {name!r}"
    )


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
        wrong = (values.is_null() | ~values.is_finite() | (values < 0) | (values > MAX_WEIGHT)).fill_null(value=True)
        bad = np.flatnonzero(wrong.to_numpy()) + start
        faults.add_values(bad, chunk, start, rule=f"column {name!r} must be a weight from 0 to {MAX_WEIGHT:g}")
        out[start : start + len(chunk)] = pl.select(pl.when(wrong).then(0.0).otherwise(values)).to_series().to_numpy()
        start += len(chunk)
    return out


def number_values(series: pl.Series) -> pl.Series:
    """Return float64 values, null where missing or no number; nothing is refused."""
    if series.dtype in (pl.String, pl.Categorical, pl.Enum):
        return canonical_text(series).str.strip_chars().cast(pl.Float64, strict=False).fill_nan(None)
    return numeric_values(series)
