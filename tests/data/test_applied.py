"""Applied feature sets: raw rows become the kept columns, and these encode to the narrowed Encoder's codes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import DataError
from ctrsel.data.applied import AppliedFeatureSet
from ctrsel.data.encoder import Encoder
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Ragged
from ctrsel.records.feature_set import OTHER, FeatureSet
from ctrsel.testing.tables import tiny_table

ONCE = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def of(frame: pl.DataFrame, remaps: dict[str, list[int]], **fields: FieldConfig) -> AppliedFeatureSet:
    """Ingest a frame whose label is y, and keep what the remaps say of its fields."""
    table = ingest(frame, schema=SchemaConfig(label=LabelConfig(name="y"), fields=fields))
    features = FeatureSet(
        fields=tuple(remaps),
        remaps={
            table.schema.field(n).vocabulary: np.array([0, 1, 2, *r], np.uint32)
            for n, r in remaps.items()
            if not table.schema.field(n).is_float
        },
        method="toy",
        params={},
        encoder=table.encoder.digest,
    )
    return AppliedFeatureSet.of(features, table.encoder)


def rows(**columns: list) -> pl.DataFrame:
    """Repeat rows until every split has some."""
    frame = pl.DataFrame(columns)
    whole = pl.concat([frame] * 20)
    return whole.with_columns(y=pl.Series([0, 1] * (whole.height // 2)))


@given(data=st.data())
@ONCE
def test_what_is_written_encodes_to_the_narrowed_codes(data, any_tables, any_features) -> None:
    table, raw = data.draw(any_tables())
    features = any_features(table.encoder, data.draw(st.integers(0, 999)))
    applied = AppliedFeatureSet.of(features, table.encoder)
    made, codes = applied.transform(raw), table.encoder.narrow(features).encode(raw).columns
    assert made.columns == list(codes)
    for field in applied.encoder.fields:
        column = made[field.name]
        if field.is_float:
            given_floats = column.cast(pl.Float32).fill_null(float("nan")).to_numpy()
            assert np.array_equal(given_floats, codes[field.name], equal_nan=True)
            continue
        vocabulary = applied.encoder.vocabulary(field.name)
        if field.is_list:
            assert column.list.len().to_list() == np.diff(codes[field.name].offsets).tolist()
            items = column.explode(empty_as_null=False, keep_nulls=False)
            assert np.array_equal(vocabulary.encode(items), codes[field.name].codes)
        else:
            assert np.array_equal(vocabulary.encode(column), codes[field.name])
        # Every value that is kept is told, under the name that rows get.
        told = applied.columns().filter(pl.col("field") == field.name)
        assert np.array_equal(vocabulary.encode(told["kept_as"]), vocabulary.encode(told["value"]))
        assert len(told) == len(vocabulary.values)


@given(data=st.data())
@settings(ONCE, max_examples=10)
def test_round_trip(data, any_tables, any_features, tmp_path_factory) -> None:
    table, raw = data.draw(any_tables())
    features = any_features(table.encoder, data.draw(st.integers(0, 999)))
    applied = AppliedFeatureSet.of(features, table.encoder)
    path = tmp_path_factory.mktemp("applied") / "set"
    applied.save(path)
    applied.save(path)  # replaces itself
    back = AppliedFeatureSet.load(path)
    assert back.transform(raw).equals(applied.transform(raw))
    assert back.features.digest == FeatureSet.load(path).digest == features.digest


def test_merged_values_have_the_name_of_the_most_frequent() -> None:
    frame = rows(ad=["a", "b", "b", "c", "d", "d", "d", None])
    applied = of(frame, {"ad": [3, 4, 4, OTHER]})  # by falling count: d; b and a; c
    raw = pl.DataFrame({"ad": ["a", "b", "c", "d", "e", "", None]})
    assert applied.transform(raw)["ad"].to_list() == ["b", "b", "(other)", "d", "(other)", None, None]


def test_a_kept_value_that_is_called_other() -> None:
    frame = rows(ad=["(other)", "(other)", "b", "c"], site=["(other)_", "x", "x", "x"])
    applied = of(frame, {"ad": [3, OTHER, OTHER], "site": [3, 4]})
    made = applied.transform(pl.DataFrame({"ad": ["(other)", "b", "z"], "site": ["x", "(other)_", "z"]}))
    assert applied.other_text == "(other)__"
    assert made["ad"].to_list() == ["(other)", "(other)__", "(other)__"]
    assert made["site"].to_list() == ["x", "(other)_", "(other)__"]


def test_pandas_comes_out_as_pandas() -> None:
    frame = rows(ad=["a", "b", "b", None], x=[0.5, 1.5, None, 2.5], tags=[["p"], ["p", "q"], [], None])
    kinds = {"x": FieldConfig(kind="numeric", bucket="none"), "tags": FieldConfig(kind="multivalued")}
    applied = of(frame, {"ad": [3, OTHER], "x": [], "tags": [3, OTHER]}, **kinds)
    raw = pd.DataFrame(
        {"ad": ["b", "a", None], "x": [1.0, np.nan, np.inf], "tags": [["p", "q"], None, []]}, index=[7, 8, 9]
    )
    made = applied.transform(raw)
    assert isinstance(made, pd.DataFrame)
    assert made.index.tolist() == [7, 8, 9]
    assert made["ad"].tolist()[:2] == ["b", "(other)"]
    assert pd.isna(made["ad"].iloc[2])
    assert made["x"].isna().tolist() == [False, True, True]
    assert made["tags"].tolist() == [["p", "(other)"], [], []]
    assert applied.transform(pl.from_pandas(raw)).to_dict(as_series=False)["ad"] == ["b", "(other)", None]


def test_columns_that_are_not_there_are_missing() -> None:
    applied = of(rows(ad=["a", "b"], x=[1.0, 2.0]), {"ad": [3, 4]})
    assert applied.transform(pl.DataFrame({"z": [1, 2]}))["ad"].to_list() == [None, None]
    assert applied.transform(pl.DataFrame(schema={"ad": pl.String})).height == 0


def test_hash_buckets_are_named_by_their_number() -> None:
    frame = rows(ad=[f"v{i}" for i in range(8)])
    applied = of(frame, {"ad": [3, OTHER, 3, 4]}, ad=FieldConfig(kind="categorical", hash_buckets=4))
    raw = pl.DataFrame({"ad": [f"w{i}" for i in range(50)]})
    codes = applied.encoder.encode(raw).columns["ad"]
    assert not isinstance(codes, Ragged)
    names = applied.transform(raw)["ad"].to_list()
    assert dict(zip(codes.tolist(), names, strict=True)) == {
        1: "(other)", 3: "(bucket 0)", 4: "(bucket 3)"
    }  # fmt: skip
    assert applied.columns()["kept_as"].to_list() == ["(bucket 0)", "(bucket 3)"]


def test_ranges_hold_the_numbers_of_their_bucket() -> None:
    rng = np.random.default_rng(0)
    frame = rows(a=rng.normal(size=40).tolist(), b=np.exp(rng.uniform(-1, 30, 40)).round().tolist())
    kinds = {
        "a": FieldConfig(kind="numeric", bucket="quantile", bins=5),
        "b": FieldConfig(kind="numeric", bucket="log2"),
    }
    table = ingest(frame, schema=SchemaConfig(label=LabelConfig(name="y"), fields=kinds))
    keep = {n: np.ones(v.size, bool) for n, v in table.encoder.vocabularies.items()}
    features = FeatureSet.from_keep(keep, fields=("a", "b"), method="toy", params={}, encoder=table.encoder.digest)
    applied = AppliedFeatureSet.of(features, table.encoder)
    for name in ("a", "b"):
        for text, (low, high) in applied.ranges(name).items():
            inside = [max(low, -1e9), np.nextafter(high, -np.inf)]
            assert applied.transform(pl.DataFrame({name: inside}))[name].to_list() == [text, text]
            if np.isfinite(high):
                assert applied.transform(pl.DataFrame({name: [high]}))[name].to_list() != [text]


def test_what_cannot_be_applied_says_so(tmp_path) -> None:
    applied = of(rows(ad=["a", "b"]), {"ad": [3, OTHER]})
    applied.features.save(tmp_path / "alone")
    with pytest.raises(DataError, match="saved without the texts"):
        AppliedFeatureSet.load(tmp_path / "alone")
    applied.save(tmp_path / "set")
    other = replace(applied, features=replace(applied.features, method="other"))
    other.features.save(tmp_path / "other")
    (tmp_path / "set" / "applied").rename(tmp_path / "other" / "applied")
    with pytest.raises(DataError, match="was changed"):
        AppliedFeatureSet.load(tmp_path / "other")


def test_a_column_without_a_name_keeps_it() -> None:
    frame = rows(ad=["a", "b", "a"]).rename({"ad": ""})
    applied = of(frame, {"": [3, 4]})
    assert applied.transform(frame).columns == [""]
    assert applied.transform(frame)[""].to_list() == frame[""].to_list()


def test_what_was_saved_is_there_until_all_of_the_next_is(tmp_path, monkeypatch) -> None:
    table = tiny_table()
    keep = {n: np.ones(v.size, bool) for n, v in table.encoder.vocabularies.items()}

    def applied(*fields: str) -> AppliedFeatureSet:
        made = FeatureSet.from_keep(keep, fields=fields, method="toy", params={}, encoder=table.encoder.digest)
        return AppliedFeatureSet.of(made, table.encoder)

    applied("site").save(tmp_path / "set")

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(Encoder, "save", broken)
        with pytest.raises(KeyboardInterrupt):
            applied("ad").save(tmp_path / "set")
    assert AppliedFeatureSet.load(tmp_path / "set").features.fields == ("site",)
    applied("ad").save(tmp_path / "set")
    assert AppliedFeatureSet.load(tmp_path / "set").features.fields == ("ad",)
    assert [p.name for p in tmp_path.iterdir()] == ["set"]
