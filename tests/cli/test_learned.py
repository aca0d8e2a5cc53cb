"""`ctrsel train`, `explain`, `select`: what they write, and that the next step takes it."""

from __future__ import annotations

import polars as pl

from ctrsel.models.model import Model
from ctrsel.records.explanation import Explanation
from ctrsel.records.feature_set import FeatureSet

QUICK = ("--set", "learners.boosted.rounds=10")
NET = ("--set", "learners.net.batch_size=32", "--set", "learners.net.max_epochs=1", "--set", "learners.net.width=4")


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
