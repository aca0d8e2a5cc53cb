"""Single steps on bare data and on a config: what they print, what they write, and that nothing else is on stdout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrsel.data.hashing import stable_hash
from ctrsel.data.table import Table
from ctrsel.models.model import Model
from ctrsel.records.explanation import Explanation
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.ranking import Ranking

QUICK = ("--set", "learners.boosted.rounds=10")
NET = ("--set", "learners.net.batch_size=32", "--set", "learners.net.max_epochs=1", "--set", "learners.net.width=4")


def test_ingest_names_what_hash_buckets_mix(ctrsel, here):
    frame = pl.DataFrame({"click": [0, 1] * 300, "user": [f"u{i % 12}" for i in range(600)]})
    frame.write_parquet("users.parquet")
    flags = ("users.parquet", "--label", "click", "--set", "schema.fields.user.hash_buckets=5")
    said = ctrsel("ingest", *flags, "-q")
    assert said.code == 0, said.err
    _, sizes = np.unique(stable_hash(frame["user"].unique()) % np.uint64(5), return_counts=True)
    mixed = int(sizes[sizes > 1].sum())
    assert f"user: {mixed} of 12 values share one of 5 hash buckets with another; the heaviest that do: 'u" in said.out
    told = json.loads(ctrsel("ingest", *flags, "--json", "-q").out)["hashed"]["user"]
    assert (told["buckets"], told["values"], told["colliding"]) == (5, 12, mixed)
    assert all(2 <= len(pair) <= 3 for pair in told["heaviest"])
    hidden = ctrsel("ingest", *flags, "--set", "schema.fields.user.sensitive=true", "-q").out
    assert "'u" not in hidden


def test_ingest_saves_a_table_that_other_steps_take(ctrsel, here):
    said = ctrsel("ingest", "clicks.parquet", "-l", "click", "--out", "table", "--json")
    assert said.code == 0
    table = Table.load(here / "table")
    assert said.json["digest"] == table.digest
    assert list(said.json["splits"]) == ["train", "valid", "test"]
    assert sum(s["rows"] for s in said.json["splits"].values()) == 1500
    again = ctrsel("rank", "table", "--json", "-q")
    direct = ctrsel("rank", "clicks.parquet", "-l", "click", "--json", "-q")
    assert again.json == direct.json


def test_an_increment_keeps_what_the_store_was_made_with(ctrsel, here, clicks):
    """What is not said stays; what is said otherwise is refused, not passed over."""
    clicks.head(1000).write_csv("a.csv")
    (here / "b.csv").write_text(clicks.slice(1000).write_csv() + "broken\n")
    made = ctrsel("ingest", "a.csv", "-l", "click", "--min-count", "3", "--split", "hash", "--out", "t", "-q")
    assert made.code == 0
    for flags, why in (
        (("--time", "hour"), "schema.time: the store was made with None and keeps it, got 'hour'"),
        (("--split", "group"), "split.use: the store was made with 'hash' and keeps it, got 'group'"),
        (("--label", "site"), "schema.label.name: the store was made with 'click' and keeps it, got 'site'"),
        (("--ignore", "ad"), "schema.ignore: the store was made with the field 'ad' and keeps it"),
        (("--min-count", "1"), "ingest.min_count: the store was made with 3 and keeps it, got 1"),
        (("--set", "schema.fields.ad.kind=sequence"), "schema.fields.ad.kind: the store was made with 'categorical'"),
    ):
        said = ctrsel("ingest", "b.csv", "--append", "--out", "t", "-q", *flags)
        assert (said.code, why in said.err) == (2, True), said.err
    added = ctrsel("ingest", "b.csv", "--append", "--out", "t", "--tolerance", "0.1", "--split", "hash", "-q", "--json")
    assert (added.code, added.json["rows"], added.json["tally"]["rejected"]) == (0, 1500, 1), added.err


def test_a_config_of_other_columns_appends_nothing(ctrsel, here, small_run):
    assert ctrsel("ingest", small_run, "--out", "t", "-q").code == 0
    again = ctrsel("ingest", small_run, "--append", "--out", "t", "-q")
    assert (again.code, "nothing new for t" in again.out) == (0, True), again.err
    said = ctrsel("ingest", small_run, "--append", "--out", "t", "-q", "--set", "schema.label.delay=7d")
    assert (said.code, "schema.label.delay: the store was made with None and keeps it, got '7d'" in said.err) == (
        2,
        True,
    )


@pytest.mark.parametrize("command", ["ingest", "audit"])
def test_a_folder_of_other_things_is_not_replaced(ctrsel, here, command):
    mine = here / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    for out in (mine, "."):
        said = ctrsel(command, "clicks.parquet", "-l", "click", "--ignore", "id", "--out", out, "-q")
        assert (said.code, said.err.count("\n")) == (2, 1), said.err
    assert (mine / "thesis.txt").read_text() == "years of work"
    assert (here / "clicks.csv").is_file()


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


def test_seed_changes_the_split_and_nothing_else_does(ctrsel, here):
    a, b, c = (
        ctrsel("ingest", "clicks.parquet", "-l", "click", "--json", "-q", "--seed", s).json["digest"] for s in (1, 1, 2)
    )
    assert a == b != c


def test_train_explain_predict(ctrsel, here, clicks):
    said = ctrsel("train", "clicks.parquet", "-l", "click", "--learner", "boosted", "-o", "m", "--json", *QUICK)
    assert said.code == 0, said.err
    (made,) = said.json["models"]
    assert made["digest"] == Model.load(here / "m").digest
    assert 0.5 < made["valid_auc"] < 1

    said = ctrsel("predict", "m", "clicks.csv", "--out", "s.parquet", "--json", "-q")
    assert said.code == 0, said.err
    scores = pl.read_parquet(here / "s.parquet")
    assert scores.height == said.json["rows"] == 1500
    expected = Model.load(here / "m").probabilities(clicks)[:, 0]
    assert abs(scores["probability"].to_numpy() - expected).max() < 1e-12

    said = ctrsel("predict", "m", "clicks.csv", "--out", "s.csv", "--keep", "ad")
    assert "absent" not in said.out
    assert pl.read_csv(here / "s.csv")["ad"].to_list() == clicks["ad"].to_list()

    said = ctrsel("explain", "clicks.csv", "--model", "m", "--max-rows", "50", "-o", "why", "--json", "-q")
    assert said.code == 0, said.err
    assert said.json["explanations"][0]["rows"] == len(Explanation.load(here / "why").rows) == 50


def test_explain_trains_where_no_model_is_given(ctrsel, here):
    said = ctrsel("explain", "clicks.parquet", "-l", "click", "--max-rows", "40", "-q", *QUICK)
    assert said.code == 0, said.err
    assert "pred_contrib" in said.out
    assert "additivity" in said.out


def test_train_refuses_an_unknown_learner(ctrsel, here, small_run):
    said = ctrsel("train", small_run, "--learner", "nett", "-q")
    assert said.code == 2
    assert "did you mean 'net'" in said.err


def test_select_writes_feature_sets_beside_controls(ctrsel, here):
    gate = ("--set", "select.selectors=[{use: gated, gate: {use: optfs, epochs: 3}}]")
    said = ctrsel(
        "select", "clicks.parquet", "-l", "click", "--ignore", "id", "--keep", "70%", "-o", "small", "--json", "-q",
        *NET, *gate,
    )  # fmt: skip
    assert said.code == 0, said.err
    found = said.json
    assert [s["name"].split(", ")[1] for s in found["selections"]] == [
        "optfs gates",
        "random values",
        "most frequent values",
    ]
    features = FeatureSet.load(here / "small" / "gated" / "feature_set")
    assert features.n_values == found["selections"][0]["values"] <= 0.7 * found["of"]["values"]
    assert Model.load(here / "small" / "gated" / "model").encoder.n_values == features.n_values


def test_steps_share_the_stages_of_a_run(ctrsel, here, small_run):
    assert ctrsel("ingest", small_run, "-q").code == 0
    said = ctrsel("rank", "--config", small_run)
    assert said.code == 0
    assert "ingest  result=reused" in said.err.replace(",", "")
    assert (here / "runs" / "small" / "stages").is_dir()


def test_bare_data_leave_nothing_behind(ctrsel, here):
    before = {p.name for p in here.iterdir()}
    assert ctrsel("train", "clicks.parquet", "-l", "click", "--learner", "boosted", "-q", *QUICK).code == 0
    assert {p.name for p in here.iterdir()} == before


def test_logs_are_on_standard_error_as_json_if_wanted(ctrsel, here):
    said = ctrsel("ingest", "clicks.parquet", "-l", "click", "--json", "--log-json")
    assert isinstance(said.json, dict)
    lines = [json.loads(line) for line in said.err.splitlines()]
    assert {"time", "level", "event"} <= set(lines[0])
    assert ctrsel("ingest", "clicks.parquet", "-l", "click", "-q").err == ""


def test_library_prints_do_not_reach_standard_output(ctrsel, here, monkeypatch):
    from ctrsel.cli.work import Work

    def noisy(self):
        print("a library speaks")
        return Table.load(Path("table"))

    assert ctrsel("ingest", "clicks.parquet", "-l", "click", "--out", "table", "-q").code == 0
    monkeypatch.setattr(Work, "table", property(noisy))
    said = ctrsel("rank", "table", "--json", "-q")
    assert said.json["rankings"]
    assert "a library speaks" in said.err


def test_list(ctrsel):
    said = ctrsel("list", "--json", "-q")
    found = {kind: [c["use"] for c in components] for kind, components in said.json.items()}
    assert "mutual_information" in found["rankers"]
    assert {"boosted", "net"} <= set(found["learners"])
    assert {"deepfm", "autoint_plus"} <= set(found["backbones"])
    assert "optfs" in found["gates"]
    assert "gated" in found["selectors"]
    assert found["checks"]
    assert all(c["summary"] for components in said.json.values() for c in components)
    assert "temperature = 1000.0" in ctrsel("list", "gates", "-q").out
    assert ctrsel("list", "gaets", "-q").code == 2


@pytest.mark.parametrize("flag", ["-o", "--out"])
def test_init_writes_a_config_that_loads(ctrsel, here, flag):
    from ctrsel.core.config import load_config

    assert ctrsel("init", "clicks.csv", "--label", "click").code == 0
    assert load_config(here / "clicks.yaml").schema.label.name == "click"
    said = ctrsel("init", "clicks.csv", "--label", "click")
    assert said.code == 2
    assert "--force" in said.err
    assert ctrsel("init", "clicks.csv", "--label", "click", "--force").code == 0
    said = ctrsel("init", "clicks.csv", "--label", "click", flag, "-")
    assert said.out == (here / "clicks.yaml").read_text()


def test_init_on_bad_data(ctrsel, here):
    assert ctrsel("init", "no.csv", "--label", "click").code == 3
    assert ctrsel("init", "clicks.csv", "--label", "clik").code == 2
    assert {p.name for p in here.iterdir()} == {"clicks.csv", "clicks.parquet"}


def test_dry_run_writes_nothing(ctrsel, here, small_run):
    before = {p.name for p in here.iterdir()}
    said = ctrsel("run", small_run, "--dry-run")
    assert said.code == 0, said.err
    for word in ("train/net", "retrain/random", "in all", "embedding_rows", "1,200 train"):
        assert word in said.out
    found = ctrsel("run", small_run, "--dry-run", "--json", "-q").json
    assert found["rows"] == {"train": 1200, "valid": 150, "test": 150}
    assert found["seconds"] == pytest.approx(sum(s["seconds"] for s in found["stages"]))
    assert {p.name for p in here.iterdir()} == before
