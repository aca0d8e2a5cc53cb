from __future__ import annotations

import numpy as np
import polars as pl
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


@pytest.mark.parametrize("source", ["rows.parquet", "rows.csv", "rows.arrow"])
@pytest.mark.parametrize("out", ["scores.parquet", "deep/scores.csv"])
def test_a_file_is_scored_like_a_frame(model, rows, tmp_path, source, out):
    write = {"parquet": rows.write_parquet, "csv": rows.write_csv, "arrow": rows.write_ipc}[source.split(".")[1]]
    write(tmp_path / source)
    summary = score_file(model, tmp_path / source, tmp_path / out, keep=["row_id"], details=True, chunk_rows=100)
    scores = (pl.read_csv if out.endswith("csv") else pl.read_parquet)(tmp_path / out)
    assert scores.columns == ["row_id", "probability", "logit", "other", "missing"]
    assert scores["row_id"].cast(pl.Int64).to_list() == list(range(250))
    np.testing.assert_allclose(scores["probability"], model.probabilities(rows)[:, 0], atol=1e-7)
    assert summary.rows == 250
    assert summary.mean_probability == pytest.approx(scores["probability"].mean())
    assert summary.absent == ()
    assert [p.name for p in tmp_path.rglob(".*")] == []


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
        ({"out": "x.json"}, (ConfigError, r"written as \.parquet or \.csv, got the ending '\.json'")),
        ({"keep": ["nobody"]}, (DataError, "the column 'nobody' is to be kept")),
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
    (tmp_path / "texts.csv").write_text("site,load\na,1\nb,heavy\n")
    (tmp_path / "clash.csv").write_text("site,probability\na,1\n")
    before = set(tmp_path.iterdir())
    given = {"source": "rows.parquet", "out": "scores.parquet"} | arguments
    source, out = tmp_path / given.pop("source"), tmp_path / given.pop("out")
    with pytest.raises(expected[0], match=expected[1]):
        score_file(model, source, out, **given)
    assert set(tmp_path.iterdir()) == before
