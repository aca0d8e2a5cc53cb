from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ctrsel.core.errors import ConfigError
from ctrsel.data.ingest import ingest
from ctrsel.data.synthetic import Noise, Planted, Strong
from ctrsel.rank import rank
from ctrsel.rank.null_importance import NullImportance, _with_spread
from ctrsel.testing.tables import sequence_table, tiny_table
from ctrsel.train.boosted import BoostedLearner

LEARNER = BoostedLearner(rounds=8, patience=8, leaves=7, monitor="log_loss", feature_share=0.5)


def planted(rows=4000, seed=1):
    made = Planted(
        parts=(
            Strong(name="device", values=3, skew=0.0),
            Strong(name="site", values=10),
            Noise(name="cookie", values=30),
            Noise(name="colour", values=4),
            Noise(name="version", values=1),
        ),
        rows=rows,
        seed=seed,
    )
    return ingest(made.frame(), schema=made.schema, seed=seed).without("test")


def test_corrects_the_gain_of_many_values():
    (ranking,) = rank(planted(), [NullImportance(trainings=8, learner=LEARNER)], seed=1)
    frame = ranking.frame
    assert set(ranking.order[:2]) == {"device", "site"}
    assert set(frame.filter(frame["q"] <= 0.05)["field"]) == {"device", "site"}
    null = dict(zip(frame["field"], frame["null_mean"], strict=True))
    assert null["cookie"] > 2 * null["colour"]  # what gain alone would have said
    assert set(ranking.refused) == {"version"}
    assert ranking.unit == "sd"
    assert frame["score"].to_list() == frame["z"].to_list()
    assert (frame["effect"] / frame["null_sd"]).to_numpy() == pytest.approx(frame["z"].to_numpy())


def test_trainings_of_the_null_are_as_long_as_that_of_the_truth(monkeypatch):
    lengths = []
    fit = BoostedLearner.fit

    def watched(self, *args, **kwargs):
        made = fit(self, *args, **kwargs)
        lengths.append(made.model.predictor.boosters[0].num_trees())
        return made

    monkeypatch.setattr(BoostedLearner, "fit", watched)
    rank(planted(rows=1500), [NullImportance(trainings=4, learner=LEARNER)], seed=1)
    assert lengths == [8] * 5


def test_tails_are_those_of_the_fitted_distributions():
    table = planted(rows=1500)
    found = {
        tail: rank(table, [NullImportance(trainings=5, learner=LEARNER, tail=tail)], seed=1)[0].frame
        for tail in ("gamma", "normal", "empirical")
    }
    for row in found["gamma"].to_dicts():
        shape, scale = (row["null_mean"] / row["null_sd"]) ** 2, row["null_sd"] ** 2 / row["null_mean"]
        assert row["p"] == pytest.approx(stats.gamma.sf(row["importance"], shape, scale=scale), rel=1e-6)
    for row in found["normal"].to_dicts():
        assert row["p"] == pytest.approx(stats.norm.sf(row["z"]))
    assert found["empirical"]["p"].min() == pytest.approx(1 / 6)


@pytest.mark.parametrize(("kind", "tail"), [("shap", "gamma"), ("permutation", "normal")])
def test_other_importances(kind, tail):
    ranker = NullImportance(trainings=4, importance=kind, tail=tail, by="effect", learner=LEARNER, rows=1000)
    (ranking,) = rank(planted(rows=1500), [ranker], seed=1)
    assert set(ranking.order[:2]) == {"device", "site"}
    assert ranking.unit == {"shap": "log-odds", "permutation": "sd"}[kind]
    assert ranking.frame["score"].to_list() == ranking.frame["effect"].to_list()


def test_a_field_that_no_training_uses_is_refused():
    stump = BoostedLearner(rounds=1, patience=1, leaves=2)
    table = planted(rows=1500)
    (ranking,) = rank(table, [NullImportance(trainings=3, learner=stump)], seed=1)
    assert set(ranking.order) | set(ranking.refused) == set(table.schema.names)
    unused = "no training used it, neither with the true labels nor with shuffled ones"
    assert list(ranking.refused.values()).count(unused) == 4 - len(ranking.order) > 0
    assert ranking.frame["z"].is_finite().all()


def test_a_null_without_spread_gets_the_smallest_importance_once():
    null = np.array([[0.0, 2.0], [0.0, 3.0], [0.0, 7.0]])
    assert _with_spread(null).tolist() == [[2.0, 2.0], [0.0, 3.0], [0.0, 7.0]]
    assert np.array_equal(_with_spread(null[:, 1:]), null[:, 1:])


def test_dependent_rows_are_shifted_and_labels_stay_in_their_group():
    table = planted(rows=1500)
    grouped = replace(table, group=np.asarray(table.row) // 7)
    (auto,) = rank(grouped, [NullImportance(trainings=3, learner=LEARNER)], seed=1)
    assert "shifted round in the order of groups" in auto.null
    (within,) = rank(grouped, [NullImportance(trainings=3, learner=LEARNER, shuffle="within")], seed=1)
    assert "shuffled within groups" in within.null
    with pytest.raises(ConfigError, match=r"null_importance\.shuffle: 'within' needs a table with groups or time"):
        rank(table, [NullImportance(shuffle="within")], seed=1)


def test_lists_weights_and_seeds():
    table = sequence_table(rows=900)
    weighted = replace(table, weight=np.where(np.arange(table.n_rows) % 2 == 0, 1.0, 2.0))
    ranker = NullImportance(trainings=3, learner=LEARNER, rows=400)
    first, again, other = (rank(weighted, [ranker], seed=s)[0] for s in (1, 1, 2))
    assert first.digest == again.digest != other.digest
    assert "4 trainings of 400 rows each" in first.notes


def test_a_numeric_and_a_float_field_are_ranked():
    (ranking,) = rank(tiny_table(rows=900), [NullImportance(trainings=3, learner=LEARNER)], seed=1)
    assert set(ranking.order[:2]) == {"site", "ad"}
    assert "load" in ranking.order


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"trainings": 2}, "trainings: must be at least 3"),
        ({"rows": 5}, "rows: must be at least 20"),
        ({"importance": "split"}, "importance: must be one of permutation, shap, gain, got 'split'"),
        ({"by": "p"}, "by: must be one of z, effect, got 'p'"),
        ({"tail": "log"}, "tail: must be one of gamma, normal, empirical"),
        ({"importance": "permutation"}, "tail: a gamma tail needs importances that are never negative"),
    ],
)
def test_refuses(wrong, match):
    with pytest.raises(ConfigError, match=rf"null_importance\.{match}"):
        NullImportance(**wrong)
