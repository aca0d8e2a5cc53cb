"""Tiny tables with a planted truth, for tests, examples and docs."""

from __future__ import annotations

import numpy as np
import polars as pl

from ctrsel.core.config import FieldConfig, IngestConfig, LabelConfig, SchemaConfig
from ctrsel.core.seeds import generator
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Table

__all__ = ["sequence_frame", "sequence_table", "tiny_frame", "tiny_table"]


def tiny_frame(*, rows: int = 400, seed: int = 0) -> pl.DataFrame:
    """Return raw rows: `site` and `ad` carry signal, `hour` (numeric) a little, `noise`, `id` and `load` none.

    Examples:
        >>> tiny_frame(rows=3).columns
        ['click', 'site', 'ad', 'noise', 'id', 'hour', 'load']
    """
    rng = generator(seed, "tiny_frame")
    site, ad, noise = rng.integers(0, 4, rows), rng.integers(0, 12, rows), rng.integers(0, 8, rows)
    hour, load = rng.integers(0, 24, rows), rng.normal(size=rows)
    effect = np.linspace(-1.5, 1.5, 12)
    logit = -0.4 + 1.2 * (site == 1) - 1.0 * (site == 2) + effect[ad] + 0.03 * (hour - 12)
    click = rng.random(rows) < 1 / (1 + np.exp(-logit))
    frame = pl.DataFrame(
        {
            "click": click.astype(np.int8),
            "site": [f"site{i}" for i in site],
            "ad": [f"ad{i:02d}" for i in ad],
            "noise": noise,
            "id": [f"u{i}" for i in rng.permutation(rows)],
            "hour": hour,
            "load": load,
        }
    )
    missing = rng.random(rows) < 0.05
    return frame.with_columns(pl.when(pl.Series(missing)).then(None).otherwise(pl.col("site")).alias("site"))


def tiny_table(*, rows: int = 400, seed: int = 0, min_count: int = 1) -> Table:
    """Return `tiny_frame` ingested: four categorical fields, one bucketed and one kept as a float."""
    schema = SchemaConfig(
        label=LabelConfig(name="click"),
        fields={
            "hour": FieldConfig(kind="numeric", bucket="quantile", bins=6),
            "load": FieldConfig(kind="numeric", bucket="none"),
        },
    )
    return ingest(
        tiny_frame(rows=rows, seed=seed), schema=schema, settings=IngestConfig(min_count=min_count), seed=seed
    )


def sequence_frame(*, rows: int = 600, seed: int = 0) -> pl.DataFrame:
    """Return raw rows whose click depends on whether the target `item` stands in `history`.

    Examples:
        >>> sequence_frame(rows=2).columns
        ['click', 'user', 'item', 'history', 'tags']
    """
    rng = generator(seed, "sequence_frame")
    item = rng.integers(0, 10, rows)
    history = [rng.integers(0, 10, rng.integers(0, 6)).tolist() for _ in range(rows)]
    seen = np.array([i in h for i, h in zip(item.tolist(), history, strict=True)])
    click = rng.random(rows) < np.where(seen, 0.85, 0.2)
    return pl.DataFrame(
        {
            "click": click.astype(np.int8),
            "user": [f"u{i}" for i in rng.integers(0, 20, rows)],
            "item": item,
            "history": pl.Series(history, dtype=pl.List(pl.Int64)),
            "tags": pl.Series(
                [[f"t{j}" for j in rng.integers(0, 5, rng.integers(0, 3))] for _ in range(rows)],
                dtype=pl.List(pl.String),
            ),
        }
    )


def sequence_table(*, rows: int = 600, seed: int = 0) -> Table:
    """Return `sequence_frame` ingested; `history` is a sequence that shares the vocabulary of `item`."""
    schema = SchemaConfig(
        label=LabelConfig(name="click"),
        fields={"history": FieldConfig(kind="sequence", vocabulary="item", max_length=5)},
    )
    return ingest(sequence_frame(rows=rows, seed=seed), schema=schema, seed=seed)
