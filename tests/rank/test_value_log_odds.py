"""Values by hand and on planted effects: order, false discoveries, names, what is listed."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import ctrsel
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.seeds import generator
from ctrsel.data.synthetic import value_table
from ctrsel.rank import FieldCounts, TableCounts, rank
from ctrsel.rank.mutual_information import MutualInformation
from ctrsel.rank.value_log_odds import ValueLogOdds
from ctrsel.stats.counts import LabelCounts, label_counts


def counts_of(**fields):
    made = {}
    for name, (yes, rows) in fields.items():
        train = LabelCounts(positives=np.array([0, 0, 0, *yes]), totals=np.array([0, 0, 0, *rows]))
        made[name] = FieldCounts(train=train)
    return TableCounts(fields=made)


TWO = counts_of(a=([30, 5, 15], [100, 100, 50]), b=([26, 24], [125, 125]))


def test_by_hand():
    ranking = ValueLogOdds().score(TWO)
    assert ranking.item == "value"
    rows = {(r["field"], r["value"]): r for r in ranking.frame.to_dicts()}
    assert len(rows) == 5
    assert next((r["field"], r["value"]) for r in ranking.frame.to_dicts()) == ("a", "4")
    low = rows["a", "4"]
    assert (low["rows"], low["positives"], low["rate"]) == (100, 5, 0.05)
    # 100 of 250 rows, 50 of them positive: mean 20, variance 100 * .2 * .8 * 150 / 249.
    assert low["z"] == pytest.approx((5 - 20) / np.sqrt(16 * 150 / 249))
    assert low["mi"] == pytest.approx((5 * np.log(0.05 / 0.2) + 95 * np.log(0.95 / 0.8)) / 250)
    assert low["score"] == low["mi_minus_expected"] > 0
    assert low["low"] < low["log_odds"] < low["high"] < 0
    assert rows["b", "3"]["score"] == 0
    assert rows["b", "3"]["share"] is None
    assert sum(r["share"] for (f, _), r in rows.items() if f == "a") == pytest.approx(1)


def test_the_terms_add_up_to_what_the_field_ranking_says():
    values = ValueLogOdds().score(TWO).frame.group_by("field").agg(pl.col("^.*mi.*$").sum()).to_dicts()
    fields = {r["field"]: r for r in MutualInformation().score(TWO).frame.to_dicts()}
    for row in values:
        for column in ("mi", "expected_mi", "mi_minus_expected"):
            assert row[column] == pytest.approx(fields[row["field"]][column], abs=1e-12)


@pytest.mark.parametrize(("by", "unit"), [("log_odds", "log-odds"), ("z", "sd")])
def test_other_scores(by, unit):
    ranking = ValueLogOdds(by=by).score(TWO)
    assert ranking.unit == unit
    first = ranking.frame.row(0, named=True)
    assert first["score"] == pytest.approx(abs(first[by]))


def test_the_listing_is_the_top_and_some_of_each_field():
    rng = generator(1, "listing")
    rows = rng.integers(50, 500, 300)
    strong = rng.binomial(rows, rng.uniform(0.05, 0.95, 300))
    weak = rng.binomial(rows, 0.5)
    counts = counts_of(strong=(strong, rows), weak=(weak, rows))
    short = ValueLogOdds(top=20, per_field=3).score(counts)
    whole = ValueLogOdds(top=600).score(counts)
    assert short.notes[-1] == "600 values were scored, the first 23 are listed"
    assert short.frame.height == 23
    assert short.frame["field"].to_list() == ["strong"] * 20 + ["weak"] * 3
    assert (
        short.frame.select("field", "value", "score")
        .head(20)
        .equals(whole.frame.select("field", "value", "score").head(20))
    )
    assert whole.frame["score"].is_sorted(descending=True)
    assert ValueLogOdds(top=20, per_field=0).score(counts).frame.height == 20


def test_equal_counts_are_listed_in_the_order_of_their_codes():
    counts = counts_of(a=([0, 9, 9, 9, 0, 0], [10] * 6))
    frame = ValueLogOdds(top=2, per_field=0).score(counts).frame
    assert frame["value"].to_list() == ["3", "7"]  # none of ten says more than nine of ten, at a rate of .45


def test_chunks_add_up():
    rng = generator(2, "chunks")
    codes, labels = rng.integers(0, 40, 3_000), rng.integers(0, 2, 3_000).astype(np.uint8)

    def part(rows):
        return TableCounts(fields={"x": FieldCounts(train=label_counts(codes[rows], labels[rows], size=40))})

    whole, sums = part(slice(None)), part(slice(1_000)) + part(slice(1_000, None))
    assert ValueLogOdds().score(whole).digest == ValueLogOdds().score(sums).digest


def test_names_that_are_alike_are_told_apart():
    counts = TableCounts(fields=TWO.fields, value_names=lambda field, codes: ["same"] * len(codes))
    assert sorted(ValueLogOdds().score(counts).frame["value"]) == [
        "same (code 3)", "same (code 3)", "same (code 4)", "same (code 4)", "same (code 5)",
    ]  # fmt: skip


def test_a_field_of_one_class_is_refused():
    ranking = ValueLogOdds().score(counts_of(a=([0, 0], [5, 5])))
    assert ranking.frame.height == 0
    assert "one class" in ranking.refused["a"]


def test_planted_values_are_found_and_noise_is_not():
    planted = value_table(rows=60_000, seed=1)
    table = ctrsel.ingest(planted.frame(), schema=planted.schema, seed=1)
    frame = ctrsel.rank_fields(table, by={"use": "value_log_odds", "top": 20_000}).frame
    # Of the five planted effects two are beyond what chance does in so many rows; the other 95 are equal.
    found = frame.filter((frame["q"] <= 0.05) & (frame["field"] == "few"))
    effects = dict(zip(*planted.truth.value_frame("few").select("value", "effect"), strict=True))
    assert {v for v in found["value"] if abs(effects[v]) > 1} == {"few=34", "few=35"}
    assert found.height <= 4
    assert [np.sign(effects[v]) for v in found["value"]] == np.sign(found["log_odds"].to_numpy()).tolist()
    assert not frame.filter((frame["q"] <= 0.05) & (frame["field"] == "noise")).height
    texts = frame.filter(frame["field"] == "few")["value"]
    assert set(texts) <= set(effects) | {"(missing)", "(other)"}


def test_weighted_rows_are_refused():
    from ctrsel.core.config import LabelConfig, SchemaConfig
    from ctrsel.data.ingest import ingest
    from ctrsel.testing.tables import tiny_frame

    frame = tiny_frame(rows=200)
    table = ingest(frame, schema=SchemaConfig(label=LabelConfig(name="click"), weight="hour"), seed=1)
    with pytest.raises(DataError, match="value_log_odds: has no null for weighted rows"):
        rank(table, [ValueLogOdds()], seed=1)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"by": "share"}, "value_log_odds.by: must be one of effect, log_odds, z, got 'share'"),
        ({"alpha": 0}, "value_log_odds.alpha"),
        ({"top": 0}, "value_log_odds.top: must be at least 1"),
        ({"per_field": -1}, "value_log_odds.per_field"),
    ],
)
def test_parameters_are_checked(how, message):
    with pytest.raises(ConfigError, match=message):
        ValueLogOdds(**how)
