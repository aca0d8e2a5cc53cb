"""Curvature of a net's rows and the pull of rows held out, against loss changes by brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.explain.row_curvature import row_curvature, row_pulls
from ctrsel.explain.row_moves import loss_moves
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.records.feature_set import OTHER, RESERVED
from ctrsel.testing.tables import tiny_table
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner

NET = NetLearner(backbone=DeepFM(hidden=(4,)), width=3, batch_size=32, learning_rate=2e-2, max_epochs=3, init_std=0.1)


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=500, seed=2).without("test")


@pytest.fixture(scope="module")
def model(table):
    return NET.fit(table, seed=1).model


def moved(model, table, name, change):
    """The logits of a model whose rows of a vocabulary are changed."""
    encoder = table.encoder
    span = slice(encoder.offsets[name], encoder.offsets[name] + encoder.vocabularies[name].size)
    predictor = model.predictor
    weights = {k: v.clone() for k, v in predictor.net.weights().items()}
    weights["embedding.main"][span] += torch.from_numpy(change[:, :-1]).float()
    weights["embedding.first"][span] += torch.from_numpy(change[:, -1]).float()
    new = predictor.of(encoder, weights, backbone=predictor.backbone, width=predictor.width, labels=predictor.labels)
    return new.logits(table)[:, 0].astype(np.float64)


def expected_loss(before, after):
    """The mean log-loss of labels that are drawn by the probabilities before, summed over rows."""
    p = 1.0 / (1.0 + np.exp(-before))
    return float((np.logaddexp(0.0, after) - p * after).sum())


def names_of(table):
    return [n for n in table.encoder.vocabularies if table.encoder.vocabularies[n].size > RESERVED]


def test_curvature_is_the_growth_of_the_loss(table, model):
    found = row_curvature(model, table, batch_size=77)
    z = moved(model, table, names_of(table)[0], np.zeros_like(found[names_of(table)[0]].rows))
    rng = np.random.default_rng(1)
    for name in names_of(table):
        c = found[name]
        step = rng.normal(size=c.rows.shape[1]) * 0.05
        both = [moved(model, table, name, np.tile(s * step, (len(c.rows), 1))) for s in (1.0, -1.0)]
        brute = sum(expected_loss(z, b) for b in both) / 2.0 - expected_loss(z, z)
        fields = [f for f in table.encoder.fields if f.vocabulary == name]
        if len(fields) > 1 or fields[0].is_list:
            continue  # several occurrences in a row move together there, and curvatures of single ones do not add up
        told = 0.5 * c.weight.sum() * step @ c.matrix @ step
        assert told == pytest.approx(brute, rel=0.1, abs=1e-4), name
        assert np.trace(c.matrix) == pytest.approx(1.0)
        assert c.weight[c.occurrences == 0].sum() == 0.0


def test_pulls_are_slopes_and_curvature_towards_a_centre(table, model):
    part = table.part("valid")
    found = row_curvature(model, part)
    y = part.label().astype(np.float64)
    name = max(
        (n for n in names_of(table) if all(not f.is_list for f in table.encoder.fields if f.vocabulary == n)),
        key=lambda n: table.encoder.vocabularies[n].size,
    )
    rows = found[name].rows
    centre = rows.mean(0)
    pulls = row_pulls(model, part, {n: np.zeros(found[n].rows.shape[1]) for n in found} | {name: centre}, batch_size=50)
    slope, curve = pulls[name]

    def loss(t):
        z = moved(model, part, name, (t - 1.0) * (rows - centre))
        return float((np.logaddexp(0.0, z) - y * z).sum())

    h = 0.05
    assert slope.sum() == pytest.approx((loss(1 + h) - loss(1 - h)) / (2 * h), rel=0.05, abs=2e-2)
    assert (curve >= 0).all()


def test_moves_are_those_of_a_table_whose_values_are_others(table, model):
    part = table.part("valid")
    encoder = table.encoder
    found = row_curvature(model, part)
    name = table.code_fields[0]
    vocabulary = table.schema.field(name).vocabulary
    other = {vocabulary: found[vocabulary].rows[OTHER]}
    moves = list(loss_moves(model, part, other, batch_size=64))
    fields = [f for f in encoder.fields if f.vocabulary == vocabulary and not f.is_list]
    rise = np.concatenate([m[2] for m in moves][:: len(fields)])
    columns = dict(part.columns)
    columns[name] = np.full(part.n_rows, OTHER, dtype=columns[name].dtype)
    y = part.label().astype(np.float64)
    before, after = (
        m.astype(np.float64)[:, 0]
        for m in (model.predictor.logits(part), model.predictor.logits(replace(part, columns=columns)))
    )
    brute = np.logaddexp(0.0, np.where(y > 0, -after, after)) - np.logaddexp(0.0, np.where(y > 0, -before, before))
    assert np.allclose(rise, brute, atol=1e-5)


def test_trees_are_refused(table):
    trees = BoostedLearner(rounds=2).fit(table, seed=1).model
    for ask in (
        lambda: row_curvature(trees, table),
        lambda: row_pulls(trees, table, {}),
        lambda: list(loss_moves(trees, table, {})),
    ):
        with pytest.raises(ConfigError, match="model of kind 'net', got 'boosted'"):
            ask()
