"""Sums of predictors whose attributions are known, and trees beside a net."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.explain import explain, explainer_for
from ctrsel.explain.by_parts import ByParts
from ctrsel.explain.permutation_shap import PermutationShap
from ctrsel.explain.pred_contrib import PredContrib
from ctrsel.models.calibrated import CalibratedPredictor
from ctrsel.models.ensemble import EnsemblePredictor
from ctrsel.models.model import Model
from ctrsel.stats.log_odds_maps import Beta, Platt, Unchanged
from ctrsel.testing.runs import tiny_net
from ctrsel.testing.tables import tiny_table
from ctrsel.train.boosted import BoostedLearner

EXPLAINER = ByParts(explainers=(PredContrib(), PermutationShap(background=6)))


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=800)


@pytest.fixture(scope="module")
def trees(table):
    return BoostedLearner(rounds=12, leaves=5).fit(table.without("test"), seed=1).model


@pytest.fixture(scope="module")
def net(table):
    return tiny_net(table)


def mixed(*predictors, weights, intercept=0.4):
    return EnsemblePredictor(
        members=tuple(predictors), weights=np.array(weights)[:, None], intercept=np.array([intercept])
    )


def test_a_mix_is_the_weighted_sum_of_its_members(table, trees, net):
    model = Model(
        encoder=table.encoder, predictor=mixed(trees.predictor, net.predictor, weights=[0.7, 1.3]), offset=-1.5
    )
    rows = np.arange(20)
    found = explain(model, table, rows=rows, explainer=EXPLAINER, seed=3)
    one = PredContrib().explain(trees, table, rows=rows, seed=3)
    two = PermutationShap(background=6).explain(net, table, rows=rows, seed=3)
    np.testing.assert_allclose(found.values, 0.7 * one.values + 1.3 * two.values)
    np.testing.assert_allclose(found.base, 0.7 * one.base + 1.3 * two.base + 0.4 - 1.5)
    np.testing.assert_allclose(found.base + found.values.sum(1), model.logits(table.take(rows))[:, 0], atol=1e-4)
    assert found.method == "by_parts"
    assert found.checks["additivity"] < 1e-5
    assert found.model == model.digest
    assert any("member 0 (boosted) x 0.700, pred_contrib" in note for note in found.notes)
    assert any("absent field" in note for note in found.notes)


def test_a_line_scales_and_a_bent_map_is_left_out(table, trees):
    plain = PredContrib().explain(trees, table, rows=np.arange(30), seed=1)
    platt = replace(
        trees, predictor=CalibratedPredictor(base=trees.predictor, maps=(Platt(scale=0.5, shift=-0.25),)), offset=0.1
    )
    found = EXPLAINER.explain(platt, table, rows=np.arange(30), seed=1)
    np.testing.assert_allclose(found.values, 0.5 * plain.values)
    np.testing.assert_allclose(found.base, 0.5 * plain.base - 0.25 + 0.1)

    bent = replace(
        trees, predictor=CalibratedPredictor(base=trees.predictor, maps=(Beta(low=0.5, high=2.0, shift=0.0),))
    )
    twice = replace(
        bent, predictor=CalibratedPredictor(base=bent.predictor, maps=(Beta(low=1.0, high=2.0, shift=0.1),))
    )
    for model in (bent, twice):
        found = EXPLAINER.explain(model, table, rows=np.arange(30), seed=1)
        np.testing.assert_allclose(found.values, plain.values)
        np.testing.assert_allclose(found.base, plain.base)
        assert "before the beta calibration" in found.notes[0]


def test_a_bent_member_is_explained_with_its_bend(table, trees, net):
    bent = CalibratedPredictor(base=net.predictor, maps=(Beta(low=0.5, high=2.0, shift=0.0),))
    line = CalibratedPredictor(base=bent, maps=(Unchanged(),))
    model = Model(encoder=table.encoder, predictor=mixed(trees.predictor, line, weights=[0.5, 0.5]))
    rows = np.arange(10)
    found = EXPLAINER.explain(model, table, rows=rows, seed=2)
    np.testing.assert_allclose(found.base + found.values.sum(1), model.logits(table.take(rows))[:, 0], atol=1e-4)
    assert not any("before the" in note for note in found.notes)


def test_members_of_weight_zero_are_not_explained(table, trees, net):
    model = Model(encoder=table.encoder, predictor=mixed(trees.predictor, net.predictor, weights=[1.0, 0.0]))
    found = EXPLAINER.explain(model, table, rows=np.arange(5), seed=1)
    assert all("pred_contrib" in note for note in found.notes)


def test_it_is_taken_for_what_has_parts_only(table, trees, net):
    model = Model(encoder=table.encoder, predictor=mixed(trees.predictor, net.predictor, weights=[1.0, 1.0]))
    assert isinstance(explainer_for(model), ByParts)
    assert isinstance(explainer_for(trees), PredContrib)
    assert isinstance(explainer_for(net), PermutationShap)
    assert isinstance(explainer_for(model, PredContrib(), PermutationShap(), EXPLAINER), ByParts)
    assert not ByParts(explainers=(PredContrib(),)).accepts(model)
    with pytest.raises(ConfigError, match="got 'net'"):
        EXPLAINER.explain(net, table, rows=np.arange(3), seed=1)
    with pytest.raises(DataError, match="no rows"):
        EXPLAINER.explain(model, table, rows=np.arange(0), seed=1)
    with pytest.raises(ConfigError, match="rows >= 1"):
        ByParts(rows=0)
