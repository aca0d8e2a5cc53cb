from __future__ import annotations

import gzip
import json

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.serve import score_file
from ctrsel.testing.runs import tiny_net
from ctrsel.testing.tables import tiny_frame, tiny_table


@pytest.fixture(scope="module")
def model():
    return tiny_net(tiny_table())


@pytest.fixture
def rows():
    return tiny_frame(rows=250, seed=7).drop("click").with_row_index("row_id")


def packed(path, how):
    name = path.with_name(path.name + how)
    if how == ".gz":
        name.write_bytes(gzip.compress(path.read_bytes()))
    if how == ".zst":
        name.write_bytes(pa.compress(path.read_bytes(), codec="zstd", asbytes=True))
    return name


@pytest.mark.parametrize(
    "source",
    [
        "rows.parquet",
        "rows.arrow",
        *(f"rows.{kind}{how}" for kind in ("csv", "tsv", "ndjson") for how in ("", ".gz", ".zst")),
    ],
)
def test_a_file_is_scored_like_a_frame(model, rows, tmp_path, source):
    kind = source.split(".")[1]
    plain = tmp_path / f"rows.{kind}"
    write = {
        "parquet": rows.write_parquet,
        "csv": rows.write_csv,
        "tsv": lambda path: rows.write_csv(path, separator="\t"),
        "ndjson": rows.write_ndjson,
        "arrow": rows.write_ipc,
    }[kind]
    write(plain)
    packed(plain, source.removeprefix(f"rows.{kind}"))
    out = tmp_path / "deep" / "scores.parquet"
    summary = score_file(model, tmp_path / source, out, keep=["row_id"], details=True, chunk_rows=100)
    scores = pl.read_parquet(out)
    assert scores.columns == ["row_id", "probability", "logit", "other", "missing"]
    assert scores["row_id"].cast(pl.Int64).to_list() == list(range(250))
    np.testing.assert_allclose(scores["probability"], model.probabilities(rows)[:, 0], atol=1e-6)
    assert summary.rows == 250
    assert summary.mean_probability == pytest.approx(scores["probability"].mean())
    assert summary.absent == ()
    assert [p.name for p in tmp_path.rglob(".*")] == []


READ = {
    "csv": pl.read_csv,
    "tsv": lambda path: pl.read_csv(path, separator="\t"),
    "ndjson": pl.read_ndjson,
    "parquet": pl.read_parquet,
    "arrow": pl.read_ipc,
}


@pytest.mark.parametrize(
    "out",
    ["s.parquet", "s.arrow", *(f"s.{kind}{how}" for kind in ("csv", "tsv", "ndjson") for how in ("", ".gz", ".zst"))],
)
@pytest.mark.parametrize("height", [250, 0])
def test_scores_are_written_as_the_name_says(model, rows, tmp_path, out, height):
    rows.head(height).write_parquet(tmp_path / "rows.parquet")
    summary = score_file(model, tmp_path / "rows.parquet", tmp_path / out, keep=["ad"], chunk_rows=100)
    assert summary.rows == height
    kind = out.split(".")[1]
    if kind == "ndjson" and not height:
        return
    scores = READ[kind](tmp_path / out)
    assert scores.columns == ["ad", "probability"]
    assert scores["ad"].to_list() == rows.head(height)["ad"].to_list()
    np.testing.assert_allclose(
        scores["probability"].cast(pl.Float64), model.probabilities(rows.head(height))[:, 0], atol=1e-6
    )


def test_rows_of_json_may_differ_from_block_to_block(model, tmp_path, monkeypatch):
    monkeypatch.setattr("ctrsel.serve.row_chunks._BLOCK", 1 << 16)  # the least that is read at once
    first = [{"site": "site1", "key": i, "tag": None} for i in range(4000)]
    then = [{"ad": "ad07", "key": f"u{i}", "tag": [1, {"x": 2}]} for i in range(4000)]
    (tmp_path / "rows.ndjson").write_text("".join(json.dumps(r) + "\n" for r in first + then))
    summary = score_file(model, tmp_path / "rows.ndjson", tmp_path / "s.parquet", keep=["key", "tag", "ad"])
    assert summary.rows == 8000
    assert summary.absent == ("noise", "id", "hour", "load")
    scores = pl.read_parquet(tmp_path / "s.parquet")
    assert scores["key"].to_list() == [str(r["key"]) for r in first + then]
    assert set(scores["tag"].unique().to_list()) == {None, '[1, {"x": 2}]'}
    alone = model.probabilities(pl.DataFrame({"site": ["site1", None], "ad": [None, "ad07"]}))[:, 0]
    np.testing.assert_allclose(scores["probability"], np.repeat(alone, 4000), atol=1e-6)


def test_a_file_without_rows_gives_a_file_without_rows(model, tmp_path):
    (tmp_path / "rows.csv").write_text("site,ad\n")
    assert score_file(model, tmp_path / "rows.csv", tmp_path / "s.csv").rows == 0
    assert (tmp_path / "s.csv").read_text() == "probability\n"


def test_other_layouts_are_scored_too(model, tmp_path):
    (tmp_path / "rows.svm").write_text("1 1:1 3:1\n0 2:1 3:1\n")
    with pytest.raises(DataError, match="at least one of the model's 6 columns"):
        score_file(model, tmp_path / "rows.svm", tmp_path / "s.csv")
    with pytest.raises(ConfigError, match="unknown format 'xlsx'"):
        score_file(model, tmp_path / "rows.svm", tmp_path / "s.csv", format="xlsx")


def test_a_glob_is_scored_in_the_order_of_names_and_counts_what_is_not_known(model, rows, tmp_path):
    rows.head(100).write_parquet(tmp_path / "day-1.parquet")
    rows.tail(150).with_columns(site=pl.lit("elsewhere")).drop("ad").write_parquet(tmp_path / "day-2.parquet")
    model.save(tmp_path / "model")
    summary = score_file(tmp_path / "model", tmp_path / "day-*.parquet", tmp_path / "out.parquet")
    first = score_file(model, tmp_path / "day-1.parquet", tmp_path / "first.parquet")
    scores = pl.read_parquet(tmp_path / "out.parquet")
    assert (
        scores["probability"].head(100).to_list()
        == pl.read_parquet(tmp_path / "first.parquet")["probability"].to_list()
    )
    assert summary.absent == ("ad",)
    assert summary.other["site"] == pytest.approx(150 / 250)
    assert summary.missing["ad"] == pytest.approx(150 / 250)
    assert first.missing["site"] == rows.head(100)["site"].null_count() / 100
    assert summary.other_trained["site"] == 0
    assert 0 < summary.missing_trained["site"] < 0.1
    assert summary.to_dict()["out"] == str(tmp_path / "out.parquet")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"out": "x.json"}, (ConfigError, r"written as \.parquet, .*, texts also with \.gz or \.zst, got '\.json'")),
        ({"out": "x.parquet.gz"}, (ConfigError, r"got '\.parquet\.gz'")),
        ({"keep": ["nobody"]}, (DataError, "the column 'nobody' is to be kept")),
        ({"source": "rows.ndjson", "keep": ["nobody"]}, (DataError, "the column 'nobody' is to be kept")),
        ({"source": "cut.csv.gz"}, (DataError, r"cut\.csv\.gz: cannot be read: .*cut off")),
        ({"chunk_rows": 0}, (ConfigError, "chunk_rows: must be at least 1")),
        ({"source": "none-*.parquet"}, (DataError, "no file matches")),
        ({"source": "broken.parquet"}, (DataError, r"broken\.parquet: cannot be read as parquet")),
        ({"source": "texts.csv"}, (DataError, r"texts\.csv: column 'load': row 2 must be a number, got 'heavy'")),
        ({"source": "clash.csv", "keep": ["probability"]}, (ConfigError, "is the name of a score")),
    ],
)
def test_bad_calls_are_refused_and_leave_no_file(model, rows, tmp_path, arguments, expected):
    rows.write_parquet(tmp_path / "rows.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 nothing")
    rows.write_ndjson(tmp_path / "rows.ndjson")
    rows.write_csv(tmp_path / "whole.csv")
    (tmp_path / "cut.csv.gz").write_bytes(packed(tmp_path / "whole.csv", ".gz").read_bytes()[:-2000])
    (tmp_path / "texts.csv").write_text("site,load\na,1\nb,heavy\n")
    (tmp_path / "clash.csv").write_text("site,probability\na,1\n")
    before = set(tmp_path.iterdir())
    given = {"source": "rows.parquet", "out": "scores.parquet"} | arguments
    source, out = tmp_path / given.pop("source"), tmp_path / given.pop("out")
    with pytest.raises(expected[0], match=expected[1]):
        score_file(model, source, out, **given)
    assert set(tmp_path.iterdir()) == before
