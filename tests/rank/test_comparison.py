"""Comparing rankings: names, tables, kinds of items, ties, and what is not shared."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import ctrsel
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.rank.comparison import compare_rankings
from ctrsel.records.ranking import Ranking
from ctrsel.stats.agreement import rank_biased_overlap


def ranking(items: str, *, method: str = "mi", ranks: list[int] | None = None, **more) -> Ranking:
    frame = pl.DataFrame(
        {
            "field": list(items),
            "score": [float(-i) for i in range(len(items))],
            "rank": ranks or list(range(1, len(items) + 1)),
        },
        schema={"field": pl.String, "score": pl.Float64, "rank": pl.Int64},
    )
    return Ranking(**{"method": method, "params": {}, "unit": "", "null": None, "frame": frame, "table": "t", **more})


def test_matrices_and_ranks():
    found = ctrsel.compare_rankings([ranking("abcd"), ranking("bacd", method="shap"), ranking("dcba", method="x")])
    assert found.names == found.methods == ("mi", "shap", "x")
    assert found.tops.keys() == {2}  # half of the items, since there are no more than five
    assert found.tops[2].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert found.tau[0].tolist() == pytest.approx([1, 4 / 6, -1])
    orders = [{c: i + 1 for i, c in enumerate(o)} for o in ("abcd", "bacd", "dcba")]
    expected = [[rank_biased_overlap(x, y) for y in orders] for x in orders]
    assert found.rbo == pytest.approx(np.array(expected))
    assert (found.rbo == found.rbo.T).all()
    assert found.items["field"].to_list() == ["b", "a", "c", "d"]  # mean ranks 2, 7/3, 8/3, 3
    assert found.frame()["shap"].to_list() == [1, 2, 3, 4]


def test_items_that_are_not_shared():
    found = compare_rankings({"one": ranking("abc"), "two": ranking("ab", refused={"c": "a list"})})
    assert found.shared.tolist() == [[3, 2], [2, 2]]
    assert found.tau[0, 1] == 1
    assert found.rbo[0, 1] == pytest.approx(1.0)  # nothing says that they would not go on alike
    assert found.ranks.tolist() == [[1, 2, 3], [1, 2, 0]]
    assert "two gives no score to c" in found.notes
    assert np.isnan(compare_rankings({"a": ranking("ab"), "b": ranking("bc")}).tau[0, 1])


def test_ties_count_as_ties_whatever_the_next_rank_is():
    dense = compare_rankings({"a": ranking("abc", ranks=[1, 1, 2]), "b": ranking("bac", ranks=[1, 1, 3])})
    assert dense.rbo[0, 1] == pytest.approx(1.0)
    assert dense.tau[0, 1] == pytest.approx(1.0)
    assert dense.ranks[0].tolist() == [1, 1, 3]


def test_names_of_one_method():
    made = [ranking("ab", params={"use": "mi", "by": by}) for by in ("z", "ami")]
    assert compare_rankings(made).names == ("mi (by=z)", "mi (by=ami)")
    assert compare_rankings([ranking("ab"), ranking("ba"), ranking("ab")]).names == ("mi", "mi #2", "mi #3")


def test_crosses_are_their_fields_and_values_belong_to_a_field():
    def crosses(names: list[list[str]]) -> Ranking:
        frame = pl.DataFrame(
            {"field": ["*".join(n) for n in names], "fields": names, "score": [2.0, 1.0], "rank": [1, 2]}
        )
        return ranking("a", frame=frame, item="cross")

    found = compare_rankings({"a": crosses([["x", "y"], ["x", "z"]]), "b": crosses([["y", "x"], ["z", "x"]])})
    assert found.shared[0, 1] == 2
    assert found.items["field"].to_list() == ["x*y", "x*z"]

    def values(fields: list[str]) -> Ranking:
        frame = pl.DataFrame({"field": fields, "value": ["1", "2"], "score": [2.0, 1.0], "rank": [1, 2]})
        return ranking("a", frame=frame, item="value")

    found = compare_rankings({"a": values(["x", "x"]), "b": values(["x", "y"])})
    assert (found.shared[0, 1], found.items.columns, found.items.height) == (1, ["field", "value"], 3)
    with pytest.raises(DataError, match="'a' ranks items of kind 'field' and 'b' of kind 'value'"):
        compare_rankings({"a": ranking("ab"), "b": values(["x", "y"])})


def test_tables():
    one, other, unknown = ranking("ab"), ranking("ba", table="u"), ranking("ba", table="")
    with pytest.raises(DataError, match=r"'a' was made on the table t and 'b' on u; say across_tables=True"):
        compare_rankings({"a": one, "b": other})
    found = compare_rankings({"a": one, "b": other}, across_tables=True)
    assert found.tables == ("t", "u")
    assert any("different tables" in n for n in found.notes)
    assert "not known on which table: b" in compare_rankings({"a": one, "b": unknown}).notes


def test_chance_is_told():
    found = compare_rankings({"a": ranking("abcdef"), "b": ranking("fedcba")})
    assert "two random orders of 6 items have an overlap of 0.78 on average" in found.notes[0]


def test_refusals():
    with pytest.raises(ConfigError, match="at least two rankings, got 1"):
        compare_rankings([ranking("ab")])
    with pytest.raises(DataError, match="'b' ranks no item"):
        compare_rankings({"a": ranking("ab"), "b": ranking("")})
    with pytest.raises(ConfigError, match="top: must be at least 1 item, got 0"):
        compare_rankings([ranking("ab"), ranking("ba")], top=[0])
    with pytest.raises(ConfigError, match="p: must be between 0 and 1"):
        compare_rankings([ranking("ab"), ranking("ba")], p=1.0)
