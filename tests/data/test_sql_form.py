"""The SQL form: a real database returns the rows that `transform` makes, whatever stands in names and values."""

import sqlite3
from contextlib import closing

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.applied import AppliedFeatureSet
from ctrsel.data.ingest import ingest
from ctrsel.data.sql_form import to_sql, without_fields
from ctrsel.records.feature_set import FeatureSet

# What SQLite holds: no booleans, times or lists of its own; its numbers become texts of 15 digits.
KINDS = ("text", "int", "date", "digits", "log", "range", "plain")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def asked(query: str, raw: pl.DataFrame, *, table: str) -> pl.DataFrame:
    """Put raw rows into SQLite and return what the query says, in their order."""
    plain = raw.with_columns(pl.selectors.date().cast(pl.String))
    with closing(sqlite3.connect(":memory:")) as database:
        kinds = {pl.Int64: "INTEGER", pl.Float64: "REAL"}
        columns = ", ".join(f"{quoted(n)} {kinds.get(t.base_type(), 'TEXT')}" for n, t in plain.schema.items())
        database.execute(f"CREATE TABLE {quoted(table)} (number INTEGER, {columns})")
        rows = [(i, *row) for i, row in enumerate(plain.rows())]
        marks = ", ".join("?" * (plain.width + 1))
        database.executemany(f"INSERT INTO {quoted(table)} VALUES ({marks})", rows)
        found = database.execute(query)
        names = [d[0] for d in found.description]
        lines = sorted(found.fetchall())
        assert database.execute(f"SELECT COUNT(*) FROM {quoted(table)}").fetchone() == (plain.height,)
    assert [line[0] for line in lines] == list(range(plain.height))
    return pl.DataFrame(
        dict(zip(names[1:], [list(c) for c in zip(*lines, strict=True)][1:], strict=True)), strict=False
    )


def same(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    assert found.columns == expected.columns
    for name in found.columns:
        assert found[name].to_list() == expected[name].to_list()


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_sqlite_returns_what_transform_makes(data, any_tables, any_features) -> None:
    table, raw = data.draw(any_tables(KINDS))
    applied = AppliedFeatureSet.of(any_features(table.encoder, data.draw(st.integers(0, 999))), table.encoder)
    # SQLite reads a number as small as these a last bit off.
    edges = [e for f in applied.encoder.fields for pair in applied.ranges(f.name).values() for e in pair]
    assume(not any(0 < abs(e) < 1e-290 for e in edges))
    place = data.draw(st.sampled_from(["clicks", 'the "clicks"', "'; DROP TABLE x; --"]))
    query = to_sql(applied, table=place, keep=["number"], inline=data.draw(st.sampled_from([0, 2, 64])))
    same(asked(query, raw, table=place), applied.transform(raw))


def everything(frame: pl.DataFrame, **fields: FieldConfig) -> AppliedFeatureSet:
    table = ingest(frame, schema=SchemaConfig(label=LabelConfig(name="y"), fields=fields))
    keep = {n: np.ones(v.size, bool) for n, v in table.encoder.vocabularies.items()}
    names = table.schema.names
    features = FeatureSet.from_keep(keep, fields=names, method="toy", params={}, encoder=table.encoder.digest)
    return AppliedFeatureSet.of(features, table.encoder)


def frame_of(column: list, name: str = "x") -> pl.DataFrame:
    whole = pl.DataFrame({name: column * 20})
    return whole.with_columns(y=pl.Series([0, 1] * (whole.height // 2)))


def test_edges_are_exact() -> None:
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(size=100), 10 ** rng.uniform(-12, 12, 100), [0.1 + 0.2, 1 / 3]])
    frame = pl.DataFrame({"a": values, "b": values, "y": [0, 1] * 101})
    kinds = {
        "a": FieldConfig(kind="numeric", bucket="quantile", bins=60),
        "b": FieldConfig(kind="numeric", bucket="log2"),
    }
    applied = everything(frame, **kinds)
    edges = [e for n in "ab" for low, high in applied.ranges(n).values() for e in (low, high) if np.isfinite(e)]
    near = [f(e) for e in edges for f in (float, lambda e: np.nextafter(e, -np.inf), lambda e: np.nextafter(e, np.inf))]
    raw = pl.DataFrame({n: [*near, float("inf"), float("-inf"), None] for n in "ab"})
    same(asked(to_sql(applied, table="t", keep=["number"]), raw, table="t"), applied.transform(raw))


def test_booleans_that_a_database_keeps_as_numbers() -> None:
    raw = pl.DataFrame({"b": [True, False, None] * 10})
    applied = everything(raw.with_columns(y=pl.Series([0, 1] * 15)))
    same(asked(to_sql(applied, table="t", keep=["number"]), raw, table="t"), applied.transform(raw))


def test_many_values_are_joined() -> None:
    applied = everything(frame_of([f"v{i}" for i in range(300)]))
    query = to_sql(applied, table="t", keep=["number"])
    assert "LEFT JOIN" in query
    raw = pl.DataFrame({"x": ["v1", "v299", "v300", "", None]})
    assert asked(query, raw, table="t")["x"].to_list() == ["v1", "v299", "(other)", None, None]


def test_what_has_no_sql_is_refused() -> None:
    lists = everything(frame_of([["a"], ["b", "c"]]), x=FieldConfig(kind="multivalued"))
    with pytest.raises(ConfigError, match="'x': holds a list"):
        to_sql(lists, table="t")
    hashed = everything(frame_of(["a", "b"]), x=FieldConfig(kind="categorical", hash_buckets=3))
    with pytest.raises(ConfigError, match="'x': has hash buckets"):
        to_sql(hashed, table="t")
    with pytest.raises(DataError, match="NUL"):
        to_sql(everything(frame_of(["a\x00", "b"])), table="t")
    with pytest.raises(ConfigError, match="would come twice"):
        to_sql(everything(frame_of(["a", "b"])), table="t", keep=["x"])


def test_fields_can_be_left_out() -> None:
    frame = frame_of([["a"], ["b", "c"]]).with_columns(z=pl.Series(["p", "q"] * 20))
    applied = everything(frame, x=FieldConfig(kind="multivalued"))
    assert '"z"' in to_sql(without_fields(applied, ["x"]), table="t")
    assert without_fields(applied, ["x"]).transform(frame).columns == ["z"]
    with pytest.raises(ConfigError, match="kept field"):
        without_fields(applied, ["w"])
    with pytest.raises(ConfigError, match="no field"):
        without_fields(applied, ["x", "z"])


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_duckdb_returns_what_transform_makes(data, any_tables, any_features) -> None:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    table, raw = data.draw(any_tables((*KINDS, "bool")))
    applied = AppliedFeatureSet.of(any_features(table.encoder, data.draw(st.integers(0, 999))), table.encoder)
    query = to_sql(applied, table="the table", keep=["number"], inline=data.draw(st.sampled_from([0, 2, 64])))
    with closing(duckdb.connect()) as database:
        database.register("the table", raw.with_row_index("number").to_arrow())
        found = database.execute(query)
        names = [d[0] for d in found.description]
        lines = sorted(found.fetchall())
    made = dict(zip(names, [list(c) for c in zip(*lines, strict=True)], strict=True))
    same(pl.DataFrame(made, strict=False).drop("number"), applied.transform(raw))
