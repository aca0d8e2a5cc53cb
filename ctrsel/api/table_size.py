"""TableSize: rows, values and bytes of the table of a run, from a sample of its sources or from a stored table.

Reference: Heaps, "Information retrieval: computational and theoretical aspects", 1978, for how the number of distinct
values grows with the rows (a power law, whose exponent is read off the sample and its first quarter).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from ctrsel.api.sample import Sample, is_untyped, sample_source
from ctrsel.core.config import DataConfig, RunConfig
from ctrsel.data.encoder import Encoder
from ctrsel.data.encoder_fit import fit_encoder
from ctrsel.data.infer import infer_schema
from ctrsel.data.intake import source_files
from ctrsel.data.layouts import layout_schema
from ctrsel.data.table import Ragged, Table
from ctrsel.data.vocabulary import smallest_uint
from ctrsel.records.feature_set import RESERVED
from ctrsel.records.schema import Schema

__all__ = ["SampledEncoder", "Seen", "TableSize", "sampled_size", "stored_size"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledEncoder:
    """An encoder of the sample and how many codes each vocabulary will have over all training rows."""

    sample: Encoder
    sizes: Mapping[str, int]

    @property
    def total(self) -> int:
        """Codes of all vocabularies."""
        return sum(self.sizes.values())

    @property
    def values(self) -> int:
        """Distinct values with a code of their own."""
        return self.total - RESERVED * len(self.sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSize:
    """How large the table will be.

    Attributes:
        rows: By split.
        columns: Of the raw rows; of a stored table, its own.
        encoder: Its encoder, with the sizes of the vocabularies.
        raw: Bytes of the raw rows in memory; 0 for a stored table.
        table: Bytes of the table.
        untyped: Whether the source is of a text format.
    """

    rows: Mapping[str, int]
    columns: int
    encoder: SampledEncoder
    raw: int
    table: int
    untyped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was looked at for a size.

    Attributes:
        rows: Of the training sample, or of the stored table.
        exact_rows: Whether the rows were counted.
        exact_values: Whether all training rows were looked at.
        told: Whether every source tells its size without being read.
    """

    rows: int
    exact_rows: bool
    exact_values: bool
    told: bool = True


def sampled_size(config: RunConfig) -> tuple[TableSize, Seen]:
    """Estimate the table from the first rows of its sources.

    Raises:
        ConfigError, DataError: As an ingest would, for what can be seen without all rows.
    """
    samples = {name: _sample(config.data, name, pattern) for name, pattern in source_files(config.data).items()}
    rows = _rows(samples, config)
    sampled = samples["train"]
    encoder = _grown(sampled.frame, _schema(sampled, config), rows["train"])
    size = TableSize(
        rows=rows,
        columns=sampled.frame.width,
        encoder=encoder,
        raw=sum(int(s.frame.estimated_size() * s.rows / max(s.frame.height, 1)) for s in samples.values()),
        table=_table_bytes(encoder, sum(rows.values()), sampled.frame),
        untyped=config.data.dataset is None and is_untyped(str(config.data.train), format=config.data.format),
    )
    return size, Seen(
        rows=sampled.frame.height,
        exact_rows=all(s.exact for s in samples.values()),
        exact_values=sampled.whole and sampled.told and "valid" in samples and "test" in samples,
        told=all(s.told for s in samples.values()),
    )


def stored_size(table: Table) -> tuple[TableSize, Seen]:
    """Measure a table that is stored already."""
    arrays = [a for c in table.columns.values() for a in ((c.offsets, c.codes) if isinstance(c, Ragged) else (c,))]
    size = TableSize(
        rows={k: stop - start for k, (start, stop) in table.splits.items()},
        columns=len(table.columns),
        encoder=SampledEncoder(sample=table.encoder, sizes={k: v.size for k, v in table.encoder.vocabularies.items()}),
        raw=0,
        table=int(sum(a.nbytes for a in arrays)) + 12 * table.n_rows,
        untyped=False,
    )
    return size, Seen(rows=table.n_rows, exact_rows=True, exact_values=True)


def _sample(data: DataConfig, name: str, pattern: str) -> Sample:
    limit = 100_000 if name == "train" else 10_000
    kind = "parquet" if data.dataset is not None else data.format
    return sample_source(
        pattern, format=kind, cap=data.rows, limit=limit, encoding=data.encoding, connection=data.connection
    )


def _rows(samples: Mapping[str, Sample], config: RunConfig) -> dict[str, int]:
    given = {name: s.rows for name, s in samples.items()}
    shares = {"valid": config.split.valid, "test": config.split.test}
    carved = {k: round(given["train"] * v) for k, v in shares.items() if k not in given}
    rows = {**given, **carved, "train": given["train"] - sum(carved.values())}
    return {k: rows[k] for k in ("train", "valid", "test")}


def _schema(sample: Sample, config: RunConfig) -> Schema:
    frame = sample.frame
    given = layout_schema(config.data.format, frame.columns, config.schema) or config.schema
    label = given.label.name
    if label in frame.columns and not sample.whole and frame[label].n_unique() < 2:
        # Rows sorted by label: the first ones cannot show both values, which is no fault of the data.
        frame = frame.with_columns((pl.int_range(pl.len()) % 2).alias(label))
        given = replace(given, label=replace(given.label, positive=None))
    untyped = config.data.dataset is None and is_untyped(str(config.data.train), format=config.data.format)
    return infer_schema(frame, given, config.ingest, untyped=untyped)


def _grown(frame: pl.DataFrame, schema: Schema, train_rows: int) -> SampledEncoder:
    whole = fit_encoder(frame, schema)
    quarter = fit_encoder(frame.head(max(frame.height // 4, 1)), schema)
    sizes = {}
    for name, vocabulary in whole.vocabularies.items():
        n, before = vocabulary.size - RESERVED, quarter.vocabularies[name].size - RESERVED
        exponent = min(math.log(n / before, 4), 1.0) if n > before > 0 else 0.0
        grown = n * (train_rows / max(frame.height, 1)) ** exponent
        sizes[name] = RESERVED + min(round(grown), max(train_rows, n))
    return SampledEncoder(sample=whole, sizes=sizes)


def _table_bytes(encoder: SampledEncoder, rows: int, frame: pl.DataFrame) -> int:
    total = rows * 12  # a float32 label and the row's number
    for field in encoder.sample.fields:
        if field.is_float:
            total += 4 * rows
            continue
        code = np.dtype(smallest_uint(encoder.sizes[field.vocabulary])).itemsize
        length = 1.0
        if field.is_list:
            codes = encoder.sample.column(field, frame)
            length = codes.offsets[-1] / max(frame.height, 1) if hasattr(codes, "offsets") else 1.0
            total += 8 * rows
        total += int(code * length * rows)
    return total
