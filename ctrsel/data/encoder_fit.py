"""Fitting an Encoder: from counted training texts to vocabularies, of one vocabulary or of a whole frame."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data.encoder import Encoder
from ctrsel.data.faults import Faults
from ctrsel.data.fit import RawVocabulary, float_moments, raw_vocabulary, vocabulary_fields
from ctrsel.data.numbers import check_fields
from ctrsel.data.raw import RawRows
from ctrsel.data.rejects import Rejects
from ctrsel.data.vocabulary import Vocabulary, smallest_uint, vocabulary_of
from ctrsel.records.feature_set import OTHER
from ctrsel.records.schema import Schema

__all__ = ["fit_encoder", "fitted_vocabulary"]

_MEMORY = 1 << 30  # bytes for the dictionaries of a frame in memory


def fitted_vocabulary(raw: RawVocabulary, *, train: np.ndarray, scratch: Path) -> tuple[Vocabulary, np.ndarray]:
    """Fit a vocabulary on the training rows.

    Args:
        raw: The texts of its fields, and each row's.
        train: Boolean `[N]`: training rows.
        scratch: A folder for what does not fit.

    Returns:
        The vocabulary, and the code of each of the raw texts `[v]`.
    """
    fields = [f.field for f in raw.fields]
    counts, missing = raw.counts(train)
    minimum = max(f.min_count for f in fields)
    vocabulary = vocabulary_of(
        raw.name,
        raw.texts,
        counts,
        missing=missing,
        min_count=minimum,
        order=raw.order,
        hash_buckets=fields[0].hash_buckets,
        named=not any(f.sensitive for f in fields),
        scratch=scratch,
    )
    if vocabulary.hashed is not None:
        return vocabulary, vocabulary.codes_for(raw.texts)
    codes = np.full(len(raw.texts), OTHER, dtype=smallest_uint(vocabulary.size))
    codes[counts >= minimum] = vocabulary.codes  # its values are the frequent texts, in their order
    return vocabulary, codes


def fit_encoder(frame: pl.DataFrame, schema: Schema) -> Encoder:
    """Fit vocabularies, bucket edges and moments on a training frame in memory.

    Args:
        frame: Training rows only, with all columns of the schema's fields.
        schema: What the columns are.

    Raises:
        DataError: If a numeric field holds a text that is no number, a value has no text form, or a field is a cross.
    """
    if schema.crosses:
        raise DataError(
            f"fit: {schema.crosses[0].name!r} is a cross, which is made from codes; fit the other fields, and use "
            "Table.crossed"
        )
    raw = RawRows.of(frame)
    check_fields(raw, schema, Faults(raw=raw, rejects=Rejects()))
    train = np.ones(raw.n_rows, dtype=bool)
    vocabularies: dict[str, Vocabulary] = {}
    edges: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory(prefix="ctrsel-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        for name, fields in vocabulary_fields(schema).items():
            found = raw_vocabulary(name, fields, raw, train=train, memory=_MEMORY, scratch=scratch)
            vocabularies[name], _ = fitted_vocabulary(found, train=train, scratch=scratch)
            edges |= found.edges
        moments = {
            f.name: float_moments(raw, f.name, train=train, memory=_MEMORY, scratch=scratch)
            for f in schema.fields
            if f.is_float
        }
    return Encoder(
        schema=schema,
        vocabularies=vocabularies,
        edges={f.name: edges[f.name] for f in schema.fields if f.name in edges},
        moments=moments,
    )
