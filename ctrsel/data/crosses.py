"""Crosses of a table: fields made of the values of two or three others together, counted on the training rows.

A cross has a vocabulary of its own, whose texts are the joint texts of the combinations that occur often enough (see
`cross_texts`), so that the codes that a table gets here from its base codes and those that its Encoder makes of raw
rows are the same, and an Encoder needs nothing of a part but its column.

A row's cross is missing if all parts are missing. It is other if a part is other (rare, unknown, dropped) or hidden, or
if the combination was rarer in training than the cross's least count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ctrsel.core.errors import ConfigError, DataError, unknown_name
from ctrsel.core.memory import available_memory
from ctrsel.data.cross_texts import ABSENT, SEPARATOR, escaped
from ctrsel.data.scratch import mapped_arrays
from ctrsel.data.texts import SortedTexts
from ctrsel.data.vocabulary import Vocabulary, smallest_uint
from ctrsel.records.feature_set import HIDDEN, MISSING, OTHER, RESERVED
from ctrsel.records.schema import MOST_PARTS, Field, Schema

if TYPE_CHECKING:
    from ctrsel.data.table import Table

__all__ = ["MIN_COUNT", "Cells", "cross_cells", "cross_field", "cross_name", "crossed"]

MIN_COUNT = 5  # training rows of a combination that gets a code of its own
_PIECE = 1 << 20  # rows counted or coded at once
_DENSE = 1 << 24  # cells that are counted in one array
_HELD = 1 << 22  # keys that are sorted at once beyond that
_TEXTS = 1 << 24  # joint texts of one cross


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """The combinations of some columns that get codes.

    Attributes:
        field: The cross.
        sizes: Number of codes of each part.
        keys: Mixed-radix number of the parts' codes of each cell, rising, uint64 `[K]`.
        counts: Training rows of each cell, int64 `[K]`.
        missing: Training rows of which all parts are missing.
        other: Training rows of all other combinations.
    """

    field: Field
    sizes: tuple[int, ...]
    keys: np.ndarray
    counts: np.ndarray
    missing: int
    other: int


def cross_name(parts: Sequence[str]) -> str:
    """Return the name of a cross.

    Examples:
        >>> cross_name(["site", "ad"])
        'site*ad'
    """
    return "*".join(parts)


def cross_field(schema: Schema, parts: Sequence[str], *, min_count: int = MIN_COUNT) -> Field:
    """Return the cross of some fields.

    Its cost is that of all its parts together; it is sensitive, or known after the outcome only, if one of them is.

    Raises:
        ConfigError: If a part is not known, cannot be crossed, or the cross is there already, or its name is taken.
    """
    name = cross_name(parts)
    place = f"cross {name!r}"
    if isinstance(parts, str) or not 2 <= len(parts) <= MOST_PARTS or len(set(parts)) != len(parts):
        raise ConfigError(f"{place}: a cross has 2 to {MOST_PARTS} different fields, got {parts!r}")
    if min_count < 1:
        raise ConfigError(f"{place}: min_count must be at least 1, got {min_count}")
    fields = []
    for part in parts:
        if part not in schema.names:
            raise unknown_name("field", part, schema.names, place=place)
        fields.append(of := schema.field(part))
        if reason := _uncrossable(of):
            raise ConfigError(f"{place}: {part!r} {reason}")
    same = [f.name for f in schema.crosses if set(f.parts) == set(parts)]
    if same:
        raise ConfigError(f"{place}: the table has the cross {same[0]!r} already")
    taken = [*schema.names, *(f.name for f in schema.cross_inputs), *(x.name for x in schema.labels)]
    if name in (*taken, schema.time, schema.group, schema.weight):
        raise ConfigError(
            f"{place}: a column has this name already; rename the column, or name the parts in another order"
        )
    costs = [f.cost for f in fields if f.cost is not None]
    return Field(
        name=name,
        kind="cross",
        vocabulary=name,
        min_count=min_count,
        cost=sum(costs) if costs else None,
        available_at="after" if any(f.available_at == "after" for f in fields) else "before",
        sensitive=any(f.sensitive for f in fields),
        parts=tuple(parts),
    )


def _uncrossable(field: Field) -> str | None:
    """Say why a field can be no part of a cross."""
    if field.is_float:
        return "stays a float; give it buckets (schema.fields: bucket: quantile) to cross it"
    if field.is_list:
        return "holds a list of values in a row, which has no one combination with another field"
    if field.hash_buckets is not None:
        return "has hash buckets in place of values, which have no texts to join; give it a vocabulary to cross it"
    if field.is_cross:
        return f"is a cross itself; name its parts {list(field.parts)} and the others in one cross"
    return None


def crossed(
    table: Table, crosses: Sequence[Sequence[str]], *, min_count: int = MIN_COUNT, scratch: Path | None = None
) -> Table:
    """Return the table with crosses as further fields, which stand last (see `Table.crossed`)."""
    columns, vocabularies = dict(table.columns), dict(table.encoder.vocabularies)
    schema = table.schema
    for parts in crosses:
        field = cross_field(schema, parts, min_count=min_count)
        cells = cross_cells(table, field, scratch=scratch)
        vocabularies[field.name], codes = _vocabulary(table, cells, scratch=scratch)
        columns[field.name] = _column(table, cells, codes, scratch=scratch)
        schema = replace(schema, fields=(*schema.fields, field))
    if schema is table.schema:
        return table
    return replace(
        table, encoder=replace(table.encoder, schema=schema, vocabularies=vocabularies, ancestors=()), columns=columns
    )


def cross_cells(table: Table, field: Field, *, scratch: Path | None = None) -> Cells:
    """Count the combinations of a cross's parts in the training rows.

    Memory: one array of all cells where these are at most 16M; else the rows are read again for every 4M of them, and
    what is held are the keys of one part of the key space, and the cells that are kept.

    Raises:
        DataError: If no combination is frequent enough, the table has no split "train", or the parts have too many
            values together to be numbered.
    """
    sizes = tuple(table.encoder.size(p) for p in field.parts)
    if prod(sizes) >= 2**63:
        raise DataError(f"cross {field.name!r}: parts of {list(sizes)} codes have more cells together than 2**63")
    span = table.span("train")
    count = _dense if prod(sizes) <= _DENSE else _sparse
    keys, counts = count(table, field, sizes, span)
    missing = int(counts[0]) if len(keys) and keys[0] == 0 else 0
    keep = (counts >= field.min_count) & (keys != 0)
    for codes in _codes(keys, sizes):
        keep &= (codes != OTHER) & (codes != HIDDEN)
    keys, kept = keys[keep], counts[keep]
    if not len(keys):
        raise DataError(
            f"cross {field.name!r}: no combination of known values is in {field.min_count} training rows or more; lower "
            "min_count, or leave the cross out"
        )
    rows = span.stop - span.start
    return Cells(
        field=field, sizes=sizes, keys=keys, counts=kept, missing=missing, other=rows - missing - int(kept.sum())
    )


def _keys(table: Table, field: Field, sizes: Sequence[int], rows: slice) -> Iterator[np.ndarray]:
    """Yield the cells of some rows, a piece at a time, in the smallest type that multiplies fast."""
    kind = np.uint32 if prod(sizes) < 2**32 else np.uint64
    columns = [table.columns[p] for p in field.parts]
    for start in range(rows.start, rows.stop, _PIECE):
        stop = min(start + _PIECE, rows.stop)
        keys = np.zeros(stop - start, dtype=kind)
        for column, size in zip(columns, sizes, strict=True):
            assert isinstance(column, np.ndarray)
            keys *= kind(size)
            keys += np.asarray(column[start:stop]).astype(kind)
        yield keys


def _dense(table: Table, field: Field, sizes: Sequence[int], rows: slice) -> tuple[np.ndarray, np.ndarray]:
    counts: np.ndarray = np.zeros(prod(sizes), dtype=np.uint32 if rows.stop - rows.start < 2**32 else np.int64)
    for keys in _keys(table, field, sizes, rows):
        if len(counts) <= 4 * len(keys):
            counts += np.bincount(keys, minlength=len(counts)).astype(counts.dtype)
        else:  # a count of all cells for each piece would take longer than the rows
            found, times = np.unique(keys, return_counts=True)
            counts[found] += times.astype(counts.dtype)
    found = np.flatnonzero(counts)
    return found.astype(np.uint64), counts[found].astype(np.int64)


def _sparse(table: Table, field: Field, sizes: Sequence[int], rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Count in passes over the rows, each of which holds one part of the cells: those with one remainder of a hash."""
    passes = np.uint64(max(-(-(rows.stop - rows.start) // _HELD), 1))
    kept: list[tuple[np.ndarray, np.ndarray]] = []
    held = np.empty(_HELD + _PIECE, dtype=np.uint64)
    for number in range(int(passes)):
        found: list[tuple[np.ndarray, np.ndarray]] = []
        filled = 0
        for keys in _keys(table, field, sizes, rows):
            wide = keys.astype(np.uint64)
            if passes > 1:
                # Multiplied by an odd number and cut, since neighbouring keys share their first part.
                mixed = (wide * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(33)
                wide = wide[mixed % passes == number]
            held[filled : filled + len(wide)] = wide
            filled += len(wide)
            if filled > _HELD:  # more than this part's share, so that cells come often and count to few numbers
                found = [_added([*found, _counted(held[:filled])])]
                filled = 0
        cells, counts = _added([*found, _counted(held[:filled])])
        frequent = (counts >= field.min_count) | (cells == 0)
        kept.append((cells[frequent], counts[frequent]))
    return _added(kept)


def _counted(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct cells and how often each comes; sorts in place, which is far faster than an order."""
    keys.sort()
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else np.zeros(0, dtype=np.int64)
    return keys[first], np.diff(first, append=len(keys))


def _added(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    if len(parts) == 1:
        return parts[0]
    keys = np.concatenate([k for k, _ in parts])
    counts = np.concatenate([c for _, c in parts])
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    first = np.flatnonzero(np.diff(keys, prepend=keys[:1] + np.uint64(1))) if len(keys) else np.zeros(0, dtype=np.int64)
    return keys[first], np.add.reduceat(counts, first) if len(first) else counts


def _codes(keys: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Return the code of each part of each cell, int64 `[K]` for each part."""
    out: list[np.ndarray] = []
    rest = keys
    for size in reversed(sizes):
        rest, codes = np.divmod(rest, np.uint64(size))
        out.append(codes.astype(np.int64))
    return out[::-1]


def _vocabulary(table: Table, cells: Cells, *, scratch: Path | None) -> tuple[Vocabulary, np.ndarray]:
    """Return the vocabulary of some cells, and the code of each `[K]`: by falling count, ties by text."""
    name = cells.field.name
    texts, owner = _joint(table, cells)
    order = texts.arg_sort().to_numpy()
    texts, owner = texts.gather(order), owner[order]
    # A cell stands where its first text stands; all its texts have its code.
    first = np.full(len(cells.keys), len(owner), dtype=np.int64)
    np.minimum.at(first, owner, np.arange(len(owner)))
    ranked = np.lexsort((first, -cells.counts))
    size = RESERVED + len(ranked)
    codes = np.empty(len(ranked), dtype=smallest_uint(size))
    codes[ranked] = np.arange(RESERVED, size)
    counts = np.concatenate([[cells.missing, cells.other, 0], cells.counts[ranked]]).astype(np.int64)
    values = SortedTexts.join((texts[i : i + _PIECE] for i in range(0, len(texts), _PIECE)), scratch=scratch)
    return Vocabulary(name=name, values=values, codes=codes[owner], counts=counts), codes


def _joint(table: Table, cells: Cells) -> tuple[pl.Series, np.ndarray]:
    """Return the joint texts of some cells, and the cell that each belongs to `[E]`.

    A code that several values were merged into gives one text for each of them.
    """
    owner = np.arange(len(cells.keys))
    names: list[pl.Series] = []
    for part, codes in zip(cells.field.parts, _codes(cells.keys, cells.sizes), strict=True):
        vocabulary = table.encoder.vocabulary(part)
        order = np.argsort(vocabulary.codes, kind="stable")
        many = np.bincount(vocabulary.codes, minlength=vocabulary.size)
        starts = np.cumsum(many) - many
        many[MISSING] = 1
        times = many[codes[owner]]
        if int(times.sum()) > _TEXTS:
            raise DataError(
                f"cross {cells.field.name!r}: has {int(times.sum()):,} joint texts, and at most {_TEXTS:,} can be held; "
                "raise min_count"
            )
        repeated = np.repeat(np.arange(len(owner)), times)
        inside = np.arange(len(repeated)) - np.repeat(np.cumsum(times) - times, times)
        owner = owner[repeated]
        names = [n.gather(repeated) for n in names]
        own = codes[owner]
        absent = own == MISSING
        places = np.full(len(own), -1, dtype=np.int64)
        places[~absent] = order[starts[own[~absent]] + inside[~absent]]
        distinct, back = np.unique(places, return_inverse=True)
        known = vocabulary.values.take(distinct[distinct >= 0]).alias("text")
        written = known.to_frame().select(escaped(pl.col("text"))).to_series()
        if len(distinct) and distinct[0] < 0:
            written = pl.concat([pl.Series("text", [ABSENT], dtype=pl.String), written])
        names.append(written.gather(pl.Series(back, dtype=pl.UInt32)))
    joined = pl.DataFrame([n.alias(str(i)) for i, n in enumerate(names)]).select(
        pl.concat_str([pl.col(str(i)) for i in range(len(names))], separator=SEPARATOR)
    )
    return joined.to_series(), owner


def _column(table: Table, cells: Cells, codes: np.ndarray, *, scratch: Path | None) -> np.ndarray:
    """Return the code of each row; in a nameless file where it would take much of the memory that is left."""
    kind = codes.dtype
    n = table.n_rows
    mapped = any(isinstance(table.columns[p], np.memmap) for p in cells.field.parts)
    out = (
        mapped_arrays([(n, kind)], folder=scratch)[0]
        if mapped and 4 * n * kind.itemsize > available_memory()
        else np.empty(n, dtype=kind)
    )
    table_of = None
    if prod(cells.sizes) <= _DENSE:
        table_of = np.full(prod(cells.sizes), OTHER, dtype=kind)
        table_of[cells.keys] = codes
        table_of[0] = MISSING
    start = 0
    for keys in _keys(table, cells.field, cells.sizes, slice(0, n)):
        into = out[start : start + len(keys)]
        if table_of is not None:
            into[:] = table_of[keys]
        else:
            wide = keys.astype(np.uint64)
            places = np.minimum(np.searchsorted(cells.keys, wide), len(cells.keys) - 1)
            into[:] = np.where(cells.keys[places] == wide, codes[places], OTHER)
            into[wide == 0] = MISSING
        start += len(keys)
    return out
