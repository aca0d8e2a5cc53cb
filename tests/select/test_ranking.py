"""Selection by ranking, by hand."""

from __future__ import annotations

import polars as pl
import pytest

from ctrsel.core.errors import ConfigError
from ctrsel.data.ingest import ingest
from ctrsel.rank import CATALOG as RANKERS
from ctrsel.rank import rank
from ctrsel.records.feature_set import OTHER, RESERVED
from ctrsel.select import Problem
from ctrsel.select.ranking import ByRanking


@pytest.fixture(scope="module")
def table():
    # Training counts: a: p 6, q 4, r 2; b: u 8, v 4; c: k 7, l 5.
    frame = pl.DataFrame(
        {
            "click": [0, 1] * 6,
            "a": ["p"] * 6 + ["q"] * 4 + ["r"] * 2,
            "b": ["u", "v", "u"] * 4,
            "c": ["k"] * 3 + ["l"] * 5 + ["k"] * 4,
        }
    )
    return ingest({"train": frame, "valid": frame, "test": frame}, label="click").without("test")


def select(table, untouched, ranking, size, groups=(), **params):
    problem = Problem(table=table, learner=untouched, rankings={ranking.method: ranking}, groups=groups)
    features = ByRanking(ranking=ranking.method, **params).select(problem, size=size, seed=1).features
    assert features.evidence == (ranking.digest,)
    return {
        name: [
            t for t, c in zip(v.values.to_list(), v.codes.tolist(), strict=True) if features.remaps[name][c] != OTHER
        ]
        for name, v in table.encoder.vocabularies.items()
        if (features.remaps[name][RESERVED:] != OTHER).any()
    }


def test_fields_are_filled_in_order_and_the_last_keeps_its_most_frequent_values(table, untouched, ranking_of):
    ranking = ranking_of("b", "a", "c")
    assert select(table, untouched, ranking, 1) == {"b": ["u"]}
    assert select(table, untouched, ranking, 4) == {"b": ["u", "v"], "a": ["p", "q"]}
    assert select(table, untouched, ranking, 6) == {"b": ["u", "v"], "a": ["p", "q", "r"], "c": ["k"]}


def test_fields_above_max_q_are_not_wanted(table, untouched, ranking_of):
    ranking = ranking_of("b", "a", "c", q=[0.001, 0.2, 0.05])
    assert select(table, untouched, ranking, 7) == {"b": ["u", "v"], "c": ["k", "l"]}
    assert select(table, untouched, ranking, 7, max_q=0.01) == {"b": ["u", "v"]}
    assert select(table, untouched, ranking, 7, max_q=1.0) == {"a": ["p", "q", "r"], "b": ["u", "v"], "c": ["k", "l"]}


def test_a_q_value_that_is_absent_says_nothing_against_a_field(table, untouched, ranking_of):
    ranking = ranking_of("b", "a", "c", q=[None, float("nan"), 0.5])
    assert select(table, untouched, ranking, 7) == {"b": ["u", "v"], "a": ["p", "q", "r"]}


def test_a_field_that_was_not_ranked_keeps_no_value(table, untouched, ranking_of):
    assert select(table, untouched, ranking_of("c"), 7) == {"c": ["k", "l"]}


def test_a_group_stands_where_its_best_member_stands(table, untouched, ranking_of):
    ranking = ranking_of("b", "a", "c", q=[0.001, 0.001, 0.9])
    assert select(table, untouched, ranking, 4, groups=(("b", "c"),)) == {"b": ["u", "v"], "c": ["k", "l"]}
    # All three by way of b.
    found = select(table, untouched, ranking, 7, groups=(("a", "b"), ("b", "c")))
    assert found == {"a": ["p", "q", "r"], "b": ["u", "v"], "c": ["k", "l"]}


def test_an_unknown_ranking_is_named_with_the_nearest(table, untouched, ranking_of):
    problem = Problem(table=table, learner=untouched, rankings={"mutual_information": ranking_of("a")})
    with pytest.raises(ConfigError, match=r"unknown ranking 'mutual_info'; did you mean 'mutual_information'\?"):
        ByRanking(ranking="mutual_info").select(problem, size=3, seed=1)


@pytest.mark.parametrize("ranking", ["mutual_information", "boosted_gain", "boosted_shap"])
def test_a_ranking_that_is_not_there_is_made(planted_fields, untouched, ranking):
    problem = Problem(table=planted_fields(seed=1, noise=2), learner=untouched)
    found = ByRanking(ranking=ranking).search(problem, sizes=(), seed=1)
    assert found.order[0] == "good0"
    (made,) = rank(problem.table, [RANKERS.load(ranking)()], seed=1)
    assert found.order == tuple(made.order)
    assert found.evidence == (made.digest,)


def test_max_q_is_checked():
    with pytest.raises(ConfigError, match=r"max_q: must be in \(0, 1\], got 0"):
        ByRanking(max_q=0)
