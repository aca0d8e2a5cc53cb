"""The table's size from a sample and from a store, against a table that was made."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ctrsel.api import table_size
from ctrsel.api.sample import sample_source
from ctrsel.api.table_size import sampled_size, stored_size
from ctrsel.data.ingest import ingest
from ctrsel.testing.tables import sequence_frame


def table_of(made):
    return ingest(made.data, schema=made.schema, split=made.split, settings=made.ingest, seed=1)


def array_bytes(table):
    total = table.labels.nbytes + table.row.nbytes
    for column in table.columns.values():
        total += column.nbytes if isinstance(column, np.ndarray) else column.offsets.nbytes + column.codes.nbytes
    return total


def looking_at(rows, monkeypatch):
    def sample(data, name, pattern):
        return sample_source(pattern, format=data.format, limit=rows)

    monkeypatch.setattr(table_size, "_sample", sample)


def test_small_data_are_measured(clicks_config):
    made = clicks_config()
    size, _ = sampled_size(made)
    assert size.table == pytest.approx(array_bytes(table_of(made)), rel=0.02)


def test_a_stored_table_is_counted(clicks_config):
    table = table_of(clicks_config())
    size, seen = stored_size(table)
    assert size.rows == {name: table.part(name).n_rows for name in ("train", "valid", "test")}
    assert size.encoder.total == table.encoder.total_codes
    assert size.table == array_bytes(table)
    assert (seen.rows, seen.exact_rows, seen.exact_values) == (4000, True, True)


def test_lists_are_measured(tmp_path, clicks_config):
    sequence_frame(rows=2000).write_parquet(tmp_path / "seq.parquet")
    made = clicks_config("seq.parquet", **{"schema.fields": {"history": {"kind": "sequence", "vocabulary": "item"}}})
    size, _ = sampled_size(made)
    assert size.table == pytest.approx(array_bytes(table_of(made)), rel=0.05)


@pytest.mark.parametrize("min_count", [1, 3])
def test_values_grow_like_the_data(tmp_path, clicks_config, monkeypatch, min_count):
    # A heavy tail (Zipf, exponent 1.5): distinct values grow as a power of the rows.
    rng = np.random.default_rng(0)
    n = 60_000
    frame = pl.DataFrame({"click": np.arange(n) % 2, "item": rng.zipf(1.5, n).astype(str), "flat": np.arange(n) % 7})
    frame.write_parquet(tmp_path / "tail.parquet")
    made = clicks_config("tail.parquet", **{"ingest.min_count": min_count})
    real = table_of(made).encoder.n_values
    looking_at(5000, monkeypatch)
    size, seen = sampled_size(made)
    assert not seen.exact_values
    assert seen.rows == 5000
    assert size.encoder.values == pytest.approx(real, rel=0.3)


def test_rows_sorted_by_label_are_no_error(tmp_path, clicks_config, monkeypatch):
    pl.DataFrame({"click": [0] * 500 + [1] * 500, "ad": ["a", "b"] * 500}).write_parquet(tmp_path / "s.parquet")
    looking_at(100, monkeypatch)
    size, _ = sampled_size(clicks_config("s.parquet"))
    assert size.rows["train"] == 800
