"""Fit: from raw columns to codes, one vocabulary at a time; vocabularies, edges and moments come from training rows only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from ctrsel.data.buckets import NO_BUCKET, bucket_ids, bucket_texts, moments, quantile_edges
from ctrsel.data.canonical import canonical_text, list_items
from ctrsel.data.coding import NONE, Coded, code_columns
from ctrsel.data.raw import RawRows
from ctrsel.data.roles import number_values
from ctrsel.data.scratch import mapped_arrays
from ctrsel.data.texts import SortedTexts
from ctrsel.records.feature_set import MISSING
from ctrsel.records.schema import Field, Schema

__all__ = [
    "CHUNK",
    "CodedField",
    "RawVocabulary",
    "float_column",
    "float_moments",
    "lookup",
    "raw_vocabulary",
    "vocabulary_fields",
]

CHUNK = 1_000_000  # rows


def vocabulary_fields(schema: Schema) -> Mapping[str, tuple[Field, ...]]:
    """Return the fields of each vocabulary, in the order of the schema."""
    found: dict[str, list[Field]] = {}
    for f in schema.fields:
        if not f.is_float:
            found.setdefault(f.vocabulary, []).append(f)
    return {name: tuple(fields) for name, fields in found.items()}


@dataclass(frozen=True, kw_only=True)
class CodedField:
    """One field of a vocabulary, as ids.

    Attributes:
        field: The field.
        ids: uint32 `[N]`, or `[M]` for a list: raw id of each value; `NONE` where missing.
        offsets: int64 `[N + 1]` for a list, else None.
    """

    field: Field
    ids: np.ndarray
    offsets: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class RawVocabulary:
    """The distinct texts of a vocabulary's fields, and each row's.

    Attributes:
        name: The vocabulary's name.
        fields: Its fields.
        places: uint32 `[n_raw]`: raw id to place in `texts`, `NONE` if the raw text is missing.
        texts: Canonical texts.
        edges: Inner bucket edges of its numeric fields with quantile buckets.
        order: Place of each text on its number line, None if a field of the vocabulary has none.
    """

    name: str
    fields: tuple[CodedField, ...]
    places: np.ndarray
    texts: SortedTexts
    edges: Mapping[str, np.ndarray] = field(default_factory=dict)
    order: Mapping[str, float] | None = None

    def counts(self, rows: np.ndarray) -> tuple[np.ndarray, int]:
        """Count each text's occurrences in some rows, over all fields.

        Args:
            rows: Boolean `[N]`.

        Returns:
            int64 `[v]` and the number of missing cells; a list has none.
        """
        n_raw = len(self.places)
        cells = sum(len(f.ids) for f in self.fields)
        raw: np.ndarray = np.zeros(n_raw + 1, dtype=np.uint32 if cells < 2**32 else np.int64)
        for f in self.fields:
            picked = rows if f.offsets is None else np.repeat(rows, np.diff(f.offsets))
            for start in range(0, len(f.ids), CHUNK):
                some = np.minimum(f.ids[start : start + CHUNK][picked[start : start + CHUNK]], n_raw)
                if n_raw < len(some):
                    raw += np.bincount(some, minlength=n_raw + 1).astype(raw.dtype)
                else:  # a count of all values for each chunk would take values times chunks
                    np.add.at(raw, some, raw.dtype.type(1))
        missing = int(raw[n_raw])
        counts = np.zeros(len(self.texts), dtype=np.int64)
        for start in range(0, n_raw, CHUNK):
            places, found = self.places[start : start + CHUNK], raw[start : start + CHUNK][: n_raw - start]
            known = places != NONE
            missing += int(found[~known].sum())
            np.add.at(counts, places[known], found[known].astype(np.int64))
        return counts, missing


def lookup(raw: RawVocabulary, codes: np.ndarray) -> np.ndarray:
    """Return the code of each raw id `[n_raw + 1]`; the last one is that of a missing value.

    Args:
        raw: The vocabulary's texts.
        codes: The code of each text `[v]`.
    """
    # Empty texts stand past the end of `codes`, where the code of a missing value is.
    extended = np.append(codes, codes.dtype.type(MISSING))
    out = np.full(len(raw.places) + 1, MISSING, dtype=codes.dtype)
    for start in range(0, len(raw.places), CHUNK):
        piece = slice(start, min(start + CHUNK, len(raw.places)))
        out[piece] = np.take(extended, raw.places[piece], mode="clip")
    return out


def raw_vocabulary(
    name: str,
    fields: Sequence[Field],
    raw: RawRows,
    *,
    train: np.ndarray,
    memory: int,
    scratch: Path,
    edges: Mapping[str, np.ndarray] | None = None,
) -> RawVocabulary:
    """Read the columns of a vocabulary as ids of their distinct texts.

    Args:
        name: The vocabulary's name.
        fields: Its fields.
        raw: The rows.
        train: Boolean `[N]`: training rows, which decide on bucket edges.
        memory: Bytes that may be held.
        scratch: A folder for what does not fit.
        edges: Bucket edges that are known already; then nothing is fitted.
    """
    found: dict[str, np.ndarray] = dict(edges or {})
    for f in fields:
        if f.bucket == "quantile" and f.name not in found:
            values = _training_numbers(raw, f.name, train=train, memory=memory, scratch=scratch)
            found[f.name] = quantile_edges(values, bins=f.bins or 2, in_place=True)
    if len(fields) == 1 and fields[0].kind == "numeric":
        return _bucketed(name, fields[0], raw, edges=found.get(fields[0].name), memory=memory, scratch=scratch)
    columns: list[Callable[[], Iterator[pl.Series]]] = []
    offsets: list[np.ndarray | None] = []
    for f in fields:
        if f.is_list:
            offsets.append(_offsets(raw, f))
            columns.append(partial(_items, raw, f))
        else:
            offsets.append(None)
            columns.append(
                partial(_bucket_chunks, raw, f, found.get(f.name))
                if f.kind == "numeric"
                else partial(raw.chunks, f.name)
            )
    rows = [raw.n_rows if o is None else int(o[-1]) for o in offsets]
    coded: Coded = code_columns(columns, rows=rows, memory=memory, scratch=scratch)
    order = None
    if any(f.kind == "numeric" for f in fields):
        order = _order(raw, fields, found)
    return RawVocabulary(
        name=name,
        fields=tuple(
            CodedField(field=f, ids=ids, offsets=o) for f, ids, o in zip(fields, coded.ids, offsets, strict=True)
        ),
        places=coded.places,
        texts=coded.texts,
        edges=found,
        order=order,
    )


def _bucketed(
    name: str, f: Field, raw: RawRows, *, edges: np.ndarray | None, memory: int, scratch: Path
) -> RawVocabulary:
    """Code a numeric field by bucket, without a text a row."""
    ids = _held(raw.n_rows, np.dtype(np.uint32), memory=memory, scratch=scratch)
    seen: dict[int, int] = {}
    start = 0
    for chunk in raw.chunks(f.name):
        buckets = bucket_ids(number_values(chunk).fill_null(float("nan")).to_numpy(), edges=edges)
        known = buckets != NO_BUCKET
        distinct, where = _distinct(buckets[known])
        lut = np.array([seen.setdefault(b, len(seen)) for b in distinct.tolist()], dtype=np.uint32)
        into = ids[start : start + len(chunk)]
        into[~known] = NONE
        into[known] = lut[where]
        start += len(chunk)
    values = np.array(list(seen), dtype=np.int64)
    names = pl.Series(bucket_texts(values, edges=edges), dtype=pl.String)
    texts = SortedTexts.of(names)
    return RawVocabulary(
        name=name,
        fields=(CodedField(field=f, ids=ids),),
        places=texts.find(names).astype(np.uint32),
        texts=texts,
        edges={} if edges is None else {f.name: edges},
        order=dict(zip(names.to_list(), values.astype(float).tolist(), strict=True)),
    )


def _distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct integers in order and the place of each value there; without a sort where they lie close."""
    low = int(values.min()) if len(values) else 0
    span = int(values.max()) - low + 1 if len(values) else 0
    if span > 4 * len(values) + 1024:  # far apart, as a count of -1e15 is from one of 5
        return np.unique(values, return_inverse=True)
    at = values - low
    used = np.zeros(span, dtype=bool)
    used[at] = True
    return np.flatnonzero(used) + low, (np.cumsum(used) - 1)[at]


def _held(n: int, dtype: np.dtype, *, memory: int, scratch: Path) -> np.ndarray:
    """Return an array to fill, which is mapped from a file where it would take more than a quarter of the memory."""
    if 4 * n * dtype.itemsize <= memory:
        return np.empty(n, dtype=dtype)
    return mapped_arrays([(n, dtype)], folder=scratch)[0]


def _training_numbers(raw: RawRows, name: str, *, train: np.ndarray, memory: int, scratch: Path) -> np.ndarray:
    """Read the training rows' numbers that are not missing, float64 `[m]`."""
    out = _held(int(train.sum()), np.dtype(np.float64), memory=memory, scratch=scratch)
    start = filled = 0
    for chunk in raw.chunks(name):
        values = number_values(chunk).fill_null(float("nan")).to_numpy()
        some = values[train[start : start + len(chunk)] & ~np.isnan(values)]
        out[filled : filled + len(some)] = some
        start += len(chunk)
        filled += len(some)
    return out[:filled]


def _bucket_chunks(raw: RawRows, f: Field, edges: np.ndarray | None) -> Iterator[pl.Series]:
    """Yield the bucket's text of each row, for a numeric field that shares its vocabulary."""
    for chunk in raw.chunks(f.name):
        ids = bucket_ids(number_values(chunk).fill_null(float("nan")).to_numpy(), edges=edges)
        found, where = np.unique(ids, return_inverse=True)
        names = [None if b == NO_BUCKET else bucket_texts(np.array([b]), edges=edges)[0] for b in found]
        yield pl.Series(f.name, names, dtype=pl.String).gather(pl.Series(where, dtype=pl.UInt32))


def _order(raw: RawRows, fields: Sequence[Field], edges: Mapping[str, np.ndarray]) -> Mapping[str, float] | None:
    if any(f.kind != "numeric" for f in fields):
        return None
    order: dict[str, float] = {}
    for f in fields:
        for chunk in raw.chunks(f.name):
            ids = np.unique(
                bucket_ids(number_values(chunk).fill_null(float("nan")).to_numpy(), edges=edges.get(f.name))
            )
            ids = ids[ids != NO_BUCKET]
            order |= dict(zip(bucket_texts(ids, edges=edges.get(f.name)), ids.astype(float).tolist(), strict=True))
    return order


def _lists(chunk: pl.Series, f: Field) -> pl.Series:
    lists = list_items(chunk)
    return lists.list.tail(f.max_length) if f.max_length is not None else lists


def _offsets(raw: RawRows, f: Field) -> np.ndarray:
    lengths = [_lists(chunk, f).list.len().to_numpy() for chunk in raw.chunks(f.name)]
    return np.concatenate([[0], *(np.asarray(x, dtype=np.int64) for x in lengths)]).cumsum()


def _items(raw: RawRows, f: Field) -> Iterator[pl.Series]:
    for chunk in raw.chunks(f.name):
        lists = _lists(chunk, f)
        items = lists.explode(empty_as_null=False, keep_nulls=False)
        yield canonical_text(items) if len(items) else pl.Series(f.name, [], dtype=pl.String)


def float_column(raw: RawRows, name: str, *, memory: int, scratch: Path) -> np.ndarray:
    """Read a field that stays a float, float32 `[N]`; missing and infinite values are NaN."""
    out = _held(raw.n_rows, np.dtype(np.float32), memory=memory, scratch=scratch)
    start = 0
    for chunk in raw.chunks(name):
        with np.errstate(over="ignore"):
            values = number_values(chunk).fill_null(float("nan")).to_numpy().astype(np.float32)
        out[start : start + len(chunk)] = np.where(np.isinf(values), np.float32(np.nan), values)
        start += len(chunk)
    return out


def float_moments(raw: RawRows, name: str, *, train: np.ndarray, memory: int, scratch: Path) -> tuple[float, float]:
    """Return mean and standard deviation of a float field's training values that float32 can hold."""
    return moments(_training_numbers(raw, name, train=train, memory=memory, scratch=scratch))
