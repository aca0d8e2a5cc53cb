"""A plan fails before anything is read, with the place and the nearest known name."""

from __future__ import annotations

import pytest

from ctrsel.api.plan import component_key, selection_name
from ctrsel.core.errors import ConfigError
from ctrsel.select.frequent import MostFrequent
from ctrsel.select.gated import Gated
from ctrsel.select.ranking import ByRanking


def test_components_are_built(small_plan):
    made = small_plan()
    assert [component_key(r) for r in made.rankers] == ["mutual_information", "boosted_shap"]
    assert [component_key(s) for s in made.selectors] == ["gated", "ranking"]
    assert made.learner is made.learners["net"]
    assert made.out.name == "out"


def test_without_selectors_the_gates_and_the_ranking_select(small_plan):
    assert [component_key(s) for s in small_plan(select={}).selectors] == ["gated", "ranking"]


def test_the_folder_is_named_by_the_run(small_plan):
    assert small_plan(out=None).out.as_posix() == "runs/tiny"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learners": {"net": {"use": "nett"}}}, r"learners.net: unknown learner 'nett'; did you mean 'net'\?"),
        ({"select": {"learner": "nets"}}, r"select.learner: unknown learner 'nets'; did you mean 'net'\?"),
        ({"select": {"size": 0}}, r"select.size: must be a share in \(0, 1\], got 0"),
        ({"select": {"size": 1.5}}, r"select.size: must be a share in \(0, 1\], got 1.5"),
        ({"rank": [{"use": "mutual_informaton"}]}, r"rank\[0\]: unknown ranker .* did you mean 'mutual_information'\?"),
        ({"rank": ["x"]}, r"rank\[0\]"),
        (
            {"rank": [{"use": "mutual_information"}] * 2},
            "rank: each component stands once, got 'mutual_information' twice",
        ),
        ({"select": {"selectors": [{"use": "gated"}] * 2}}, "each component stands once, got 'gated' twice"),
        ({"select": {"selectors": [{"use": "random"}]}}, r"select.selectors\[0\]: 'random' .* added by itself"),
        ({"select": {"selectors": [{"use": "gated"}, {"use": "none"}]}}, r"select.selectors\[1\]: 'none'"),
        (
            {"select": {"selectors": [{"use": "ranking", "ranking": "boosted_shop"}]}},
            r"select.selectors\[0\].ranking: unknown ranking 'boosted_shop'; did you mean 'boosted_shap'\?",
        ),
        (
            {"select": {"always_keep": ["a"], "never_use": ["b", "a"]}},
            "select.always_keep: 'a' stands in select.never_use",
        ),
        (
            {"select": {"groups": [["a", "b"]], "never_use": ["b"]}},
            r"select.groups\[0\]: 'b' stands in select.never_use",
        ),
    ],
)
def test_what_does_not_fit_is_refused(small_plan, changes, message):
    with pytest.raises(ConfigError, match=message):
        small_plan(**changes)


def test_names_of_contenders():
    assert selection_name("net", Gated()) == "net, calibrated_optfs gates"
    assert selection_name("net", ByRanking()) == "net, best fields by mutual information"
    assert selection_name("net", MostFrequent()) == "net, most frequent values"
