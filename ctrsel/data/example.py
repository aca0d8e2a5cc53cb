"""Synthetic raw rows in the form that an Encoder reads: for timing, signatures and stored examples; no real row among them."""

from __future__ import annotations

import numpy as np
import polars as pl

from ctrsel.core.seeds import generator
from ctrsel.data.encoder import Encoder
from ctrsel.data.vocabulary import Vocabulary
from ctrsel.records.feature_set import MISSING, RESERVED
from ctrsel.records.schema import Field

__all__ = ["example_rows"]


def example_rows(encoder: Encoder, rows: int, *, seed: int = 0, minimum_rows: int = 20) -> pl.DataFrame:
    """Draw each field on its own from its training frequencies, as texts (lists for list fields).

    Values with fewer than `minimum_rows` training occurrences and all values of sensitive fields are left out, so
    that an example gives nobody away; where nothing is left, the cell is missing.

    Examples:
        >>> from ctrsel.testing.tables import tiny_table
        >>> example_rows(tiny_table().encoder, 2).columns
        ['site', 'ad', 'noise', 'id', 'hour', 'load']
    """
    rng = generator(seed, "example_rows")
    return pl.DataFrame([_column(f, encoder, rows, rng, minimum_rows) for f in encoder.fields])


def _column(field: Field, encoder: Encoder, rows: int, rng: np.random.Generator, minimum_rows: int) -> pl.Series:
    if field.is_float:
        mean, spread = encoder.moments[field.name]
        return pl.Series(field.name, [f"{x:.4g}" for x in rng.normal(mean, spread, rows)], dtype=pl.String)
    vocabulary = encoder.vocabularies[field.vocabulary]
    wanted = vocabulary.counts >= minimum_rows
    wanted[1:RESERVED] = False  # `other` and `hidden` have no text
    if field.sensitive:
        wanted[RESERVED:] = False
    if vocabulary.hashed is not None:  # a bucket that no known value is in has no text either
        named = np.zeros(len(wanted), dtype=bool)
        named[vocabulary.codes] = True
        wanted[RESERVED:] &= named[RESERVED:]
    codes = np.flatnonzero(wanted) if wanted.any() else np.array([MISSING])
    reached = np.cumsum(np.maximum(vocabulary.counts[codes], 1), dtype=np.float64)

    def drawn(n: int) -> np.ndarray:
        return np.asarray(codes[np.searchsorted(reached / reached[-1], rng.random(n), side="right")])

    if not field.is_list:
        return _texts(field, vocabulary, encoder, drawn(rows))
    lists = [drawn(int(rng.integers(0, 4))) for _ in range(rows)]
    texts = iter(_texts(field, vocabulary, encoder, np.concatenate(lists) if rows else np.zeros(0, np.int64)))
    kept = [[t for _ in codes if (t := next(texts)) is not None] for codes in lists]
    return pl.Series(field.name, kept, dtype=pl.List(pl.String))


def _texts(field: Field, vocabulary: Vocabulary, encoder: Encoder, codes: np.ndarray) -> pl.Series:
    """Return one text per code `[n]` that the Encoder reads back to this code; null for reserved codes."""
    if field.kind != "numeric":
        return vocabulary.one_text(codes).rename(field.name)
    assert vocabulary.order is not None
    edges = encoder.edges.get(field.name)
    order = vocabulary.order
    texts = [None if c < RESERVED else repr(_number(int(order[c]), edges)) for c in codes.tolist()]
    return pl.Series(field.name, texts, dtype=pl.String)


def _number(bucket: int, edges: np.ndarray | None) -> float:
    """Return a number in a bucket."""
    if edges is None:
        return float(bucket) if bucket <= 2 else float(np.exp(np.sqrt(bucket - 2 + 0.5)))
    if len(edges) == 0:
        return 0.0
    return float(edges[bucket - 1]) if bucket else float(edges[0]) - 1.0
