"""`ctrsel rank`: the files and the folder that it writes."""

from __future__ import annotations

import polars as pl

from ctrsel.records.ranking import Ranking

QUICK = ("--set", "learners.boosted.rounds=10")


def test_rank_writes_field_score_rank(ctrsel, here):
    for name, read in (("r.parquet", pl.read_parquet), ("r.csv", pl.read_csv), ("r.arrow", pl.read_ipc)):
        said = ctrsel("rank", "clicks.parquet", "--label", "click", "--out", name, "-q")
        assert said.code == 0
        frame = read(here / name)
        assert {"field", "score", "rank"} <= set(frame.columns)
        assert set(frame.sort("rank")["field"][:2]) == {"ad", "site"}
    assert [p.name for p in here.iterdir() if p.name.startswith(".")] == []


def test_rank_folder_and_several_rankers(ctrsel, here):
    by = ("--by", "mutual_information", "--by", "boosted_shap")
    said = ctrsel("rank", "clicks.parquet", "-l", "click", *by, "--out", "both.csv", "-q", *QUICK)
    assert said.code == 0, said.err
    frame = pl.read_csv(here / "both.csv")
    assert frame["method"].unique().sort().to_list() == ["boosted_shap", "mutual_information"]
    assert ctrsel("rank", "clicks.parquet", "-l", "click", "--out", "folder", "-q").code == 0
    assert Ranking.load(here / "folder" / "mutual_information").order[0] in ("ad", "site")


def test_csv_and_parquet_rank_alike(ctrsel, here):
    a, b = (ctrsel("rank", f, "-l", "click", "--json", "-q").json for f in ("clicks.csv", "clicks.parquet"))
    assert [r["items"] for r in a["rankings"]] == [r["items"] for r in b["rankings"]]
