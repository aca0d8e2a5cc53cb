from __future__ import annotations

import numpy as np
import pytest

from ctrsel.core.errors import ConfigError
from ctrsel.explain import explain
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.rank import rank
from ctrsel.rank.boosted_shap import BoostedShap
from ctrsel.testing.tables import sequence_table, tiny_table
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner

LEARNER = BoostedLearner(rounds=30, leaves=7)


def test_a_fitted_model_saves_the_training_and_gives_the_same_ranking(monkeypatch):
    table = tiny_table(rows=1500)
    ranker = BoostedShap(rows=100, learner=LEARNER)
    (trained,) = rank(table, [ranker], seed=1)
    model = LEARNER.fit(table.without("test"), seed=1).model
    monkeypatch.setattr(BoostedLearner, "fit", lambda *a, **k: pytest.fail("trained again"))
    (given,) = rank(table, [ranker], seed=1, model=model)
    assert given.digest == trained.digest
    assert set(given.order[:2]) == {"site", "ad"}
    assert set(given.order) == set(table.schema.names)
    assert given.unit == "log-odds"
    assert given.params["learner"]["rounds"] == 30
    assert given.table == table.without("test").digest


def test_the_score_is_the_mean_size_with_its_standard_error():
    table = tiny_table(rows=1500).without("test")
    model = LEARNER.fit(table, seed=1).model
    frame = BoostedShap(rows=100).score(table, seed=2, model=model).frame
    found = explain(model, table, rows=100, seed=2)
    size = np.abs(found.values[:, found.fields.index("ad")])
    row = frame.filter(frame["field"] == "ad").row(0, named=True)
    assert row["score"] == pytest.approx(size.mean())
    assert row["standard_error"] == pytest.approx(size.std(ddof=1) / 10)


def test_lists_are_ranked_too():
    (ranking,) = rank(sequence_table(), [BoostedShap(rows=50, learner=LEARNER)], seed=1)
    assert set(ranking.order) == {"user", "item", "history", "tags"}
    assert not ranking.refused


def test_refuses_what_cannot_be():
    table = tiny_table().without("test")
    net = NetLearner(backbone=DeepFM(), width=2, max_epochs=1).fit(table, seed=1).model
    with pytest.raises(ConfigError, match="needs a model of kind 'boosted', got 'net'"):
        rank(table, [BoostedShap(learner=LEARNER)], seed=1, model=net)
    with pytest.raises(ConfigError, match="rows: must be at least 2"):
        BoostedShap(rows=1)
