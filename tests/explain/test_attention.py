from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.explain import CATALOG
from ctrsel.explain.attention import attention_maps
from ctrsel.models.backbones.autoint import AutoInt
from ctrsel.models.backbones.autoint_plus import AutoIntPlus
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.layout import Layout
from ctrsel.models.model import Model
from ctrsel.models.net import NetPredictor
from ctrsel.models.network import Net
from ctrsel.testing.tables import tiny_table


def model_of(table, backbone, *, spread=1.0):
    torch.manual_seed(0)
    net = Net(backbone, Layout.of(table.encoder, history=False), width=4, labels=1)
    with torch.no_grad():
        net.embedding.main.normal_(std=spread)
    return Model(
        encoder=table.encoder, predictor=NetPredictor(backbone=backbone, width=4, labels=1, net=net), offset=0.0
    )


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=300)


def test_maps_are_the_means_of_an_explicit_softmax(table):
    model = model_of(table, AutoInt(layers=2, attention_width=6, heads=2, layer_norm=False))
    rows = np.array([0, 5, 9])
    found = attention_maps(model, table, rows=rows)
    fields = len(found.fields)
    assert found.mean.shape == (2, 2, fields, fields)
    layer = model.predictor.net.backbone.attention[0]
    from ctrsel.data.batches import batches
    from ctrsel.models.embedding import to_inputs

    x = model.predictor.net.embedding(to_inputs(next(iter(batches(table.take(rows), None, size=3))))).main
    expected = np.zeros((2, fields, fields))
    for row in x.detach():
        q, k = row @ layer.query.weight.detach().t(), row @ layer.key.weight.detach().t()
        for h in range(2):
            for i in range(fields):
                scores = [float(q[i, 3 * h : 3 * h + 3] @ k[j, 3 * h : 3 * h + 3]) / 3**0.5 for j in range(fields)]
                shares = np.exp(np.array(scores) - max(scores))
                expected[h, i] += shares / shares.sum() / 3
    np.testing.assert_allclose(found.mean[0], expected, atol=1e-6)
    np.testing.assert_allclose(found.mean.sum(-1), 1.0, atol=1e-6)
    assert found.checks["row_sums"] < 1e-5


def test_frame_has_a_row_per_layer_head_and_pair_and_sums_to_one(table):
    found = attention_maps(
        model_of(table, AutoIntPlus(layers=2, attention_width=8, heads=2, hidden=(4,))), table, rows=50
    )
    frame = found.frame()
    f = len(found.fields)
    assert frame.height == 2 * 2 * f * f
    totals = frame.group_by("layer", "head", "field").agg(pl.col("weight").sum())["weight"].to_numpy()
    assert len(totals) == 2 * 2 * f
    np.testing.assert_allclose(totals, 1.0, atol=1e-6)
    assert (frame["standard_error"] >= 0).all()
    assert len(found.rows) == 30  # the whole split


def test_untrained_scores_of_zero_are_even(table):
    found = attention_maps(model_of(table, AutoInt(layers=1, attention_width=4, heads=1), spread=0.0), table, rows=20)
    np.testing.assert_allclose(found.mean, 1 / len(found.fields), atol=1e-6)
    np.testing.assert_allclose(found.error, 0.0, atol=1e-6)


def test_pairs_are_sorted_by_the_larger_direction(table):
    found = attention_maps(model_of(table, AutoInt(layers=1, attention_width=4, heads=1)), table, rows=20)
    pairs = found.pairs()
    f = len(found.fields)
    assert pairs.height == f * (f - 1) // 2
    assert pairs["weight"].is_sorted(descending=True)
    first = pairs.row(0, named=True)
    i, j = found.fields.index(first["field"]), found.fields.index(first["other"])
    assert first["weight"] == max(found.mean[0, 0, i, j], found.mean[0, 0, j, i])


def test_the_seed_draws_the_rows(table):
    model = model_of(table, AutoInt(layers=1, attention_width=4, heads=1))
    a, b, c = (attention_maps(model, table, rows=9, seed=s).rows for s in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_refusals(table):
    with pytest.raises(ConfigError, match="attention layers"):
        attention_maps(model_of(table, DeepFM(hidden=(4,))), table)
    model = model_of(table, AutoInt(layers=1, attention_width=4, heads=1))
    with pytest.raises(DataError, match="needs rows in"):
        attention_maps(model, table, rows=np.array([999]))
    with pytest.raises(DataError, match="needs rows in"):
        attention_maps(model, table, rows=np.array([], dtype=np.int64))


def test_it_is_no_explainer():
    assert "attention" not in CATALOG.names()
