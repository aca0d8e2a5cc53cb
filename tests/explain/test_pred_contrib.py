from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ctrsel.core.errors import ConfigError, CtrselError, DataError
from ctrsel.explain import CATALOG, explain, explainer_for
from ctrsel.explain.permutation_shap import PermutationShap
from ctrsel.explain.pred_contrib import PredContrib
from ctrsel.models.boosted import BoostedPredictor
from ctrsel.testing.tables import sequence_table, tiny_table
from ctrsel.train.boosted import BoostedLearner

LEARNER = BoostedLearner(rounds=30, leaves=7)


@pytest.fixture(scope="module")
def fitted():
    table = tiny_table(rows=1500)
    return table, LEARNER.fit(table.without("test"), seed=1).model


def test_sums_to_the_raw_score(fitted):
    table, model = fitted
    found = explain(model, table, rows=700, seed=1)  # more than one chunk
    part = table.take(found.rows)
    raw = model.predictor.boosters[0].predict(model.predictor.columns.matrix(part), raw_score=True)
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), raw, atol=1e-8)
    assert found.checks["additivity"] < 1e-12
    assert found.fields == table.schema.names
    assert found.method == "pred_contrib"


def test_the_base_holds_the_shift_for_sampled_negatives(fitted):
    table, model = fitted
    shifted = dataclasses.replace(model, offset=-2.0)
    one, two = (explain(m, table, rows=np.arange(5), seed=1) for m in (model, shifted))
    np.testing.assert_array_equal(one.values, two.values)
    np.testing.assert_allclose(two.base, one.base - 2.0)
    np.testing.assert_allclose(
        two.base + two.values.sum(axis=1), shifted.logits(table.take(np.arange(5)))[:, 0], atol=1e-5
    )


def test_strong_fields_lead(fitted):
    table, model = fitted
    assert set(explain(model, table, rows=None, seed=1).to_ranking().order[:2]) == {"site", "ad"}


def test_the_columns_of_a_list_are_one_field():
    table = sequence_table()
    model = LEARNER.fit(table.without("test"), seed=1).model
    found = explain(model, table, rows=30, seed=1)
    assert found.fields == ("user", "item", "history", "tags")
    np.testing.assert_allclose(
        found.base + found.values.sum(axis=1), model.logits(table.take(found.rows))[:, 0], atol=1e-5
    )


def test_refuses_contributions_that_do_not_add_up(fitted, monkeypatch):
    table, model = fitted
    true = BoostedPredictor.contributions
    monkeypatch.setattr(BoostedPredictor, "contributions", lambda self, t, label: true(self, t, label=label) + 1e-6)
    with pytest.raises(CtrselError, match="within 1e-8, off by"):
        explain(model, table, rows=5, seed=1)


def test_refuses_what_cannot_be(fitted, table, toy):
    other, model = fitted
    with pytest.raises(ConfigError, match="rows: must be at least 1, got 0"):
        PredContrib(rows=0)
    with pytest.raises(DataError, match="reads the codes of its own encoder"):
        explain(model, table, rows=5, seed=1)
    net = toy(lambda v: v["a"])
    with pytest.raises(ConfigError, match="does not explain a model of kind 'toy'"):
        explain(net, table, rows=5, seed=1, explainer=PredContrib())
    with pytest.raises(ConfigError, match="explains models of kind 'boosted', got 'toy'"):
        PredContrib().explain(net, table, rows=np.arange(3), seed=1)
    with pytest.raises(ConfigError, match="none of PredContrib explains"):
        explainer_for(net, PredContrib())
    assert other.n_rows


def test_its_own_explainer_is_preferred_and_parameters_are_kept(fitted):
    _, model = fitted
    assert isinstance(explainer_for(model), PredContrib)
    assert explainer_for(model, PermutationShap(), PredContrib(rows=7)).rows == 7
    assert CATALOG.names() == ["by_parts", "permutation_shap", "pred_contrib"]
