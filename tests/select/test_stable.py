"""Stability selection over selectors of fields: shares, bounds, and what a half sees."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from ctrsel.core.errors import ConfigError
from ctrsel.select import Problem, Selector, Size
from ctrsel.select.gated import Gated
from ctrsel.select.lasso import Lasso
from ctrsel.select.random import RandomValues
from ctrsel.select.scored import ScoredFields
from ctrsel.select.stable import Stable
from ctrsel.stats.selection_bounds import unimodal_factor

LASSO = Lasso(steps=10, smallest=0.1)


def test_planted_fields_are_stable(planted_fields, untouched):
    problem = Problem(table=planted_fields(seed=1), learner=untouched)
    found = Stable(selector=LASSO, number=3, threshold=0.9, strict=True).search(problem, sizes=(), seed=1)
    assert found.wanted == {"good0", "good1", "good2"}
    (told,) = found.history
    assert told["kept_of_a_half"] == 3
    assert told["false_at_most"] == pytest.approx(9 / (0.8 * 8))
    assert told["false_at_most_if_unimodal"] == pytest.approx(unimodal_factor(0.9, 5, 3 / 8) * 9 / 8)
    assert found.at(Size(number=3, of="fields")).fields == tuple(n for n in problem.table.schema.names if "good" in n)


def test_random_choices_are_stable_no_more_often_than_bounded(planted_fields, untouched):
    table = planted_fields(good=0, noise=10, rows=200)
    problem, stable, bound = Problem(table=table, learner=untouched), [], 0.0
    for seed in range(40):
        found = Stable(selector=RandomValues(), pairs=4, number=3, threshold=0.75).search(problem, sizes=(), seed=seed)
        stable.append(found.history[0]["stable"])
        bound = found.history[0]["false_at_most"]
        assert 0.3 <= np.mean(list(found.scores.values())) <= 0.3 + 1 / 16
    assert np.mean(stable) <= bound


def test_the_bound_sets_the_number(planted_fields, untouched):
    problem = Problem(table=planted_fields(good=0, noise=10, rows=200), learner=untouched)
    found = Stable(selector=RandomValues(), threshold=0.9, errors=0.5).search(problem, sizes=(), seed=1)
    assert found.history[0]["kept_of_a_half"] == 2  # q^2 <= 0.5 * 0.8 * 10
    assert found.history[0]["false_at_most"] <= 0.5


@dataclass(frozen=True, kw_only=True)
class Spy(Selector):
    units = ("fields",)
    seen: list = field(default_factory=list, compare=False)

    def search(self, problem, *, sizes, seed):
        self.seen.append(problem)
        scores = dict.fromkeys(problem.table.schema.names, 1.0)
        return ScoredFields(problem=problem, method="spy", params={}, scores=scores)


def test_halves_share_no_training_row_and_all_validation_rows(planted_fields, untouched):
    table, spy = planted_fields(rows=400), Spy()
    problem = Problem(table=table, learner=untouched, always_keep=("noise0",), groups=(("good0", "noise1"),))
    found = Stable(selector=spy, pairs=2).search(problem, sizes=(), seed=1)
    assert len(spy.seen) == 4
    for one, two in (spy.seen[:2], spy.seen[2:]):
        rows = [set(p.table.part("train").row) for p in (one, two)]
        assert not rows[0] & rows[1]
        assert rows[0] | rows[1] <= set(table.part("train").row)
        assert set(one.table.part("valid").row) == set(table.part("valid").row)
        assert one.always_keep == ()
        assert one.groups == problem.groups
    assert found.scores["good0"] == found.scores["noise1"]
    assert "noise0" in found.at(Size(number=3, of="fields")).fields


def test_a_selector_that_wants_nothing_counts_as_keeping_nothing(planted_fields, untouched):
    @dataclass(frozen=True, kw_only=True)
    class Nothing(Spy):
        def search(self, problem, *, sizes, seed):
            return ScoredFields(problem=problem, method="no", params={}, scores={}, wanted=frozenset())

    found = Stable(selector=Nothing()).search(
        Problem(table=planted_fields(rows=200), learner=untouched), sizes=(), seed=1
    )
    assert set(found.scores.values()) == {0.0}


@pytest.mark.parametrize(
    "given",
    [{"selector": Gated()}, {"selector": Stable()}, {"pairs": 0}, {"number": 0}, {"threshold": 0.5}, {"errors": 0}],
)
def test_parameters_are_checked(given):
    with pytest.raises(ConfigError, match="stable"):
        Stable(**given)
