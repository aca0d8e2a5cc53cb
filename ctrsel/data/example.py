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
    texts = _texts(field, vocabulary, encoder)
    counts = np.where(vocabulary.counts >= minimum_rows, vocabulary.counts, 0).astype(np.float64)
    counts[1:RESERVED] = 0  # `other` and `hidden` have no text
    if field.sensitive:
        counts[RESERVED:] = 0
    if counts.sum() == 0:
        counts[MISSING] = 1
    share = counts / counts.sum()
    if field.is_list:
        lists = [
            [t for t in (texts[c] for c in rng.choice(len(share), rng.integers(0, 4), p=share)) if t is not None]
            for _ in range(rows)
        ]
        return pl.Series(field.name, lists, dtype=pl.List(pl.String))
    return pl.Series(field.name, [texts[c] for c in rng.choice(len(share), rows, p=share)], dtype=pl.String)


def _texts(field: Field, vocabulary: Vocabulary, encoder: Encoder) -> list[str | None]:
    """Return one text per code that the Encoder reads back to this code; None for reserved codes."""
    texts: list[str | None] = [None] * vocabulary.size
    if field.kind != "numeric":
        for code, value in zip(vocabulary.codes.tolist(), vocabulary.values.to_list(), strict=True):
            texts[code] = value
        return texts
    edges = encoder.edges.get(field.name)
    for code in range(RESERVED, vocabulary.size):
        assert vocabulary.order is not None
        bucket = int(vocabulary.order[code])
        if edges is None:
            number = float(bucket) if bucket <= 2 else float(np.exp(np.sqrt(bucket - 2 + 0.5)))
        elif len(edges) == 0:
            number = 0.0
        else:
            number = float(edges[bucket - 1]) if bucket else float(edges[0]) - 1.0
        texts[code] = repr(number)
    return texts
