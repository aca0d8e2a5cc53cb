"""SFS finds planted fields, and its score is what it says."""

from __future__ import annotations

import pytest

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.select import Problem, Size
from ctrsel.select.sfs import SFS
from ctrsel.train.net import NetLearner

NET = NetLearner(backbone=DeepFM(hidden=(8,)), width=4, batch_size=64, learning_rate=5e-3, max_epochs=3)


def test_a_field_that_the_net_can_tell_nothing_by_has_no_gradient(planted_fields):
    problem = Problem(table=planted_fields(seed=2, good=2, noise=3, strength=2.0), learner=NET)
    found = SFS().search(problem, sizes=(Size(number=2, of="fields"),), seed=1)
    assert all(score >= 0 for score in found.scores.values())
    assert found.order[0] in {"good0", "good1"}
    assert len(found.at(Size(number=2, of="fields")).fields) == 2


def test_rows_are_checked():
    with pytest.raises(ConfigError, match=r"sfs.rows: must be at least 1, got 0"):
        SFS(rows=0)
