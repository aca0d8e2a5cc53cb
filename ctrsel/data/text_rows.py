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
from ctrsel.data.cross_texts import joint_texts
from ctrsel.data.vocabulary import Vocabulary, smallest_uint
from ctrsel.records.feature_set import MISSING, OTHER

if TYPE_CHECKING:
    from ctrsel.data.encoder import Encoder

__all__ = ["TextPlan"]

_FEW_ROWS = 50_000  # above, one query per field costs nothing beside the work, and takes less memory at once


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPlan:
    """What is looked up per field, made once per Encoder; a cross of bucketed fields is left to its column.

    Attributes:
        reads: Per categorical field or cross the columns that must be texts.
        places: Per categorical field or cross of few values the query for the place of a row's value: v = unknown,
            v + 1 = missing.
        codes: Per such field the code of each place `[v + 2]`.
        texts: Per other such field the query for its text, and the vocabulary that encodes it.
        numbers: Per bucketed field the query for its number and whether the text is none.
        buckets: Per bucketed field the inner edges and the code of each bucket, the last one that of a missing value.
    """

    reads: Mapping[str, tuple[str, ...]]
    places: Mapping[str, pl.Expr]
    codes: Mapping[str, np.ndarray]
    texts: Mapping[str, tuple[pl.Expr, Vocabulary]]
    numbers: Mapping[str, tuple[pl.Expr, pl.Expr]]
    buckets: Mapping[str, tuple[np.ndarray, np.ndarray]]

    @staticmethod
    def of(encoder: Encoder) -> TextPlan:
        """Make the plan of an Encoder."""
        reads: dict[str, tuple[str, ...]] = {}
        places: dict[str, pl.Expr] = {}
        codes: dict[str, np.ndarray] = {}
        texts: dict[str, tuple[pl.Expr, Vocabulary]] = {}
        numbers: dict[str, tuple[pl.Expr, pl.Expr]] = {}
        buckets: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for field in encoder.fields:
            if field.is_float or field.is_list:
                continue
            vocabulary = encoder.vocabularies[field.vocabulary]
            parts = field.parts or (field.name,)
            if all(encoder.schema.input(p).kind == "categorical" for p in parts):
                reads[field.name] = parts
                v = len(vocabulary.values)
                text = joint_texts([_text(p) for p in parts]) if field.is_cross else _text(field.name)
                enum = vocabulary.values.enum if vocabulary.hashed is None else None
                if enum is None:
                    texts[field.name] = (text, vocabulary)
                    continue
                place = text.cast(enum, strict=False).to_physical().cast(pl.Int64).fill_null(v)
                places[field.name] = pl.when(text.is_null()).then(v + 1).otherwise(place)
                kind = smallest_uint(vocabulary.size)
                codes[field.name] = np.concatenate([vocabulary.codes, [OTHER, MISSING]]).astype(kind)
            elif field.name in encoder.edges:
                edges = encoder.edges[field.name]
                column = pl.col(field.name)
                stripped = column.str.strip_chars()
                number = stripped.cast(pl.Float64, strict=False)
                bad = (column != "") & number.is_null()
                numbers[field.name] = (number.fill_null(float("nan")), bad.fill_null(value=False))
                names = pl.Series(bucket_texts(np.arange(len(edges) + 1), edges=edges), dtype=pl.String)
                known = vocabulary.encode(names)
                buckets[field.name] = (edges, np.append(known, known.dtype.type(MISSING)))
        return TextPlan(reads=reads, places=places, codes=codes, texts=texts, numbers=numbers, buckets=buckets)

    def encode(self, frame: pl.DataFrame) -> dict[str, np.ndarray]:
        """Return the codes of the fields whose columns are texts; the others, and any that need an error, are left out."""
        if not 0 < frame.height <= _FEW_ROWS:
            return {}
        texts = {name for name, kind in frame.schema.items() if kind == pl.String}
        categorical = [n for n in self.places if texts.issuperset(self.reads[n])]
        large = [n for n in self.texts if texts.issuperset(self.reads[n])]
        numeric = [n for n in self.numbers if n in texts]
        found = (
            frame.lazy()
            .select(
                *(self.places[n].alias(f"p{i}") for i, n in enumerate(categorical)),
                *(self.texts[n][0].alias(f"t{i}") for i, n in enumerate(large)),
                *(self.numbers[n][0].alias(f"n{i}") for i, n in enumerate(numeric)),
                *(self.numbers[n][1].any().alias(f"b{i}") for i, n in enumerate(numeric)),
            )
            .collect()
            if categorical or large or numeric
            else frame
        )
        out = {name: self.codes[name][found[f"p{i}"].to_numpy()] for i, name in enumerate(categorical)}
        out |= {name: self.texts[name][1].encode(found[f"t{i}"]) for i, name in enumerate(large)}
        for i, name in enumerate(numeric):
            if found[f"b{i}"][0]:
                continue
            edges, known = self.buckets[name]
            ids = bucket_ids(found[f"n{i}"].to_numpy(), edges=edges)
            out[name] = known[np.where(ids == NO_BUCKET, len(known) - 1, ids)]
        return out


def _text(name: str) -> pl.Expr:
    column = pl.col(name)
    return pl.when(column != "").then(column.str.replace(WHOLE_FLOAT, "${1}${2}"))
