"""Synthetic raw rows in the form that an Encoder reads: for timing, signatures and stored examples; no real row among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from ctrsel.core.seeds import generator
from ctrsel.data.cross_texts import bucket_names, split_text
from ctrsel.data.encoder import Encoder
from ctrsel.data.vocabulary import Vocabulary
from ctrsel.records.feature_set import MISSING, RESERVED
from ctrsel.records.schema import Field

__all__ = ["example_rows", "raw_texts"]


def example_rows(encoder: Encoder, rows: int, *, seed: int = 0, minimum_rows: int = 20) -> pl.DataFrame:
    """Draw each field on its own from its training frequencies, as texts (lists for list fields).

    Columns that only crosses read are drawn together from the cross's frequencies.

    Values with fewer than `minimum_rows` training occurrences and all values of sensitive fields are left out, so
    that an example gives nobody away; where nothing is left, the cell is missing.

    Examples:
        >>> from ctrsel.testing.tables import tiny_table
        >>> example_rows(tiny_table().encoder, 2).columns
        ['site', 'ad', 'noise', 'id', 'hour', 'load']
    """
    rng = generator(seed, "example_rows")
    columns = [_column(f, encoder, rows, rng, minimum_rows) for f in encoder.fields if not f.is_cross]
    left = {f.name: f for f in encoder.schema.cross_inputs}
    for cross in encoder.schema.crosses:
        wanted = [left.pop(p) for p in cross.parts if p in left]
        if wanted:
            columns += _parts(cross, wanted, encoder, rows=rows, rng=rng, minimum_rows=minimum_rows)
    place = {f.name: i for i, f in enumerate(encoder.schema.inputs)}
    return pl.DataFrame(sorted(columns, key=lambda c: place[c.name]))


def _column(field: Field, encoder: Encoder, rows: int, rng: np.random.Generator, minimum_rows: int) -> pl.Series:
    if field.is_float:
        mean, spread = encoder.moments[field.name]
        return pl.Series(field.name, [f"{x:.4g}" for x in rng.normal(mean, spread, rows)], dtype=pl.String)
    vocabulary = encoder.vocabularies[field.vocabulary]
    drawn = _drawer(field, vocabulary, rng, minimum_rows)
    if not field.is_list:
        return raw_texts(field, vocabulary, encoder, drawn(rows))
    lists = [drawn(int(rng.integers(0, 4))) for _ in range(rows)]
    texts = iter(raw_texts(field, vocabulary, encoder, np.concatenate(lists) if rows else np.zeros(0, np.int64)))
    kept = [[t for _ in codes if (t := next(texts)) is not None] for codes in lists]
    return pl.Series(field.name, kept, dtype=pl.List(pl.String))


def _drawer(
    field: Field, vocabulary: Vocabulary, rng: np.random.Generator, minimum_rows: int
) -> Callable[[int], np.ndarray]:
    """Return a function that draws so many codes of those that may be shown."""
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

    return drawn


def _parts(
    cross: Field,
    parts: Sequence[Field],
    encoder: Encoder,
    *,
    rows: int,
    rng: np.random.Generator,
    minimum_rows: int,
) -> list[pl.Series]:
    """Return some parts of a cross, drawn together."""
    vocabulary = encoder.vocabularies[cross.vocabulary]
    joint = vocabulary.one_text(_drawer(cross, vocabulary, rng, minimum_rows)(rows)).to_list()
    split = [(None,) * len(cross.parts) if text is None else split_text(text) for text in joint]
    out = []
    for part in parts:
        texts = [row[cross.parts.index(part.name)] for row in split]
        if part.kind == "numeric":
            edges = encoder.edges.get(part.name)
            known = {text: _within(text, edges) for text in set(texts) if text is not None}
            texts = [None if text is None else known[text] for text in texts]
        out.append(pl.Series(part.name, texts, dtype=pl.String))
    return out


def _within(bucket: str, edges: np.ndarray | None) -> str:
    """Return a number in a bucket of which only the text is known."""
    if edges is not None:
        ids = np.arange(len(edges) + 1)
        return repr(_number(bucket_names(ids, edges=edges).to_list().index(bucket), edges))
    low, _, high = bucket.partition(" to ")
    return repr((float(low) + float(high)) / 2 if high else float(low))


def raw_texts(field: Field, vocabulary: Vocabulary, encoder: Encoder, codes: np.ndarray) -> pl.Series:
    """Return one text per code `[n]` that the Encoder reads back to this code; null for reserved codes.

    Args:
        field: Whose codes.
        vocabulary: The field's.
        encoder: The Encoder.
        codes: Any of its codes.
    """
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
