"""The commands around saved feature sets."""

import json
import sqlite3
from contextlib import closing

import polars as pl
import pytest

import ctrsel as package
from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.data.applied import AppliedFeatureSet
from ctrsel.data.ingest import ingest
from ctrsel.records.feature_set import FeatureSet
from ctrsel.testing.tables import tiny_frame

QUICK = ("--set", "learners.net.max_epochs=1", "--set", "learners.net.width=4", "--set", "learners.net.batch_size=256")


@pytest.fixture(scope="module")
def table():
    fields = {
        "id": FieldConfig(kind="categorical", sensitive=True),
        "hour": FieldConfig(kind="numeric", bucket="quantile", bins=4),
        "load": FieldConfig(kind="numeric", bucket="none"),
    }
    return ingest(tiny_frame(rows=800), schema=SchemaConfig(label=LabelConfig(name="click"), fields=fields))


@pytest.fixture
def saved(here, table):
    def save(name: str, fields: tuple[str, ...], least: int = 60) -> AppliedFeatureSet:
        keep = {n: v.counts >= least for n, v in table.encoder.vocabularies.items()}
        features = FeatureSet.from_keep(keep, fields=fields, method="toy", params={}, encoder=table.encoder.digest)
        applied = AppliedFeatureSet.of(features, table.encoder)
        applied.save(here / name / "feature_set")
        return applied

    return save


def test_sql(ctrsel, saved, here, clicks) -> None:
    applied = saved("small", ("site", "ad", "hour"))
    ended = ctrsel("export", "small", "--to", "sql", "--from", "clicks", "--keep", "id", "--out", "kept.sql", "--json")
    assert (ended.code, ended.json["fields"], ended.json["out"]) == (0, ["site", "ad", "hour"], "kept.sql")
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE clicks (click, site, ad, noise, id, hour, load)")
        database.executemany("INSERT INTO clicks VALUES (?, ?, ?, ?, ?, ?, ?)", clicks.rows())
        rows = database.execute((here / "kept.sql").read_text()).fetchall()
    expected = applied.transform(clicks).insert_column(0, clicks["id"]).rows()
    assert sorted(rows, key=str) == sorted(expected, key=str)
    assert ctrsel("export", "small", "--to", "sql").out.startswith("-- Kept fields")


def test_polars_and_sklearn(ctrsel, saved, here, clicks) -> None:
    applied = saved("small", ("site", "ad", "hour", "load"))
    expected = applied.transform(clicks)
    for form in ("polars", "sklearn"):
        assert ctrsel("export", "small", "--to", form, "--out", f"{form}_kept.py").code == 0
    names: dict = {"__name__": "kept"}
    exec((here / "polars_kept.py").read_text(), names)
    assert names["transform"](clicks).equals(expected)
    exec((here / "sklearn_kept.py").read_text(), names)
    assert names["kept"].fit_transform(clicks).equals(expected)


def test_columns(ctrsel, saved, here) -> None:
    saved("small", ("site", "hour", "load"))
    told = ctrsel("export", "small", "--to", "columns").json
    assert told["other"] == "(other)"
    assert [f["name"] for f in told["fields"]] == ["site", "hour", "load"]
    assert told["fields"][0]["values"] == ["site0", "site1", "site2", "site3"]
    assert sum(low is None for low, _ in told["fields"][1]["ranges"].values()) == 1
    ctrsel("export", "small", "--to", "columns", "--out", "kept.json")
    assert json.loads((here / "kept.json").read_text()) == told
    ctrsel("export", "small", "--to", "columns", "--out", "kept.csv")
    assert pl.read_csv(here / "kept.csv")["value"].drop_nulls().to_list()[:2] == ["site0", "site1"]


def test_sensitive_texts_are_written_only_if_somebody_says_so(ctrsel, saved) -> None:
    saved("small", ("site", "id"), least=1)
    for form in ("columns", "sql", "polars"):
        ended = ctrsel("export", "small", "--to", form)
        assert ended.code == 2
        assert "field 'id' is sensitive" in ended.err
        assert "u1" not in ended.out
        assert "'u1'" not in ctrsel("export", "small", "--to", form, "--without", "id").out
        assert "u1" in ctrsel("export", "small", "--to", form, "--sensitive").out


def test_what_is_refused(ctrsel, saved, here) -> None:
    saved("small", ("site",))
    assert "must end in .sql" in ctrsel("export", "small", "--to", "sql", "--out", "kept.txt").err
    assert ctrsel("export", "small", "--to", "xml").code == 2
    assert ctrsel("export", "nowhere", "--to", "sql").code == 3
    for flags, said in (
        (("sql", "--from", ""), "table: expected a name, or names with dots between them, got ''"),
        (("sql", "--from", "a..b"), "table: expected a name, or names with dots between them, got 'a..b'"),
        (("sql", "--keep", "key", "--keep", "key"), "keep: 'key' is named twice"),
        (("polars", "--keep", "key"), "--keep: the form polars has no use for it; it passes columns on in SQL"),
        (("columns", "--from", "log"), "--from: the form columns has no use for it"),
        (("sklearn", "--without", "site"), "--without: the form sklearn has no use for it"),
    ):
        ended = ctrsel("export", "small", "--to", *flags)
        assert ended.code == 2, ended.out
        assert said in ended.err
    assert "did you mean 'site'" in ctrsel("export", "small", "--to", "sql", "--without", "sit").err


def test_diff(ctrsel, saved) -> None:
    saved("old", ("site", "ad", "id"), least=60)
    saved("new", ("site", "hour", "id"), least=1)
    told = ctrsel("diff", "old", "new", "--json").json
    assert {f["name"]: f["change"] for f in told["fields"]} == {"ad": "removed", "hour": "added", "id": "changed"}
    assert told["same"] == ["site"]
    ended = ctrsel("diff", "old", "new")
    assert "fields gained: hour" in ended.out
    assert "(sensitive)" in ended.out
    assert "u1" not in ended.out
    assert "both keep the same" in ctrsel("diff", "old", "old").out


def test_what_select_writes_can_be_exported(ctrsel, here, clicks) -> None:
    ended = ctrsel("select", "clicks.parquet", "--label", "click", "--method", "ranking", "--keep", "20%", "--out", "small",
                   *QUICK)  # fmt: skip
    assert ended.code == 0, ended.err
    assert ctrsel("export", "small/ranking", "--to", "polars", "--out", "kept.py").code == 0
    names: dict = {"__name__": "kept"}
    exec((here / "kept.py").read_text(), names)
    assert names["transform"](clicks).equals(package.load_feature_set("small/ranking").transform(clicks))
    several = ctrsel("export", "small", "--to", "polars")
    assert (several.code, "small/random" in several.err) == (2, True)
    told = ended.out
    assert "fields:" in told
    assert "id: " in told
    whole = ctrsel("explain-selection", "small/ranking")
    assert whole.code == 0
    assert "auc_lost" in whole.out
    one = ctrsel("explain-selection", "small/ranking", "--field", "ad", "--json").json
    assert one["fields"][0]["name"] == "ad"
    assert {v["outcome"] for v in one["values"]} <= {"kept", "merged", "dropped"}
    assert "value" in ctrsel("explain-selection", "small/ranking", "--field", "ad").out
    assert ctrsel("explain-selection", "small/ranking", "--field", "add").code == 2
    assert ctrsel("explain-selection", "small/random").code == 3
