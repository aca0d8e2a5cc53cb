"""Permutation on planted fields, by trees and by nets, freely and within blocks of time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError
from ctrsel.data.ingest import ingest
from ctrsel.select import Problem
from ctrsel.select.permutation import Permutation
from ctrsel.train import Learner
from ctrsel.train.boosted import BoostedLearner

TREES = BoostedLearner(rounds=40, patience=10, leaves=7, monitor="log_loss")


def test_planted_fields_come_first_in_their_order(planted_fields):
    found = Permutation().search(Problem(table=planted_fields(seed=1), learner=TREES), sizes=(), seed=1)
    assert found.order[:3] == ("good0", "good1", "good2")
    (told,) = found.history
    assert told["good0: rise"] == found.scores["good0"]
    assert 0 < told["good2: error"] < told["good2: rise"] / 3
    for j in range(5):
        assert abs(told[f"noise{j}: rise"]) <= 4 * told[f"noise{j}: error"] + 1e-12


def test_a_net_will_do(planted_fields, small_net):
    found = Permutation().search(Problem(table=planted_fields(seed=1), learner=small_net), sizes=(), seed=1)
    assert found.order[0] == "good0"


def test_only_validation_rows_are_permuted(planted_fields, monkeypatch):
    import ctrsel.select._field_importance as module

    table = planted_fields(seed=1)
    seen = []
    before = module.loss_increase

    def spy(model, part, **given):
        seen.append(part.row)
        return before(model, part, **given)

    monkeypatch.setattr(module, "loss_increase", spy)
    Permutation().search(Problem(table=table, learner=TREES), sizes=(), seed=1)
    assert set(seen[0]) == set(table.part("valid").row)


def test_within_blocks_of_time_a_field_that_tells_the_time_is_worth_nothing():
    rng = np.random.default_rng(3)
    n = 6000
    day = np.arange(n) * 20 // n
    logit = np.linspace(-2, 2, 20)[rng.permutation(20)][day]
    frame = pl.DataFrame(
        {
            "click": (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.int8),
            "day": [f"d{d}" for d in day],
            "other": [f"o{v}" for v in rng.integers(0, 5, n)],
            "at": np.arange(n),
        }
    )
    table = ingest(frame, schema=SchemaConfig(label=LabelConfig(name="click"), time="at"), seed=1).without("test")
    # In the order of time validation has days of its own; here its rows are those of training.
    table = replace(table, splits={"train": (0, table.n_rows), "valid": (0, table.n_rows)})
    problem = Problem(table=table, learner=TREES)
    freely = Permutation().search(problem, sizes=(), seed=1).scores["day"]
    within = Permutation(shuffle="within").search(problem, sizes=(), seed=1).scores["day"]
    assert freely > 0.2
    assert abs(within) < freely / 20


def test_blocks_need_a_time(planted_fields):
    with pytest.raises(ConfigError, match="'within' needs a table with groups or time"):
        Permutation(shuffle="within").search(Problem(table=planted_fields(), learner=TREES), sizes=(), seed=1)


def test_the_model_is_trained_once(planted_fields):
    fits = []

    class Counted(BoostedLearner):
        def fit(self, *args, **given):
            fits.append(1)
            return TREES.fit(*args, **given)

    assert issubclass(Counted, Learner)
    Permutation(repeats=2).search(Problem(table=planted_fields(), learner=Counted()), sizes=(), seed=1)
    assert len(fits) == 1


@pytest.mark.parametrize("given", [{"rows": 1}, {"repeats": 0}, {"shuffle": "often"}])
def test_parameters_are_checked(given):
    with pytest.raises(ConfigError, match="permutation"):
        Permutation(**given)
