"""Example rows are read back by their Encoder, crosses and the columns that only crosses read included."""

from __future__ import annotations

import numpy as np
import polars as pl

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.data.example import example_rows
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Table
from ctrsel.records.feature_set import MISSING, OTHER, RESERVED, FeatureSet
from ctrsel.testing.tables import tiny_frame


def crossed(**more: FieldConfig) -> Table:
    fields = {
        "hour": FieldConfig(kind="numeric", bucket="quantile", bins=6),
        "load": FieldConfig(kind="numeric", bucket="none"),
        "noise": FieldConfig(kind="numeric", bucket="log2"),
        **more,
    }
    schema = SchemaConfig(label=LabelConfig(name="click"), fields=fields)
    table = ingest(tiny_frame(rows=3000), schema=schema)
    return table.crossed([("site", "ad"), ("hour", "noise"), ("site", "hour")], min_count=20)


def only(table: Table, *names: str) -> Table:
    keep = {n: np.ones(v.size, dtype=bool) for n, v in table.encoder.vocabularies.items()}
    return table.narrow(
        FeatureSet.from_keep(keep, fields=names, method="hand", params={}, encoder=table.encoder.digest)
    )


def test_rows_of_a_table_with_crosses_are_its_raw_columns():
    table = crossed()
    rows = example_rows(table.encoder, 50)
    assert rows.columns == ["site", "ad", "noise", "id", "hour", "load"]
    codes = table.encoder.encode(rows).columns
    assert (np.asarray(codes["site*ad"]) >= RESERVED).any()


def test_columns_that_only_crosses_read_are_drawn_with_them():
    small = only(crossed(), "load", "site*ad", "hour*noise", "site*hour")
    rows = example_rows(small.encoder, 200)
    assert rows.columns == ["load", "site", "ad", "noise", "hour"]
    codes = small.encoder.encode(rows).columns
    for name in ("site*ad", "hour*noise"):
        assert set(np.asarray(codes[name])[np.asarray(codes[name]) < RESERVED].tolist()) <= {MISSING}, name
    assert OTHER not in codes["hour*noise"]
    assert set(rows["site"].drop_nulls()) <= {f"site{i}" for i in range(4)}
    assert example_rows(small.encoder, 0).height == 0


def test_parts_of_a_sensitive_cross_are_missing():
    table = crossed(site=FieldConfig(sensitive=True))
    rows = example_rows(only(table, "ad", "site*hour").encoder, 30)
    assert rows["site"].null_count() == rows["hour"].null_count() == 30
    assert rows.schema == {"ad": pl.String, "site": pl.String, "hour": pl.String}
