"""SHARK finds planted fields, by one training or round by round."""

from __future__ import annotations

import numpy as np
import pytest

from ctrsel.core.errors import ConfigError
from ctrsel.explain.field_gradients import mean_row_moves
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.select import Problem, Size
from ctrsel.select.shark import Shark
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner

NET = NetLearner(backbone=DeepFM(hidden=(8,)), width=4, batch_size=128, learning_rate=1e-2, max_epochs=4)


@pytest.fixture(scope="module")
def problem(planted_fields):
    return Problem(table=planted_fields(seed=1, strength=2.0), learner=NET)


@pytest.fixture(scope="module")
def found(problem):
    return Shark().search(problem, sizes=(), seed=1)


def test_planted_fields_come_first(problem, found):
    assert set(found.order[:3]) == {"good0", "good1", "good2"}
    assert len(found.order) == len(problem.table.schema.names)


def test_the_score_is_the_mean_move_of_validation_rows(problem, found):
    model = NET.fit(problem.table, seed=1).model
    moves = np.abs(mean_row_moves(model, problem.table.part("valid"))).mean(axis=0)
    for name, told in zip(problem.table.schema.names, moves, strict=True):
        assert found.scores[name] == pytest.approx(told)


def test_rounds_drop_the_lowest_share_until_few_enough_are_left(problem):
    found = Shark(share=0.3).search(problem, sizes=(Size(number=3, of="fields"),), seed=1)
    assert [h["fields"] for h in found.history] == [8, 6, 5, 4, 3]
    assert set(found.at(Size(number=3, of="fields")).fields) == {"good0", "good1", "good2"}
    assert sorted(found.scores.values()) == list(range(8))


def test_trees_are_refused(problem):
    with pytest.raises(ConfigError, match="need a model of kind 'net'"):
        Shark().search(Problem(table=problem.table, learner=BoostedLearner(rounds=3)), sizes=(), seed=1)


def test_parameters_are_checked():
    with pytest.raises(ConfigError, match="0 <= share < 1, got 50000 and 1"):
        Shark(share=1)
