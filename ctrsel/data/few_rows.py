"""Encoding of a row or a few by dictionaries: what a service asks for, where a query costs more than its work.

`Encoder.column` says what the codes are; this is the same function for texts, whole numbers and quantile buckets, and a test
holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ctrsel.data.buckets import NO_BUCKET, bucket_ids, bucket_texts
from ctrsel.data.canonical import WHOLE_FLOAT
from ctrsel.data.vocabulary import smallest_uint
from ctrsel.records.feature_set import MISSING, OTHER

if TYPE_CHECKING:
    from ctrsel.data.encoder import Encoder

__all__ = ["FewRows"]

_FEW_ROWS = 4  # more are one query's work
_LARGEST = 100_000  # values of a vocabulary that is kept as a dictionary, some 100 bytes each
_WHOLE_FLOAT = re.compile(WHOLE_FLOAT)


@dataclass(frozen=True, slots=True, kw_only=True)
class FewRows:
    """What is looked up per field, made once per Encoder.

    Attributes:
        codes: Per categorical field the code of each text (shared by the fields of a vocabulary), and the codes' type.
        buckets: Per field in quantile buckets the inner edges, and the code of each bucket, the last one that of a missing
            value.
    """

    codes: Mapping[str, tuple[Mapping[str, int], np.dtype[Any]]]
    buckets: Mapping[str, tuple[np.ndarray, np.ndarray]]

    @staticmethod
    def of(encoder: Encoder) -> FewRows:
        """Make the dictionaries of an Encoder."""
        known: dict[str, dict[str, int]] = {}
        codes: dict[str, tuple[Mapping[str, int], np.dtype[Any]]] = {}
        buckets: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for field in encoder.fields:
            if field.is_float or field.is_list or field.is_cross:
                continue
            vocabulary = encoder.vocabularies[field.vocabulary]
            if field.kind == "categorical":
                if vocabulary.hashed is not None or len(vocabulary.values) > _LARGEST:
                    continue
                if vocabulary.name not in known:
                    texts = (text for part in vocabulary.values.chunks() for text in part.to_list())
                    known[vocabulary.name] = dict(zip(texts, vocabulary.codes.tolist(), strict=True))
                codes[field.name] = known[vocabulary.name], smallest_uint(vocabulary.size)
            elif (edges := encoder.edges.get(field.name)) is not None:
                names = bucket_texts(np.arange(len(edges) + 1), edges=edges)
                of = vocabulary.encode(pl.Series(names, dtype=pl.String))
                buckets[field.name] = edges, np.append(of, of.dtype.type(MISSING))
        return FewRows(codes=codes, buckets=buckets)

    def encode(self, frame: pl.DataFrame) -> dict[str, np.ndarray]:
        """Return the codes of the fields that it knows how to; of more than a few rows none."""
        if not 0 < frame.height <= _FEW_ROWS:
            return {}
        found: dict[str, np.ndarray] = {}
        for (name, kind), values in zip(frame.schema.items(), zip(*frame.rows(), strict=True), strict=True):
            if name in self.codes and (kind == pl.String or kind.is_integer()):
                codes, smallest = self.codes[name]
                found[name] = np.array([_code(codes, v) for v in values], dtype=smallest)
            elif name in self.buckets and (kind.is_integer() or kind.is_float()):
                edges, of = self.buckets[name]
                numbers = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
                at = bucket_ids(numbers, edges=edges)
                found[name] = of[np.where(at == NO_BUCKET, len(edges) + 1, at)]
        return found


def _code(codes: Mapping[str, int], value: str | int | None) -> int:
    if value is None or value == "":
        return MISSING
    text = value if isinstance(value, str) else str(value)
    if text.endswith(".0") and (whole := _WHOLE_FLOAT.fullmatch(text)):
        text = (whole[1] or "") + (whole[2] or "")
    return codes.get(text, OTHER)
