"""Matching: which value of one Encoder is which value of another, by text, and by place for buckets that have moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from ctrsel.data.buckets import bucket_texts
from ctrsel.data.fit import vocabulary_fields
from ctrsel.records.feature_set import HIDDEN, MISSING, OTHER, RESERVED

if TYPE_CHECKING:
    from ctrsel.data.encoder import Encoder
    from ctrsel.data.vocabulary import Vocabulary
    from ctrsel.records.schema import Field

__all__ = ["FieldMatch", "Match", "RowMatch", "match"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMatch:
    """What becomes of a field.

    Attributes:
        name: The field.
        status: Whether both Encoders have it ("carried"), the later one only ("new") or the earlier one only ("gone").
        carried: Values of its vocabulary (merged ones count once) with a code in both.
        new: Values with a code in the later one only.
        gone: Values with a code in the earlier one only.
        note: What else changed; empty if nothing did.
    """

    name: str
    status: Literal["carried", "new", "gone"]
    carried: int = 0
    new: int = 0
    gone: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowMatch:
    """The codes of a vocabulary, and those of the one that it is matched with.

    Attributes:
        old: The name of the earlier vocabulary.
        to: Later codes, int64 `[k]`.
        of: The earlier code of each, int64 `[k]`.
        weight: Of each in a mean of rows, above 0, float64 `[k]`.
        unique: Whether no later code stands twice.
        new_codes: Later codes without an earlier one, int64.
        gone: How many earlier values no later one has.
        other: The earlier code that unknown values have.
        note: As in `FieldMatch`.
    """

    old: str
    to: np.ndarray
    of: np.ndarray
    weight: np.ndarray
    unique: bool
    new_codes: np.ndarray
    gone: int
    other: int = OTHER
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Two Encoders, the earlier one and the later one.

    Attributes:
        vocabularies: By name of the later vocabulary; those that have nothing in common with the earlier Encoder are absent.
        floats: Per float that stays one: new spread / old spread.
        fields: In the order of the later Encoder, then those that are gone.
        changed: Fields of both that are read in another way now, so that nothing learned about them holds.
    """

    vocabularies: Mapping[str, RowMatch]
    floats: Mapping[str, float]
    fields: tuple[FieldMatch, ...]
    changed: tuple[str, ...]


def match(old: Encoder, new: Encoder) -> Match:
    """Match the values of two Encoders.

    A vocabulary is matched with that of the first of its fields that the earlier Encoder has too. Texts decide; a bucket is
    a range, so one whose range has changed is matched with the earlier bucket that its middle lies in. Hash buckets are
    matched by number where there are as many. Crosses of buckets that have moved are matched where the ranges are the same.
    """
    theirs = {f.name: f for f in old.fields}
    changed = tuple(f.name for f in new.fields if f.name in theirs and _form(f) != _form(theirs[f.name]))
    known = {name: f for name, f in theirs.items() if name not in changed}
    rows: dict[str, RowMatch] = {}
    for name, fields in vocabulary_fields(new.schema).items():
        first = next((f for f in fields if f.name in known), None)
        if first is not None:
            rows[name] = _rows(old, new, first, known[first.name].vocabulary)
    floats, shifts = {}, {}
    for f in new.fields:
        if f.is_float and f.name in known:
            (mean, spread), (before, scale) = new.moments[f.name], old.moments[f.name]
            floats[f.name], shifts[f.name] = spread / scale, (mean - before) / scale
    told = [_told(f, new, rows.get(f.vocabulary) if f.name in known else None, shifts, changed) for f in new.fields]
    told += [
        FieldMatch(name=f.name, status="gone", gone=0 if f.is_float else old.vocabulary(f.name).size - RESERVED)
        for f in old.fields
        if f.name not in new.schema.names
    ]
    return Match(vocabularies=rows, floats=floats, fields=tuple(told), changed=changed)


def _form(field: Field) -> tuple[object, ...]:
    """Return what must be equal for a field's weights to mean the same."""
    return field.is_float, field.is_list, field.bucket, None if field.hash_buckets is None else "hashed", field.parts


def _told(
    field: Field,
    new: Encoder,
    rows: RowMatch | None,
    shifts: Mapping[str, float],
    changed: tuple[str, ...],
) -> FieldMatch:
    values = 0 if field.is_float else new.vocabulary(field.name).size - RESERVED
    moved = shifts.get(field.name)
    if rows is None and moved is None:
        note = "is read in another way than before" if field.name in changed else ""
        return FieldMatch(name=field.name, status="new", new=values, note=note)
    if rows is None:
        assert moved is not None
        note = f"its mean has moved by {moved:+.3g} standard deviations" if abs(moved) > 1e-12 else ""
        return FieldMatch(name=field.name, status="carried", note=note)
    return FieldMatch(
        name=field.name,
        status="carried",
        carried=values - len(rows.new_codes),
        new=len(rows.new_codes),
        gone=rows.gone,
        note=rows.note,
    )


def _rows(old: Encoder, new: Encoder, field: Field, vocabulary: str) -> RowMatch:
    before, after = old.vocabularies[vocabulary], new.vocabulary(field.name)
    to, of, note = after.codes.astype(np.int64), np.zeros(0, dtype=np.int64), ""
    edges = [e.edges.get(field.name) for e in (old, new)]
    if after.hashed is not None and before.hashed is not None:
        if after.hashed.buckets == before.hashed.buckets:
            to, of = _by_bucket(after), _by_bucket(before)
        else:
            to, note = to[:0], f"{after.hashed.buckets} hash buckets in place of {before.hashed.buckets}"
    elif edges[0] is not None and edges[1] is not None and not np.array_equal(edges[0], edges[1]):
        of = _by_place(before, after, old=edges[0], new=edges[1])
        note = "the edges of its buckets have moved; each gets the old one that its middle lies in"
    else:
        of = before.codes_for(after.values).astype(np.int64)
        moved = [p for p in field.parts if not np.array_equal(old.edges.get(p, ()), new.edges.get(p, ()))]
        if moved:
            note = f"the buckets of {moved[0]!r} have moved; combinations with the same ranges keep their row"
    met = (of >= RESERVED) & (to >= RESERVED)
    to, of = to[met], of[met]
    reserved = np.array([MISSING, OTHER, HIDDEN], dtype=np.int64)
    lacking = np.ones(after.size, dtype=bool)
    lacking[to] = lacking[reserved] = False
    left = np.ones(before.size, dtype=bool)
    left[of] = left[reserved] = False
    # An old code that several texts share weighs as much as one, whatever the number of its texts.
    share = np.bincount(of, minlength=before.size)
    weight = np.maximum(before.counts, 1).astype(np.float64)[of] / share[of]
    return RowMatch(
        old=vocabulary,
        to=np.concatenate([reserved, to]),
        of=np.concatenate([reserved, of]),
        weight=np.concatenate([np.ones(RESERVED), weight]),
        unique=len(np.unique(to)) == len(to),
        new_codes=np.flatnonzero(lacking),
        gone=int(left.sum()),
        note=note,
    )


def _by_bucket(vocabulary: Vocabulary) -> np.ndarray:
    """Return the code of each hash bucket, int64 `[H]`."""
    assert vocabulary.hashed is not None
    remap = vocabulary.hashed.remap
    if remap is None:
        return np.arange(RESERVED, RESERVED + vocabulary.hashed.buckets, dtype=np.int64)
    return remap[RESERVED:].astype(np.int64)


def _by_place(before: Vocabulary, after: Vocabulary, *, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return the earlier code of each later value of a bucketed field, int64 `[v]`; `OTHER` where there is none."""
    names = {text: i for i, text in enumerate(bucket_texts(np.arange(len(new) + 1), edges=new))}
    ids = np.array([names[text] for text in after.values.to_list()], dtype=np.int64)
    if not len(ids):
        return ids
    ends = np.concatenate([[-np.inf], new, [np.inf]])
    low, high = ends[ids], ends[ids + 1]
    middle = np.where(np.isinf(low), np.nextafter(high, -np.inf), np.where(np.isinf(high), low, (low + high) / 2))
    middle[np.isinf(low) & np.isinf(high)] = np.nan  # one bucket for all numbers has no middle
    places = np.searchsorted(old, np.nan_to_num(middle), side="right")
    codes = before.encode(pl.Series(bucket_texts(places, edges=old), dtype=pl.String)).astype(np.int64)
    codes[np.isnan(middle)] = OTHER
    return codes
