"""`ctrsel rank --compare`: rankers side by side, saved rankings, what is written, and what is refused."""

from __future__ import annotations

import polars as pl
import pytest

from ctrsel.records.ranking import Ranking
from ctrsel.records.ranking_comparison import RankingComparison

QUICK = ("--set", "learners.boosted.rounds=10")
TWO = ("--by", "mutual_information", "--by", "boosted_shap", *QUICK)


def test_two_rankers_are_compared(ctrsel, here):
    said = ctrsel("rank", "clicks.parquet", "-l", "click", *TWO, "--compare", "-q")
    assert said.code == 0, said.err
    assert "agreement of rankings" in said.out
    assert "mutual_information  boosted_shap" in said.out
    assert "two random orders of 6 items" in said.out
    told = ctrsel("rank", "clicks.parquet", "-l", "click", *TWO, "--compare", "-q", "--json").json
    (pair,) = told["comparison"]["pairs"]
    assert 0.8 < pair["rbo"] <= 1
    assert len(told["rankings"]) == 2
    assert "comparison" not in ctrsel("rank", "clicks.parquet", "-l", "click", "-q", "--json").json


def test_what_is_written(ctrsel, here):
    said = ctrsel("rank", "clicks.parquet", "-l", "click", *TWO, "--compare", "-q", "--out", "agreement.html")
    assert said.code == 0, said.err
    assert "boosted_shap" in (here / "agreement.html").read_text()
    assert ctrsel("rank", "clicks.parquet", "-l", "click", *TWO, "--compare", "-q", "--out", "all").code == 0
    assert sorted(p.name for p in (here / "all").iterdir()) == [
        "agreement.html",
        "boosted_shap",
        "comparison",
        "mutual_information",
    ]
    held = RankingComparison.load(here / "all" / "comparison")
    assert held.rankings[0] == Ranking.load(here / "all" / "mutual_information").digest
    # A file of rankings stays what it is without --compare.
    assert ctrsel("rank", "clicks.parquet", "-l", "click", *TWO, "--compare", "-q", "--out", "r.csv").code == 0
    assert pl.read_csv(here / "r.csv")["method"].n_unique() == 2


def test_saved_rankings(ctrsel, here, clicks):
    clicks.reverse().head(1000).write_parquet("other.parquet")
    assert ctrsel("rank", "clicks.parquet", "-l", "click", *TWO, "-q", "--out", "monday").code == 0
    for name in ("tuesday.parquet", "tuesday.csv", "tuesday.tsv", "tuesday.arrow", "tuesday.json"):
        assert ctrsel("rank", "other.parquet", "-l", "click", "-q", "--out", name).code == 0
        said = ctrsel("rank", "--with", "monday", "--with", name, "-q", "--json")
        assert said.code == 0, said.err
        told = said.json["comparison"]
        assert told["names"] == ["monday/boosted_shap", "monday/mutual_information", name]
        assert f"not known on which table: {name}" in told["notes"]
    now = ctrsel("rank", "other.parquet", "-l", "click", "--with", "monday/mutual_information", "-q", "-o", "a.html")
    assert now.code == 0, now.err
    assert "made on different tables" in now.out
    assert (here / "a.html").is_file()
    stacked = ctrsel("rank", "clicks.parquet", "-l", "click", *TWO, "-q", "--out", "two.parquet")
    assert stacked.code == 0
    told = ctrsel("rank", "--with", "two.parquet", "-q", "--json", "--out", "found").json
    assert told["comparison"]["names"] == ["two.parquet (mutual_information)", "two.parquet (boosted_shap)"]
    assert sorted(p.name for p in (here / "found").iterdir()) == ["agreement.html", "comparison"]


@pytest.mark.parametrize(
    ("argv", "code", "why"),
    [
        (("clicks.parquet", "-l", "click", "--compare"), 2, "--compare: needs at least two rankings"),
        (("--compare",), 2, "name the data or a config"),
        (
            ("clicks.parquet", "-l", "click", "--out", "x.html"),
            2,
            "a page shows how much rankings agree; add --compare",
        ),
        (
            ("--with", "a", "--with", "b", "--out", "x.csv"),
            2,
            "saved rankings are compared in a page (.html) or a folder",
        ),
        (("--with", "no", "--with", "clicks.csv"), 3, "--with no: there is no such file or folder"),
        (("--with", "."), 3, "--with .: this folder holds no saved ranking"),
        (("--with", "clicks.csv"), 3, "a ranking has the columns field, score and rank; 'field' is missing"),
        (("--with", "x.txt"), 2, "the name must end in one of"),
        (("--with", "bad.parquet"), 3, "cannot be read as parquet"),
        (("--with", "r.csv"), 2, "at least two rankings"),
        (("--with", "r.csv", "--with", "r.csv"), 2, "the ranking r.csv is given twice"),
    ],
)
def test_refusals(ctrsel, here, argv, code, why):
    (here / "x.txt").write_text("field score rank")
    (here / "bad.parquet").write_text("no parquet")
    (here / "r.csv").write_text("field,score,rank\na,2,1\nb,1,2\n")
    said = ctrsel("rank", *argv, "-q")
    assert (said.code, why in said.err) == (code, True), said.err
