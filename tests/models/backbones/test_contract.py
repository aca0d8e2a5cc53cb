"""Every backbone file meets the contract; new files are found by themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctrsel.data.batches import batches
from ctrsel.models.backbones import CATALOG, Backbone
from ctrsel.models.embedding import to_inputs
from ctrsel.models.layout import Layout
from ctrsel.models.net import NetPredictor
from ctrsel.models.network import Net
from ctrsel.testing.sequence_backbone import TargetAttention
from ctrsel.testing.tables import sequence_table, tiny_table

BACKBONES: list[type[Backbone]] = [*(CATALOG.load(name) for name in CATALOG.names()), TargetAttention]


@pytest.fixture(scope="module")
def tables():
    return {"tiny": tiny_table(rows=120), "sequence": sequence_table(rows=120)}


def cases():
    return [pytest.param(cls, name, id=f"{cls.__name__}-{name}") for cls in BACKBONES for name in ("tiny", "sequence")]


def build(cls, table, labels=1, seed=0):
    backbone = cls()
    layout = Layout.of(table.encoder, history="history" in backbone.lookups)
    torch.manual_seed(seed)
    net = Net(backbone, layout, width=4, labels=labels)
    with torch.no_grad():
        for rows in net.embedding.tables():
            rows.normal_()
    return net


def whole(table, rows=None):
    part = table if rows is None else table.take(rows)
    return to_inputs(next(iter(batches(part, None, size=max(part.n_rows, 1)))))


@pytest.mark.parametrize(("cls", "name"), cases())
def test_shapes_for_any_batch_and_number_of_labels(cls, name, tables):
    table = tables[name]
    for labels in (1, 3):
        net = build(cls, table, labels=labels).eval()
        for b in (1, 2, 17):
            assert net(whole(table, np.arange(b))).logits.shape == (b, labels)
    predictor = NetPredictor(backbone=cls(), width=4, labels=1, net=build(cls, table))
    assert predictor.logits(table.take(np.arange(0))).shape == (0, 1)


@pytest.mark.parametrize(("cls", "name"), cases())
def test_a_training_batch_of_one_row_has_a_gradient(cls, name, tables):
    net = build(cls, tables[name]).train()
    net(whole(tables[name], np.arange(1))).logits.sum().backward()
    assert torch.isfinite(net.embedding.main.grad).all()


@pytest.mark.parametrize(("cls", "name"), cases())
def test_gradient_reaches_every_parameter_and_only_the_batch_rows(cls, name, tables):
    table = tables[name]
    net = build(cls, table).train()
    inputs = whole(table, np.arange(40))
    out = net(inputs)
    ((out.logits - 1) ** 2).sum().backward()
    # A bias before batch normalisation has no effect by construction.
    dead = [n for n, p in net.named_parameters() if p.numel() and not p.grad.abs().sum() and not n.endswith(".bias")]
    assert dead == []
    touched = np.unique(np.concatenate([inputs.codes.numpy().ravel(), *(c.numpy() for _, c in inputs.lists.values())]))
    missing = [row for _, row in net.layout.pooled]
    moved = net.embedding.main.grad.abs().sum(1).nonzero().flatten().numpy()
    assert np.isin(moved, np.concatenate([touched, missing])).all()


@pytest.mark.parametrize(("cls", "name"), cases())
def test_evaluation_changes_no_state_and_ignores_dropout(cls, name, tables):
    table = tables[name]
    net = build(cls, table).eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    with torch.no_grad():
        first, second = net(whole(table)).logits, net(whole(table)).logits
    assert torch.equal(first, second)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize(("cls", "name"), cases())
def test_row_order_is_kept(cls, name, tables):
    table = tables[name]
    net = build(cls, table).eval()
    order = np.random.default_rng(0).permutation(table.n_rows)
    with torch.no_grad():
        straight, shuffled = net(whole(table)).logits.numpy(), net(whole(table, order)).logits.numpy()
    np.testing.assert_allclose(shuffled, straight[order], atol=1e-5)


@pytest.mark.parametrize(("cls", "name"), cases())
def test_the_seed_decides_the_weights(cls, name, tables):
    a, b, c = (build(cls, tables[name], seed=s).state_dict() for s in (1, 1, 2))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert any(not torch.equal(a[k], c[k]) for k in a)


@pytest.mark.parametrize(("cls", "name"), cases())
def test_slot_columns_name_real_parameters_in_equal_blocks(cls, name, tables):
    table = tables[name]
    net = build(cls, table)
    shape = net.layout.shape(width=4, labels=1)
    columns = cls().slot_columns(shape)
    for key, block in (columns or {}).items():
        assert net.backbone.get_parameter(key).shape[1] == len(shape.fields) * block
