"""Encoding of raw text rows in one query: what serving does, since a request's columns are texts.

`Encoder.column` says what the codes are; this is the same function with the cost of one call instead of one per field,
and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ctrsel.data.buckets import NO_BUCKET, bucket_ids, bucket_texts
from ctrsel.data.canonical import WHOLE_FLOAT
from ctrsel.data.cross_rows import CrossCodes, part_ids, part_vocabularies
from ctrsel.data.cross_texts import joint_texts
from ctrsel.data.vocabulary import Vocabulary, smallest_uint
from ctrsel.records.feature_set import MISSING, OTHER

if TYPE_CHECKING:
    from ctrsel.data.encoder import Encoder

__all__ = ["TextPlan"]

_FEW_ROWS = 50_000  # above, one query per field costs nothing beside the work, and takes less memory at once


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPlan:
    """What is looked up per field, made once per Encoder; a cross of log-square buckets is left to its column.

    Attributes:
        reads: Per categorical field, cross and part of a cross the columns that must be texts.
        places: Per categorical field of few values the query for the place of a row's value: v = unknown,
            v + 1 = missing.
        codes: Per such field the code of each place `[v + 2]`.
        texts: Per other categorical field, and per cross of very many values, the query for its text, and the vocabulary that encodes it.
        numbers: Per bucketed field or part of a cross the query for its number and whether the text is none.
        edges: Per such column the inner edges.
        buckets: Per bucketed field the code of each bucket, the last one that of a missing value.
        parts: Per categorical part of a cross whose field does not know all of its texts the query for its id.
        ids: Per other part the id of each place or bucket (see `CrossCodes`).
        crosses: Per cross what its parts' ids say.
    """

    reads: Mapping[str, tuple[str, ...]]
    places: Mapping[str, pl.Expr]
    codes: Mapping[str, np.ndarray]
    texts: Mapping[str, tuple[pl.Expr, Vocabulary]]
    numbers: Mapping[str, tuple[pl.Expr, pl.Expr]]
    edges: Mapping[str, np.ndarray]
    buckets: Mapping[str, np.ndarray]
    parts: Mapping[str, pl.Expr]
    ids: Mapping[str, np.ndarray]
    crosses: Mapping[str, CrossCodes]

    @staticmethod
    def of(encoder: Encoder) -> TextPlan:
        """Make the plan of an Encoder."""
        reads: dict[str, tuple[str, ...]] = {}
        places: dict[str, pl.Expr] = {}
        codes: dict[str, np.ndarray] = {}
        texts: dict[str, tuple[pl.Expr, Vocabulary]] = {}
        numbers: dict[str, tuple[pl.Expr, pl.Expr]] = {}
        edges: dict[str, np.ndarray] = {}
        buckets: dict[str, np.ndarray] = {}
        read = part_vocabularies(encoder)
        for field in encoder.fields:
            if field.is_float or field.is_list:
                continue
            vocabulary = encoder.vocabularies[field.vocabulary]
            if field.is_cross:
                if vocabulary.values.enum is None and _categorical(encoder, field.parts):
                    reads[field.name] = field.parts
                    texts[field.name] = (joint_texts([_text(p) for p in field.parts]), vocabulary)
            elif field.kind == "categorical":
                reads[field.name] = (field.name,)
                v, text = len(vocabulary.values), _text(field.name)
                enum = vocabulary.values.enum if vocabulary.hashed is None else None
                if enum is None:
                    texts[field.name] = (text, vocabulary)
                    continue
                place = text.cast(enum, strict=False).to_physical().cast(pl.Int64).fill_null(v)
                places[field.name] = pl.when(text.is_null()).then(v + 1).otherwise(place)
                kind = smallest_uint(vocabulary.size)
                codes[field.name] = np.concatenate([vocabulary.codes, [OTHER, MISSING]]).astype(kind)
            elif field.name in encoder.edges:
                known = vocabulary.encode(_names(encoder.edges[field.name]))
                buckets[field.name] = np.append(known, known.dtype.type(MISSING))
        for name in dict.fromkeys([*buckets, *read]):
            if name in encoder.edges:
                edges[name], numbers[name] = encoder.edges[name], _number(name)
        parts, ids = _parts(encoder, read, places)
        return TextPlan(
            reads=reads | {p: (p,) for p in parts},
            places=places,
            codes=codes,
            texts=texts,
            numbers=numbers,
            edges=edges,
            buckets=buckets,
            parts=parts,
            ids=ids,
            crosses={
                f.name: CrossCodes.of(vocabulary, f.parts, read)
                for f in encoder.schema.crosses
                if (vocabulary := encoder.vocabularies[f.vocabulary]).values.enum is not None
                and all(p in parts or p in ids for p in f.parts)
            },
        )

    def encode(self, frame: pl.DataFrame) -> dict[str, np.ndarray]:
        """Return the codes of the fields whose columns are texts; the others, and any that need an error, are left out."""
        if not 0 < frame.height <= _FEW_ROWS:
            return {}
        texts = {name for name, kind in frame.schema.items() if kind == pl.String}
        categorical = [n for n in self.places if texts.issuperset(self.reads[n])]
        large = [n for n in self.texts if texts.issuperset(self.reads[n])]
        numeric = [n for n in self.numbers if n in texts]
        parts = [n for n in self.parts if n in texts]
        found = (
            frame.lazy()
            .select(
                *(self.places[n].alias(f"p{i}") for i, n in enumerate(categorical)),
                *(self.texts[n][0].alias(f"t{i}") for i, n in enumerate(large)),
                *(self.parts[n].alias(f"x{i}") for i, n in enumerate(parts)),
                *(self.numbers[n][0].alias(f"n{i}") for i, n in enumerate(numeric)),
                *(self.numbers[n][1].any().alias(f"b{i}") for i, n in enumerate(numeric)),
            )
            .collect()
            if categorical or large or numeric or parts
            else frame
        )
        at = {name: found[f"p{i}"].to_numpy() for i, name in enumerate(categorical)}
        out = {name: self.codes[name][places] for name, places in at.items()}
        out |= {name: self.texts[name][1].encode(found[f"t{i}"]) for i, name in enumerate(large)}
        for i, name in enumerate(numeric):
            if found[f"b{i}"][0]:
                continue
            buckets = bucket_ids(found[f"n{i}"].to_numpy(), edges=self.edges[name])
            at[name] = np.where(buckets == NO_BUCKET, len(self.edges[name]) + 1, buckets)
            if name in self.buckets:
                out[name] = self.buckets[name][at[name]]
        ids = {name: of[at[name]] for name, of in self.ids.items() if name in at}
        ids |= {name: found[f"x{i}"].to_numpy() for i, name in enumerate(parts)}
        return out | {n: cross.encode(ids) for n, cross in self.crosses.items() if ids.keys() >= set(cross.parts)}


def _text(name: str) -> pl.Expr:
    column = pl.col(name)
    return pl.when(column != "").then(column.str.replace(WHOLE_FLOAT, "${1}${2}"))


def _number(name: str) -> tuple[pl.Expr, pl.Expr]:
    column = pl.col(name)
    number = column.str.strip_chars().cast(pl.Float64, strict=False)
    bad = (column != "") & number.is_null()
    return number.fill_null(float("nan")), bad.fill_null(value=False)


def _names(edges: np.ndarray) -> pl.Series:
    return pl.Series(bucket_texts(np.arange(len(edges) + 1), edges=edges), dtype=pl.String)


def _categorical(encoder: Encoder, parts: tuple[str, ...]) -> bool:
    return all(encoder.schema.input(p).kind == "categorical" for p in parts)


def _parts(
    encoder: Encoder, read: Mapping[str, pl.Series], places: Mapping[str, pl.Expr]
) -> tuple[dict[str, pl.Expr], dict[str, np.ndarray]]:
    """Return how the parts of crosses get their ids: by queries of their own, and by place or bucket."""
    parts: dict[str, pl.Expr] = {}
    ids: dict[str, np.ndarray] = {}
    for name, texts in read.items():
        if name in encoder.edges:
            of = part_ids(texts, _names(encoder.edges[name]))
            ids[name] = np.delete(of, -2)  # every number has a bucket
        elif encoder.schema.input(name).kind == "categorical":
            values = encoder.vocabulary(name).values if name in places else None
            if values is not None and (values.find(texts) >= 0).all():
                ids[name] = part_ids(texts, pl.concat(list(values.chunks())) if len(values) else texts)
                continue
            text = _text(name)
            place = text.cast(pl.Enum(texts), strict=False).to_physical().cast(pl.Int64)
            parts[name] = pl.when(text.is_null()).then(0).otherwise((place + 1).fill_null(len(texts) + 1))
    return parts, ids
