"""The wishes by hand: sizes, ties, groups, fields that say nothing, and what must never be used."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError
from ctrsel.data.ingest import ingest
from ctrsel.records.feature_set import MISSING, OTHER, RESERVED
from ctrsel.select import Problem, exclude
from ctrsel.select._wishes import merged_groups


def table_of(columns: dict, **fields: FieldConfig):
    n = len(next(iter(columns.values())))
    frame = pl.DataFrame({"click": [0, 1] * (n // 2), **columns})
    # The same rows train, validate and test, so that training counts are those of the columns.
    parts = {"train": frame, "valid": frame, "test": frame}
    return ingest(parts, schema=SchemaConfig(label=LabelConfig(name="click"), fields=fields)).without("test")


def chosen(problem: Problem, size: int, scores: dict | None = None, wanted: dict | None = None):
    encoder = problem.table.encoder
    given = {n: np.zeros(v.size) for n, v in encoder.vocabularies.items()}
    for name, by_text in (scores or {}).items():
        for text, score in by_text.items():
            given[name][_code(encoder, name, text)] = score
    return problem.choose(given, size=size, method="hand", params={"use": "hand"}, wanted=wanted)


def kept(problem: Problem, features) -> dict[str, list[str]]:
    """Texts of the kept values by vocabulary, fields without any left out."""
    found = {}
    for name, v in problem.table.encoder.vocabularies.items():
        codes = [c for c in range(RESERVED, v.size) if features.remaps[name][c] != OTHER]
        if codes:
            found[name] = sorted(v.texts(np.array(codes)))
    return found


def _code(encoder, name: str, text: str) -> int:
    v = encoder.vocabularies[name]
    return int(v.codes[v.values.to_list().index(text)])


A, B = ["p", "p", "q", "q", "r", "s"], ["u", "v", "u", "v", "u", "v"]


def test_the_best_scores_are_kept_up_to_the_size(untouched):
    problem = Problem(table=table_of({"a": A, "b": B}), learner=untouched)
    scores = {"a": {"p": 0.1, "q": 5.0, "r": 3.0}, "b": {"u": 4.0}}
    features = chosen(problem, 3, scores)
    assert kept(problem, features) == {"a": ["q", "r"], "b": ["u"]}
    assert features.n_values == 3
    assert features.fields == ("a", "b")


def test_ties_go_to_the_smaller_code_then_to_the_earlier_field(untouched):
    problem = Problem(table=table_of({"a": A, "b": B}), learner=untouched)
    assert kept(problem, chosen(problem, 3)) == {"a": ["p", "q"], "b": ["u"]}


def test_a_score_that_is_no_number_is_worse_than_any(untouched):
    problem = Problem(table=table_of({"a": A, "b": B}), learner=untouched)
    features = chosen(problem, 5, {"a": {"p": np.nan, "q": -np.inf}})
    assert kept(problem, features) == {"a": ["q", "r", "s"], "b": ["u", "v"]}


def test_no_more_is_kept_than_is_wanted(untouched):
    problem = Problem(table=table_of({"a": A, "b": B}), learner=untouched)
    wanted = {"a": np.array([False] * RESERVED + [True] + [False] * 3), "b": np.zeros(RESERVED + 2, bool)}
    features = chosen(problem, 5, wanted=wanted)
    assert kept(problem, features) == {"a": ["p"]}
    assert features.fields == ("a",)


def test_a_field_that_became_constant_is_dropped_but_not_one_with_missing_rows(untouched):
    problem = Problem(
        table=table_of({"a": A, "b": B, "gap": ["m", None, "m", "n", None, "n"], "x": [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]},
                       x=FieldConfig(kind="numeric", bucket="none")),
        learner=untouched,
    )  # fmt: skip
    features = chosen(problem, 4, {"a": dict.fromkeys(A, 1.0)})
    assert features.fields == ("a", "gap", "x")
    narrow = problem.table.narrow(features)
    assert set(np.unique(narrow.columns["gap"])) == {MISSING, OTHER}


def test_a_field_without_a_message_takes_no_room(untouched):
    problem = Problem(table=table_of({"same": ["z"] * 6, "a": A}), learner=untouched)
    features = chosen(problem, 3, {"same": {"z": 9.0}})
    assert kept(problem, features) == {"a": ["p", "q", "r"]}
    assert features.fields == ("a",)
    held = Problem(table=problem.table, learner=untouched, always_keep=("same",))
    assert kept(held, chosen(held, 3)) == {"same": ["z"], "a": ["p", "q"]}
    assert problem.everything().fields == ("same", "a")


def test_fields_that_share_a_vocabulary_share_the_choice(untouched):
    table = table_of(
        {"item": A, "past": [["p", "q"], ["s"], [], ["r"], ["q"], ["p"]], "b": B},
        past=FieldConfig(kind="sequence", vocabulary="item", max_length=3),
    )
    problem = Problem(table=table, learner=untouched)
    features = chosen(problem, 1, {"item": {"q": 1.0}})
    assert features.fields == ("item", "past")
    narrow = table.narrow(features)
    np.testing.assert_array_equal(narrow.part("train").columns["item"], [OTHER, OTHER, 3, 3, OTHER, OTHER])
    assert narrow.part("train").columns["past"].codes.tolist() == [OTHER, 3, OTHER, OTHER, 3, OTHER]
    # Forced for one field is forced for both.
    held = Problem(table=table, learner=untouched, always_keep=("past",))
    assert kept(held, chosen(held, 4)) == {"item": ["p", "q", "r", "s"]}


class TestGroups:
    scores: ClassVar = {"a": {"p": 9.0, "q": 8.0, "r": 7.0}, "b": {"u": 1.0}, "c": {"k": 6.0, "l": 5.0}}

    def problem(self, untouched, *groups, always_keep=()):
        columns = {"a": A, "b": B, "c": ["k", "l", "k", "l", "k", "l"], "x": [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]}
        table = table_of(columns, x=FieldConfig(kind="numeric", bucket="none"))
        return Problem(table=table, learner=untouched, groups=groups, always_keep=always_keep)

    def test_a_member_without_a_value_gets_its_best_one(self, untouched):
        problem = self.problem(untouched, ("a", "b"))
        features = chosen(problem, 4, self.scores)
        assert kept(problem, features) == {"a": ["p", "q", "r"], "b": ["u"]}

    def test_the_room_of_a_dropped_group_is_filled(self, untouched):
        problem = self.problem(untouched, ("a", "b", "c"))
        # Only a is among the best two: one of three, so the group goes, and nothing else is there but the float.
        features = chosen(problem, 2, self.scores)
        assert features.fields == ("x",)
        # Without a in it, the room goes on to the next best.
        problem = self.problem(untouched, ("b", "c", "x"))
        features = chosen(problem, 3, self.scores)
        assert kept(problem, features) == {"a": ["p", "q", "r"]}
        assert features.fields == ("a",)
        features = chosen(problem, 5, {**self.scores, "b": {}, "c": {}})
        assert features.n_values == 5

    def test_a_float_is_dropped_with_its_group(self, untouched):
        problem = self.problem(untouched, ("b", "x"))
        assert chosen(problem, 3, self.scores).fields == ("a",)
        assert chosen(problem, 6, self.scores).fields == ("a", "b", "c", "x")

    def test_groups_that_share_a_field_are_one(self, untouched):
        merged = merged_groups([("a", "b"), ("c", "x"), ("y", "z"), ("b", "c"), ()])
        assert sorted(map(sorted, merged)) == [["a", "b", "c", "x"], ["y", "z"]]
        problem = self.problem(untouched, ("a", "b"), ("b", "c"))
        features = chosen(problem, 4, self.scores)
        assert kept(problem, features) == {"a": ["p", "q"], "b": ["u"], "c": ["k"]}

    def test_a_group_with_a_field_to_keep_stays(self, untouched):
        problem = self.problem(untouched, ("b", "c"), always_keep=("b",))
        features = chosen(problem, 3, self.scores)
        assert kept(problem, features) == {"b": ["u", "v"], "c": ["k"]}
        assert features.fields == ("b", "c", "x")

    def test_a_group_that_does_not_fit_is_dropped(self, untouched):
        problem = self.problem(untouched, ("a", "c"))
        features = chosen(problem, 1, self.scores)
        assert kept(problem, features) == {"b": ["u"]}


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"always_keep": ("ad_",)}, r"select.always_keep: unknown field 'ad_'; did you mean 'ad'\?"),
        ({"groups": (("site", "ad"), ("hours",))}, r"select.groups\[1\]: unknown field 'hours'; did you mean 'hour'\?"),
    ],
)
def test_an_unknown_field_is_named_with_the_nearest(tiny, untouched, wishes, message):
    with pytest.raises(ConfigError, match=message):
        Problem(table=tiny.without("test"), learner=untouched, **wishes)


def test_the_test_split_is_refused(tiny, untouched):
    with pytest.raises(ConfigError, match="must not see the test split"):
        Problem(table=tiny, learner=untouched)


def test_fields_to_keep_that_do_not_fit_are_refused(tiny, untouched):
    problem = Problem(table=tiny.without("test"), learner=untouched, always_keep=("ad",))
    with pytest.raises(ConfigError, match="these fields have 12 values, but the size allows 11"):
        chosen(problem, 11)


def test_a_choice_that_leaves_nothing_is_refused(untouched):
    problem = Problem(table=table_of({"a": A, "b": B}), learner=untouched)
    with pytest.raises(ConfigError, match="keeps no value of any field at a size of 0 values"):
        chosen(problem, 0)


def test_a_method_that_wants_nothing_is_not_given_more_room(untouched):
    problem = Problem(table=table_of({"a": A, "b": B}), learner=untouched)
    scores = {n: np.zeros(v.size) for n, v in problem.table.encoder.vocabularies.items()}
    nothing = {n: np.zeros(v.size, dtype=bool) for n, v in problem.table.encoder.vocabularies.items()}
    with pytest.raises(ConfigError, match="'m' wants no value of any field at any size: none passes"):
        problem.choose(scores, size=5, method="m", params={}, wanted=nothing)
    with pytest.raises(ConfigError, match="'m' wants no field at any size"):
        problem.choose_fields({}, number=1, good=frozenset(), method="m", params={})


class TestExclude:
    def test_fields_are_gone_from_table_and_encoder(self, tiny):
        usable = exclude(tiny, ("id", "load"))
        assert usable.schema.names == ("site", "ad", "noise", "hour")
        assert list(usable.columns) == list(usable.schema.names)
        assert "id" not in usable.encoder.vocabularies
        assert usable.splits == tiny.splits
        np.testing.assert_array_equal(usable.columns["ad"], tiny.columns["ad"])

    def test_nothing_to_exclude_changes_nothing(self, tiny):
        assert exclude(tiny, ()) is tiny

    def test_errors(self, tiny):
        with pytest.raises(ConfigError, match=r"select.never_use: unknown field 'sites'; did you mean 'site'\?"):
            exclude(tiny, ("sites",))
        with pytest.raises(ConfigError, match="excludes every field"):
            exclude(tiny, tiny.schema.names)


def test_a_cross_of_an_excluded_field_goes_with_it(tiny):
    table = tiny.crossed([("site", "ad"), ("ad", "hour")], min_count=1)
    left = exclude(table, ("site",))
    assert "site*ad" not in left.schema.names
    assert "site" not in [f.name for f in left.schema.inputs]
    assert "ad*hour" in left.schema.names
    without = exclude(table, ("ad*hour",))
    assert "site*ad" in without.schema.names
