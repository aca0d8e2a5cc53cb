"""Window: raw rows with known outcomes, on which two models that read other codes can both be scored."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ctrsel.core.config import DataConfig, IngestConfig, RunConfig, SchemaConfig
from ctrsel.core.errors import DataError
from ctrsel.core.log import event
from ctrsel.data.canonical import canonical_text
from ctrsel.data.example import raw_texts
from ctrsel.data.faults import Faults
from ctrsel.data.intake import open_raw
from ctrsel.data.past import moment_text
from ctrsel.data.raw import RawRows
from ctrsel.data.rejects import Rejects
from ctrsel.data.row_roles import read_roles, window
from ctrsel.data.store import memory_bytes
from ctrsel.data.table import Ragged, Table
from ctrsel.data.time_column import duration
from ctrsel.records.feature_set import OTHER

__all__ = ["Window", "newest_window", "test_window"]

_PIECE = 1_000_000  # rows read at once
_UNKNOWN = "\x00 not known"  # a text that no value has


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Raw rows and what is known of them.

    Attributes:
        rows: The columns as the source has them.
        labels: 0 or 1, float64 `[N]`.
        source: Where they came from, for people.
        weight: float64 `[N]` or None; sampled negatives are weighted up already.
        group: int64 `[N]` or None.
        first: The oldest row's moment, None without a time column.
        last: The newest row's.
        young: Rows left out since their outcome may still come.
        notes: What a reader should know of the rows.
    """

    rows: pl.DataFrame
    labels: np.ndarray
    source: str
    weight: np.ndarray | None = None
    group: np.ndarray | None = None
    first: str | None = None
    last: str | None = None
    young: int = 0
    notes: tuple[str, ...] = ()


def newest_window(
    data: Any,
    *,
    schema: SchemaConfig,
    newest: str | None = None,
    as_of: str | None = None,
    columns: Sequence[str] | None = None,
) -> Window:
    """Read the newest rows whose outcome is known.

    Args:
        data: As for `ingest`.
        schema: Names the label (with its delay), time, group and weight columns, and the sampling rate.
        newest: How far back from the newest row whose label delay has passed: "7d", "12h", or a number where time is one;
            None for all rows.
        as_of: Rows after this time do not exist yet.
        columns: Which columns; None for all that a row has.

    Raises:
        ConfigError: If a length or a time is given without a time column.
        DataError: If the rows cannot be read, or none is old enough.

    Examples:
        >>> from ctrsel.core.config import LabelConfig
        >>> frame = pl.DataFrame({"ad": ["a", "b"] * 5, "click": [0, 1] * 5, "day": range(10)})
        >>> schema = SchemaConfig(label=LabelConfig(name="click", delay="2"), time="day")
        >>> found = newest_window(frame, schema=schema, newest="3")
        >>> found.rows["day"].to_list(), found.young
        ([5, 6, 7], 2)
    """
    settings = IngestConfig()
    as_of = as_of or (data.as_of if isinstance(data, DataConfig) else None)
    with tempfile.TemporaryDirectory(prefix="ctrsel-") as scratch:
        memory, rejects = memory_bytes(settings), Rejects()
        raw = open_raw(data, rejects=rejects, scratch=Path(scratch), memory=memory)
        for role in (schema.label.name, schema.time, schema.group, schema.weight):
            if role is not None and role not in raw.columns:
                raise DataError(f"{_name(data)}: has no column {role!r}, which the model's schema names")
        known = {k: v for k, v in schema.fields.items() if k in raw.columns}
        schema = replace(schema, fields=known)
        faults = Faults(raw=raw, rejects=rejects)
        _, roles = read_roles(raw, schema, settings, faults, memory=memory, scratch=Path(scratch))
        usable, young, _ = window(roles, faults, delay=schema.label.delay, as_of=as_of)
        if newest is not None:
            if roles.time is None or roles.moment is None:
                raise DataError("newest: needs schema.time, the column that says when a row happened")
            usable &= roles.time > int(roles.time[usable].max()) - duration(newest, roles.moment, place="newest")
        chosen = np.flatnonzero(usable)
        if not len(chosen):
            raise DataError("the window has no rows")
        rows = _read(raw, chosen, [c for c in raw.columns if columns is None or c in columns])
    labels = roles.positive[chosen].astype(np.float64)
    time = None if roles.time is None else roles.time[chosen]
    temporal = roles.moment is not None and roles.moment.temporal
    weight = None if roles.weight is None else np.asarray(roles.weight[chosen], dtype=np.float64)
    event("window", rows=len(chosen), young=young)
    return Window(
        rows=rows,
        labels=labels,
        source=_name(data),
        weight=_weighted(weight, labels, schema.sampling_rate),
        group=None if roles.group is None else roles.group[chosen],
        first=None if time is None else moment_text(int(time.min()), temporal=temporal),
        last=None if time is None else moment_text(int(time.max()), temporal=temporal),
        young=young,
    )


def test_window(config: RunConfig, table: Table) -> Window:
    """Return the raw rows of a run's test split, read again from its source.

    Of a store, which keeps codes only, the values are told back from the codes; what it counts as `other` is unknown.

    Args:
        config: The run's.
        table: The ingested one, with all its fields.
    """
    part = table.part("test")
    notes: tuple[str, ...] = ()
    if config.data.store is not None:
        rows = _told_back(part)
        notes = ("the rows were told back from the codes of a store",)
    else:
        with tempfile.TemporaryDirectory(prefix="ctrsel-") as scratch:
            rejects = Rejects(tolerance=1.0 if config.ingest.tolerance else 0.0)
            memory = memory_bytes(config.ingest)
            raw = open_raw(
                config.data, rejects=rejects, scratch=Path(scratch), memory=memory, max_cell=config.ingest.max_cell
            )
            order = np.argsort(part.row, kind="stable")
            places = np.empty_like(order)
            places[order] = np.arange(len(order))
            rows = _read(raw, np.asarray(part.row)[order], list(raw.columns))[places]
    labels = part.label().astype(np.float64)
    time = part.time
    temporal = time is not None and len(time) > 0 and int(np.abs(time).max()) >= 10**14
    weight = None if part.weight is None else np.asarray(part.weight, dtype=np.float64)
    return Window(
        rows=rows,
        labels=labels,
        source=f"test rows of {table.source}",
        weight=_weighted(weight, labels, table.schema.sampling_rate),
        group=part.group,
        first=None if time is None else moment_text(int(time.min()), temporal=temporal),
        last=None if time is None else moment_text(int(time.max()), temporal=temporal),
        young=0 if table.tally is None else table.tally.young,
        notes=notes,
    )


test_window.__test__ = False  # type: ignore[attr-defined]  # pytest takes it for a test where it is imported


def _weighted(weight: np.ndarray | None, labels: np.ndarray, rate: float) -> np.ndarray | None:
    if rate == 1:
        return weight
    base = np.ones(len(labels)) if weight is None else weight
    return np.where(labels > 0, base, base / rate)


def _read(raw: RawRows, numbers: np.ndarray, columns: list[str]) -> pl.DataFrame:
    """Read rows by their numbers, ascending; a column of several types becomes texts."""
    mixed = {c for c in columns if len(raw.types(c)) > 1}
    parts = []
    start = 0
    for shard in raw.shards:
        for begin in range(0, shard.rows, _PIECE):
            size = min(_PIECE, shard.rows - begin)
            low, high = np.searchsorted(numbers, [start + begin, start + begin + size])
            if low == high:
                continue
            piece = shard.read(columns, start=begin, rows=size)[numbers[low:high] - (start + begin)]
            parts.append(piece.with_columns(canonical_text(piece[c]).alias(c) for c in mixed))
        start += shard.rows
    return pl.concat(parts)


def _told_back(part: Table) -> pl.DataFrame:
    columns: list[pl.Series] = []
    for field in part.schema.inputs:
        if field.name not in part.columns:
            raise DataError(f"column {field.name!r} is read for crosses only, so the store cannot tell its values")
        column = part.columns[field.name]
        if isinstance(column, Ragged):
            texts = _texts(part, field.name, np.asarray(column.codes))
            bounds = column.offsets.tolist()
            items = [texts[a:b].to_list() for a, b in itertools.pairwise(bounds)]
            columns.append(pl.Series(field.name, items, dtype=pl.List(pl.String)))
        elif field.is_float:
            columns.append(pl.Series(field.name, np.asarray(column, dtype=np.float64)).fill_nan(None))
        else:
            columns.append(_texts(part, field.name, np.asarray(column)))
    return pl.DataFrame(columns)


def _texts(part: Table, name: str, codes: np.ndarray) -> pl.Series:
    field = part.schema.field(name)
    distinct, place = np.unique(codes, return_inverse=True)
    vocabulary = part.encoder.vocabulary(name)
    texts = raw_texts(field, vocabulary, part.encoder, distinct)
    if field.kind != "numeric":
        other = pl.Series(distinct == OTHER)
        texts = texts.zip_with(~other, pl.Series([_UNKNOWN], dtype=pl.String).extend_constant(_UNKNOWN, len(texts) - 1))
    return texts[place].rename(name)


def _name(data: Any) -> str:
    if isinstance(data, DataConfig):
        return data.dataset or str(data.train)
    return str(data) if isinstance(data, str | Path) else "frame"
