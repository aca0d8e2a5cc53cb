"""Gradients of fields: one backward pass of a sum equals row by row, and both equal differences of the loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.data.batches import batches
from ctrsel.explain.field_gradients import embedded_gradients, mask_gradients, mean_row_moves
from ctrsel.models.backbones import CATALOG
from ctrsel.models.gates._contract import scaled
from ctrsel.testing.sequence_backbone import TargetAttention
from ctrsel.testing.tables import sequence_table, tiny_table
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner

SMALL = {"width": 4, "batch_size": 64, "max_epochs": 2, "learning_rate": 1e-2, "init_std": 0.05}


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=300, seed=1).without("test")


def trained(table, backbone="deepfm"):
    return NetLearner(backbone=CATALOG.load(backbone)(), **SMALL).fit(table, seed=1).model


def row_by_row(model, part):
    """What the method's published code does: a backward pass for every row."""
    net = model.predictor.net.eval()
    slots = list(net.layout.slots)
    one = [embedded_gradients(net, b) for b in batches(part, None, size=1)]
    main, first = torch.cat([v.main for v, _ in one]), None
    if one[0][0].first_order is not None:
        first = torch.cat([v.first_order for v, _ in one])
    out = np.zeros((part.n_rows, len(slots)))
    for i, (v, g) in enumerate(one):
        moved = ((main.mean(0) - v.main[0]) * g.main[0]).sum(-1)
        if first is not None:
            moved = moved + ((first.mean(0) - v.first_order[0]) * g.first_order[0]).sum(-1)
        out[i] = moved.numpy()
    return out[:, [slots.index(n) for n in part.schema.names]]


@pytest.mark.parametrize("backbone", CATALOG.names())
def test_one_backward_pass_equals_row_by_row(table, backbone):
    model, part = trained(table, backbone), table.part("valid")
    fast = mean_row_moves(model, part, batch_size=17)
    np.testing.assert_allclose(fast, row_by_row(model, part), atol=1e-6, rtol=1e-4)
    np.testing.assert_allclose(fast, mean_row_moves(model, part), atol=1e-6, rtol=1e-4)
    assert np.abs(fast).max() > 1e-6


def test_a_small_step_towards_the_mean_row_moves_the_loss_as_told(table):
    model, part = trained(table), table.part("valid")
    net = model.predictor.net.eval().double()
    (batch,) = batches(part, None, size=part.n_rows)
    values, _ = embedded_gradients(
        net, replace(batch, labels=batch.labels.astype(np.float64), floats=batch.floats.astype(np.float64))
    )
    told = mean_row_moves(model, part)
    y = torch.from_numpy(batch.labels[:, 0].astype(np.float64))

    def loss(main, first):
        logits = net.score(replace(values, main=main, first_order=first)).logits[:, 0]
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, y, reduction="none")

    for j, name in enumerate(net.layout.slots):
        step = torch.zeros(len(net.layout.slots), dtype=torch.float64)
        step[j] = 1e-5
        ends = []
        with torch.no_grad():
            for sign in (1, -1):
                s = (sign * step)[:, None]
                main = values.main + s * (values.main.mean(0) - values.main)
                first = values.first_order + s * (values.first_order.mean(0) - values.first_order)
                ends.append(loss(main, first))
        slope = ((ends[0] - ends[1]) / 2e-5).numpy()
        np.testing.assert_allclose(told[:, part.schema.names.index(name)], slope, atol=1e-6)


def test_gradients_of_masks_equal_those_of_a_mask(table):
    model, part = trained(table), table.part("valid")
    net = model.predictor.net.eval()
    found = mask_gradients(model, part, batch_size=20)
    assert found.shape == (-(-part.n_rows // 20), len(part.schema.names))
    order = [net.layout.slots.index(n) for n in part.schema.names]
    for told, batch in zip(found, batches(part, None, size=20), strict=True):
        mask = torch.ones(len(order), requires_grad=True)
        values, _ = embedded_gradients(net, batch)
        logits = net.score(scaled(values, mask)).logits[:, 0]
        labels = torch.from_numpy(batch.labels[:, 0].copy())
        torch.nn.functional.binary_cross_entropy_with_logits(logits, labels).backward()
        np.testing.assert_allclose(told, mask.grad.numpy()[order], atol=1e-6)


def test_histories_count():
    table = sequence_table(rows=200, seed=1).without("test")
    model = NetLearner(backbone=TargetAttention(), **SMALL).fit(table, seed=1).model
    part = table.part("valid")
    found = mean_row_moves(model, part, batch_size=7)
    np.testing.assert_allclose(found, mean_row_moves(model, part), atol=1e-7)
    assert np.isfinite(found).all()
    assert np.abs(found[:, part.schema.names.index("history")]).max() > 0


def test_a_row_of_weight_two_is_the_row_twice(table):
    model, part = trained(table), table.part("valid")
    twice = part.take(np.sort(np.concatenate([np.arange(part.n_rows), np.arange(5)])))
    weight = np.ones(part.n_rows, dtype=np.float32)
    weight[:5] = 2
    weighted = mean_row_moves(model, replace(part, weight=weight))
    np.testing.assert_allclose(
        weighted, mean_row_moves(model, twice)[np.unique(twice.row, return_index=True)[1]], atol=1e-6
    )


def test_trees_have_no_gradients(table):
    model = BoostedLearner(rounds=3).fit(table, seed=1).model
    with pytest.raises(ConfigError, match="need a model of kind 'net', got 'boosted'"):
        mean_row_moves(model, table.part("valid"))
