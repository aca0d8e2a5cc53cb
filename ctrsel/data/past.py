"""Past: a Table as it would have been at a moment, and its periods of time; nothing later is looked at.

What decides on codes is fitted again on the rows given: which values have codes, their order, and the moments of floats.
Bucket edges stay those of the Table: they are as old as its first ingest (see `append`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.memory import available_memory
from ctrsel.data.buckets import moments
from ctrsel.data.encoder import Encoder
from ctrsel.data.fit import vocabulary_fields
from ctrsel.data.scratch import mapped_arrays
from ctrsel.data.table import Ragged, Table
from ctrsel.data.time_column import Moment, duration
from ctrsel.data.vocabulary import Vocabulary, smallest_uint
from ctrsel.records.feature_set import HIDDEN, MISSING, OTHER, RESERVED

__all__ = ["Periods", "moment_text", "past_table", "recent", "refitted"]

_PIECE = 1 << 20  # rows gathered at once
_MANY = 1000  # distinct moments that are periods of their own
_MICROSECONDS = 10**14  # numbers beyond it are microseconds since 1970: 10**14 of them have passed since 1973


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """The rows of a Table in the order of time, and the periods that they are in.

    Attributes:
        order: Rows by time, of one moment by their number in the source, int64 `[N]`.
        starts: Place in `order` of each period's first row, and N at the end, int64 `[P + 1]`.
        names: Of the periods: a date or a number.
        firsts: The moment at which each begins, in the time column's own count.
        temporal: Whether that count is of microseconds since 1970.
    """

    order: np.ndarray
    starts: np.ndarray
    names: tuple[str, ...]
    firsts: tuple[int, ...]
    temporal: bool

    def __len__(self) -> int:
        return len(self.names)

    @staticmethod
    def of(table: Table, by: str | None) -> Periods:
        """Divide a Table's rows.

        Args:
            table: With a time column.
            by: Length of a period: "1d", "12h", or a number where time is one; None for a period per distinct moment, as
                in a column of days.

        Raises:
            ConfigError: If there is no time column, or there are too many moments for `by=None`.
        """
        if table.time is None:
            raise ConfigError("schema.time: name the column of time, which says what is past")
        time = np.asarray(table.time)
        distinct = np.unique(time)
        temporal = _temporal(distinct)
        if by is None:
            if len(distinct) > _MANY:
                raise ConfigError(
                    f"by: name the length of a period ({'1d' if temporal else 'such as 100'}), since {table.schema.time!r} "
                    f"has {len(distinct):,} distinct moments"
                )
            length = 1
        else:
            length = duration(by, Moment(temporal=temporal), place="by")
            if length < 1:
                raise ConfigError(f"by: a period must be longer than 0, got {by!r}")
        order = np.lexsort((np.asarray(table.row), time))
        number = time[order] // length
        starts = np.flatnonzero(np.concatenate([[True], number[1:] != number[:-1]])) if len(order) else order
        firsts = tuple(int(n) * length for n in number[starts])
        return Periods(
            order=order,
            starts=np.append(starts, len(order)).astype(np.int64),
            names=tuple(moment_text(first, temporal=temporal) for first in firsts),
            firsts=firsts,
            temporal=temporal,
        )


def moment_text(moment: int, *, temporal: bool) -> str:
    """Write a moment: a whole number as it is, microseconds since 1970 as a date, with the time of the day if there is one.

    Examples:
        >>> moment_text(3, temporal=False), moment_text(86_400_000_000, temporal=True)
        ('3', '1970-01-02')
    """
    if not temporal:
        return str(moment)
    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(moment))).replace(tzinfo=None).isoformat()
    return text.removesuffix("T00:00:00")


def recent(table: Table, length: str, *, scratch: Path | None = None) -> Table:
    """Return a Table with the newest of its training rows only; codes and the other splits stay.

    Args:
        table: With a time column.
        length: How far back from the newest training row: "1d", "12h", or a number where time is one.
        scratch: As in `past_table`.

    Raises:
        ConfigError: If there is no time column, or the length is none.

    Examples:
        >>> from ctrsel.testing.tables import tiny_table
        >>> table = tiny_table()
        >>> recent(replace(table, time=np.arange(table.n_rows)), "50").splits["train"]
        (0, 50)
    """
    if table.time is None:
        raise ConfigError("data.newest: needs schema.time, the column that says when a row happened")
    in_place = sorted(table.splits.items(), key=lambda item: item[1])  # a loaded table's are sorted by name
    spans = {name: np.arange(*span) for name, span in in_place}
    time = np.asarray(table.time[table.span("train")])
    last = int(time.max()) - duration(length, Moment(temporal=_temporal(time)), place="data.newest")
    spans["train"] = spans["train"][time > last]
    return past_table(table, spans, fit=None, scratch=scratch)


def _temporal(time: np.ndarray) -> bool:
    return bool(len(time)) and max(abs(int(time.max())), abs(int(time.min()))) >= _MICROSECONDS


def past_table(
    table: Table, parts: Mapping[str, np.ndarray], *, fit: np.ndarray | None, scratch: Path | None = None
) -> Table:
    """Return some rows of a Table as splits, coded by an Encoder that was fitted again on some rows.

    Args:
        table: The Table.
        parts: Row places of each split, in the order in which they shall stand.
        fit: Row places that decide on codes; None leaves codes as they are.
        scratch: Where columns go that would fill more than a quarter of the memory that is left (see `Table.narrow`).
    """
    encoder, remaps = (table.encoder, {}) if fit is None else refitted(table, fit)
    rows = np.concatenate(list(parts.values()))
    luts = {
        f.name: remaps[f.vocabulary].astype(smallest_uint(encoder.vocabularies[f.vocabulary].size))
        for f in encoder.fields
        if not f.is_float and fit is not None
    }
    columns: dict[str, np.ndarray | Ragged] = {}
    width = sum(0 if isinstance(c, Ragged) else c.dtype.itemsize for c in table.columns.values())
    on_disk = 4 * len(rows) * width > available_memory()
    for name, column in table.columns.items():
        if isinstance(column, Ragged):
            picked = column.take(rows)
            codes = luts[name][picked.codes] if name in luts else picked.codes
            columns[name] = Ragged(offsets=picked.offsets, codes=codes)
            continue
        kind = luts[name].dtype if name in luts else column.dtype
        out = mapped_arrays([(len(rows), kind)], folder=scratch)[0] if on_disk else np.empty(len(rows), dtype=kind)
        for start in range(0, len(rows), _PIECE):
            some = column[rows[start : start + _PIECE]]
            out[start : start + _PIECE] = luts[name][some] if name in luts else some
        columns[name] = out
    splits, start = {}, 0
    for name, some in parts.items():
        splits[name] = (start, start + len(some))
        start += len(some)
    others: dict[str, Any] = {
        k: None if (v := getattr(table, k)) is None else np.asarray(v[rows])
        for k in ("labels", "weight", "group", "time", "row")
    }
    return replace(table, encoder=encoder, columns=columns, splits=splits, tally=None, **others)


def refitted(table: Table, rows: np.ndarray) -> tuple[Encoder, Mapping[str, np.ndarray]]:
    """Return the Encoder that an ingest of these rows as training rows would fit, and the code there of each code here.

    Values that are rarer in the rows than their field's least count are `OTHER`; codes go by falling count, ties by text.
    Bucket edges stay.

    Args:
        table: The Table.
        rows: Row places.

    Returns:
        The Encoder, and per vocabulary uint32 `[V]`.

    Examples:
        >>> from ctrsel.testing.tables import tiny_table
        >>> table = tiny_table()
        >>> encoder, remaps = refitted(table, np.arange(*table.splits["train"]))
        >>> remaps["ad"].tolist() == list(range(encoder.size("ad")))
        True
    """
    if not len(rows):
        raise DataError("an encoder cannot be fitted on no rows")
    vocabularies, remaps = {}, {}
    for name, fields in vocabulary_fields(table.schema).items():
        old = table.encoder.vocabularies[name]
        counts = sum((_counts(table.columns[f.name], rows, old.size) for f in fields), np.zeros(old.size, np.int64))
        minimum = max(1, *(f.min_count for f in fields))
        remaps[name] = remap = _remap(old, counts, minimum=minimum)
        narrowed = old.narrow(remap)
        vocabularies[name] = replace(
            narrowed, counts=np.bincount(remap, weights=counts, minlength=narrowed.size).astype(np.int64)
        )
    found = {
        f.name: moments(np.asarray(table.columns[f.name])[rows].astype(np.float64))
        for f in table.schema.fields
        if f.is_float
    }
    encoder = replace(table.encoder, vocabularies=vocabularies, moments=found, ancestors=())
    return encoder, remaps


def _counts(column: np.ndarray | Ragged, rows: np.ndarray, size: int) -> np.ndarray:
    """Count each code in some rows, int64 `[V]`."""
    total = np.zeros(size, dtype=np.int64)
    for start in range(0, len(rows), _PIECE):
        some = rows[start : start + _PIECE]
        total += np.bincount(column.take(some).codes if isinstance(column, Ragged) else column[some], minlength=size)
    return total


def _remap(old: Vocabulary, counts: np.ndarray, *, minimum: int) -> np.ndarray:
    """Return the new code of each old one, uint32 `[V]`."""
    remap = np.arange(old.size, dtype=np.uint32)
    if old.hashed is not None:
        return remap
    text = np.full(old.size, len(old.codes), dtype=np.int64)  # place of each code's first text
    text[np.asarray(old.codes)[::-1]] = np.arange(len(old.codes))[::-1]
    kept = np.flatnonzero(counts[RESERVED:] >= minimum) + RESERVED
    kept = kept[np.lexsort((text[kept], -counts[kept]))]
    remap[:] = OTHER
    remap[[MISSING, OTHER, HIDDEN]] = MISSING, OTHER, HIDDEN
    remap[kept] = np.arange(RESERVED, RESERVED + len(kept))
    return remap
