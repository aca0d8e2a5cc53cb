"""Shadows over selectors of fields: what beats them, what they are, and how many rounds it takes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from ctrsel.core.errors import ConfigError
from ctrsel.data.table import Ragged
from ctrsel.models.backbones.lr import LR
from ctrsel.select import Problem, Selector, Size
from ctrsel.select._shadow_fields import shadowed_table
from ctrsel.select.gated import Gated
from ctrsel.select.lasso import Lasso
from ctrsel.select.random import RandomValues
from ctrsel.select.scored import ScoredFields
from ctrsel.select.shadowed import Shadowed
from ctrsel.select.shark import Shark
from ctrsel.train.net import NetLearner

LASSO = Lasso(steps=10, smallest=0.1)


def test_planted_fields_are_wanted_and_noise_is_not(planted_fields, untouched):
    problem = Problem(table=planted_fields(seed=1), learner=untouched)
    found = Shadowed(selector=LASSO).search(problem, sizes=(), seed=1)
    assert found.wanted == {"good0", "good1", "good2"}
    assert found.at(Size(number=8, of="fields")).field_scores == dict(found.scores)
    assert set(found.at(Size(number=8, of="fields")).fields) == found.wanted
    assert len(found.history) == 12
    assert all(h["above"] >= 3 for h in found.history[:1])


def test_nets_give_shadows_weights_of_their_own(planted_fields):
    """With one table of weights for a field and its shadow a linear net would score both alike."""
    net = NetLearner(backbone=LR(), batch_size=64, learning_rate=2e-2, max_epochs=4)
    problem = Problem(table=planted_fields(seed=1, good=2, noise=2, strength=2.5), learner=net)
    found = Shadowed(selector=Shark(), rounds=7).search(problem, sizes=(), seed=1)
    assert found.wanted >= {"good0", "good1"}
    assert found.scores["good0"] >= 7


def test_random_scores_confirm_next_to_nothing(planted_fields, untouched):
    problem = Problem(table=planted_fields(good=0, noise=6, rows=200), learner=untouched)
    wanted = [
        len(Shadowed(selector=RandomValues(), rounds=8).search(problem, sizes=(), seed=s).wanted) for s in range(20)
    ]
    assert sum(wanted) == 0


def test_shadows_have_their_fields_values_and_vocabularies_of_their_own(random_table):
    table = random_table(3).without("test")
    wide, shadows = shadowed_table(table, table.schema.names, shuffle="rows", seed=1, stream=("t",))
    assert len(wide.schema.names) == 2 * len(table.schema.names)
    wide.encoder.digest  # can be told  # noqa: B018
    own = {wide.schema.field(n).vocabulary for n in table.schema.names if not wide.schema.field(n).is_float}
    for name, shadow in shadows.items():
        f = wide.schema.field(shadow)
        if not f.is_float:
            assert f.vocabulary not in own
        for split in ("train", "valid"):
            a, b = (wide.part(split).columns[n] for n in (name, shadow))
            if isinstance(a, Ragged):
                a, b = a.codes, b.codes
            np.testing.assert_array_equal(np.sort(a), np.sort(b))
    assert wide.schema.field(shadows["item"]).vocabulary == wide.schema.field(shadows["past"]).vocabulary


@dataclass(frozen=True, kw_only=True)
class Spy(Selector):
    units = ("fields",)
    seen: list = field(default_factory=list, compare=False)

    def search(self, problem, *, sizes, seed):
        self.seen.append(problem)
        scores = {n: float("good" in n and "shadow" not in n) for n in problem.table.schema.names}
        return ScoredFields(problem=problem, method="spy", params={}, scores=scores)


def test_groups_are_wanted_by_their_best_member(planted_fields, untouched):
    spy = Spy()
    problem = Problem(table=planted_fields(rows=300), learner=untouched, groups=(("good0", "noise1"),))
    found = Shadowed(selector=spy, share=0.5).search(problem, sizes=(), seed=1)
    assert found.wanted == {"good0", "noise1", "good1", "good2"}
    assert len(spy.seen[0].table.part("train").row) == len(problem.table.part("train").row) // 2
    assert set(spy.seen[0].table.part("train").row) != set(spy.seen[1].table.part("train").row)


def test_too_few_rounds_are_an_error(planted_fields, untouched):
    problem = Problem(table=planted_fields(rows=300), learner=untouched)
    with pytest.raises(ConfigError, match="8 fields need at least 8 rounds, got 7"):
        Shadowed(selector=Spy(), rounds=7).search(problem, sizes=(), seed=1)
    assert Shadowed(selector=Spy(), rounds=7, strict=False).search(problem, sizes=(), seed=1).wanted is None


@pytest.mark.parametrize(
    "given",
    [{"selector": Gated()}, {"selector": Shadowed()}, {"rounds": 0}, {"share": 0}, {"alpha": 1}, {"shuffle": "no"}],
)
def test_parameters_are_checked(given):
    with pytest.raises(ConfigError, match="shadowed"):
        Shadowed(**given)
