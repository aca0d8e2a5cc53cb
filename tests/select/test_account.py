"""Why each field and value was kept or dropped."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.api.functions import as_table
from ctrsel.records.evaluation import Metric
from ctrsel.records.feature_set import OTHER, RESERVED
from ctrsel.records.selection_account import SelectionAccount
from ctrsel.select import Problem, Size
from ctrsel.select.account import account
from ctrsel.select.frequent import MostFrequent
from ctrsel.select.merge import Merge
from ctrsel.select.random import RandomValues
from ctrsel.select.ranking import ByRanking
from ctrsel.testing.tables import tiny_frame


@pytest.fixture
def problem(tiny, untouched) -> Problem:
    return Problem(table=tiny.without("test"), learner=untouched)


def reasons(found: SelectionAccount) -> dict[str, str]:
    return {f.name: f.reason for f in found.fields}


def test_frequency(problem) -> None:
    features = MostFrequent().select(problem, size=8, seed=0).features
    found = account(problem.table, features)
    assert found.cut == min(
        features.scores[n][RESERVED:][r[RESERVED:] != OTHER].min()
        for n, r in features.remaps.items()
        if (r[RESERVED:] != OTHER).any()
    )
    assert reasons(found)["id"] == "below_cut"
    ids = found.field("id")
    assert ids.why == f"the best of its values scores 1, and {found.cut:.4g} is the lowest that is kept"
    assert (ids.values_kept, ids.covered) == (0, 0.0)
    site = found.field("site")
    assert site.why == "all of its values are kept"
    train = problem.table.columns["site"][problem.table.span("train")]
    assert site.covered == pytest.approx((train >= RESERVED).mean())
    below = found.values.filter(pl.col("reason") == "below_cut").collect()
    assert (below["score"] < found.cut).all()
    assert below.height == 0 or "the lowest that is kept" in below["why"][0]


def test_rankings(problem, ranking_of) -> None:
    ranked = replace(problem, rankings={"toy": ranking_of("ad", "site", "hour", "noise", q=[0.01, 0.01, 0.02, 0.5])})
    found = ByRanking(ranking="toy").search(ranked, sizes=(), seed=0)
    told = account(problem.table, found.at(Size(number=1, of="fields")))
    assert reasons(told) == {
        "site": "below_cut", "ad": "kept", "noise": "refused", "id": "refused", "hour": "below_cut", "load": "refused"
    }  # fmt: skip
    assert told.field("noise").why == "dropped, since its q-value is above 0.05, or it was not ranked"
    assert told.field("site").why.startswith("its score -1 is place 2 of 4; 1 fields are kept")
    values = account(problem.table, found.at(Size(number=10)))
    assert reasons(values)["noise"] == "refused"
    dropped = values.values.filter((pl.col("field") == "noise") & (pl.col("value") == "1")).collect()
    assert dropped["why"].to_list() == [f"its field is dropped: {values.field('noise').why}"]


def test_merging(problem) -> None:
    features = Merge().select(problem, size=12, seed=0).features
    found = account(problem.table, features)
    merged = found.values.filter(pl.col("outcome") == "merged").collect()
    assert merged.height
    for field, into in merged.select("field", "into").unique().rows():
        group = merged.filter((pl.col("field") == field) & (pl.col("into") == into))
        assert group.height > 1
        assert group["rows"][0] == group["rows"].max()
        assert group["value"].is_in([into]).any()
    assert sum(f.values_merged for f in found.fields) == merged.height
    assert sum(f.values_kept for f in found.fields) == features.n_values


def test_wishes(tiny, untouched) -> None:
    table = tiny.without("test")
    problem = Problem(table=table, learner=untouched, always_keep=("noise",), groups=(("id", "site"),))
    features = MostFrequent().select(problem, size=12, seed=0).features
    found = account(table, features, always_keep=problem.always_keep, groups=problem.groups)
    assert found.field("noise").reason == "always_keep"
    assert found.values.filter(pl.col("field") == "noise").collect()["reason"].unique().to_list() == ["always_keep"]
    whole = tiny.schema
    from ctrsel.select import exclude

    less = exclude(table, ("load", "ad"))
    features = MostFrequent().select(Problem(table=less, learner=untouched), size=8, seed=0).features
    found = account(less, features, whole=whole)
    assert [f.name for f in found.fields][-2:] == ["ad", "load"]
    assert found.field("ad").why == "select.never_use names it"


@given(seed=st.integers(0, 300), size=st.integers(1, 40), grouped=st.booleans())
@settings(max_examples=30, deadline=None)
def test_everything_has_a_reason(random_table, untouched, seed, size, grouped) -> None:
    table = random_table(seed).without("test")
    groups = (("a", "b"),) if grouped else ()
    problem = Problem(table=table, learner=untouched, groups=groups)
    for selector in (RandomValues(), MostFrequent()):
        features = selector.select(problem, size=size, seed=seed).features
        found = account(table, features, groups=groups)
        assert [f.name for f in found.fields] == list(table.schema.names)
        assert {f.name for f in found.fields if f.kept} == set(features.fields)
        assert all(f.why for f in found.fields)
        values = found.values.collect()
        assert values["why"].str.len_chars().min() > 0
        own = values.filter(pl.col("reason") != "rare")
        assert own.height == table.encoder.n_values
        assert own.filter(pl.col("outcome") != "dropped").height == features.n_values
        same = [f for f in table.schema.fields if f.name == "same"]
        assert not same or found.field("same").reason == "silent"


def test_round_trip_and_sensitive_values(problem, tmp_path) -> None:
    fields = tuple(replace(f, sensitive=f.name == "ad") for f in problem.table.schema.fields)
    encoder = replace(problem.table.encoder, schema=replace(problem.table.schema, fields=fields))
    table = replace(problem.table, encoder=encoder)
    features = MostFrequent().select(replace(problem, table=table), size=8, seed=0).features
    lost = {"site": Metric(value=0.02, low=0.01, high=0.03, method="delong")}
    found = account(table, features, auc_lost=lost)
    assert found.values.filter(pl.col("field") == "ad").collect()["value"].null_count() == 12
    found.save(tmp_path / "account")
    back = SelectionAccount.load(tmp_path / "account")
    assert back.fields == found.fields
    assert back.values.collect().equals(found.values.collect())
    told = pl.read_csv(tmp_path / "account" / "fields.csv")
    assert told.filter(pl.col("name") == "site")["auc_lost_low"].to_list() == [0.01]
    assert np.array_equal(told["name"].to_list(), table.schema.names)


def test_values_that_are_merged_into_other(problem) -> None:
    found = account(problem.table, Merge().select(problem, size=12, seed=0).features)
    gone = [f for f in found.dropped if f.reason == "refused"]
    assert {f.why for f in gone} == {'dropped, since its values were merged until only "other" was left of them'}


def test_what_outranks_the_cut_had_no_room(problem, ranking_of) -> None:
    ranked = replace(problem, rankings={"toy": ranking_of("ad", "site", "hour", "noise", q=[0.01] * 4)})
    wished = replace(ranked, always_keep=("hour",))
    found = ByRanking(ranking="toy").search(wished, sizes=(), seed=0).at(Size(number=1, of="fields"))
    told = account(problem.table, found, always_keep=("hour",))
    assert (told.field("ad").reason, told.field("ad").why) == (
        "no_room", "its score -0 is place 1 of 4; what is kept leaves no room for it at this size"
    )  # fmt: skip
    grouped = replace(ranked, groups=(("ad", "site"),))
    found = ByRanking(ranking="toy").search(grouped, sizes=(), seed=0).at(Size(number=1, of="fields"))
    told = account(problem.table, found, groups=grouped.groups)
    assert (
        told.field("ad").why == "dropped with its group (site), which is not among the best that this size has room for"
    )


def test_floats_make_no_cut_where_values_are_counted(problem, ranking_of) -> None:
    q = [0.01] * 5
    ranked = replace(problem, rankings={"toy": ranking_of("ad", "site", "hour", "noise", "load", q=q)})
    found = ByRanking(ranking="toy").search(ranked, sizes=(), seed=0).at(Size(number=12, of="values"))
    told = account(problem.table, found)
    assert "load" in found.fields  # last of all, but it has no values
    assert told.cut == min(found.field_scores[n] for n in found.fields if n != "load")
    for field in told.fields:
        assert field.reason != "below_cut" or field.score < told.cut


def test_lists_that_are_empty_in_every_row_say_nothing(untouched) -> None:
    rows = 200
    frame = tiny_frame(rows=rows).select("click", "site").with_columns(
        hollow=pl.Series([[]] * rows, dtype=pl.List(pl.String)), one=pl.Series([["q"] * (i % 3) for i in range(rows)])
    )  # fmt: skip
    problem = Problem(table=as_table(frame, label="click").without("test"), learner=untouched)
    features = MostFrequent().select(problem, size=problem.n_values, seed=0).features
    assert features.fields == ("site", "one")
    found = account(problem.table, features)
    assert reasons(found) == {"site": "kept", "hollow": "silent", "one": "kept"}
    assert found.field("hollow").why == "all of its training rows look alike, so it tells nothing"
