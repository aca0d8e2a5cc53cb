from __future__ import annotations

from types import SimpleNamespace

import pytest

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.ingest import ingest
from ctrsel.data.synthetic import Noise, Planted, Weak
from ctrsel.models.model import Model
from ctrsel.rank import CATALOG, rank
from ctrsel.rank.boosted_gain import BoostedGain
from ctrsel.testing.tables import sequence_table, tiny_table
from ctrsel.train.boosted import BoostedLearner

LEARNER = BoostedLearner(rounds=10, leaves=7)


def test_the_score_is_the_share_of_the_gain(monkeypatch):
    table = tiny_table(rows=1500)
    (trained,) = rank(table, [BoostedGain(learner=LEARNER)], seed=1)
    frame = trained.frame
    assert set(trained.order[:2]) == {"site", "ad"}
    assert frame["score"].sum() == pytest.approx(1)
    assert (frame["score"] * frame["gain"].sum() - frame["gain"]).abs().max() < 1e-9 * frame["gain"].sum()
    assert trained.unit == "share"
    assert "many values" in trained.notes[1]
    model = LEARNER.fit(table.without("test"), seed=1).model
    trees = model.predictor.boosters[0].dump_model()["tree_info"]
    assert frame["splits"].sum() == sum(tree["num_leaves"] - 1 for tree in trees) > 10
    monkeypatch.setattr(BoostedLearner, "fit", lambda *a, **k: pytest.fail("trained again"))
    (given,) = rank(table, [BoostedGain(learner=LEARNER)], seed=1, model=model)
    assert given.digest == trained.digest


def test_gain_favours_many_values():
    """The fault that the notes tell of: noise of 50 values is ahead of a device that tells something."""
    made = Planted(
        parts=(Weak(name="device", values=2, skew=0.0), Noise(name="cookie", values=50, skew=0.0)), rows=3000, seed=1
    )
    table = ingest(made.frame(), schema=made.schema, seed=1)
    trees = BoostedLearner(rounds=30, patience=30)
    (ranking,) = rank(table, [BoostedGain(learner=trees)], seed=1)
    assert ranking.order == ("cookie", "device")
    assert ranking.score("cookie") > 0.8


def test_lists_are_ranked_and_fields_without_a_split_score_nothing():
    (ranking,) = rank(sequence_table(), [BoostedGain(learner=BoostedLearner(rounds=1, leaves=2))], seed=1)
    assert len(ranking.order) == 4
    assert ranking.frame["splits"].to_list() == [1, 0, 0, 0]
    assert ranking.frame["score"].to_list() == [1, 0, 0, 0]


def test_trees_without_a_split_refuse_all():
    learner = BoostedLearner(rounds=1, min_rows=1000)
    (ranking,) = rank(tiny_table(), [BoostedGain(learner=learner)], seed=1)
    assert not ranking.order
    assert set(ranking.refused.values()) == {"the trees have no split at all, so there is no gain to share"}


def test_refuses_a_net_and_comes_from_the_catalogue():
    table = tiny_table().without("test")
    net = Model(encoder=table.encoder, predictor=SimpleNamespace(kind="net"))
    with pytest.raises(ConfigError, match="boosted_gain: needs a model of kind 'boosted', got 'net'"):
        rank(table, [BoostedGain()], seed=1, model=net)
    other = LEARNER.fit(tiny_table(rows=300).without("test"), seed=1).model
    with pytest.raises(DataError, match="its own encoder"):
        rank(table, [BoostedGain()], seed=1, model=other)
    made = CATALOG.create({"use": "boosted_gain", "learner": {"use": "boosted", "rounds": 10, "leaves": 7}})
    assert made == BoostedGain(learner=LEARNER)
