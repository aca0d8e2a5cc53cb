"""`ctrsel rank --pairs`: pairs beside or in place of other rankers, and the estimate that comes first."""

from __future__ import annotations

import polars as pl


def test_pairs_alone_and_beside_other_rankers(ctrsel, here):
    said = ctrsel("rank", "clicks.parquet", "-l", "click", "--pairs", "auto", "--json", "-q")
    assert said.code == 0, said.err
    (ranking,) = said.json["rankings"]
    assert ranking["method"] == "interactions"
    assert all(len(item["fields"]) == 2 for item in ranking["items"])
    assert "estimate" not in said.err
    by = ("--by", "mutual_information", "--by", "interactions")
    said = ctrsel("rank", "clicks.parquet", "-l", "click", *by, "--pairs", "auto", "--out", "both.csv", "-q")
    assert said.code == 0, said.err
    frame = pl.read_csv(here / "both.csv")
    assert frame["method"].unique().sort().to_list() == ["interactions", "mutual_information"]
    assert frame.filter(pl.col("method") == "interactions")["fields"].str.contains(";").all()


def test_all_pairs_say_first_what_they_take(ctrsel, here):
    said = ctrsel("rank", "clicks.parquet", "-l", "click", "--pairs", "all", "-q")
    assert said.code == 0, said.err
    first = said.err.splitlines()[0]
    assert first.startswith("estimate: ")
    assert " pairs, about " in first
    assert "beside the columns" in first


def test_another_way_is_refused(ctrsel, here):
    said = ctrsel("rank", "clicks.parquet", "-l", "click", "--pairs", "most", "-q")
    assert said.code == 2
    assert "must be one of" in said.err or "should be 'auto' or 'all'" in said.err
